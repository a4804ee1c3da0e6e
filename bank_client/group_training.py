"""One bank's part in a training of several, over the wire: each bank runs this in its own process, and they meet at the node.

Messages and their order: `models.group_training`. The products are played as in a training alone; what answers them goes into a
sum over the banks (`bank_client.aggregation`), with the office's word on it before anything is unmasked. What the bank is told
in common (terms, counts of the common columns) is compared with what it knows before the next message leaves.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bank_client.aggregation import Aggregation, Opened
from bank_client.alignment import AlignedCohort
from bank_client.exchange import Exchange
from bank_client.frames import columns_of
from bank_client.joint_training import JointTraining, Trained
from bank_client.session import Bank
from crypto.masked_product import digest_bp, digest_hc
from crypto.secure_aggregation import Unmasked
from models import wire
from models.aggregation import AggregationPurpose, FileOpening, OpenAggregation
from models.group_training import (
    AdvanceGroup,
    CommonCounts,
    GroupPhase,
    GroupState,
    JoinGroup,
    ReplayMember,
    about_round,
)
from models.logged import Empty
from models.problems import Conflict, TooFewBanks, Unusable
from models.projects import ProjectStatus
from models.scorecard.binning import Bins
from models.scorecard.group import MemberPlan
from models.scorecard.group_bank import GroupBankTraining
from models.scorecard.group_columns import CommonColumn
from models.scorecard.limits import InputRefused
from models.scorecard.options import FieldBinning
from models.scorecard.rounds import COUNTS, MOMENTS, ROUNDS, Plan
from models.training import (
    Figures,
    GroupTerms,
    JobPlan,
    Receipt,
    ReplayRound,
    RoundAnswer,
    RoundClosed,
    RoundTranscript,
)
from models.wire import Signed

Words = NDArray[np.uint64]
_PHASE = {COUNTS: GroupPhase.COUNTS, MOMENTS: GroupPhase.MOMENTS}
_PURPOSE = {COUNTS: AggregationPurpose.COUNTS, MOMENTS: AggregationPurpose.MOMENTS}
_FIRST_POLL, _LONGEST_POLL = 0.05, 2.0


@dataclass(frozen=True)
class Group:
    """What the banks of a project agree on before they train together; the same at every bank.

    Attributes:
        name: tells trainings of one project apart.
        columns: the common bank columns, in an agreed order (`read_definitions` of the file that was passed round).
        step_seconds: how long each step waits for a bank before that bank counts as lost, 2 to 86,400.
    """

    name: str
    columns: tuple[Bins, ...]
    step_seconds: int = 600

    def codes(self, rows: pd.DataFrame) -> list[NDArray[np.uint8]]:
        """Codes uint8[N] of each common column; raises ValueError naming columns that the rows do not have."""
        if missing := [bins.field for bins in self.columns if bins.field not in rows]:
            raise ValueError(f"X has no column {', '.join(missing)}, which the banks have agreed on")
        values = columns_of(rows[[bins.field for bins in self.columns]])
        return [bins.apply(values[bins.field]) for bins in self.columns]


@dataclass(frozen=True, repr=False)
class _Played:
    """A round's product as it went: what goes under the masks, and what the office is shown."""

    words: Words
    round: ReplayRound

    def __repr__(self) -> str:
        return "_Played(<secret>)"


class GroupTraining(JointTraining):
    """One training. `run` it; where a service did not answer, `run` goes on.

    Args:
        bank: the session of whoever has the bank's seat in the project.
        cohort: aligned for the project.
        labels: uint8[N], 0 or 1, in the cohort's order.
        codes: uint8[N] of each common column, in the same order.
        group: as agreed with the other banks.
        max_bins, node_fields, node_binning: as in a training alone, and the same at every bank.
    """

    def __init__(
        self,
        bank: Bank,
        cohort: AlignedCohort,
        labels: NDArray[np.uint8],
        codes: Sequence[NDArray[np.uint8]],
        group: Group,
        *,
        max_bins: int = 20,
        node_fields: Sequence[str] = (),
        node_binning: Sequence[FieldBinning] = (),
    ) -> None:
        super().__init__(bank, cohort, labels, (), max_bins=max_bins, node_fields=node_fields, node_binning=node_binning)
        self._codes, self._group = tuple(codes), group

    # ---------------------------------------------------------------- the whole of it

    def _inputs(self) -> bytes:
        state = hashlib.sha256(super()._inputs() + wire.encode(self._terms()))
        for codes in self._codes:
            state.update(codes.tobytes())
        return state.digest()

    def _run(self) -> Exchange[Trained]:
        self._done = 0
        node = self._bank.node
        ask = self._terms()
        joined = (yield from self._ask(node, "/groups", ask, GroupState)).answer
        state: GroupState = yield partial(self._until_left, joined.group, GroupPhase.JOINING)
        signed, plan, terms = self._check_plan(state)
        bins = tuple(entry.bins for entry in plan.fields)
        own = Plan(plan.rows, bins, len(self._codes), len(terms.banks), terms.largest_rows, scheme=plan.scheme)
        part = MemberPlan(own, tuple(bins.count for bins in self._group.columns))
        training = GroupBankTraining(part, self._labels, self._codes, self._limits, self._seeds())
        columns: list[CommonColumn] = []
        for round_ in ROUNDS:
            played = yield from self._play_part(signed, plan, training, round_, state.columns)
            try:
                banks: tuple[str, ...] = yield self._sum(state, signed, terms, part, round_, played)
            except TooFewBanks:
                yield partial(self._until_left, state.group, _PHASE[round_])  # the node ends it, and says why
                raise
            if self._bank.config.institution not in banks:
                raise TooFewBanks("this bank came too late: the others go on without it", advice="Join their next training.")
            self._step(f"round {round_}: sum over {len(banks)} banks")
            state = yield partial(self._until_left, state.group, _PHASE[round_])
            if round_ == COUNTS:
                columns = self._common_columns(state, terms, banks)
                training.take_levels([column.levels for column in columns])
        figures = (yield from self._ask(node, f"/jobs/{plan.job}/figures", Empty(), Figures)).answer
        self._step("figures")
        own_columns = tuple(column.column(codes) for column, codes in zip(columns, self._codes, strict=True))
        return Trained(plan, figures, own_columns)

    def _terms(self) -> JoinGroup:
        return JoinGroup(
            project=self._cohort.project,
            name=self._group.name,
            cohort=self._cohort.id,
            columns=tuple(bins.definition() for bins in self._group.columns),
            max_bins=self._limits.levels,
            step_seconds=self._group.step_seconds,
            node_fields=self._node_fields,
            binning=self._node_binning,
        )

    # ---------------------------------------------------------------- meeting the others

    def _until_left(self, group: str, phase: GroupPhase) -> GroupState:
        """Wait until a phase is over, and end it where this bank is the first to see that it may be."""
        node, pause = self._bank.node, _FIRST_POLL
        members = self._members() if phase is GroupPhase.JOINING else ()
        before: tuple[str, ...] | None = None
        while True:
            state = node.get(f"/groups/{group}", GroupState)
            if state.phase is GroupPhase.ENDED:
                raise TooFewBanks(f"the training ended without a result: {state.reason}")
            if state.phase is not phase:
                return state
            missing = [bank for bank in members if bank not in state.joined]
            if missing and time.time() <= state.deadline:
                if state.joined != before:
                    self.progress(f"waiting for {', '.join(missing)}", len(state.joined), len(members))
                    before, pause = state.joined, _FIRST_POLL
                time.sleep(pause)
                pause = min(2 * pause, _LONGEST_POLL)
                continue
            try:
                node.logged(f"/groups/{group}/advance", AdvanceGroup(phase=phase), GroupState)
            except Conflict as problem:
                if type(problem) is not Conflict:
                    raise
                time.sleep(_FIRST_POLL)  # another bank was faster, or clocks differ

    def _members(self) -> tuple[str, ...]:
        """The banks of the project."""
        status = self._bank.office.get(f"/projects/{self._cohort.project}", ProjectStatus)
        return () if status.project is None else status.project.members

    def _check_plan(self, state: GroupState) -> tuple[Signed, JobPlan, GroupTerms]:
        """This bank's plan, held against what it has agreed to."""
        if state.plan is None:
            raise TooFewBanks("this bank came too late: the others began without it", advice="Join their next training.")
        plan = self._bank.from_node(state.plan, JobPlan)
        cohort, terms = self._cohort, plan.group
        said = (plan.project, plan.rows, plan.cohort_root, plan.binning)
        asked, planned = set(self._node_fields), {entry.name for entry in plan.fields}
        agreed = tuple(bins.definition() for bins in self._group.columns)
        if (
            terms is None
            or said != (cohort.project, cohort.rows, cohort.root, self._node_binning)
            or (asked and asked != planned)
            or (terms.columns, terms.group) != (agreed, state.group)
            or self._bank.config.institution not in terms.banks
            or terms.largest_rows < plan.rows
        ):
            self._damaged("plan", "the node planned another training than the banks agreed on", state.plan)
        assert terms is not None
        return state.plan, plan, terms

    def _common_columns(self, state: GroupState, terms: GroupTerms, banks: tuple[str, ...]) -> list[CommonColumn]:
        """The columns of all banks, from the node's signed counts."""
        signed = state.columns
        if signed is None or state.banks != banks:
            raise TooFewBanks("the node counted over other banks than were summed")
        word = self._bank.from_node(signed, CommonCounts)
        try:
            if word.group != terms.group or len(word.columns) != len(self._group.columns):
                raise InputRefused("counts-malformed", "The counts are of another training")
            made = [
                CommonColumn.of(bins, np.array(c.groups, np.intp), np.array(c.rows, np.int64), np.array(c.bads, np.int64))
                for bins, c in zip(self._group.columns, word.columns, strict=True)
            ]
        except InputRefused as refused:
            self._damaged("counts", refused.reason, signed)
            raise
        return made

    # ---------------------------------------------------------------- one round

    def _play_part(
        self, signed: Signed, plan: JobPlan, training: GroupBankTraining, round_: int, columns: Signed | None
    ) -> Exchange[_Played]:
        """The product with the node, as alone; its answer stays here."""
        product = yield from self._product(signed, plan, training, round_, columns)
        node, path = self._bank.node, f"/jobs/{plan.job}/rounds/{round_}/answer"
        closed = yield from self._ask(node, path, RoundAnswer(w=b"", moments=b""), RoundClosed)
        transcript = self._bank.from_node(closed.answer.transcript, RoundTranscript)
        digests = (digest_bp(*product.sent).hex(), digest_hc(product.h, product.c).hex())
        if not product.is_of(transcript) or digests != (transcript.product, transcript.answer):
            self._damaged("transcript", "the node signed another round than the one that was played", closed.answer.transcript)
        self._step(f"round {round_}: product")
        receipt: Receipt = yield partial(self._bank.receipt, node, closed.leaves[0])
        opening, answer = product.opening, product.answer
        shown = ReplayRound(opening=opening, h=answer.h, c=answer.c, transcript=closed.answer.transcript, receipt=receipt)
        return _Played(training.answer(product.h, product.c), shown)

    def _sum(
        self, state: GroupState, signed: Signed, terms: GroupTerms, part: MemberPlan, round_: int, played: _Played
    ) -> partial[tuple[str, ...]]:
        """This bank's part in the sum over banks, as one request that goes on where it stopped."""
        ask = OpenAggregation(
            project=self._cohort.project,
            purpose=_PURPOSE[round_],
            about=about_round(terms, round_),
            length=part.words(round_),
            proven=True,
            step_seconds=self._group.step_seconds,
        )

        def prove(opened: Opened) -> Signed:
            masks = FileOpening(
                plan=opened.plan, received=opened.received, keys=opened.keys, opening=opened.opening, vector=b""
            )
            request = ReplayMember(plan=signed, round=played.round, masks=masks, columns=state.columns)
            return self._bank.office.logged("/replays/members", request, Signed).answer

        aggregation = _RoundSum(self._bank, state.session, ask, played.words, question=self._question(), prove=prove)
        aggregation.expected = state.banks
        return partial(aggregation.run, progress=self.progress)

    def _question(self) -> bytes:
        """Names these labels of these subjects: sums of them over nearly the same banks are refused, in later trainings too."""
        rows = sorted(zip(self._cohort.subjects, self._labels.tolist(), strict=True))
        text = "\n".join(f"{subject} {label}" for subject, label in rows)
        return hashlib.sha256(b"xinqiao/group-training/labels/" + text.encode()).digest()


class _RoundSum(Aggregation):
    """A round's sum: the second is over the banks of the first and no others."""

    expected: tuple[str, ...] = ()

    def _check_banks(self, banks: tuple[str, ...], history: list[Unmasked], colluding: int) -> None:
        super()._check_banks(banks, history, colluding)
        if self.expected and banks != self.expected:
            raise Unusable(
                "banks of the first round are missing in the second: the difference of both would show what those have",
                advice="Nothing was unmasked. Train again with the same banks, or with changed labels.",
            )
