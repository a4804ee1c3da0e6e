"""What a private model's scores would say about the node's columns, reckoned without a row of them.

The office knows the weights and no row, the node its rows and no weight. So the node gives the office noisy counts of every
pair of bins, and the largest of these figures counts for each column, a field's position or one of its bins:

- R² of the column on the scores themselves, exact but for the noise, since second moments are all that it needs;
- R² on additive one-hot bands of the scores, as the node measures its own releases, on rows that the office draws from the
  counts in two ways: along a tree of pairs (Chow and Liu, IEEE Trans. Inf. Theory 1968), each field as the one that says most
  about it has it, whatever the form; and from a Gaussian copula with the correlations of all pairs.

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
SAMPLE_ROWS = 20_000
LEAST_SHARE = 0.005
"""Bins of fewer rows are judged with their field's position only: noise would decide on them."""


@dataclass(frozen=True)
class Judgement:
    """R² of the column that the scores say most about, and the mean over the fields; the width of one of 20 bands."""

    most: float
    mean: float
    field: str
    width: int


def judge(fields: Sequence[PrivateField], gram: Floats, models: Sequence[Sequence[NDArray[np.int64]]]) -> Judgement:
    """What the last of these models says, together with those before it.

    Args:
        fields: F of the layout.
        gram: float64[C, C], rows in each pair of bins.
        models: of each, what a bin adds to the score, int64[count] a field.
    """
    samples = [_Sample(codes, models) for codes in (along_a_tree(fields, gram), from_a_copula(fields, gram))]
    low, high = np.quantile(samples[0].scores[-1], [0.01, 0.99])
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
    return Judgement(most, float(np.mean(means)), where, max(1, round(float(high - low) / BANDS)))


class _Sample:
    """Drawn rows with the bands of all models on them."""

    def __init__(self, codes: list[NDArray[np.int64]], models: Sequence[Sequence[NDArray[np.int64]]]) -> None:
        self.codes = codes
        self.scores = [_score(model, codes) for model in models]
        self._design = np.hstack([np.eye(BANDS)[_bands(score)] for score in self.scores])
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


def _score(model: Sequence[NDArray[np.int64]], codes: Sequence[NDArray[np.int64]]) -> Floats:
    parts = [level[code] for level, code in zip(model, codes, strict=True)]
    found: Floats = np.sum(parts, axis=0).astype(np.float64)
    return found


def _bands(score: Floats) -> NDArray[np.int64]:
    edges = np.quantile(score, np.arange(1, BANDS) / BANDS)
    found: NDArray[np.int64] = np.searchsorted(edges, score, side="left").astype(np.int64)
    return found


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
