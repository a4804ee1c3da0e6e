"""Tickets: the office's leave to ask one question about one consented subject. Messages and leakage: `models.tickets`.

A question is checked in this order, and the first fault is named:

(1) the context is the caller's own: bank, officer, expiry;
(2) the project is the bank's, approved, in its period, not suspended, and covers the purpose;
(3) the table's epoch is one that the office sealed, is open, and holds what the project was approved for;
(4) where the bank requires it, an approver of the bank has signed this subject and context;
(5) the subject's collection consent and query consent stand (双授权), and the project has checks left;
(6) the element was never seen, and the sender knows the blind that makes it from *this* subject.

Consents, budget and element are looked at once more in the transaction that stores the ticket.
"""

from __future__ import annotations

import hashlib
import secrets
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection

from audit.office.consents import canonical
from audit.office.office import Office
from audit.office.parallel import map_threads
from audit.office.permissions import Permissions
from audit.office.standing import DoubleConsent
from audit.office.store import alarms, consents, projects, questions
from audit.office.store.questions import Attempt, Issued
from audit.service.leaves import LeafDraft
from audit.service.outcome import Call, Outcome, Refused
from crypto.errors import CryptoError
from crypto.request_proof import verify_request_proof
from models.consents import Consent, ConsentKind
from models.parties import Role
from models.problems import BadElement, BadIdentity, BadMessage, BadTicket, NoConsent, OverBudget, Problem, TooLarge
from models.tickets import RequestTickets, Ticket, TicketRequest, TicketResult, Tickets
from models.wire import encode

MOST_REQUESTS = 10_000
GRANTED = "granted"


@dataclass(frozen=True, repr=False)
class _Question:
    """One request as far as it has come: refused once `problem` is set; `subject` is empty where it is no identity."""

    request: TicketRequest
    subject: str
    collection: Consent | None = None
    query: Consent | None = None
    problem: Problem | None = None


class TicketOffice:
    """The handler of ticket requests."""

    def __init__(self, office: Office) -> None:
        self._office = office

    def request(self, call: Call) -> Outcome:
        """POST /tickets: one question of an officer, or a modeller's approved batch."""
        requests = _requests(call)
        with call.engine.connect() as connection:
            questions_ = self._judge(connection, call, requests)
        questions_ = map_threads(_prove, questions_, self._office.settings.proof_threads)
        if call.person.role is Role.LOAN_OFFICER and questions_[0].problem is not None:
            raise _refused(call, questions_[0], questions_[0].problem)
        return self._outcome(call, questions_)

    def _judge(self, connection: Connection, call: Call, requests: Sequence[TicketRequest]) -> list[_Question]:
        """Steps (1) to (5), and the first half of (6)."""
        named = [_name(place, request) for place, request in enumerate(requests, 1)]
        subjects = [question.subject for question in named if question.subject]
        consented = DoubleConsent(connection, subjects, ConsentKind.QUERY, call.institution, call.now)
        permissions = Permissions(self._office, connection, call)
        seen = questions.seen(connection, [request.element for request in requests])
        spent: Counter[str] = Counter()
        judged: list[_Question] = []
        for question in named:
            try:
                judged.append(_examine(question, permissions, consented, spent, seen))
            except Problem as problem:
                judged.append(_Question(question.request, question.subject, problem=problem))
            seen.add(question.request.element)
        return judged

    def _outcome(self, call: Call, judged: Sequence[_Question]) -> Outcome:
        results: list[TicketResult] = []
        leaves: list[LeafDraft] = []
        issued: list[Issued] = []
        for question in judged:
            if question.problem is not None:
                results.append(TicketResult(problem=question.problem.slug(), detail=question.problem.detail))
                leaves.append(_refusal_leaf(question, question.problem))
                continue
            result, leaf, ticket = self._issue(question, call.now)
            results.append(result)
            leaves.append(leaf)
            issued.append(ticket)

        def record(connection: Connection) -> None:
            _record(connection, issued, [question for question in judged if question.problem is None])
            if any(isinstance(question.problem, OverBudget) for question in judged):
                _alarm(connection, call)

        def attach(connection: Connection, queue_ids: Sequence[int]) -> None:
            pairs = [(_attempt(call, q), leaf) for q, leaf in zip(judged, queue_ids, strict=True) if q.subject]
            questions.add_attempts(connection, [attempt for attempt, _ in pairs], [leaf for _, leaf in pairs])

        return Outcome(Tickets(results=tuple(results)), leaves, record, attach=attach)

    def _issue(self, question: _Question, now: int) -> tuple[TicketResult, LeafDraft, Issued]:
        request, query, collection = question.request, question.query, question.collection
        assert query is not None, "a granted question has both consents"
        assert collection is not None, "a granted question has both consents"
        salt = secrets.token_bytes(32)
        commitment = hashlib.sha256(salt + query.id.encode()).digest()
        signed = self._office.sign(Ticket(element=request.element, context=request.context, consent=commitment))
        issued = Issued(
            element=request.element,
            subject=question.subject,
            project=request.context.project,
            context=request.context.binding(),
            proof=request.proof,
            query_consent=query.id,
            collection_consent=collection.id,
            salt=salt,
            approval=None if request.approval is None else encode(request.approval),
            issued_at=now,
        )
        facts = {**_facts(request), "ticket": signed.digest(), "consent": commitment.hex()}
        opening = {"subject": question.subject, "query_consent": query.id, "collection_consent": collection.id}
        return TicketResult(ticket=signed), LeafDraft("ticket", facts, opening), issued


def _requests(call: Call) -> Sequence[TicketRequest]:
    body: RequestTickets = call.body
    if call.person.role is Role.LOAN_OFFICER and len(body.requests) != 1:
        raise BadMessage("an officer asks one question at a time; batches are a modeller's")
    if not 1 <= len(body.requests) <= MOST_REQUESTS:
        raise TooLarge(f"1 to {MOST_REQUESTS} tickets are given in one request")
    return body.requests


def _name(place: int, request: TicketRequest) -> _Question:
    try:
        return _Question(request, canonical(request.subject, f"request {place}"))
    except BadIdentity as problem:
        return _Question(request, "", problem=problem)


def _examine(
    question: _Question, permissions: Permissions, consented: DoubleConsent, spent: Counter[str], seen: set[bytes]
) -> _Question:
    if question.problem is not None:
        return question
    request = question.request
    # (1) to (4)
    permission = permissions.check(request)
    # (5)
    context = request.context
    collection, query = consented.find(question.subject, context.purpose, permission.field_sets, context.expires)
    if spent[permission.project] >= permission.checks_left:
        raise OverBudget("the project has used up its checks")
    # (6) A blind that is used twice would tie two questions together, at the node and here.
    if request.element in seen:
        raise BadTicket("this blinded element was seen before; blind the subject afresh for every ticket")
    spent[permission.project] += 1
    return _Question(request, question.subject, collection, query)


def _prove(question: _Question) -> _Question:
    """The second half of (6): the one step that costs, so it comes last."""
    if question.problem is not None:
        return question
    request = question.request
    try:
        verify_request_proof(question.subject.encode(), request.element, request.context.binding(), request.proof)
    except CryptoError as error:
        return _Question(request, question.subject, problem=BadElement(str(error)))
    return question


def _record(connection: Connection, issued: Sequence[Issued], granted: Sequence[_Question]) -> None:
    for project, count in Counter(ticket.project for ticket in issued).items():
        if not projects.spend_checks(connection, project, count):
            raise OverBudget("the project has used up its checks, or it was suspended while this was looked at")
    relied_on = {consent.id for question in granted for consent in (question.query, question.collection) if consent}
    if consents.count_unrevoked(connection, relied_on) != len(relied_on):
        raise NoConsent("a consent was revoked while this was looked at; ask again")
    if questions.seen(connection, [ticket.element for ticket in issued]):
        raise BadTicket("a blinded element was seen before; blind the subject afresh for every ticket")
    questions.add_tickets(connection, issued)


def _refused(call: Call, question: _Question, problem: Problem) -> Refused:
    def attach(connection: Connection, queue_id: int) -> None:
        if question.subject:
            questions.add_attempts(connection, [_attempt(call, question)], [queue_id])
        if isinstance(problem, OverBudget):
            _alarm(connection, call)

    return Refused(problem, opening={"subject": question.subject}, attach=attach)


def _attempt(call: Call, question: _Question) -> Attempt:
    context = question.request.context
    # Who asked is the one who signed, whatever the refused context says.
    return Attempt(
        subject=question.subject,
        at=call.now,
        bank=call.institution.id,
        officer=call.person.id,
        purpose=context.purpose[:32],
        table_name=context.table[:128],
        outcome=question.problem.slug() if question.problem else GRANTED,
    )


def _alarm(connection: Connection, call: Call) -> None:
    detail = "questions beyond a project's budget of checks were refused: look whether subjects are being enumerated"
    alarms.raise_alarm(
        connection, at=call.now, kind="budget", institution=call.institution.id, about=call.person.id, detail=detail
    )


def _facts(request: TicketRequest) -> dict[str, str | int | bool]:
    context = request.context
    return {"project": context.project, "purpose": context.purpose, "table": context.table, "epoch": context.epoch}


def _refusal_leaf(question: _Question, problem: Problem) -> LeafDraft:
    opening = {"subject": question.subject, "detail": problem.detail}
    return LeafDraft("ticket", {}, opening, outcome="refused", problem=problem.slug())
