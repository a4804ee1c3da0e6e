"""Sums over the banks of a project at the node: opening a session, taking its steps, ending them, handing out what follows.

Messages: `models.aggregation`; a round: `sharing_node.aggregation.steps`. A step is one transaction with its leaves: the bank's
message, and where it was the last one what it leads to. Steps of one session come one after the other, whichever worker takes
them. Nothing that follows from a step is handed out before its leaf is durable, since it is only handed out after the step.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection

from audit.service.leaves import LeafDraft
from audit.service.outcome import Call, Outcome, Within
from crypto.errors import AggregationRefused
from crypto.secure_aggregation import collusion_bound
from crypto.secure_aggregation import survivors_of as listed_survivors
from models.aggregation import (
    ENDED,
    LARGEST_FORM,
    LONGEST_STEP,
    MOST_ROUNDS,
    MOST_WORDS,
    SHORTEST_STEP,
    Advance,
    AggregationPlan,
    AggregationState,
    InputReceived,
    OpenAggregation,
    Part,
    Phase,
    StepTaken,
    SurvivorCall,
    TakeStep,
)
from models.problems import BadMessage, Conflict, Forbidden, NotFound, OverBudget, TooFewBanks
from models.projects import Project, ProjectApproval
from models.wire import Signed, pack, unpack
from sharing_node.aggregation import repository
from sharing_node.aggregation.repository import Session
from sharing_node.aggregation.steps import FLOW, Present
from sharing_node.node import Node
from sharing_node.sealing import Sealer

MOST_OPEN = 16  # sessions of one project that have not ended
MOST_SESSIONS = 1000  # of one project, ever
KEPT_SECONDS = 7 * 24 * 3600  # after a step was over time and nobody went on
_ABOUT = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class Sum:
    """What a session has come to: the sum modulo 2^64 over `survivors`, uint64[length]."""

    plan: AggregationPlan
    survivors: tuple[str, ...]
    words: NDArray[np.uint64] = field(repr=False)


class Sessions:
    """Sums over banks: handlers, and `begin` and `total` for other parts of the node."""

    def __init__(self, node: Node) -> None:
        self._node = node

    # ---------------------------------------------------------------- for other parts of the node

    def begin(
        self, connection: Connection, approval: Signed, project: ProjectApproval, terms: OpenAggregation, now: int
    ) -> tuple[Signed, LeafDraft]:
        """Open a session in this transaction: its signed plan, and the leaf that must go with it.

        Raises:
            BadMessage: a length, time or subject that cannot be.
            Conflict, OverBudget: as many sessions are open, or were, as a project may have.
        """
        if not project.seats:
            raise Forbidden("this project is of one bank; sums need at least three", advice="File a project of several banks.")
        if not 1 <= terms.length <= MOST_WORDS or not SHORTEST_STEP <= terms.step_seconds <= LONGEST_STEP:
            raise BadMessage(
                f"a sum has 1 to {MOST_WORDS} words, and each of its steps {SHORTEST_STEP} to {LONGEST_STEP} seconds"
            )
        if not _ABOUT.fullmatch(terms.about) or (terms.form and terms.about != _hex(terms.form)):
            raise BadMessage("what is summed is named by a SHA-256 in lower-case hex, of its form where there is one")
        if len(terms.form) > LARGEST_FORM:
            raise BadMessage(f"a form has at most {LARGEST_FORM} bytes")
        repository.give_up(connection, now - KEPT_SECONDS, "nobody has gone on with it for a week")
        if len(repository.open_sessions(connection, terms.project)) >= MOST_OPEN:
            raise Conflict(f"{MOST_OPEN} sums of this project are open; end them, or wait until their time is over")
        if repository.count_sessions(connection, terms.project) >= MOST_SESSIONS:
            raise OverBudget(f"this project has had {MOST_SESSIONS} sums, which is as many as a project has")
        plan = AggregationPlan(
            session=secrets.token_hex(16),
            project=terms.project,
            approval=approval.digest(),
            purpose=terms.purpose,
            about=terms.about,
            length=terms.length,
            proven=terms.proven,
            step_seconds=terms.step_seconds,
            seats=project.seats,
            colluding=collusion_bound(len(project.seats)),
            form=terms.form,
        )
        plan.round(1)
        signed = self._node.sign(plan)
        repository.add(connection, signed, plan, now + plan.step_seconds, now)
        facts = {
            "session": plan.session,
            "project": plan.project,
            "purpose": str(plan.purpose),
            "about": plan.about,
            "banks": len(plan.seats),
            "plan": signed.digest(),
        }
        return signed, LeafDraft("aggregate.open", facts)

    def total(self, connection: Connection, session: str, person: str = "") -> Sum:
        """The sum of a session that is done; raises `Conflict` while it is not, `TooFewBanks` where it has failed.

        Where a `person` is named, only for one who has a seat in it.
        """
        stored = repository.find(connection, session)
        if person:
            _check_seat(stored, person)
        if stored.phase is Phase.FAILED:
            raise TooFewBanks(stored.reason)
        if stored.result is None:
            raise Conflict(f"this sum has not come out yet; it waits for the step {stored.phase.value!r}")
        plain = Sealer(self._node.keys, session).open("sum", stored.result)
        words = unpack(plain, "<u8", (stored.plan.length,), "the sum").astype(np.uint64, copy=False)
        return Sum(stored.plan, _survivors(stored), words)

    # ---------------------------------------------------------------- handlers

    def take(self, step: Phase) -> Callable[[Call], Outcome | Within]:
        """The handler of POST /aggregations/{session}/`step`: one bank's message, once."""

        def handle(call: Call) -> Outcome | Within:
            body: TakeStep = call.body

            def within(connection: Connection) -> Outcome:
                present = self._locked(connection, call)
                _expect(present.session, body.round, step)
                bank = call.institution.id
                if bank not in present.expected():
                    raise Forbidden("this bank has dropped out of the round; it may take part in the next one")
                present.check(bank, body.body)
                repository.put(connection, present.session, step, bank, body.body, call.now)
                facts = {"session": present.session.id, "round": body.round, "message": _hex(body.body)}
                leaves = [LeafDraft(f"aggregate.{step.value}", facts)]
                received = self._received(present, bank) if step is Phase.INPUT else None
                done = repository.digests(connection, present.session, step)
                enough = step is Phase.UNMASK and len(done) >= present.terms.threshold
                if enough or set(done) >= set(present.expected()):
                    leaves += self._end_step(present, call.now)
                return Outcome(StepTaken(phase=step, received=received), leaves)

            return within

        return handle

    def advance(self, call: Call) -> Outcome | Within:
        """POST /aggregations/{session}/advance: end a step that is over time."""
        body: Advance = call.body

        def within(connection: Connection) -> Outcome:
            present = self._locked(connection, call)
            _expect(present.session, body.round, body.phase)
            if call.now < present.session.deadline:
                raise Conflict("this step is not over time yet")
            return Outcome(StepTaken(phase=body.phase), self._end_step(present, call.now, late=True))

        return within

    def state(self, call: Call) -> AggregationState:
        """GET /aggregations/{session}: where it stands."""
        with call.engine.connect() as connection:
            session = self._of_member(call, repository.find(connection, call.path["session"]))
            done = repository.digests(connection, session, session.phase)
        return AggregationState(
            plan=session.signed_plan,
            round=session.round,
            phase=session.phase,
            deadline=session.deadline,
            done=tuple(done),
            survivors=_survivors(session) if session.phase is Phase.DONE else (),
            reason=session.reason,
        )

    def keys(self, call: Call) -> Part:
        """GET /aggregations/{session}/rounds/{round}/keys: the key list."""
        return self._part(call, Phase.KEYS, lambda present: present.key_list())

    def delivery(self, call: Call) -> Part:
        """GET /aggregations/{session}/rounds/{round}/delivery: what the others have sealed for this bank."""
        return self._part(call, Phase.SHARES, lambda present: present.delivery(call.institution.id))

    def request(self, call: Call) -> Part:
        """GET /aggregations/{session}/rounds/{round}/request: the survivor list with every survivor's signature."""
        return self._part(call, Phase.LIST, lambda present: present.request())

    def survivors(self, call: Call) -> SurvivorCall:
        """GET /aggregations/{session}/rounds/{round}/list: who is alive, to be signed, and the office's word on each."""
        with call.engine.connect() as connection:
            present = self._after(connection, call, Phase.PROOF)
            alive = _survivors(present.session)
            return SurvivorCall(
                survivors=present.session.survivor_list,
                proofs=tuple(proof for bank, proof in present.proofs().items() if bank in alive),
            )

    # ---------------------------------------------------------------- where a round goes

    def _end_step(self, present: Present, now: int, *, late: bool = False) -> list[LeafDraft]:
        """Move to the step after the present one, to the next round, or to the end; the leaves that say so."""
        session, terms = present.session, present.terms
        done = repository.digests(present.connection, session, session.phase)
        facts: dict[str, str | int] = {"session": session.id, "round": session.round, "step": session.phase, "banks": len(done)}
        if session.phase is Phase.UNMASK:
            return [LeafDraft("aggregate.end", facts | self._unmask(present, len(done), late=late))]
        following = FLOW[FLOW.index(session.phase) + 1]
        if following is Phase.PROOF and not session.plan.proven:
            following = Phase.LIST
        lost = "a survivor did not sign the survivor list" if session.phase is Phase.LIST and late else ""
        listed = b""
        if not lost and len(done) < terms.fewest_survivors:
            lost = f"{len(done)} banks took the step {session.phase.value!r} where {terms.fewest_survivors} are needed"
        if not lost and following is Phase.LIST:
            try:
                listed = present.make_survivor_list()
            except AggregationRefused:
                lost = "the office's word is good for fewer inputs than a sum needs"
        if lost:
            return [LeafDraft("aggregate.round-lost", facts | self._next_round(present, lost, now))]
        changes: dict[str, object] = {"phase": following, "deadline": now + session.plan.step_seconds}
        if listed:
            changes["survivors"] = listed
            facts["survivors"] = _hex(listed)
        repository.move(present.connection, session.id, **changes)
        return [LeafDraft("aggregate.step", facts | {"next": following.value})]

    def _next_round(self, present: Present, lost: str, now: int) -> dict[str, str | int]:
        session = present.session
        if session.round >= MOST_ROUNDS:
            return self._fail(present, f"{MOST_ROUNDS} rounds were lost, the last one since {lost}")
        deadline = now + session.plan.step_seconds
        repository.move(
            present.connection, session.id, round=session.round + 1, phase=Phase.KEYS, deadline=deadline, survivors=b""
        )
        return {"reason": lost, "next": session.round + 1}

    def _unmask(self, present: Present, answers: int, *, late: bool) -> dict[str, str | int]:
        session = present.session
        survivors = _survivors(session)
        if answers < present.terms.threshold:
            return self._fail(present, f"{answers} survivors answered where {present.terms.threshold} are needed")
        try:
            words = present.total()
        except AggregationRefused as error:
            if answers < len(survivors) and not late:
                return {"result": "", "reason": "a share is wrong; the other survivors' are awaited"}
            return self._fail(present, str(error))
        sealed = Sealer(self._node.keys, session.id).seal("sum", pack(words))
        repository.move(present.connection, session.id, phase=Phase.DONE, result=sealed)
        repository.erase(present.connection, session.id)
        return {"survivors": _hex(session.survivor_list), "count": len(survivors)}

    def _fail(self, present: Present, reason: str) -> dict[str, str | int]:
        repository.move(present.connection, present.session.id, phase=Phase.FAILED, reason=reason)
        repository.erase(present.connection, present.session.id)
        return {"reason": reason}

    # ---------------------------------------------------------------- who, and where it stands

    def _received(self, present: Present, bank: str) -> Signed:
        session = present.session
        return self._node.sign(
            InputReceived(
                session=session.id,
                number=session.round,
                round=present.terms.digest,
                bank=bank,
                keys=_sha256(present.key_list()),
                sharers=present.sharers(),
                masked=present.input_digest(bank),
            )
        )

    def _locked(self, connection: Connection, call: Call) -> Present:
        session = self._of_member(call, repository.lock(connection, call.path["session"]))
        if session.phase in ENDED:
            raise Conflict(session.reason or "this sum has come out; it takes no further message")
        self._node.check_project(self._project(connection, session), call.now)
        return self._present(connection, session)

    def _after(self, connection: Connection, call: Call, step: Phase) -> Present:
        session = self._of_member(call, repository.find(connection, call.path["session"]))
        number = call.path["round"]
        if session.phase in ENDED or not number.isdecimal() or int(number) != session.round:
            raise Conflict("this round is not the present one of the sum")
        if FLOW.index(session.phase) <= FLOW.index(step):
            raise Conflict(f"the step {step.value!r} of this round has not ended")
        return self._present(connection, session)

    def _part(self, call: Call, step: Phase, make: Callable[[Present], bytes | None]) -> Part:
        with call.engine.connect() as connection:
            body = make(self._after(connection, call, step))
        if body is None:
            raise Forbidden("this bank has dropped out of the round; it may take part in the next one")
        return Part(body=body)

    def _present(self, connection: Connection, session: Session) -> Present:
        return Present(connection, session, self._node.settings.office_public_key())

    def _of_member(self, call: Call, session: Session) -> Session:
        _check_seat(session, call.person.id)
        return session

    def _project(self, connection: Connection, session: Session) -> Project:
        return repository.approval(connection, session.plan.project)[1].project


def _check_seat(session: Session, person: str) -> None:
    if person not in {seat.person for seat in session.plan.seats}:
        raise NotFound("there is no such sum over banks")


def _expect(session: Session, number: int, phase: Phase) -> None:
    if session.round != number or session.phase is not phase:
        raise Conflict(f"this sum waits for the step {session.phase.value!r} of round {session.round}")


def _survivors(session: Session) -> tuple[str, ...]:
    return listed_survivors(session.plan.round(session.round), session.survivor_list)


def _sha256(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


def _hex(data: bytes) -> str:
    return _sha256(data).hex()
