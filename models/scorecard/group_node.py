"""The node's role in a training of several banks: one `MemberTraining` for each, and two steps over all of them.

A member answers its bank's product as in a training alone, and then holds its masks until the aggregation has given the sum
over the surviving banks. `learn_counts` and `learn_moments` take the masks of just these off that sum, and learn from the
columns of just their cohorts; what was learned goes back into each member, which its bank's release then goes on from.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from crypto.masked_product import NodeProduct, recover_sum
from crypto.xof import derive_key
from models.problems import BadMessage
from models.wire import Message, decode, encode, pack

from .card import Several
from .columns import NodeColumns
from .group import GroupPlan, pooled_name
from .group_inputs import check_all_classes
from .learner import FieldFigure, Figures, Learner
from .limits import InputRefused, Limits
from .node import NodeSecrets, NodeTraining, Step
from .noise import NodeNoise
from .rounds import COUNTS, MOMENTS, Digests
from .snapshot import LearnedState, OtherVersion, array

Words = NDArray[np.uint64]
Integers = NDArray[np.int64]
_ORDER = b"xinqiao/scorecard/group-order/"


class _Shown(Message):
    rows: int
    fields: tuple[FieldFigure, ...]
    correlation: bytes


class _MemberState(Message):
    training: bytes
    figures: _Shown | None
    summed: int

    def __repr__(self) -> str:
        return "_MemberState(<secret>)"


class MemberTraining(NodeTraining):
    """One bank's part at the node. Steps: for each of two rounds `open_round`, `respond`, `close_product`, `settle`.

    Args:
        job: this bank's name for the job, as in the verdict.
        plan: of the group. bank: whose part this is.
        columns: of its cohort. cohort_root, secrets, limits: as in a training alone.
        order_seed: 32 secret bytes, the same for all members: equal places must mean equal columns.
    """

    def __init__(
        self,
        job: str,
        plan: GroupPlan,
        bank: str,
        columns: NodeColumns,
        *,
        cohort_root: bytes,
        secrets: NodeSecrets,
        limits: Limits,
        order_seed: bytes,
    ) -> None:
        super().__init__(job, plan.plan(bank), columns, cohort_root=cohort_root, secrets=secrets, limits=limits)
        self.group, self.bank = plan, bank
        self._order = order_seed
        self.summed = 0  # banks that the last sum was over
        self._figures: Figures | None = None

    @property
    def columns(self) -> NodeColumns:
        """The node's columns of this cohort."""
        return self._columns

    @property
    def product(self) -> NodeProduct:
        """Of the open round; after `respond`."""
        return self._current

    @property
    def macs(self) -> tuple[bytes, ...]:
        """The office's HMACs of this round's vectors."""
        return self._macs

    def close_product(self) -> Digests:
        """What the office will compare of this round's product; the answer to it goes under the masks of the aggregation."""
        self._expect(Step.RECEIVE)
        self._digests[self._round] = Digests(*self._sent, "", "")
        return self._digests[self._round]

    def learned_so_far(self) -> LearnedState:
        """What `settle` gave; stays inside the node."""
        return self._learner.snapshot()

    def settle(self, learned: LearnedState, summed: int, figures: Figures | None = None) -> None:
        """Go on with what was learned over so many banks; with `figures` after round 2, the training is proven."""
        self._expect(Step.RECEIVE)
        self.summed = summed
        self._learner.restore(learned)
        self._figures = figures
        self._step = Step.OPEN if self._round == COUNTS else Step.PROVEN
        self._round += 1
        self._product = None

    def figures(self) -> Figures:
        """Figures over all survivors that name no row."""
        self._expect(Step.PROVEN)
        assert self._figures is not None
        return self._figures

    def snapshot(self) -> bytes:
        """As of a training alone, with the figures over all survivors."""
        shown = self._figures
        kept = None if shown is None else _Shown(rows=shown.rows, fields=shown.fields, correlation=pack(shown.correlation))
        return encode(_MemberState(training=super().snapshot(), figures=kept, summed=self.summed))

    def restore(self, data: bytes) -> None:
        """Go on from a snapshot of this same part; raises `snapshot.OtherVersion`."""
        try:
            state = decode(data, _MemberState)
        except BadMessage:
            raise OtherVersion("this training was begun by another version of the service") from None
        super().restore(state.training)
        self.summed = state.summed
        if (shown := state.figures) is not None:
            side = len(self.group.bins) + len(self.group.columns)
            self._figures = Figures(shown.rows, shown.fields, array(shown.correlation, "<f8", (side, side)))

    def _order_seed(self) -> bytes | None:
        return derive_key(self._order, _ORDER + bytes([self._round]))


@dataclass(frozen=True, eq=False, repr=False)
class Counted:
    """What round 1 gave: what the node learned, and the counts int64[2, bins] of the common columns over all survivors."""

    learned: LearnedState
    counts: Integers


def learn_counts(members: Mapping[str, MemberTraining], total: Words, noise_key: bytes, limits: Limits) -> Counted:
    """Round 1 over the surviving banks.

    Args:
        members: by bank, each after `respond`: exactly the banks in the sum.
        total: uint64[words], the sum of their masked words without the aggregation's masks.
        noise_key: the node's.
        limits: of the project.

    Raises:
        LimitRefused: too few banks.
    """
    plan, banks = _agreed(members)
    w, counts = plan.part(banks[0]).split(COUNTS, total)
    decoded = recover_sum([members[bank].product for bank in banks], w)
    learner = _learner(members, banks, noise_key, limits)
    learner.learn_woe(decoded[:, 0], _mac(members, banks, 0))
    return Counted(learner.snapshot(), counts)


def learn_moments(
    members: Mapping[str, MemberTraining],
    total: Words,
    noise_key: bytes,
    limits: Limits,
    learned: LearnedState,
    first: Sequence[str],
) -> tuple[LearnedState, Figures]:
    """Round 2 over the banks of round 1, `first`: all weights, and the figures that may be shown; else as `learn_counts`.

    Raises:
        LimitRefused: other banks than in round 1, or too few.
        InputRefused: one of the classes has too few rows over all banks.
    """
    plan, banks = _agreed(members)
    plan.check_same(first, banks)
    w, moments = plan.part(banks[0]).split(MOMENTS, total)
    check_all_classes(int(moments[-1, -1]), plan.rows(banks), plan, limits)
    decoded = recover_sum([members[bank].product for bank in banks], w)
    learner = _learner(members, banks, noise_key, limits)
    learner.restore(learned)
    macs = [_mac(members, banks, v) for v in range(len(plan.columns) + 1)]
    learner.learn_weights(decoded, macs, moments)
    return learner.snapshot(), learner.figures()


def several_of(training: NodeTraining) -> Several | None:
    """What the leakage statement says of a training of several banks; None of a bank alone."""
    if not isinstance(training, MemberTraining):
        return None
    plan = training.group
    return Several(plan.seats or len(plan.members), training.summed, plan.colluding)


def pooled_columns(columns: Sequence[NodeColumns]) -> NodeColumns:
    """The columns of several cohorts under each other."""
    first = columns[0]
    codes = np.concatenate([each.codes for each in columns], axis=1)
    return replace(first, codes=codes, raw=np.concatenate([each.raw for each in columns], axis=1))


def _agreed(members: Mapping[str, MemberTraining]) -> tuple[GroupPlan, tuple[str, ...]]:
    banks = tuple(sorted(members))
    plan = members[banks[0]].group
    if any(members[bank].group != plan or members[bank].bank != bank for bank in banks):
        raise InputRefused("other-group", "A part of another training stands among these")
    plan.check_enough(banks)
    return plan, banks


def _learner(members: Mapping[str, MemberTraining], banks: Sequence[str], noise_key: bytes, limits: Limits) -> Learner:
    plan = members[banks[0]].group
    root = pooled_name(b"cohort", [(bank, plan.member(bank).subjects) for bank in banks])
    return Learner(pooled_columns([members[bank].columns for bank in banks]), NodeNoise(noise_key, root, limits), limits)


def _mac(members: Mapping[str, MemberTraining], banks: Sequence[str], v: int) -> bytes:
    return pooled_name(b"vector", [(bank, members[bank].macs[v]) for bank in banks])
