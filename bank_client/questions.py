"""Questions on their way: the four steps of a private query for one person or a thousand, each step one or a few calls.

(1) `blind`: a fresh blind for each subject, and the context that the proof is bound to;
(2) `take_tickets`: the office's word on each;
(3) `evaluate`: k·B of each ticket, every DLEQ proof verified under the manifest's key;
(4) `fetch`: the columns by private retrieval, and only after the last call `settle`: path, cell, what is damaged.

What the node sees. Steps (3) and (4) are the same calls of the same length for every subject, whatever the columns hold;
`settle` makes no call to the node. A question that (3) does not evaluate as the manifest says goes no further: whether the
proof holds is a function of what the node itself sent and received, so that it learns nothing from it.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from bank_client.epoch_cache import Epoch
from bank_client.session import Bank
from crypto import cells
from crypto.errors import CryptoError
from crypto.group import map_threads
from crypto.pir import PreparedQueries
from crypto.request_proof import prove
from crypto.voprf import Blinded, VoprfClient, blind
from models import problems, wire
from models.logged import LeafRef
from models.problems import BadMessage, Damaged, Problem
from models.tables import ColumnAnswers, Evidence, QueryColumns, tag_context
from models.tickets import (
    EvaluateTickets,
    Evaluation,
    Evaluations,
    RequestTickets,
    TicketApproval,
    TicketContext,
    TicketRequest,
    Tickets,
)
from models.wire import Signed

T = TypeVar("T")
Call = Callable[[Callable[[], T]], T]
MOST_QUERIES_A_REQUEST = 256
QUERY_BYTES_A_REQUEST = 4 << 20
NONCE_BYTES = 16
_MOST_ARTEFACTS = 8


@dataclass
class Question:
    """One subject's question: secrets while it is on its way, then what came of it."""

    subject: str
    context: TicketContext
    blinded: Blinded
    approval: Signed | None = None
    ticket: Signed | None = None
    refused: Problem | None = None
    leaf: LeafRef | None = None
    tag: bytes = b""
    key: bytes = b""
    place: int = 0
    column: NDArray[np.uint8] | None = None
    record: bytes | None = None
    damage: Evidence | None = None

    def __repr__(self) -> str:
        return "Question(redacted)"

    @property
    def on_its_way(self) -> bool:
        """Neither refused nor found damaged so far."""
        return self.refused is None and self.damage is None


class Questions:
    """Asks about subjects of one table within one project.

    Args:
        bank: who asks; `approver` signs each question beside them where the bank requires it.
        batch: an approved batch of this officer's, which covers them all.
        patiently: what makes each call; a batch waits here for a service that is busy.
    """

    def __init__(
        self,
        bank: Bank,
        project: str,
        table: str,
        *,
        approver: Bank | None = None,
        batch: str = "",
        patiently: Call[object] = lambda call: call(),
    ) -> None:
        self.project, self.table = project, table
        self._bank, self._approver, self._batch = bank, approver, batch
        self._patiently = patiently

    def __repr__(self) -> str:
        return f"{type(self).__name__}(project={self.project!r}, table={self.table!r})"

    # ---------------------------------------------------------------- (1) and (2): the office

    def blind(self, epoch: Epoch, subjects: Sequence[str], purpose: str, seconds: int) -> list[Question]:
        """(1) Blinds, and contexts that end after `seconds` or with the epoch."""
        expires = min(int(time.time()) + seconds, epoch.manifest.expires_at)

        def one(subject: str) -> Question:
            context = TicketContext(
                bank=self._bank.config.institution,
                officer=self._bank.config.person,
                purpose=purpose,
                project=self.project,
                table=self.table,
                epoch=epoch.manifest.epoch,
                expires=expires,
                nonce=secrets.token_bytes(NONCE_BYTES),
            )
            return Question(subject, context, blind(subject.encode()))

        return map_threads(one, subjects)

    def take_tickets(self, questions: Sequence[Question]) -> None:
        """(2) A ticket or a refusal for each.

        Raises:
            Problem: the office refused the request as a whole.
        """
        requests = RequestTickets(requests=tuple(map_threads(self._ticket_request, questions)), batch=self._batch)
        key = secrets.token_urlsafe(16)
        answer = self._call(lambda: self._bank.office.logged("/tickets", requests, Tickets, key=key)).answer
        if len(answer.results) != len(questions):
            raise BadMessage("the office did not answer each request for a ticket")
        for question, result in zip(questions, answer.results, strict=True):
            question.ticket = result.ticket
            if result.ticket is None:
                question.refused = _problem(result.problem, result.detail)

    def _ticket_request(self, question: Question) -> TicketRequest:
        subject, blinded = question.subject, question.blinded
        approval = question.approval
        if approval is None and self._approver is not None:
            signer = self._approver.config.person
            approval = self._approver.sign(TicketApproval(subject=subject, context=question.context.digest(), approver=signer))
        return TicketRequest(
            subject=subject,
            context=question.context,
            element=blinded.element,
            proof=prove(subject.encode(), blinded.blind, blinded.element, question.context.binding()),
            approval=approval,
        )

    # ---------------------------------------------------------------- (3) and (4): the node

    def evaluate(self, epoch: Epoch, questions: Sequence[Question]) -> None:
        """(3) Tag and key of each question that has a ticket; a refusal or damage where the node gave no good evaluation.

        Raises:
            Problem: the node refused the request as a whole; nothing was evaluated.
        """
        asked = [question for question in questions if question.on_its_way]
        if not asked:
            return
        request = EvaluateTickets(tickets=tuple(question.ticket for question in asked if question.ticket is not None))
        path, key = f"/tables/{self.table}/evaluate", secrets.token_urlsafe(16)
        reply = self._call(lambda: self._bank.node.logged(path, request, Evaluations, key=key))
        if not len(reply.answer.results) == len(reply.leaves) == len(asked):
            raise BadMessage("the node did not answer each ticket with a leaf")
        good: list[tuple[Question, Evaluation]] = []
        for question, result, leaf in zip(asked, reply.answer.results, reply.leaves, strict=True):
            question.leaf = leaf
            if result.problem:
                question.refused = _problem(result.problem, result.detail)
            else:
                good.append((question, result))
        try:
            _finalize(epoch, good)
        except CryptoError:
            for pair in good:
                _finalize_or_note(epoch, pair)

    def fetch(self, epoch: Epoch, questions: Sequence[Question], prepared: PreparedQueries | None = None) -> None:
        """(4) The column of each evaluated question. `prepared`, if given, holds exactly one query for each.

        Raises:
            Problem: the node refused, e.g. `NotFound` where the epoch was closed in the meantime.
        """
        asked = [question for question in questions if question.on_its_way]
        size = max(1, min(MOST_QUERIES_A_REQUEST, QUERY_BYTES_A_REQUEST // (4 * epoch.manifest.columns)))
        for start in range(0, len(asked), size):
            part, retrieval = asked[start : start + size], epoch.retrieval
            ready = prepared or retrieval.client.prepare(len(part), retrieval.hint)
            queries = ready.query_many([question.place for question in part])
            request = QueryColumns(epoch=epoch.manifest.epoch, count=len(part), queries=wire.pack(queries))
            answer = self._call(lambda: self._bank.node.post(f"/tables/{self.table}/columns", request, ColumnAnswers))  # noqa: B023
            answers = wire.unpack(answer.answers, "<u4", (len(part), epoch.manifest.rows), "answers")
            for question, column in zip(part, ready.recover_many(answers.astype(np.uint32, copy=False)), strict=True):
                question.column = column

    # ---------------------------------------------------------------- what came of it

    def settle(self, epoch: Epoch, questions: Iterable[Question]) -> None:
        """Look at what was fetched: the record, nothing, or damage. No call is made."""
        for question in questions:
            column, question.column = question.column, None
            if column is None or not question.on_its_way:
                continue
            try:
                question.record = epoch.table.open(question.place, column, question.tag, question.key)
            except Damaged as damage:
                question.damage = _evidence(epoch, "column", damage.detail, question.place.to_bytes(4) + column.tobytes())

    def report(self, epoch: Epoch, questions: Sequence[Question]) -> Damaged | None:
        """Keep and report what is damaged, one report for each kind; what to raise, if anything is."""
        found: Damaged | None = None
        damaged = [question.damage for question in questions if question.damage is not None]
        for what in sorted({evidence.what for evidence in damaged}):
            alike = [evidence for evidence in damaged if evidence.what == what]
            detail = f"{len(alike)} of {len(questions)} answers: {alike[0].detail}"
            artefacts = tuple(evidence.artefacts[0] for evidence in alike[:_MOST_ARTEFACTS])
            manifest = wire.encode(epoch.sealed.manifest)
            found = self._bank.report(wire.replace(alike[0], detail=detail, artefacts=(manifest, *artefacts)))
        return found

    def _call(self, call: Callable[[], T]) -> T:
        return self._patiently(call)  # type: ignore[return-value]


def _finalize(epoch: Epoch, evaluated: Sequence[tuple[Question, Evaluation]]) -> None:
    outputs = VoprfClient(epoch.manifest.public_key).finalize_many(
        [question.subject.encode() for question, _ in evaluated],
        [question.blinded for question, _ in evaluated],
        [(result.evaluated, result.proof) for _, result in evaluated],
    )
    context = tag_context(epoch.manifest.table, epoch.manifest.epoch)
    for (question, _), y in zip(evaluated, outputs, strict=True):
        question.tag, question.key = cells.derive(y, context)
        question.place = epoch.table.column_of(question.tag)


def _finalize_or_note(epoch: Epoch, pair: tuple[Question, Evaluation]) -> None:
    question, result = pair
    try:
        _finalize(epoch, [pair])
    except CryptoError as error:
        detail = f"the node did not evaluate with the epoch's key: {error}"
        question.damage = _evidence(epoch, "evaluation", detail, question.blinded.element + result.evaluated + result.proof)


def _evidence(epoch: Epoch, what: str, detail: str, artefact: bytes) -> Evidence:
    return Evidence(what=what, table=epoch.manifest.table, epoch=epoch.manifest.epoch, detail=detail, artefacts=(artefact,))


def _problem(slug: str, detail: str) -> Problem:
    return problems.REGISTRY.get(slug, Problem)(detail)
