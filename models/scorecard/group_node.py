"""The node's role in a training of several banks: one `MemberTraining` for each, and two steps over all of them.

A member answers its bank's product as in a training alone, and then holds its masks until the aggregation has given the sum
over the surviving banks. `learn_counts` and `learn_moments` take the masks of just these off that sum, and learn from the
columns of just their cohorts; what was learned goes back into each member, which its bank's release then goes on from.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

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
from .moments import CLIP
from .node import NodeSecrets, NodeTraining, Step
from .noise import NodeNoise
from .rounds import COUNTS, MOMENTS, Digests
from .snapshot import LearnedState, OtherVersion, array

Words = NDArray[np.uint64]
Integers = NDArray[np.int64]
Floats = NDArray[np.float64]
_ORDER = b"xinqiao/scorecard/group-order/"


class _PooledLearner(Learner):
    """Learns over the rows of several banks: what one of them is shown of the common columns is about the others' rows too."""

    def learn_weights(self, decoded: Floats, macs: Sequence[bytes], own: Integers) -> None:
        super().learn_weights(decoded, macs, own)
        assert self._shown is not None
        first, columns = self._shown.node_fields, len(macs) - 1
        shown = self._shown.covariance.copy()
        # As with node columns: the common columns may be near copies of each other, and so may all of their pairs.
        bound = CLIP * math.sqrt(max(1, columns * (columns - 1) // 2))
        for v, w in combinations(range(columns), 2):
            drawn = self._noise.draw(b"own" + macs[v + 1], macs[w + 1], bound)
            shown[first + v, first + w] += drawn / self._shown.rows
            shown[first + w, first + v] = shown[first + v, first + w]
        self._shown = replace(self._shown, covariance=shown)


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
        assert isinstance(self._current, NodeProduct), "only LWE adds answers of several banks"
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
    """What round 1 gave: what the node learned, and the counts int64[2, bins] of the common columns over all survivors.

    The counts carry the node's noise, since banks are told them: each could take its own off an exact count.
    """

    learned: LearnedState
    counts: Integers


def learn_counts(
    members: Mapping[str, MemberTraining], total: Words, noise_key: bytes, limits: Limits, definitions: Sequence[bytes]
) -> Counted:
    """Round 1 over the surviving banks.

    Args:
        members: by bank, each after `respond`: exactly the banks in the sum.
        total: uint64[words], the sum of their masked words without the aggregation's masks.
        noise_key: the node's.
        limits: of the project.
        definitions: of the common columns.

    Raises:
        LimitRefused: too few banks.
    """
    plan, banks = _agreed(members)
    w, counts = plan.part(banks[0]).split(COUNTS, total)
    decoded = recover_sum([members[bank].product for bank in banks], w)
    noise, label_mac = _noise(members, banks, noise_key, limits), _mac(members, banks, 0)
    learner = _learner(members, banks, noise, limits)
    learner.learn_woe(decoded[:, 0], label_mac)
    ends = np.cumsum(plan.columns)[:-1]
    shown = [
        _noisy_counts(noise, definition, label_mac, exact)
        for definition, exact in zip(definitions, np.split(counts, ends, axis=1), strict=True)
    ]
    return Counted(learner.snapshot(), np.concatenate([np.zeros((2, 0), np.int64), *shown], axis=1))


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
    learner = _learner(members, banks, _noise(members, banks, noise_key, limits), limits)
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


def _noise(members: Mapping[str, MemberTraining], banks: Sequence[str], key: bytes, limits: Limits) -> NodeNoise:
    plan = members[banks[0]].group
    return NodeNoise(key, pooled_name(b"cohort", [(bank, plan.member(bank).subjects) for bank in banks]), limits)


def _learner(members: Mapping[str, MemberTraining], banks: Sequence[str], noise: NodeNoise, limits: Limits) -> Learner:
    return _PooledLearner(pooled_columns([members[bank].columns for bank in banks]), noise, limits)


def _noisy_counts(noise: NodeNoise, definition: bytes, label_mac: bytes, exact: Integers) -> Integers:
    """Rows and bad rows int64[2, B] of one common column with the node's noise, whole and possible.

    Noise is bound to the counts, for the node has no other name for a column whose rows it does not know: equal questions get
    equal noise, and where anything changed all of it is new.
    """
    name = hashlib.sha256(definition).digest()
    rows = [noise.draw(b"common rows" + name + exact[0].tobytes() + bytes([b])) for b in range(exact.shape[1])]
    bads = [noise.draw(b"common bads" + name + exact.tobytes() + bytes([b]), label_mac) for b in range(exact.shape[1])]
    shown = np.maximum(np.rint(exact[0] + rows), 0)
    return np.stack([shown, np.clip(np.rint(exact[1] + bads), 0, shown)]).astype(np.int64)


def _mac(members: Mapping[str, MemberTraining], banks: Sequence[str], v: int) -> bytes:
    return pooled_name(b"vector", [(bank, members[bank].macs[v]) for bank in banks])
