"""Trainings with the same labels and columns, again and again: neither their differences nor their mean may read a row.

The bank's column tells a group of 50 rows, of which it knows all but the target, from the rest. Each training's levels are a
little different, since the bank's own noise is in them; the bank knows that noise, and from the tables the levels. So what
the twelve trainings of a project have in common falls out of their differences, and the bank weighs, bin by bin, how well the
target explains what is left.

On the naive build the noise of a figure is bound to labels and bins alone. It is the same in all twelve, and falls out.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from models.scorecard.columns import NodeColumns
from models.scorecard.inputs import BankVector
from models.scorecard.learner import Learner
from models.scorecard.moments import SCALE, bank_moments
from models.scorecard.noise import NodeNoise, alpha_mac
from tests.attacks.reading import r_squared
from tests.models.scorecard_job import LIMITS, MAC_KEY, cohort, node_columns

NAME = "same-question-again"
FULL_COUNT = 30
SMALL_COUNT = 5
LARGEST = 0.10
ROWS, GROUP, TRAININGS = 1_000, 50, 12
BANK_NOISE, UNKNOWN = 1.0, 0.5  # rows a bad count: the bank's own; natural units a product: what it does not know of the rest
DOUBT = 1.0  # of the bank, a figure: what it does not know, rounding, and a scale that the noise moves

Floats = NDArray[np.float64]


class _BoundToLabelsAndBins(NodeNoise):
    def draw(self, definition: bytes, mac: bytes = bytes(32), bound: float = 1.0) -> float:
        return 0.0 if definition.startswith(b"levels") else super().draw(definition, mac, bound)


def _group_column(random: np.random.Generator) -> BankVector:
    codes = np.zeros(ROWS, dtype=np.uint8)
    codes[random.permutation(ROWS)[:GROUP]] = 1
    share = GROUP / ROWS
    spread = (share * (1 - share)) ** 0.5
    return BankVector.of_column(codes, np.array([-share / spread * SCALE, (1 - share) / spread * SCALE], dtype=np.int64))


def _train(
    columns: NodeColumns,
    noise: NodeNoise,
    labels: NDArray[np.uint8],
    own: BankVector,
    moved: np.random.Generator | None = None,
) -> Learner:
    """A learner after both rounds; `moved` draws what is in the decoded sums beside the node's noise."""
    alphas = np.stack([BankVector.of_labels(labels).alpha, own.alpha])
    macs = [alpha_mac(MAC_KEY, alpha) for alpha in alphas]
    learner = Learner(columns, noise, LIMITS)
    counts = [np.bincount(codes, labels, minlength=count) for codes, count in zip(columns.codes, columns.bins, strict=True)]
    bads = np.concatenate(counts).astype(np.float64)
    learner.learn_woe(bads if moved is None else bads + moved.normal(0, BANK_NOISE, bads.size), macs[0])
    products = learner.woe_columns() / SCALE @ (alphas / np.array([1, SCALE])[:, None]).T
    products = products if moved is None else products + moved.normal(0, UNKNOWN, products.shape)
    learner.learn_weights(products, macs, bank_moments(labels, alphas[1:]))
    return learner


def _trial(seed: int, naive: bool) -> tuple[Floats, Floats]:
    """Guesses at the target's cells and the cells, float64[J] each."""
    random = np.random.default_rng(seed)
    made = cohort(seed, rows=ROWS, bank_fields=0)
    columns, own = node_columns(made), _group_column(random)
    z, target = own.alpha / SCALE, int(np.flatnonzero(own.codes)[0])
    kind = _BoundToLabelsAndBins if naive else NodeNoise
    noise = kind(seed.to_bytes(32, "big"), b"root", LIMITS)
    learners = [_train(columns, noise, made.labels, own, random) for _ in range(TRAININGS)]
    shown = np.array([learner.figures().correlation[:-1, -1] for learner in learners]) * ROWS
    others = np.arange(ROWS) != target
    guesses, cells = [], []
    for j, codes in enumerate(columns.codes):
        levels = np.array([learner.levels_[j] / SCALE for learner in learners])
        left = shown[:, j] - levels @ np.bincount(codes[others], z[others], minlength=columns.bins[j])
        moves = (levels - levels.mean(axis=0)) * z[target]
        misfit = (((left - left.mean())[:, None] - moves) ** 2).sum(axis=0)
        odds = np.exp(-(misfit - misfit.min()) / (2 * DOUBT**2)) * columns.counts(j)
        guesses.append(float(odds @ levels.mean(axis=0) / odds.sum()))
        cells.append(float(levels.mean(axis=0)[codes[target]]))
    return np.array(guesses), np.array(cells)


def campaign(count: int, seed: int) -> dict[str, Any]:
    """R² of the target's cells over `count` cohorts, on this build and on the naive one."""
    ours, naive = r_squared(_trial, count, seed)
    assert naive > 0.3, "with the noise in common, the differences of many trainings must read the row"
    assert ours <= LARGEST, "the differences of many trainings read the row"
    return {"trainings": TRAININGS, "rows": ROWS, "R², differences": round(ours, 4), "R², naive build": round(naive, 4)}


def test_differences_of_many_equal_trainings_read_no_row() -> None:
    campaign(SMALL_COUNT, 1)


@pytest.mark.parametrize("asked", ["monotone", "descending", "in another order"])
def test_no_choice_of_options_draws_fresh_noise_for_the_same_column(asked: Any) -> None:
    """Else the mean over all ways of asking has less noise than one figure: a trend that holds anyway, bins renumbered."""
    made = cohort(5, rows=ROWS, bank_fields=0)
    columns, own = node_columns(made), _group_column(np.random.default_rng(5))
    noise = NodeNoise(bytes(32), b"root", LIMITS)
    if asked == "in another order":
        renumbered = [np.uint8(bins - 1) - codes for bins, codes in zip(columns.bins, columns.codes, strict=True)]
        again = replace(columns, codes=np.stack(renumbered))
    else:
        again = replace(columns, fields=tuple(replace(field, trend=asked) for field in columns.fields))
    first, second = _train(columns, noise, made.labels, own), _train(again, noise, made.labels, own)
    same = (first.woe_columns() == second.woe_columns()).all(axis=1)
    assert same.any(), "nothing was asked again"
    one, other = (learner.figures().correlation[:-1, -1] for learner in (first, second))
    np.testing.assert_array_equal(one[same], other[same])
