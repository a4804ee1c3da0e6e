"""Spending tickets and answering column queries.

Tickets are checked one by one; in a batch a bad one is refused without the others. An element that was evaluated is
remembered under its bytes alone, so that no key ever evaluates it again.
"""

from __future__ import annotations

import numpy as np
from sqlalchemy import Connection

from audit.service.leaves import LeafDraft
from audit.service.outcome import Call, Outcome
from crypto import pir
from crypto.errors import InvalidElement
from crypto.group import decode_element
from crypto.voprf import VoprfServer
from models import wire
from models.problems import BadElement, BadMessage, BadSignature, BadTicket, Problem, Suspended
from models.tables import ColumnAnswers, Manifest, QueryColumns
from models.tickets import EvaluateTickets, Evaluation, Evaluations, Ticket
from models.wire import Signed, pack, unpack
from sharing_node.epochs.store import EpochStore, epoch_key
from sharing_node.node import Node
from sharing_node.state import repository as state

MOST_TICKETS = 10_000
MOST_QUERIES = 4_096


class Queries:
    """Handlers about private queries."""

    def __init__(self, node: Node, store: EpochStore) -> None:
        self._node = node
        self._store = store

    def evaluate(self, call: Call) -> Outcome:
        """POST /tables/{table}/evaluate: k·B with a DLEQ proof for each good ticket, each with its own leaf."""
        body: EvaluateTickets = call.body
        if not 1 <= len(body.tickets) <= MOST_TICKETS:
            raise BadMessage(f"between 1 and {MOST_TICKETS} tickets are taken at once")
        with call.engine.connect() as connection:
            current = state.current_epoch(connection, call.path["table"], call.now)
            manifest = wire.decode(current.manifest.payload, Manifest)
            checked = [self._check(call, manifest, ticket) for ticket in body.tickets]
            seen = state.spent_among(connection, [t.element for t in checked if isinstance(t, Ticket)])
        verdicts: list[Ticket | Problem] = []
        for item in checked:
            spent = isinstance(item, Ticket) and item.element in seen
            verdicts.append(BadTicket("this ticket was spent before") if spent else item)
            if isinstance(item, Ticket):
                seen.add(item.element)
        good = [item for item in verdicts if isinstance(item, Ticket)]
        if not good and len(verdicts) == 1 and isinstance(verdicts[0], Problem):
            raise verdicts[0]
        evaluations = iter(self._server(manifest).blind_evaluate_many([ticket.element for ticket in good]))
        results, leaves = [], []
        for item, signed in zip(verdicts, body.tickets, strict=True):
            if isinstance(item, Ticket):
                evaluation = next(evaluations)
                results.append(Evaluation(evaluated=evaluation.element, proof=evaluation.proof))
            else:
                results.append(Evaluation(problem=item.slug(), detail=item.detail))
            leaves.append(self._leaf(manifest, item, signed))

        def record(connection: Connection) -> None:
            state.spend_elements(connection, manifest.table, [ticket.element for ticket in good], call.now)

        return Outcome(Evaluations(results=tuple(results)), leaves, record)

    def columns(self, call: Call) -> ColumnAnswers:
        """POST /tables/{table}/columns: D·query for each query of an open epoch."""
        body: QueryColumns = call.body
        with call.engine.connect() as connection:
            signed = state.epoch_manifest(connection, call.path["table"], body.epoch, call.now)
        manifest = wire.decode(signed.payload, Manifest)
        if not 1 <= body.count <= MOST_QUERIES:
            raise BadMessage(f"between 1 and {MOST_QUERIES} queries are taken at once")
        queries = unpack(body.queries, "<u4", (body.count, manifest.columns), "queries")
        answers = pir.answer_many(self._store.matrix(manifest.table, manifest.epoch), queries.astype(np.uint32, copy=False))
        return ColumnAnswers(answers=pack(answers))

    def _check(self, call: Call, manifest: Manifest, signed: Signed) -> Ticket | Problem:
        try:
            ticket = self._node.office.statement(signed, Ticket)
            context = ticket.context
            if context.bank != call.institution.id or context.officer != call.person.id:
                raise BadTicket("this ticket was given to another bank or person")
            if (context.table, context.epoch) != (manifest.table, manifest.epoch):
                raise BadTicket("this ticket is for another table or epoch")
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

    def _server(self, manifest: Manifest) -> VoprfServer:
        # Read anew each time: a key that was destroyed with its epoch must not live on in some worker's memory.
        return self._node.keys.oprf(epoch_key(manifest.table, manifest.epoch))

    def _leaf(self, manifest: Manifest, item: Ticket | Problem, signed: Signed) -> LeafDraft:
        facts: dict[str, str | int | bool] = {"table": manifest.table, "epoch": manifest.epoch, "ticket": signed.digest()}
        if isinstance(item, Ticket):
            return LeafDraft("check.evaluate", {**facts, "purpose": item.context.purpose, "project": item.context.project})
        return LeafDraft("check.evaluate", facts, {"detail": item.detail}, outcome="refused", problem=item.slug())
