"""Tickets: the office's leave to ask one question about one consented subject. Messages and leakage: `models.tickets`.

A question is checked in this order, and the first fault is named:

(1) the context is the caller's own: bank, officer, expiry;
(2) the project is the bank's, approved, in its period, not suspended, and covers the purpose;
(3) the table's epoch is one that the office sealed, is open, and holds what the project was approved for;
(4) where the bank requires it, an approver of the bank has signed this subject and context; in an approved batch, whose
    project, purpose and subjects the question must be of, the approver has signed the batch;
(5) the subject's collection consent and query consent stand (双授权), and of each one more that names what is sensitive;
(6) the element was never seen, the budgets are not used up, and the sender knows the blind that makes it from *this* subject.

Batch, budgets, consents and element are looked at once more in the transaction that stores the ticket.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, replace

from sqlalchemy import Connection

from audit.office import patterns
from audit.office.batches import OpenBatch
from audit.office.budgets import Purse
from audit.office.consents import canonical
from audit.office.office import Office
from audit.office.parallel import map_threads
from audit.office.permissions import Permissions
from audit.office.standing import DoubleConsent, Found
from audit.office.store import consents, questions
from audit.office.store.questions import GRANTED, Attempt, Issued
from audit.service.leaves import LeafDraft
from audit.service.outcome import Call, Outcome, Refused
from crypto.errors import CryptoError
from crypto.request_proof import verify_request_proof
from models.consents import ConsentKind
from models.identity import region_of
from models.parties import Role
from models.problems import BadElement, BadIdentity, BadMessage, BadTicket, NoConsent, OverBudget, Problem, TooLarge
from models.tickets import RequestTickets, Ticket, TicketRequest, TicketResult, Tickets
from models.wire import encode

MOST_REQUESTS = 10_000
MOST_IN_BATCH = 1_000


@dataclass(frozen=True, repr=False)
class _Question:
    """One request as far as it has come: refused once `problem` is set; `subject` is empty where it is no identity."""

    request: TicketRequest
    subject: str
    consents: Found | None = None
    problem: Problem | None = None


@dataclass(frozen=True, repr=False)
class _Given:
    """What one question comes to: its result, its leaf, and the ticket to be stored where there is one."""

    result: TicketResult
    leaf: LeafDraft
    issued: Issued | None = None


class TicketOffice:
    """The handler of ticket requests."""

    def __init__(self, office: Office) -> None:
        self._office = office

    def request(self, call: Call) -> Outcome:
        """POST /tickets: one question of an officer, many of an officer's approved batch, or many of a modeller."""
        return _Asking(self._office, call).outcome()


class _Asking:
    """One request, from the first look to the transaction."""

    def __init__(self, office: Office, call: Call) -> None:
        self._office = office
        self._call = call
        self._single = call.person.role is Role.LOAN_OFFICER and not call.body.batch
        self._named = [_name(place, request) for place, request in enumerate(_requests(call), 1)]
        with call.engine.connect() as connection:
            subjects = [question.subject for question in self._named if question.subject]
            self._batch = OpenBatch(connection, call, call.body.batch, subjects) if call.body.batch else None
            self._purse = Purse(office.settings, connection, call, in_batch=self._batch is not None)
            self._judged = self._judge(connection, subjects)

    def outcome(self) -> Outcome:
        judged = map_threads(_prove, self._judged, self._office.settings.proof_threads)
        if self._single and judged[0].problem is not None:
            raise self._refused(judged[0].problem, judged)
        given = [self._give(question) for question in judged]
        issued = [one.issued for one in given if one.issued is not None]
        granted = [question for question in judged if question.problem is None]

        def record(connection: Connection) -> None:
            try:
                self._record(connection, issued, granted)
            except (OverBudget, NoConsent, BadTicket) as problem:
                raise self._refused(problem, judged) from None

        def attach(connection: Connection, queue_ids: Sequence[int]) -> None:
            asked = [self._attempt(question, one.issued) for question, one in zip(judged, given, strict=True)]
            patterns.note(connection, self._office.settings, self._call, list(zip(asked, queue_ids, strict=True)))
            self._purse.alarm(connection)

        answer, leaves = Tickets(results=tuple(one.result for one in given)), [one.leaf for one in given]
        return Outcome(answer, leaves, record, attach=attach, brief=self._single)

    def _judge(self, connection: Connection, subjects: Sequence[str]) -> list[_Question]:
        """Steps (1) to (5), and the first half of (6)."""
        call = self._call
        consented = DoubleConsent(connection, subjects, ConsentKind.QUERY, call.institution, call.now)
        permissions = Permissions(self._office, connection, call, in_batch=self._batch is not None)
        # A single question's element is looked for once, where it is stored; many are told apart before.
        elements = [] if self._single else [question.request.element for question in self._named]
        seen = questions.seen(connection, elements)
        judged: list[_Question] = []
        for question in self._named:
            try:
                judged.append(self._examine(question, permissions, consented, seen))
            except Problem as problem:
                judged.append(_Question(question.request, question.subject, problem=problem))
            seen.add(question.request.element)
        return judged

    def _examine(self, question: _Question, permissions: Permissions, consented: DoubleConsent, seen: set[bytes]) -> _Question:
        if question.problem is not None:
            return question
        request, context = question.request, question.request.context
        # (1) to (4)
        permission = permissions.check(request)
        if self._batch is not None:
            self._batch.check(question.subject, context)
        # (5)
        found = consented.find(question.subject, context.purpose, permission.wanted, context.expires)
        # (6) A blind that is used twice would tie two questions together, at the node and here.
        if request.element in seen:
            raise BadTicket("this blinded element was seen before; blind the subject afresh for every ticket")
        if self._batch is not None and not self._batch.take(question.subject):
            raise self._purse.refuse(self._batch.budget, 0)
        self._purse.take(context, permission.checks, permission.checks_left)
        return _Question(request, question.subject, found)

    def _record(self, connection: Connection, issued: Sequence[Issued], granted: Sequence[_Question]) -> None:
        """What was judged before, once more where nobody can come between."""
        if self._batch is not None and not self._batch.spend(connection, [question.subject for question in granted]):
            raise self._purse.refuse(self._batch.budget, 0)
        self._purse.spend(connection, [question.request.context for question in granted])
        relied_on = {consent for question in granted if question.consents for consent in question.consents.ids}
        if consents.count_unrevoked(connection, relied_on) != len(relied_on):
            raise NoConsent("a consent was revoked while this was looked at; ask again")
        if questions.seen(connection, [ticket.element for ticket in issued]):
            raise BadTicket("a blinded element was seen before; blind the subject afresh for every ticket")
        questions.add_tickets(connection, issued)

    def _give(self, question: _Question) -> _Given:
        request, found = question.request, question.consents
        if question.problem is not None:
            result = TicketResult(problem=question.problem.slug(), detail=question.problem.detail)
            return _Given(result, self._refusal_leaf(question, question.problem))
        assert found is not None, "a granted question has both consents"
        query, collection = ([consent.id for consent in kind] for kind in (found.use, found.collection))
        salt = secrets.token_bytes(32)
        commitment = hashlib.sha256(salt + "\n".join(query).encode()).digest()
        signed = self._office.sign(Ticket(element=request.element, context=request.context, consent=commitment))
        issued = Issued(
            element=request.element,
            subject=question.subject,
            project=request.context.project,
            context=request.context.binding(),
            proof=request.proof,
            query_consent=query[0],
            collection_consent=collection[0],
            further_query_consents="\n".join(query[1:]),
            further_collection_consents="\n".join(collection[1:]),
            salt=salt,
            approval=None if request.approval is None else encode(request.approval),
            issued_at=self._call.now,
            digest=signed.digest(),
            batch=self._batch_id,
            table_name=request.context.table,
            epoch=request.context.epoch,
            expires=request.context.expires,
        )
        facts = {**_facts(request), **self._batch_fact(), "ticket": issued.digest, "consent": commitment.hex()}
        opening = {"subject": question.subject, "query_consent": query[0], "collection_consent": collection[0]}
        if further := [*query[1:], *collection[1:]]:
            opening["further_consents"] = "\n".join(further)
        return _Given(TicketResult(ticket=signed), LeafDraft("ticket", facts, opening), issued)

    @property
    def _batch_id(self) -> str | None:
        return None if self._batch is None else self._batch.id

    def _batch_fact(self) -> dict[str, str]:
        return {} if self._batch is None else {"batch": self._batch.id}

    def _refusal_leaf(self, question: _Question, problem: Problem) -> LeafDraft:
        opening = {"subject": question.subject, "detail": problem.detail}
        opening["purpose"] = question.request.context.purpose[:32]
        return LeafDraft("ticket", self._batch_fact(), opening, outcome="refused", problem=problem.slug())

    def _refused(self, problem: Problem, judged: Sequence[_Question]) -> Refused:
        """The refusal of the whole request; a single question is kept as an attempt."""
        asked = [self._attempt(replace(question, problem=problem)) for question in judged] if self._single else []

        def attach(connection: Connection, queue_id: int) -> None:
            if asked:
                patterns.note(connection, self._office.settings, self._call, [(one, queue_id) for one in asked])
            self._purse.alarm(connection)

        said = {"subject": judged[0].subject, "purpose": judged[0].request.context.purpose[:32]} if self._single else {}
        return Refused(problem, opening=said, attach=attach)

    def _attempt(self, question: _Question, issued: Issued | None = None) -> Attempt:
        context = question.request.context
        # Who asked is the one who signed, whatever the refused context says.
        return Attempt(
            subject=question.subject,
            at=self._call.now,
            bank=self._call.institution.id,
            officer=self._call.person.id,
            purpose=context.purpose[:32],
            table_name=context.table[:128],
            outcome=question.problem.slug() if question.problem else GRANTED,
            region=region_of(question.subject),
            batch=self._batch_id,
            ticket=None if issued is None else issued.digest,
            project=context.project[:128],
            epoch=context.epoch,
        )


def _requests(call: Call) -> Sequence[TicketRequest]:
    body: RequestTickets = call.body
    if body.batch:
        most = MOST_IN_BATCH
    elif call.person.role is not Role.LOAN_OFFICER:
        most = MOST_REQUESTS
    elif len(body.requests) != 1:
        raise BadMessage("an officer asks one question at a time, or many of an approved batch, which the request then names")
    else:
        return body.requests
    if not 1 <= len(body.requests) <= most:
        raise TooLarge(f"1 to {most} tickets are given in one request")
    return body.requests


def _name(place: int, request: TicketRequest) -> _Question:
    try:
        return _Question(request, canonical(request.subject, f"request {place}"))
    except BadIdentity as problem:
        return _Question(request, "", problem=problem)


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


def _facts(request: TicketRequest) -> dict[str, str | int | bool]:
    context = request.context
    return {"project": context.project, "purpose": context.purpose, "table": context.table, "epoch": context.epoch}
