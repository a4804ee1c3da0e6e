"""Private queries: the records of consented subjects, each under its own ticket, without the node learning whom.

::

    bank                                             office            node
    ── manifest? ────────────────────────────────────────────────────>
    <──────────────────────────────── Signed(manifest), Signed(seal) ─
    B = r·P, proof bound to the context
    ── id, B, context, proof ──────────────────────> consents
    <─ Signed(ticket) ─────────────────────────────
    ── tickets ──────────────────────────────────────────────────────> leaves
    <─────────────────────────────────────── k·B, DLEQ proofs, promises
    tag, key; one LWE query for the tag's column
    ── queries ──────────────────────────────────────────────────────>
    <────────────────────────────────────────────────────── D·query ──
    Merkle path, cell

A question makes the same calls whether it finds a record, nothing, or damage; what is damaged is kept, reported to the
office after the last call, and never asked again. Leakage: the node learns that this bank asked so many questions for a
purpose now; the bank one record a ticket; the office who asks about whom.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NoReturn

import numpy as np
from numpy.typing import NDArray

from bank_client.alignment import Progress, silent
from bank_client.epoch_cache import Epoch, EpochCache
from bank_client.session import Bank
from crypto import cells
from crypto.errors import CryptoError
from crypto.group import map_threads
from crypto.request_proof import prove
from crypto.voprf import Blinded, VoprfClient, blind
from models import problems, wire
from models.consents import Purpose
from models.logged import LeafRef
from models.problems import BadMessage, Damaged, Problem
from models.tables import ColumnAnswers, QueryColumns, tag_context
from models.tickets import (
    EvaluateTickets,
    Evaluations,
    RequestTickets,
    TicketApproval,
    TicketContext,
    TicketRequest,
    Tickets,
)
from models.training import Receipt
from models.wire import Signed

OFFICER_SECONDS = 9 * 60
BULK_SECONDS = 2 * 3600
TICKETS_A_REQUEST = 1_000
MOST_QUERIES_A_REQUEST = 256
QUERY_BYTES_A_REQUEST = 4 << 20
NONCE_BYTES = 16


@dataclass(frozen=True)
class CheckResult:
    """What one question gave: the record's bytes, None where the table has none, or the refusal.

    `leaf` is the node's leaf for it and `receipt` its cosigned proof (for single checks). `refused` is set where office or
    node did not allow the question; nothing was asked then.
    """

    subject: str = field(repr=False)
    table: str
    epoch: int
    record: bytes | None = field(default=None, repr=False)
    refused: Problem | None = None
    leaf: LeafRef | None = field(default=None, repr=False)
    receipt: Receipt | None = field(default=None, repr=False)


@dataclass
class _Question:
    """One subject's question on its way."""

    subject: str
    context: TicketContext
    blinded: Blinded
    ticket: Signed | None = None
    refused: Problem | None = None
    leaf: LeafRef | None = None
    tag: bytes = b""
    key: bytes = b""
    record: bytes | None = None
    damage: str = ""
    column: bytes = b""

    def __repr__(self) -> str:
        return "_Question(redacted)"


class PrivateQuery:
    """Asks one table of the node within one project. The epoch's hint is fetched once and kept on disk.

    Args:
        bank: an officer's session for single checks, a modeller's for `ask_many`.
        project: whose approval covers the questions.
        table: the id that opening the project or serving the model gave.
        approver: a second person's session, for banks that require a second approval.
    """

    def __init__(self, bank: Bank, project: str, table: str, *, approver: Bank | None = None) -> None:
        self.project = project
        self.table = table
        self._bank = bank
        self._approver = approver
        self._epochs = EpochCache(bank, table)

    def __repr__(self) -> str:
        return f"PrivateQuery(project={self.project!r}, table={self.table!r})"

    def ask(self, subject: object, purpose: str = Purpose.LOAN_APPROVAL) -> CheckResult:
        """One authorised question, completed with its receipt.

        Raises:
            Problem: office or node refused it; a leaf stands for the refusal.
            Damaged: something did not match what was signed; reported to the office. Do not ask again by yourself.
        """
        with self._bank.phase("check"):
            epoch = self._epochs.current()
            question = self._blind(epoch, self._bank.canonical(subject), purpose, OFFICER_SECONDS)
            self._take_tickets([question])
            self._raise_refusal(question)
            self._evaluate(epoch, [question])
            self._raise_refusal(question)
            self._fetch(epoch, [question])
            assert question.leaf is not None
            receipt = self._bank.receipt(self._bank.node, question.leaf)
            self._report_damage(epoch, [question])
            return self._result(epoch, question, receipt)

    def ask_many(
        self, subjects: Sequence[object], purpose: str = Purpose.LOAN_APPROVAL, *, progress: Progress = silent
    ) -> list[CheckResult]:
        """Many questions under a modeller's bulk tickets, in the order of `subjects`; refused ones say so in `refused`.

        Promises of all leaves are verified; a receipt is fetched for the last leaf of each batch, whose checkpoint holds
        those before it.

        Raises:
            Damaged: after the whole batch has been asked; reported to the office.
        """
        canonical = [self._bank.canonical(subject) for subject in subjects]
        results: list[CheckResult] = []
        with self._bank.phase("score"):
            epoch = self._epochs.current()
            for start in range(0, len(canonical), TICKETS_A_REQUEST):
                batch = canonical[start : start + TICKETS_A_REQUEST]
                questions = map_threads(lambda subject: self._blind(epoch, subject, purpose, BULK_SECONDS), batch)
                self._take_tickets(questions)
                self._evaluate(epoch, [q for q in questions if q.refused is None])
                asked = [q for q in questions if q.refused is None]
                self._fetch(epoch, asked)
                if asked and asked[-1].leaf is not None:
                    self._bank.receipt(self._bank.node, asked[-1].leaf)
                self._report_damage(epoch, asked)
                results += [self._result(epoch, question) for question in questions]
                progress("score", len(results), len(canonical))
        return results

    # ---------------------------------------------------------------- steps

    def _blind(self, epoch: Epoch, subject: str, purpose: str, seconds: int) -> _Question:
        """(1) A fresh blind, and the context that the proof is bound to."""
        context = TicketContext(
            bank=self._bank.config.institution,
            officer=self._bank.config.person,
            purpose=purpose,
            project=self.project,
            table=self.table,
            epoch=epoch.manifest.epoch,
            expires=min(int(time.time()) + seconds, epoch.manifest.expires_at),
            nonce=secrets.token_bytes(NONCE_BYTES),
        )
        return _Question(subject, context, blind(subject.encode()))

    def _take_tickets(self, questions: list[_Question]) -> None:
        """(2) The office's word on each."""
        requests = map_threads(self._ticket_request, questions)
        answer = self._bank.office.logged("/tickets", RequestTickets(requests=tuple(requests)), Tickets).answer
        if len(answer.results) != len(questions):
            raise BadMessage("the office did not answer each request for a ticket")
        for question, result in zip(questions, answer.results, strict=True):
            question.ticket = result.ticket
            if result.ticket is None:
                question.refused = _problem(result.problem, result.detail)

    def _ticket_request(self, question: _Question) -> TicketRequest:
        subject, blinded = question.subject, question.blinded
        approval = None
        if self._approver is not None:
            signer = self._approver.config.person
            approval = self._approver.sign(TicketApproval(subject=subject, context=question.context.digest(), approver=signer))
        return TicketRequest(
            subject=subject,
            context=question.context,
            element=blinded.element,
            proof=prove(subject.encode(), blinded.blind, blinded.element, question.context.binding()),
            approval=approval,
        )

    def _evaluate(self, epoch: Epoch, questions: list[_Question]) -> None:
        """(3) The node's evaluations, every proof verified under the manifest's key; tag and key of each."""
        if not questions:
            return
        tickets = tuple(question.ticket for question in questions if question.ticket is not None)
        reply = self._bank.node.logged(f"/tables/{self.table}/evaluate", EvaluateTickets(tickets=tickets), Evaluations)
        if not len(reply.answer.results) == len(reply.leaves) == len(questions):
            raise BadMessage("the node did not answer each ticket with a leaf")
        good: list[tuple[_Question, tuple[bytes, bytes]]] = []
        for question, result, leaf in zip(questions, reply.answer.results, reply.leaves, strict=True):
            question.leaf = leaf
            if result.problem:
                question.refused = _problem(result.problem, result.detail)
            else:
                good.append((question, (result.evaluated, result.proof)))
        asked = [question for question, _ in good]
        try:
            outputs = VoprfClient(epoch.manifest.public_key).finalize_many(
                [question.subject.encode() for question in asked],
                [question.blinded for question in asked],
                [evaluation for _, evaluation in good],
            )
        except CryptoError as error:
            elements = b"".join(question.blinded.element for question in asked)
            artefacts = (wire.encode(epoch.sealed.manifest), wire.encode(reply.answer), elements)
            self._damaged(epoch, "evaluation", f"the node did not evaluate with the epoch's key: {error}", artefacts)
        context = tag_context(self.table, epoch.manifest.epoch)
        for question, y in zip(asked, outputs, strict=True):
            question.tag, question.key = cells.derive(y, context)

    def _fetch(self, epoch: Epoch, questions: list[_Question]) -> None:
        """(4) The columns by private retrieval; what is found is looked at only after the last call."""
        size = max(1, min(MOST_QUERIES_A_REQUEST, QUERY_BYTES_A_REQUEST // (4 * epoch.manifest.columns)))
        fetched: list[tuple[_Question, int, NDArray[np.uint8]]] = []
        for start in range(0, len(questions), size):
            batch = questions[start : start + size]
            places = [epoch.table.column_of(question.tag) for question in batch]
            queries, states = epoch.client.query_many(places)
            request = QueryColumns(epoch=epoch.manifest.epoch, count=len(batch), queries=wire.pack(queries))
            answer = self._bank.node.post(f"/tables/{self.table}/columns", request, ColumnAnswers)
            answers = wire.unpack(answer.answers, "<u4", (len(batch), epoch.manifest.rows), "answers")
            columns = epoch.client.recover_many(states, answers.astype(np.uint32, copy=False), epoch.hint)
            fetched += zip(batch, places, columns, strict=True)
        for question, place, column in fetched:
            try:
                question.record = epoch.table.open(place, column, question.tag, question.key)
            except Damaged as damage:
                question.damage, question.column = damage.detail, place.to_bytes(4) + column.tobytes()

    # ---------------------------------------------------------------- outcomes

    @staticmethod
    def _raise_refusal(question: _Question) -> None:
        if question.refused is not None:
            raise question.refused

    def _report_damage(self, epoch: Epoch, questions: list[_Question]) -> None:
        damaged = [question for question in questions if question.damage]
        if damaged:
            artefacts = (wire.encode(epoch.sealed.manifest), *(question.column for question in damaged[:8]))
            self._damaged(epoch, "column", f"{len(damaged)} of {len(questions)} answers: {damaged[0].damage}", artefacts)

    def _damaged(self, epoch: Epoch, what: str, detail: str, artefacts: tuple[bytes, ...]) -> NoReturn:
        self._bank.damaged(what, detail, table=self.table, epoch=epoch.manifest.epoch, artefacts=artefacts)

    def _result(self, epoch: Epoch, question: _Question, receipt: Receipt | None = None) -> CheckResult:
        return CheckResult(
            question.subject, self.table, epoch.manifest.epoch, question.record, question.refused, question.leaf, receipt
        )


def _problem(slug: str, detail: str) -> Problem:
    return problems.REGISTRY.get(slug, Problem)(detail)
