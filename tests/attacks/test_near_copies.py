"""Near copies of one bank column, each under noise of its own: their mean must read a row no better than one copy does.

The bank runs two trainings on one cohort. All its columns in the first say "in the group"; in the second the group has the
target besides. No two columns of a training are alike: each cuts the other rows in two levels that differ by next to
nothing. The difference of the mean shown correlations, scaled, estimates the target's cell of every node column.

On the naive build every figure has the noise of a single question, so that the mean of K copies has a K-th of its
variance, and levels may lie anywhere within the bound, so that a copy speaks twice as loud as a standardised column can.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from models.scorecard.inputs import BankVector, Opening, check_inputs
from models.scorecard.learner import Learner
from models.scorecard.limits import InputRefused
from models.scorecard.moments import CLIP, SCALE, bank_moments
from models.scorecard.noise import NodeNoise, alpha_mac
from tests.attacks.reading import r_squared
from tests.models.scorecard_job import LIMITS, MAC_KEY, cohort, node_columns

NAME = "near-copies"
FULL_COUNT = 400
SMALL_COUNT = 25
LARGEST = 0.10
ROWS, COPIES, GROUP = 1_500, 40, 100

Floats = NDArray[np.float64]


class _SingleQuestionNoise(NodeNoise):
    """Nothing is added for the number of columns that were asked at once."""

    def draw(self, definition: bytes, mac: bytes = bytes(32), bound: float = 1.0) -> float:
        return 0.0 if definition.startswith((b"shown", b"levels")) else super().draw(definition, mac, bound)


def _copies(group: NDArray[np.int64], low: int, high: int, random: np.random.Generator) -> list[BankVector]:
    rest = np.setdiff1d(np.arange(ROWS), group)
    made = []
    for k in range(COPIES):
        codes = np.zeros(ROWS, dtype=np.uint8)
        codes[group] = 1
        codes[random.permutation(rest)[: rest.size // 2]] = 2
        made.append(BankVector.of_column(codes, np.array([low + 1 + k, high, low], dtype=np.int64)))
    return made


def _standardised() -> tuple[int, int]:
    share = GROUP / ROWS
    spread = (share * (1 - share)) ** 0.5
    return -int(share / spread * SCALE), int((1 - share) / spread * SCALE)


def _trial(seed: int, naive: bool) -> tuple[Floats, Floats]:
    """Estimates of the target's cells and the cells, float64 each, one for each column that varies."""
    random = np.random.default_rng(seed)
    made = cohort(seed, rows=ROWS, bank_fields=0)
    columns = node_columns(made)
    labels = (random.permutation(ROWS) < ROWS // 2).astype(np.uint8)
    group = random.permutation(ROWS - 1)[:GROUP]
    target, (low, high) = ROWS - 1, (-CLIP * SCALE, CLIP * SCALE) if naive else _standardised()
    means, cells = [], np.empty(0)
    for rows in (group, np.append(group, target)):
        vectors = (BankVector.of_labels(labels), *_copies(rows, low, high, random))
        if not naive:
            check_inputs(Opening(vectors, bytes(32)), LIMITS, ROWS, len(columns.fields))
        alphas = np.stack([vector.alpha for vector in vectors])
        macs = [alpha_mac(MAC_KEY, alpha) for alpha in alphas]
        kind = _SingleQuestionNoise if naive else NodeNoise
        learner = Learner(columns, kind(seed.to_bytes(32, "big"), b"root", LIMITS), LIMITS)
        bads = [np.bincount(codes, labels, minlength=count) for codes, count in zip(columns.codes, columns.bins, strict=True)]
        learner.learn_woe(np.concatenate(bads), macs[0])
        X = learner.woe_columns() / SCALE
        Z = alphas / np.r_[1, np.full(COPIES, SCALE)][:, None]
        learner.learn_weights(X @ Z.T, macs, bank_moments(labels, alphas[1:]))
        shown = learner.figures().correlation[: len(X), len(X) :]
        means.append((shown * Z[1:].std(axis=1) * ROWS).mean(axis=1))
        cells = X[:, target]
    spread = X.std(axis=1) > 0  # a column that says nothing of these labels has no level but 0
    return ((means[1] - means[0]) / ((high - low) / SCALE))[spread], cells[spread]


def campaign(count: int, seed: int) -> dict[str, Any]:
    """R² of the target's cells over `count` cohorts, on this build and on the naive one."""
    ours, naive = r_squared(_trial, count, seed)
    assert naive > 0.5, "with the noise of one question, many copies must read the row"
    assert ours <= LARGEST, "many near copies read the row through the noise"
    return {"copies": COPIES, "rows": ROWS, "R², near copies": round(ours, 4), "R², naive build": round(naive, 4)}


def test_the_mean_of_many_near_copies_reads_no_row() -> None:
    campaign(SMALL_COUNT, 1)


def test_a_column_that_is_not_standardised_is_refused() -> None:
    """Levels at the two ends of what is allowed would read with a fraction of the noise."""
    random = np.random.default_rng(3)
    labels = BankVector.of_labels((random.permutation(ROWS) < ROWS // 2).astype(np.uint8))
    for low, high in ((-CLIP * SCALE, CLIP * SCALE), (0, CLIP * SCALE)):
        vectors = _copies(random.permutation(ROWS)[:GROUP], low, high, random)
        with pytest.raises(InputRefused, match="not standardised"):
            check_inputs(Opening((labels, vectors[0]), bytes(32)), LIMITS, ROWS, 8)
