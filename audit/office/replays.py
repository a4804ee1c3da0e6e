"""Proven inputs: what a bank will send is fixed before a round, and recomputed after it, before any figure may leave.

Messages: `models.training`. The mathematics: `models.scorecard.rounds`. Here are the office's own parts: what it keeps
(HMACs and commitments, never a value), the limits that need memory, and the evidence that node and log speak of the
same round.

Leakage: the office sees labels and columns at positions that mean nothing to it, while a request lasts.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import msgspec
import numpy as np
from sqlalchemy import Connection

from audit.office.office import Office
from audit.office.projects import Projects
from audit.office.store import alarms, parties, trainings
from audit.office.store.projects import APPROVED
from audit.service.leaves import LeafDraft
from audit.service.outcome import Call, Outcome
from audit.verifier.errors import LogError
from audit.verifier.proof import verify_receipt
from crypto.errors import CryptoError
from crypto.masked_product import VectorSpec, commit_vectors
from crypto.xof import session_seed
from models.privacy import OutsideRange, rho_of
from models.problems import (
    BadMessage,
    BadSignature,
    Conflict,
    Forbidden,
    InputsRefused,
    NotApproved,
    NotFound,
    OverBudget,
    PeerUnavailable,
    Suspended,
    Unavailable,
)
from models.projects import Project
from models.scorecard import inputs as scorecard
from models.scorecard.limits import InputRefused, LimitRefused, Limits
from models.scorecard.noise import alpha_mac
from models.scorecard.private import verify_label_noise
from models.scorecard.rounds import MOMENTS, ROUNDS, Digests, Plan, RoundRecord, replay_round
from models.scorecard.schemes import check_scheme, installed
from models.training import (
    Column,
    FileInputs,
    JobPlan,
    Opening,
    Replay,
    ReplayRound,
    RoundInputs,
    RoundTranscript,
    VectorInfo,
    Verdict,
    session_of,
)
from models.wire import Signed, unpack

MOST_VECTORS = 65
MOST_LEVELS = 256
MOST_ROWS = 1 << 20
YEAR = 365 * 24 * 3600
INT64 = range(-(1 << 63), 1 << 63)


class Unproven(Exception):
    """A replay that does not come out; the message names the input and goes into the verdict."""


@dataclass(frozen=True, repr=False)
class _Opened:
    """An opening and all that follows from it alone."""

    opening: scorecard.Opening
    vectors: tuple[VectorInfo, ...]


class Replays:
    """Handlers about proven inputs."""

    def __init__(self, office: Office) -> None:
        self._office = office
        self._limits = office.settings.limits

    def inputs(self, call: Call) -> Outcome:
        """POST /replays/inputs: well-formed? Answers with the signed `RoundInputs`."""
        body: FileInputs = call.body
        plan = self._plan(call, body.plan)
        opened = self._open(plan, body.opening)
        try:
            self._check_inputs(plan, body, opened.opening)
        except InputRefused as error:
            raise InputsRefused(error.reason, advice=error.accepted or None) from None
        message = RoundInputs(
            job=plan.job,
            round=body.opening.round,
            rows=plan.rows,
            bank=call.institution.id,
            plan=body.plan.digest(),
            vectors=opened.vectors,
        )
        signed = self._office.sign(message)
        new = trainings.FiledRound(
            job=plan.job,
            round=message.round,
            bank=message.bank,
            plan=message.plan,
            digest=signed.digest(),
            subjects=plan.subjects,
            vectors=trainings.pairs(opened.vectors),
        )

        def record(connection: Connection) -> None:
            earlier = trainings.rounds(connection, plan.job)
            if new.round in earlier:
                if earlier[new.round] != new:
                    raise Conflict("other inputs were filed for this round; a changed input is a new training")
                return
            self._check_memory(connection, earlier.values(), new, call.now)
            self._check_rounds(plan, opened.opening, earlier)
            trainings.add_round(connection, new, call.now)

        facts = {"job": plan.job, "round": message.round, "vectors": len(opened.vectors), "inputs": signed.digest()}
        return Outcome(signed, [LeafDraft("replay.inputs", facts)], record)

    def judge(self, call: Call) -> Outcome:
        """POST /replays: recompute every round; answers with the signed `Verdict`, good or bad."""
        body: Replay = call.body
        plan = self._plan(call, body.plan)
        with call.engine.connect() as connection:
            filed = trainings.rounds(connection, plan.job)
        if not filed:
            raise NotFound("no inputs of this training were filed before its rounds, so there is nothing to hold it against")
        transcripts = tuple(round_.transcript.digest() for round_ in body.rounds)
        reason = ""
        try:
            self._replay(plan, body, filed)
        except Unproven as error:
            reason = str(error)
        verdict = Verdict(job=plan.job, bank=call.institution.id, transcripts=transcripts, usable=not reason, reason=reason)
        signed = self._office.sign(verdict)

        def record(connection: Connection) -> None:
            if trainings.get_verdict(connection, plan.job) is not None:
                raise Conflict("there is a verdict on this training already; a verdict is given once")
            trainings.add_verdict(connection, call.institution.id, verdict, signed, call.now)
            if not verdict.usable:
                alarms.raise_alarm(
                    connection,
                    at=call.now,
                    kind="replay",
                    institution=call.institution.id,
                    about=plan.job,
                    detail=reason,
                )

        facts = {"job": plan.job, "usable": verdict.usable, "reason": reason, "verdict": signed.digest()}
        return Outcome(signed, [LeafDraft("replay.verdict", facts)], record)

    # ------------------------------------------------------------------ what both need

    def _plan(self, call: Call, signed: Signed) -> JobPlan:
        plan = self._office.node_statement(signed, JobPlan)
        with call.engine.connect() as connection:
            stored = Projects.get(connection, plan.project)
        if call.institution.id not in stored.project.members:
            raise Forbidden("this training belongs to another bank")
        if stored.suspended:
            raise Suspended("this project is suspended by the credit office")
        if stored.state != APPROVED:
            raise NotApproved(f"this project is {stored.state}, not approved")
        if not 1 <= plan.rows <= MOST_ROWS:
            raise BadMessage(f"a training has 1 to {MOST_ROWS} rows")
        _check_privacy(plan, stored.project)
        _check_scheme(plan)
        return plan

    def _open(self, plan: JobPlan, opening: Opening) -> _Opened:
        """Decode an opening; raises `BadMessage` or `InputsRefused`."""
        if (opening.job, opening.rows) != (plan.job, plan.rows) or opening.round not in ROUNDS:
            raise BadMessage(f"the opening is for another job, size or round; rounds are {ROUNDS}")
        specs = self._specs(plan, opening)
        if plan.privacy is not None and opening.round == MOMENTS:
            try:
                verify_label_noise(plan.privacy, len(plan.fields), len(opening.columns) - 1)
            except InputRefused as error:
                raise InputsRefused(error.reason, advice=error.accepted) from None
        for place, (column, spec) in enumerate(zip(opening.columns, specs, strict=True)):
            if (column.bound, column.scale) != (spec.bound, spec.scale):
                raise InputsRefused(f"vector {place} must have bound {spec.bound} and scale {spec.scale}")
        vectors = tuple(_vector(place, column, plan.rows) for place, column in enumerate(opening.columns))
        opened = scorecard.Opening(vectors, opening.seed)
        try:
            alphas = opened.alphas
        except InputRefused as error:
            raise InputsRefused(error.reason) from None
        commitments = commit_vectors(specs, alphas, opening.seed)
        infos = tuple(
            VectorInfo(
                bound=spec.bound, scale=spec.scale, commitment=commitment, hmac=alpha_mac(self._office.keys.inputs, alpha)
            )
            for spec, alpha, commitment in zip(specs, alphas, commitments, strict=True)
        )
        return _Opened(opened, infos)

    # ------------------------------------------------------------------ before a round

    def _specs(self, plan: JobPlan, opening: Opening) -> tuple[VectorSpec, ...]:
        """Bound and scale of each vector that this round opens; raises `BadMessage` for another number of them."""
        expected = range(1, 2) if opening.round < MOMENTS else range(1, MOST_VECTORS + 1)
        if len(opening.columns) not in expected or len(opening.seed) != 32:
            raise BadMessage(f"round {opening.round} takes {expected[0]} to {expected[-1]} vectors, and a seed of 32 bytes")
        return _plan_of(plan, len(opening.columns) - 1).vectors(opening.round)

    def _check_inputs(self, plan: JobPlan, _body: FileInputs, opening: scorecard.Opening) -> None:
        scorecard.check_inputs(opening, self._limits, plan.rows, len(plan.fields))

    def _check_rounds(self, plan: JobPlan, opening: scorecard.Opening, earlier: Mapping[int, trainings.FiledRound]) -> None:
        """What a round's inputs must have in common with those of the round before, beside the labels: nothing alone."""

    def _check_memory(
        self, connection: Connection, earlier: Iterable[trainings.FiledRound], new: trainings.FiledRound, now: int
    ) -> None:
        """The limits that look back: one plan and one label vector a training, five label vectors a cohort and year."""
        parties.get_institution(connection, new.bank, lock=True)  # counted one after the other
        others = list(earlier)
        if any(other.plan != new.plan for other in others):
            raise Conflict("this training has begun under another plan")
        labels, _ = new.vectors[trainings.LABELS]
        known = trainings.label_hmacs(connection, new.subjects, now - YEAR)
        try:
            scorecard.check_same_labels([other.vectors[trainings.LABELS][0] for other in others] + [labels])
            self._limits.check_label_vectors(len(known), labels not in known)
        except LimitRefused as error:
            raise OverBudget(error.reason, advice=error.accepted or None) from None
        except InputRefused as error:
            raise InputsRefused(error.reason, advice=error.accepted or None) from None

    # ------------------------------------------------------------------ after the rounds

    def _replay(self, plan: JobPlan, body: Replay, filed: Mapping[int, trainings.FiledRound]) -> None:
        """Raises `Unproven` for what a bank may have got wrong, a `Problem` for what is no replay of this training."""
        if tuple(round_.opening.round for round_ in body.rounds) != ROUNDS:
            raise BadMessage(f"a replay has the rounds {ROUNDS}, in this order")
        shapes = _plan_of(plan, len(body.rounds[-1].opening.columns) - 1)
        for round_ in body.rounds:
            number = round_.opening.round
            transcript = self._evidence(plan, round_)
            try:
                opened = self._open(plan, round_.opening)
            except InputsRefused as error:
                raise Unproven(error.detail) from None
            if number not in filed or trainings.pairs(opened.vectors) != filed[number].vectors:
                raise Unproven(f"the vectors opened for round {number} are not those that were filed before it")
            if transcript.inputs != filed[number].digest:
                raise Unproven(f"the node began round {number} on other inputs than the office signed")
            _recompute(shapes, round_, opened.opening, transcript, self._limits)

    def _evidence(self, plan: JobPlan, round_: ReplayRound) -> RoundTranscript:
        """The node's word on a round, and that it stands in the node's log; raises `BadSignature` or `BadMessage`."""
        transcript = self._office.node_statement(round_.transcript, RoundTranscript)
        if (transcript.job, transcript.round) != (plan.job, round_.opening.round):
            raise BadMessage("the transcript is of another training or round than the opening")
        key = self._office.settings.node_log_key
        if key is None:
            raise PeerUnavailable("the node's log is not known here", advice="Set XINQIAO_OFFICE_NODE_LOG.")
        try:
            # Under a checkpoint that this office has cosigned itself: the log that it watches, not a fork shown to a bank.
            verify_receipt(round_.receipt.proof, round_.receipt.entry, [key], [self._office.witness_key], 1)
        except LogError as error:
            raise BadSignature(f"the receipt of round {transcript.round} does not verify: {error}") from None
        if _logged_transcript(round_.receipt.entry) != round_.transcript.digest():
            raise BadMessage(f"the receipt of round {transcript.round} is of another entry than its transcript's")
        return transcript


def _recompute(
    shapes: Plan, round_: ReplayRound, opening: scorecard.Opening, transcript: RoundTranscript, limits: Limits
) -> None:
    """Hold the digests that node and log name against those that the opening gives."""
    number = round_.opening.round
    try:
        shape = shapes.shape(number)
        seen = (transcript.rows, transcript.columns, transcript.column_scale, transcript.column_bound)
        if seen != (shape.rows, shape.columns, shape.column_scale, shape.column_bound):
            raise Unproven(f"round {number} was run in another shape than its plan gives")
        backend = shapes.backend
        answer = backend.unpack(shape, "h", round_.h), backend.unpack(shape, "c", round_.c)
        record = RoundRecord(
            session_seed=session_seed(session_of(transcript.job, number), transcript.nonce_node, transcript.nonce_bank),
            opening=opening,
            answer=answer,
            seen=Digests(transcript.product, transcript.answer, transcript.response, transcript.moments),
        )
        replay_round(shapes, number, record, limits)
    except (InputRefused, CryptoError) as error:
        raise Unproven(str(error)) from None


def _plan_of(plan: JobPlan, bank_columns: int) -> Plan:
    return Plan(plan.rows, tuple(field.bins for field in plan.fields), bank_columns, privacy=plan.privacy, scheme=plan.scheme)


def _check_privacy(plan: JobPlan, project: Project) -> None:
    """The plan keeps to the privacy budget that was approved; how much noise that takes is checked with the columns known."""
    budget, privacy = project.privacy, plan.privacy
    if budget is None and privacy is None:
        return
    if budget is None or privacy is None or set(privacy.protects) != set(budget.protects):
        raise InputsRefused("the plan has another privacy than the project was approved for")
    try:
        if rho_of(privacy.epsilon, privacy.delta) > rho_of(budget.epsilon, budget.delta) * (1 + 1e-9):
            raise InputsRefused("the plan spends more than the project's whole privacy budget")
    except OutsideRange as error:
        raise InputsRefused(str(error)) from None


def _check_scheme(plan: JobPlan) -> None:
    """The plan's scheme serves such a training, and is installed here: a training is not found unusable for want of it."""
    try:
        check_scheme(plan.scheme, plan.rows, 1 if plan.group is None else len(plan.group.banks), plan.privacy is not None)
    except LimitRefused as error:
        raise InputsRefused(error.reason, advice=error.accepted) from None
    if not installed(plan.scheme):
        raise Unavailable(
            "this credit office was installed without what it needs to replay a training under Paillier",
            advice="Have its operator install the extra `paillier`, xinqiao[paillier]; the training goes on after that.",
        )


def _vector(place: int, column: Column, rows: int) -> scorecard.BankVector:
    codes = unpack(column.codes, "|u1", (rows,), f"the codes of vector {place}")
    if not 1 <= len(column.levels) <= MOST_LEVELS or not all(level in INT64 for level in column.levels):
        raise BadMessage(f"vector {place} has 1 to {MOST_LEVELS} levels, each a 64-bit integer")
    return scorecard.BankVector(codes, np.array(column.levels, dtype=np.int64), column.bound, column.scale)


def _logged_transcript(entry: bytes) -> str:
    try:
        return str(msgspec.json.decode(entry, type=_Entry).facts.get("transcript", ""))
    except (msgspec.DecodeError, msgspec.ValidationError):
        raise BadMessage("the receipt's entry is not one of the node's log") from None


class _Entry(msgspec.Struct):
    facts: dict[str, str | int | bool]
