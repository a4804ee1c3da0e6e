"""Spending tickets and answering column queries.

Tickets are checked one by one; in a batch a bad one is refused without the others. All of one request are for one epoch, the
present one or an earlier one that still answers, and are evaluated under its key. An element that was evaluated is remembered
under its bytes alone, so that no key ever evaluates it again; that, and the bank's count for the epoch, are part of the
transaction that queues the leaf.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from sqlalchemy import Connection, Engine

from audit.combining import Combiner
from audit.service.leaves import LeafDraft
from audit.service.outcome import Call, Outcome, Shared
from crypto import voprf
from crypto.errors import InvalidElement
from crypto.group import decode_element
from models.problems import BadElement, BadMessage, BadSignature, BadTicket, NotFound, Problem, Suspended
from models.tables import ColumnAnswers, QueryColumns
from models.tickets import EvaluateTickets, Evaluation, Evaluations, Ticket
from models.wire import Signed, pack, unpack
from sharing_node.epochs.combiner import ColumnCombiner
from sharing_node.epochs.store import EpochStore, epoch_key
from sharing_node.keys import MissingKey
from sharing_node.node import Node
from sharing_node.served_models import check_served
from sharing_node.state import repository as state
from sharing_node.state import spending

MOST_TICKETS = 10_000
MOST_QUERIES = 4_096
BRIEF_TICKETS = 64
"""Requests with no more tickets than this are evaluated, and committed, together with others that wait."""


@dataclass(frozen=True)
class _Asked:
    """One request's tickets as they were read: a ticket, or what is wrong with it."""

    engine: Engine
    table: str
    epoch: int
    now: int
    opened: list[Ticket | Problem]

    def of_epoch(self) -> tuple[str, int]:
        """What requests have in common that are evaluated together."""
        return self.table, self.epoch


@dataclass(frozen=True)
class _Evaluated:
    """A good ticket and k·B with its proof."""

    ticket: Ticket
    answer: voprf.Evaluation


@dataclass(frozen=True)
class _Spent:
    """What one request spends, when its transaction is made."""

    bank: str
    table: str
    epoch: int
    elements: tuple[bytes, ...]
    at: int


class Queries:
    """Handlers about private queries."""

    def __init__(self, node: Node, store: EpochStore) -> None:
        self._node = node
        self._store = store
        self._together = Combiner(
            self._evaluate, most=BRIEF_TICKETS, key=_Asked.of_epoch, weight=lambda asked: len(asked.opened)
        )
        self._combiner = ColumnCombiner(passes=node.settings.column_passes, requests=node.settings.column_requests)

    def evaluate(self, call: Call) -> Outcome:
        """POST /tables/{table}/evaluate: k·B with a DLEQ proof for each good ticket, each with its own leaf."""
        body: EvaluateTickets = call.body
        if not 1 <= len(body.tickets) <= MOST_TICKETS:
            raise BadMessage(f"between 1 and {MOST_TICKETS} tickets are taken at once")
        table = call.path["table"]
        opened = [self._open(call, ticket) for ticket in body.tickets]
        epoch = next((item.context.epoch for item in opened if isinstance(item, Ticket) and item.context.table == table), -1)
        asked = _Asked(call.engine, table, epoch, call.now, opened)
        brief = len(opened) <= BRIEF_TICKETS
        verdicts = self._together(asked) if brief else self._evaluate([asked])[0]
        good = [item.ticket.element for item in verdicts if isinstance(item, _Evaluated)]
        if not good and len(verdicts) == 1 and isinstance(verdicts[0], Problem):
            raise verdicts[0]
        results, leaves = [], []
        for item, signed in zip(verdicts, body.tickets, strict=True):
            if isinstance(item, _Evaluated):
                results.append(Evaluation(evaluated=item.answer.element, proof=item.answer.proof))
            else:
                results.append(Evaluation(problem=item.slug(), detail=item.detail))
            leaves.append(_leaf(table, epoch, item, signed))

        spent = _Spent(call.institution.id, table, epoch, tuple(good), call.now)
        return Outcome(Evaluations(results=tuple(results)), leaves, brief=brief, shared=Shared(self._spend, spent))

    def _spend(self, connection: Connection, spent: Sequence[_Spent]) -> None:
        """The elements of several requests, and what their banks asked of the epoch."""
        elements: defaultdict[tuple[str, int], list[bytes]] = defaultdict(list)
        counts: defaultdict[tuple[str, str, int], int] = defaultdict(int)
        for one in spent:
            elements[one.table, one.at] += one.elements
            counts[one.bank, one.table, one.epoch] += len(one.elements)
        for (table, at), these in elements.items():
            spending.spend_elements(connection, table, these, at)
        allowed = self._node.settings.checks_per_epoch
        for (bank, table, epoch), amount in sorted(counts.items()):
            spending.spend_checks(connection, bank, table, epoch, amount=amount, allowed=allowed)

    def columns(self, call: Call) -> ColumnAnswers:
        """POST /tables/{table}/columns: D·query for each query of an open epoch."""
        body: QueryColumns = call.body
        table = call.path["table"]
        with call.engine.connect() as connection:
            if not spending.epoch_answers(connection, table, body.epoch, call.now):
                raise NotFound("this table has no such epoch, or it is closed")
        if not 1 <= body.count <= MOST_QUERIES:
            raise BadMessage(f"between 1 and {MOST_QUERIES} queries are taken at once")
        matrix = self._store.matrix(table, body.epoch)
        queries = unpack(body.queries, "<u4", (body.count, matrix.shape[1]), "queries")
        return ColumnAnswers(answers=pack(self._combiner.answer(matrix, queries.astype(np.uint32, copy=False))))

    def _evaluate(self, asked: Sequence[_Asked]) -> list[list[_Evaluated | Problem]]:
        """What becomes of the tickets of several requests for one table and epoch: the state is read once, the key as well."""
        table, epoch, now = asked[0].table, asked[0].epoch, max(one.now for one in asked)
        with asked[0].engine.connect() as connection:
            answers = spending.epoch_answers(connection, table, epoch, now)
            if not answers and not state.table_exists(connection, table):
                raise NotFound("no such table")
            check_served(self._node, connection, table, now)
            checked = [[self._check(item, table, epoch, answers) for item in one.opened] for one in asked]
            # Looked for here and again where it is spent: the key touches no element twice, even if nothing were released.
            elements = [item.element for one in checked for item in one if isinstance(item, Ticket)]
            seen = spending.spent_among(connection, elements)
        verdicts = [list(_once_each(one, seen)) for one in checked]
        good = [item.element for one in verdicts for item in one if isinstance(item, Ticket)]
        evaluations = iter(self._server(table, epoch).blind_evaluate_many(good) if good else ())
        return [[_Evaluated(item, next(evaluations)) if isinstance(item, Ticket) else item for item in one] for one in verdicts]

    def _open(self, call: Call, signed: Signed) -> Ticket | Problem:
        """What a ticket says, if it is the office's word to this officer and stands now."""
        try:
            ticket = self._node.office.statement(signed, Ticket)
            context = ticket.context
            if context.bank != call.institution.id or context.officer != call.person.id:
                raise BadTicket("this ticket was given to another bank or person")
            if context.expires <= call.now:
                raise BadTicket("this ticket has expired")
            if self._node.office.project_suspended(context.project):
                raise Suspended("the project of this ticket is suspended by the credit office")
            decode_element(ticket.element)
        except (BadTicket, BadSignature, BadMessage, Suspended) as problem:
            return problem
        except InvalidElement as error:
            return BadElement(str(error))
        return ticket

    @staticmethod
    def _check(item: Ticket | Problem, table: str, epoch: int, answers: bool) -> Ticket | Problem:
        """Whether a good ticket is for this request: all of one request's tickets are for one epoch, which still answers."""
        if isinstance(item, Ticket):
            if (item.context.table, item.context.epoch) != (table, epoch):
                return BadTicket("this ticket is for another table or epoch than the first one of the request")
            if not answers:
                return BadTicket("this ticket is for another table or epoch than are open; ask for one of the present epoch")
        return item

    def _server(self, table: str, epoch: int) -> voprf.VoprfServer:
        # Read anew each time: a key that was destroyed with its epoch must not live on in some worker's memory.
        try:
            return self._node.keys.oprf(epoch_key(table, epoch))
        except MissingKey:
            raise BadTicket("the epoch of this ticket has just been closed; ask for a ticket of the present one") from None


def _once_each(checked: Sequence[Ticket | Problem], seen: set[bytes]) -> Iterator[Ticket | Problem]:
    """Only the first of several tickets for one element is good, and none for an element that was seen before."""
    for item in checked:
        if isinstance(item, Ticket) and item.element in seen:
            yield BadTicket("this ticket was spent before")
        else:
            if isinstance(item, Ticket):
                seen.add(item.element)
            yield item


def _leaf(table: str, epoch: int, item: _Evaluated | Problem, signed: Signed) -> LeafDraft:
    facts: dict[str, str | int | bool] = {"table": table, "epoch": epoch, "ticket": signed.digest()}
    if isinstance(item, _Evaluated):
        context = item.ticket.context
        return LeafDraft("check.evaluate", {**facts, "purpose": context.purpose, "project": context.project})
    return LeafDraft("check.evaluate", facts, {"detail": item.detail}, outcome="refused", problem=item.slug())
