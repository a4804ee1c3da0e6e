"""A bank among several that puts one row of its own at a far common level: does it read that row's cells in the node's columns?

Alone, a bank's column needs 50 rows in each level. In a training of several banks a level is common, and one bank may have a
single row there. The attacker takes twenty such columns, each next to constant on its own rows: a few rows of its own stand at
the far level, others in each column. It trains twice, the second time with the target among them. Its rows are the only
difference, so the difference of the mean shown correlations, scaled, estimates the target's cells; the honest banks do the same
both times.

On the naive build every figure has the noise of a single question, and a bank chooses levels of its own, at the two ends of
what is allowed.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from models.scorecard.binning import NumericBins
from models.scorecard.columns import NodeColumns
from models.scorecard.group import GroupMember, GroupPlan, counts_of, pooled_name
from models.scorecard.group_columns import common_columns
from models.scorecard.group_inputs import check_group_inputs, code_vector
from models.scorecard.inputs import BankVector, Opening
from models.scorecard.learner import Learner
from models.scorecard.limits import InputRefused
from models.scorecard.moments import CLIP, SCALE, bank_moments
from models.scorecard.noise import NodeNoise, alpha_mac
from models.scorecard.rounds import COUNTS, MOMENTS
from tests.attacks.reading import r_squared
from tests.models.scorecard_job import LIMITS, MAC_KEY, cohort, node_columns

pytestmark = pytest.mark.attack

NAME = "group-columns"
FULL_COUNT = 100
SMALL_COUNT = 10
LARGEST = 0.10
ROWS, COPIES, FEW = 1_200, 20, 30  # of each of three banks; columns; the attacker's rows at the far level
BINS = [NumericBins(f"c{k}", (0.5,), 0) for k in range(COPIES)]

Floats = NDArray[np.float64]
Codes = NDArray[np.uint8]


class _SingleQuestionNoise(NodeNoise):
    """Nothing is added for the number of columns that were asked at once."""

    def draw(self, definition: bytes, mac: bytes = bytes(32), bound: float = 1.0) -> float:
        return 0.0 if definition.startswith((b"shown", b"levels")) else super().draw(definition, mac, bound)


def _training(
    seed: int, columns: NodeColumns, labels: Codes, codes: list[Codes], naive: bool
) -> tuple[Floats, list[NDArray[np.int64]]]:
    """Correlations that are shown, node columns by bank columns, and the levels that were common."""
    plan = GroupPlan(tuple(GroupMember(bank, ROWS, b"s" * 32) for bank in "abc"), columns.bins, (2,) * COPIES)
    common = common_columns(BINS, counts_of(labels, codes, plan.columns), LIMITS)
    levels = [column.levels for column in common]
    own = slice(2 * ROWS, None)  # the attacker is the last of three banks
    if naive:
        levels = [np.array([-CLIP * SCALE, CLIP * SCALE])] * COPIES
    else:
        y = BankVector.of_labels(labels[own])
        check_group_inputs(Opening((y, *(code_vector(c[own]) for c in codes)), bytes(32)), COUNTS, plan.part("c"), (), LIMITS)
        vectors = (BankVector.of_column(c[own], level) for c, level in zip(codes, levels, strict=True))
        check_group_inputs(Opening((y, *vectors), bytes(32)), MOMENTS, plan.part("c"), levels, LIMITS)
    # What is summed over the banks is what all rows together give.
    Z = np.array([level[c] for c, level in zip(codes, levels, strict=True)])
    macs = [pooled_name(b"vector", [("all", alpha_mac(MAC_KEY, alpha))]) for alpha in (labels.astype(np.int64), *Z)]
    kind = _SingleQuestionNoise if naive else NodeNoise
    learner = Learner(columns, kind(seed.to_bytes(32, "big"), b"root", LIMITS), LIMITS)
    bads = [np.bincount(c, labels, minlength=count) for c, count in zip(columns.codes, columns.bins, strict=True)]
    learner.learn_woe(np.concatenate(bads), macs[0])
    X = learner.woe_columns() / SCALE
    learner.learn_weights(X @ np.concatenate([labels[None], Z / SCALE]).T, macs, bank_moments(labels, Z))
    spread = Z.std(axis=1) / SCALE
    return learner.figures().correlation[: len(X), len(X) :] * spread * labels.size, levels


def _trial(seed: int, naive: bool) -> tuple[Floats, Floats]:
    """Estimates of the target's cells and the cells, float64 each, one for each node column that varies."""
    random = np.random.default_rng(seed)
    columns = node_columns(cohort(seed, rows=3 * ROWS, bank_fields=0))
    labels = (random.permutation(3 * ROWS) < ROWS).astype(np.uint8)
    target = 3 * ROWS - 1
    honest = [(random.random(2 * ROWS) < 0.05).astype(np.uint8) for _ in BINS]
    attacking = []
    for _ in BINS:
        mine = np.zeros(ROWS, np.uint8)
        mine[random.permutation(ROWS - 1)[:FEW]] = 1
        attacking.append(mine)
    shown, far = [], np.zeros(COPIES)
    for there in (0, 1):
        codes = []
        for theirs, mine in zip(honest, attacking, strict=True):
            own = mine.copy()
            own[-1] = there
            codes.append(np.concatenate([theirs, own]))
        found, levels = _training(seed, columns, labels, codes, naive)
        shown.append(found)
        far = np.array([(level[1] - level[0]) / SCALE for level in levels])
    learner = Learner(columns, NodeNoise(seed.to_bytes(32, "big"), b"root", LIMITS), LIMITS)
    learner.learn_woe(
        np.concatenate([np.bincount(c, labels, minlength=n) for c, n in zip(columns.codes, columns.bins, strict=True)]),
        pooled_name(b"vector", [("all", alpha_mac(MAC_KEY, labels.astype(np.int64)))]),
    )
    X = learner.woe_columns() / SCALE
    varies = X.std(axis=1) > 0
    return ((shown[1] - shown[0]) / far).mean(axis=1)[varies], X[varies, target]


def campaign(count: int, seed: int) -> dict[str, Any]:
    """R² of the target's cells over `count` cohorts, on this build and on the naive one."""
    ours, naive = r_squared(_trial, count, seed)
    assert naive > 0.5, "with the noise of one question and levels of one's own, one row must be read"
    assert ours <= LARGEST, "one row at a far common level is read through the noise"
    return {"columns": COPIES, "rows": 3 * ROWS, "R², common levels": round(ours, 4), "R², naive build": round(naive, 4)}


def test_a_row_at_a_far_common_level_is_not_read() -> None:
    campaign(SMALL_COUNT, 1)


def test_levels_of_ones_own_are_refused() -> None:
    random = np.random.default_rng(3)
    labels, codes = (random.random(ROWS) < 0.4).astype(np.uint8), (random.random(ROWS) < 0.3).astype(np.uint8)
    plan = GroupPlan(tuple(GroupMember(bank, ROWS, b"s" * 32) for bank in "abc"), (5,), (2,))
    loud = BankVector.of_column(codes, np.array([-CLIP * SCALE, CLIP * SCALE]))
    with pytest.raises(InputRefused, match="common to all banks"):
        check_group_inputs(
            Opening((BankVector.of_labels(labels), loud), bytes(32)), MOMENTS, plan.part("a"), [np.array([-670, 1564])], LIMITS
        )
