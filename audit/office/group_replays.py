"""Proven inputs of a training of several banks: one bank, one round, before anything of the round is unmasked.

Messages: `models.group_training`; what is checked: `models.scorecard.group_inputs`. A good word lets the bank's masked input
count in the sum; with a bad one it counts as dropped. The office computes the input itself from what is opened, so there is
nothing to compare but digests: of the products with the node's log, of the masked input with what the node received.

Leakage: as in a training alone, and while a request lasts the masks of one bank in one round.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from audit.office.aggregations import Openings, check_received, recompute
from audit.office.office import Office
from audit.office.replays import Replays, Unproven
from audit.office.store import trainings
from audit.service.outcome import Call, Outcome
from crypto.errors import CryptoError
from crypto.lwe_params import PRODUCT
from crypto.masked_product import VectorSpec
from crypto.xof import session_seed
from models.aggregation import AggregationPurpose
from models.group_training import CommonCounts, ReplayMember, about_round
from models.problems import BadMessage, InputsRefused, NotFound
from models.scorecard.binning import Bins, bins_from_definition
from models.scorecard.group import MemberPlan, opening_specs
from models.scorecard.group_columns import CommonColumn
from models.scorecard.group_inputs import (
    GroupRecord,
    check_group_inputs,
    check_same_codes,
    codes_as_vectors,
    replayed_words,
)
from models.scorecard.inputs import Opening as BankOpening
from models.scorecard.limits import InputRefused
from models.scorecard.noise import alpha_mac
from models.scorecard.rounds import COUNTS, MOMENTS, Plan
from models.training import FileInputs, GroupTerms, JobPlan, Opening, RoundTranscript, session_of
from models.wire import Signed, unpack

Integers = NDArray[np.int64]
_PURPOSE = {COUNTS: AggregationPurpose.COUNTS, MOMENTS: AggregationPurpose.MOMENTS}


@dataclass(frozen=True)
class _Group:
    """What a plan says of the banks' training, decoded."""

    terms: GroupTerms
    definitions: tuple[Bins, ...]
    part: MemberPlan


class GroupReplays(Replays):
    """Handlers about proven inputs, of banks alone and of several together."""

    def __init__(self, office: Office) -> None:
        super().__init__(office)
        self._openings = Openings(office)

    def judge_member(self, call: Call) -> Outcome:
        """POST /replays/members: one bank's round recomputed; answers with the signed `ProvenInput`, good or bad."""
        body: ReplayMember = call.body
        plan = self._plan(call, body.plan)
        group = _group_of(plan)
        if group is None:
            raise BadMessage("this training is of one bank; ask for a verdict on it")
        sums, received = check_received(self._office, call, body.masks.plan, body.masks.received)
        number = body.round.opening.round
        words = group.part.words(number)
        said = (sums.project, sums.purpose, sums.about, sums.length, sums.proven)
        if said != (plan.project, _PURPOSE[number], about_round(group.terms, number), words, True):
            raise BadMessage("this sum is not that of the training's round")
        with call.engine.connect() as connection:
            filed = trainings.rounds(connection, plan.job)
        if number not in filed:
            raise NotFound("no inputs of this round were filed before it, so there is nothing to hold it against")
        transcript = self._evidence(plan, body.round)
        reason = ""
        try:
            vector = self._recomputed(plan, group, body, filed[number], transcript)
            reason = recompute(sums, received, body.masks.keys, body.masks.opening, vector)
        except Unproven as error:
            reason = str(error)
        return self._openings.outcome(call, sums, received, reason)

    def _recomputed(
        self, plan: JobPlan, group: _Group, body: ReplayMember, filed: trainings.FiledRound, transcript: RoundTranscript
    ) -> NDArray[np.uint64]:
        number, shape = filed.round, group.part.plan.shape(filed.round)
        try:
            opened = self._open(plan, body.round.opening)
            if trainings.pairs(opened.vectors) != filed.vectors:
                raise Unproven(f"the vectors opened for round {number} are not those that were filed before it")
            if transcript.inputs != filed.digest:
                raise Unproven(f"the node began round {number} on other inputs than the office signed")
            seen = (transcript.rows, transcript.columns, transcript.column_scale, transcript.column_bound)
            if seen != (shape.rows, shape.columns, shape.column_scale, shape.column_bound):
                raise Unproven(f"round {number} was run in another shape than its plan gives")
            levels = self._levels(group, body.columns, number)
            check_group_inputs(opened.opening, number, group.part, levels, self._limits)
            answer = (
                unpack(body.round.h, "<u8", (shape.columns, PRODUCT.dimension), "h").astype(np.uint64, copy=False),
                unpack(body.round.c, "<u8", (shape.columns, len(shape.vectors)), "c").astype(np.uint64, copy=False),
            )
            seed = session_seed(session_of(plan.job, number), transcript.nonce_node, transcript.nonce_bank)
            record = GroupRecord(seed, opened.opening, answer, transcript.product, transcript.answer)
            return replayed_words(group.part, number, record)
        except InputsRefused as error:
            raise Unproven(error.detail) from None
        except (InputRefused, CryptoError) as error:
            raise Unproven(str(error)) from None

    # ------------------------------------------------------------------ where a training of several differs

    def _specs(self, plan: JobPlan, opening: Opening) -> tuple[VectorSpec, ...]:
        group = _group_of(plan)
        if group is None:
            return super()._specs(plan, opening)
        specs = opening_specs(group.part.plan, opening.round)
        if len(opening.columns) != len(specs) or len(opening.seed) != 32:
            raise BadMessage(f"round {opening.round} takes {len(specs)} vectors, and a seed of 32 bytes")
        return specs

    def _check_inputs(self, plan: JobPlan, body: FileInputs, opening: BankOpening) -> None:
        group = _group_of(plan)
        if group is None:
            super()._check_inputs(plan, body, opening)
            return
        levels = self._levels(group, body.columns, body.opening.round)
        check_group_inputs(opening, body.opening.round, group.part, levels, self._limits)

    def _check_rounds(self, plan: JobPlan, opening: BankOpening, earlier: Mapping[int, trainings.FiledRound]) -> None:
        if plan.group is None or COUNTS not in earlier:
            return
        key = self._office.keys.inputs
        try:
            check_same_codes(
                [hmac for hmac, _ in earlier[COUNTS].vectors],
                [alpha_mac(key, vector.alpha) for vector in codes_as_vectors(opening)],
            )
        except InputRefused as error:
            raise InputsRefused(error.reason, advice=error.accepted or None) from None

    def _levels(self, group: _Group, signed: Signed | None, round_: int) -> Sequence[Integers]:
        """The common levels of round 2, from the node's signed counts."""
        if round_ == COUNTS:
            return ()
        if signed is None:
            raise BadMessage("round 2 needs the node's word on the common columns")
        word = self._office.node_statement(signed, CommonCounts)
        if word.group != group.terms.group or len(word.columns) != len(group.definitions):
            raise BadMessage("the node's word on common columns is on another training's")
        return [
            CommonColumn.of(bins, np.array(c.groups, np.intp), np.array(c.rows, np.int64), np.array(c.bads, np.int64)).levels
            for bins, c in zip(group.definitions, word.columns, strict=True)
        ]


def _group_of(plan: JobPlan) -> _Group | None:
    terms = plan.group
    if terms is None:
        return None
    definitions = tuple(bins_from_definition(each) for each in terms.columns)
    columns = tuple(bins.count for bins in definitions)
    bins = tuple(field.bins for field in plan.fields)
    own = Plan(plan.rows, bins, len(columns), banks=len(terms.banks), largest_rows=terms.largest_rows)
    return _Group(terms, definitions, MemberPlan(own, columns))
