"""What a private model's scores would say about the node's columns, reckoned without a row of them.

The office knows the weights and no row, the node its rows and no weight. So the node gives the office noisy counts of every
pair of bins, and the largest of these figures counts for each column, a field's position or one of its bins:

- R² of the column on the scores themselves, exact but for the noise, since second moments are all that it needs;
- R² on additive one-hot bands of the scores, on rows that the office draws from the counts in two ways: along a tree of pairs
  (Chow and Liu, IEEE Trans. Inf. Theory 1968), each field as the one that says most about it has it, whatever the form; and
  from a Gaussian copula with the correlations of all pairs.

Scores are served finer than in 20 bands of equally many rows, so that a band which is wider than the noise is cut further: else
a rare bin with a large weight would stand apart in the scores and not in the bands.

What only three fields together show is in none of these, and that is the approximation.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from crypto import noise
from models.private_model import BANDS, PrivateField

Floats = NDArray[np.float64]
Levels = Sequence[NDArray[np.int64] | Floats]
"""What each bin adds to a score, [count] a field."""
SAMPLE_ROWS = 20_000
LEAST_SHARE = 0.001
"""Bins of fewer rows are judged with their field's position only: too few of the drawn rows are in them."""
MOST_CUTS = 15
"""Pieces of one band that is wider than the noise."""
LEAST_VARYING, LEAST_VARIANCE = 0.05, 0.01
"""A field is in effect where it moves the score of so many rows, by so much of the variance of the field that moves it most."""


@dataclass(frozen=True)
class Judgement:
    """R² of the column that the scores say most about, and the mean over the fields; the width of one of 20 bands."""

    most: float
    mean: float
    field: str
    width: int


def judge(fields: Sequence[PrivateField], gram: Floats, models: Sequence[Levels]) -> Judgement:
    """What the last of these models says, together with those before it.

    Args:
        fields: F of the layout.
        gram: float64[C, C], rows in each pair of bins.
        models: of each, what a bin adds to the score.
    """
    samples = [_Sample(codes, models) for codes in (along_a_tree(fields, gram), from_a_copula(fields, gram))]
    shares = np.diag(gram) / max(float(np.trace(gram)) / len(fields), 1.0)
    weights = np.stack([np.concatenate(model) for model in models]).astype(np.float64)
    most, where, means = 0.0, "", []
    for i, (field, place) in enumerate(zip(fields, _places(fields), strict=True)):
        columns = _columns(field, shares[place])
        placed = np.zeros((gram.shape[0], columns.shape[1]))
        placed[place] = columns
        said = np.max([_on_scores(gram, len(fields), weights, placed), *(one.said(columns, i) for one in samples)], axis=0)
        means.append(float(said[0]))
        if said.max() > most:
            most, where = float(said.max()), field.name
    return Judgement(most, float(np.mean(means)), where, _width(samples[0].scores[-1]))


def fields_in_effect(fields: Sequence[PrivateField], gram: Floats, model: Levels) -> int:
    """How many fields move the score of more than a few rows, by more than a trace: a weight on a rare bin is no field."""
    varying, variances = [], []
    for place, level in zip(_places(fields), model, strict=True):
        shares = _shares(gram, place)
        varying.append(1 - max(float(shares[level == value].sum()) for value in np.unique(level)))
        variances.append(float(shares @ level**2 - (shares @ level) ** 2))
    least = LEAST_VARIANCE * max(variances)
    return sum(v >= LEAST_VARYING and variance >= least for v, variance in zip(varying, variances, strict=True))


def carried(
    level: NDArray[np.int64] | Floats, earlier: tuple[PrivateField, Floats], now: tuple[PrivateField, Floats]
) -> Floats:
    """What an earlier model's bins of a field add, in the bins that the field has now: float64[count].

    Bins are cut anew for each layout. Those with an order are laid over each other by the rows in them, and so are the others.

    Args:
        level: of each bin of then.
        earlier: the field as it was, and the share of rows in each bin.
        now: the same of the present layout.
    """
    (was, before), (is_now, after) = earlier, now
    found = np.full(is_now.count, float(before @ level / max(float(before.sum()), 1e-9)))
    for old, new in (
        (slice(0, was.ordered), slice(0, is_now.ordered)),
        (slice(was.ordered, was.count), slice(is_now.ordered, is_now.count)),
    ):
        if level[old].size and found[new].size:
            a, b = (np.cumsum([0.0, *(part + 1e-9)]) / (part + 1e-9).sum() for part in (before[old], after[new]))
            shared = np.minimum(a[1:], b[1:, np.newaxis]) - np.maximum(a[:-1], b[:-1, np.newaxis])
            shared = np.maximum(shared, 0.0)
            found[new] = shared @ level[old] / shared.sum(axis=1)
    return found


def bin_shares(fields: Sequence[PrivateField], gram: Floats) -> list[Floats]:
    """The share of rows in each bin of each field."""
    return [_shares(gram, place) for place in _places(fields)]


def _shares(gram: Floats, place: slice) -> Floats:
    counts = np.maximum(np.diag(gram)[place], 0.0)
    shares: Floats = counts / max(float(counts.sum()), 1.0)
    return shares


class _Sample:
    """Drawn rows with the bands of all models on them."""

    def __init__(self, codes: list[NDArray[np.int64]], models: Sequence[Levels]) -> None:
        self.codes = codes
        self.scores = [_score(model, codes) for model in models]
        self._design = np.hstack([_one_hot(_bands(score)) for score in self.scores])
        self._inverse = np.asarray(np.linalg.pinv(self._design.T @ self._design, hermitian=True), dtype=np.float64)

    def said(self, columns: Floats, field: int) -> Floats:
        """R² of columns over a field's bins [count, K]."""
        return _on_bands(self._design, self._inverse, columns[self.codes[field]])


def _places(fields: Sequence[PrivateField]) -> list[slice]:
    """Where the bins of each field are among all."""
    return [slice(a, b) for a, b in pairwise(np.cumsum([0, *(field.count for field in fields)]).tolist())]


def _columns(field: PrivateField, shares: Floats) -> Floats:
    """Position and bins as columns over the field's bins: float64[count, 1 + bins with rows enough]."""
    codes = np.arange(field.count)
    position = np.where(codes < field.ordered, codes, 0) if field.ordered else codes
    return np.column_stack([position, np.eye(field.count)[:, shares >= LEAST_SHARE]])


def along_a_tree(fields: Sequence[PrivateField], gram: Floats) -> list[NDArray[np.int64]]:
    """Codes int64[SAMPLE_ROWS] of each field, drawn along the tree; the same counts give the same rows."""
    place = _places(fields)
    pairs = np.maximum(gram, 0.0)
    single = [np.diag(pairs[p, p]) + 1e-9 for p in place]
    count = len(fields)
    mutual = np.array([[_information(pairs[a, b]) if a is not b else -1.0 for b in place] for a in place])
    drawn = {0: _draw(single[0][np.newaxis], np.zeros(SAMPLE_ROWS, np.int64), 0)}
    while len(drawn) < count:
        known, new = list(drawn), [field for field in range(count) if field not in drawn]
        a, b = np.unravel_index(np.argmax(mutual[np.ix_(known, new)]), (len(known), len(new)))
        parent, child = known[int(a)], new[int(b)]
        # A bin that no pair count is left of after the noise falls back on the field's own shares.
        table = pairs[place[parent], place[child]] + 1e-6 * single[child]
        drawn[child] = _draw(table, drawn[parent], child)
    return [drawn[field] for field in range(count)]


def from_a_copula(fields: Sequence[PrivateField], gram: Floats) -> list[NDArray[np.int64]]:
    """Codes int64[SAMPLE_ROWS] of each field: normal variables with the pairs' correlations, cut where the bins' shares say."""
    place, pairs, normal = _places(fields), np.maximum(gram, 0.0), NormalDist()
    cuts, middles = [], []
    for p in place:
        shares = (np.diag(pairs[p, p]) + 1e-9) / (np.diag(pairs[p, p]) + 1e-9).sum()
        edges = np.array([normal.inv_cdf(min(max(float(c), 1e-9), 1 - 1e-9)) for c in np.cumsum(shares)[:-1]])
        heights = np.array([0.0, *(normal.pdf(edge) for edge in edges), 0.0])
        cuts.append(edges)
        middles.append((heights[:-1] - heights[1:]) / shares)  # the mean of what falls in each bin
    explained = [float(np.diag(pairs[p, p]) @ m**2 / np.diag(pairs[p, p]).sum()) for p, m in zip(place, middles, strict=True)]
    correlation = np.eye(len(fields))
    for a, b in combinations(range(len(fields)), 2):
        table = pairs[place[a], place[b]]
        together = float(middles[a] @ table @ middles[b]) / max(float(table.sum()), 1e-9)
        correlation[a, b] = correlation[b, a] = np.clip(together / max(explained[a] * explained[b], 1e-9), -0.99, 0.99)
    values, vectors = np.linalg.eigh(correlation)
    root = vectors * np.sqrt(np.maximum(values, 0.0))
    root /= np.linalg.norm(root, axis=1, keepdims=True)
    drawn = noise.gaussian(bytes(32), b"private-leakage/copula", SAMPLE_ROWS * len(fields), noise.TABLE_SD) / noise.TABLE_SD
    latent = root @ drawn.reshape(len(fields), SAMPLE_ROWS)
    return [np.searchsorted(edges, z).astype(np.int64) for edges, z in zip(cuts, latent, strict=True)]


def _draw(table: Floats, given: NDArray[np.int64], child: int) -> NDArray[np.int64]:
    cumulated = np.cumsum(table, axis=1)
    uniform = noise.words(bytes(32), b"private-leakage" + child.to_bytes(4), given.size) / 2.0**64
    limits = cumulated[given] / cumulated[given, -1:]
    found: NDArray[np.int64] = (limits[:, :-1] < uniform[:, None]).sum(axis=1).astype(np.int64)
    return found


def _information(table: Floats) -> float:
    joint = (table + 1e-9) / (table + 1e-9).sum()
    product = joint.sum(axis=1, keepdims=True) * joint.sum(axis=0, keepdims=True)
    return float((joint * np.log(joint / product)).sum())


def _score(model: Levels, codes: Sequence[NDArray[np.int64]]) -> Floats:
    parts = [level[code] for level, code in zip(model, codes, strict=True)]
    found: Floats = np.sum(parts, axis=0).astype(np.float64)
    return found


def _width(score: Floats) -> int:
    low, high = np.quantile(score, [0.01, 0.99])
    return max(1, round(float(high - low) / BANDS))


def _bands(score: Floats) -> NDArray[np.int64]:
    """Bands of equally many rows, and those that are wider than the noise in pieces of its width."""
    edges = np.quantile(score, np.arange(1, BANDS) / BANDS)
    band = np.searchsorted(edges, score, side="left").astype(np.int64)
    inside = (score - np.concatenate([[score.min()], edges])[band]) // _width(score)
    found: NDArray[np.int64] = band * (MOST_CUTS + 1) + np.minimum(inside, MOST_CUTS).astype(np.int64)
    return found


def _one_hot(values: NDArray[np.int64]) -> Floats:
    found, place = np.unique(values, return_inverse=True)
    return np.asarray(np.eye(found.size)[place], dtype=np.float64)


def _on_bands(design: Floats, inverse: Floats, columns: Floats) -> Floats:
    """R² of columns [M, K] on a design [M, D] whose span holds the constant; `inverse` of its Gram matrix."""
    centred = columns - columns.mean(axis=0)
    across = design.T @ centred
    return _ratio((across * (inverse @ across)).sum(axis=0), (centred**2).sum(axis=0), empty=0.0)


def _on_scores(gram: Floats, fields: int, weights: Floats, columns: Floats) -> Floats:
    """R² of columns [C, K] on scores with weights [m, C], from counts of pairs."""
    total = float(np.trace(gram)) / fields
    shares = np.diag(gram) / total
    covariance = (gram + gram.T) / (2 * total) - np.outer(shares, shares)
    scores, across = weights @ covariance @ weights.T, weights @ covariance @ columns
    explained = (across * (np.linalg.pinv(scores) @ across)).sum(axis=0)
    variance = ((columns.T @ covariance) * columns.T).sum(axis=1)
    return np.clip(_ratio(explained, variance, empty=0.0), 0.0, 1.0)


def _ratio(part: Floats, whole: Floats, *, empty: float) -> Floats:
    some = whole > 0
    found: Floats = np.where(some, part / np.where(some, whole, 1.0), empty)
    return found
