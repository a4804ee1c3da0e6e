"""Proven inputs of sums over banks: a masked input is recomputed from what its bank opens, before anything is unmasked.

Messages: `models.aggregation`. The office keeps the digest and its own word, never a vector. Openings of a training come with
the training; `check_received` and `recompute` serve them as well.

Leakage: while a request lasts the office sees a bank's vector, and the masks of one round.
"""

from __future__ import annotations

import hashlib

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, insert, select

from audit.office.office import Office
from audit.office.projects import Projects
from audit.office.store import alarms
from audit.office.store.projects import APPROVED
from audit.office.tables import opening as opening_table
from audit.service.leaves import LeafDraft
from audit.service.outcome import Call, Outcome
from crypto.errors import CryptoError
from crypto.secure_aggregation import replay, words_digest
from models.aggregation import AggregationPlan, AggregationPurpose, FileOpening, InputReceived, ProvenInput
from models.problems import BadMessage, Conflict, Forbidden, NotApproved, Suspended, Unusable
from models.statistics import MalformedInput, check_input, decode_table
from models.wire import Signed, decode, encode, unpack


class Openings:
    """The handler of openings."""

    def __init__(self, office: Office) -> None:
        self._office = office

    def file(self, call: Call) -> Outcome:
        """POST /aggregations/openings: recompute a masked input of statistics; answers with the signed `ProvenInput`."""
        body: FileOpening = call.body
        plan, received = check_received(self._office, call, body.plan, body.received)
        if plan.purpose is not AggregationPurpose.STATISTICS:
            raise Unusable("inputs of a training are opened with the training")
        vector = unpack(body.vector, "<u8", (plan.length,), "the vector").astype(np.uint64, copy=False)
        try:
            check_input(decode_table(plan.form), vector)
            reason = recompute(plan, received, body.keys, body.opening, vector)
        except MalformedInput as error:
            reason = str(error)
        return self.outcome(call, plan, received, reason)

    def outcome(self, call: Call, plan: AggregationPlan, received: InputReceived, reason: str) -> Outcome:
        """The word on an input, good where there is no `reason` against it: given once, with its leaf, and an alarm if bad."""
        proven = ProvenInput(
            session=plan.session,
            number=received.number,
            bank=received.bank,
            masked=received.masked,
            usable=not reason,
            reason=reason,
        )
        signed = self._office.sign(proven)

        def record(connection: Connection) -> None:
            add_opening(connection, proven, signed, call.now)
            if reason:
                alarms.raise_alarm(
                    connection, at=call.now, kind="aggregation", institution=proven.bank, about=plan.session, detail=reason
                )

        facts = {"session": plan.session, "round": received.number, "usable": proven.usable, "masked": received.masked.hex()}
        return Outcome(signed, [LeafDraft("aggregate.proof", facts | {"reason": reason})], record)


def check_received(
    office: Office, call: Call, signed_plan: Signed, signed_input: Signed
) -> tuple[AggregationPlan, InputReceived]:
    """The node's word on a session and on this bank's input in it, of an approved project that this person sits in."""
    plan = office.node_statement(signed_plan, AggregationPlan)
    received = office.node_statement(signed_input, InputReceived)
    with call.engine.connect() as connection:
        stored = Projects.get(connection, plan.project)
    if stored.suspended:
        raise Suspended("this project is suspended by the credit office")
    if stored.state != APPROVED or stored.approval is None or stored.approval.digest() != plan.approval:
        raise NotApproved("the plan of this sum rests on another approval than the office has given")
    if not any((seat.bank, seat.person) == (call.institution.id, call.person.id) for seat in plan.seats):
        raise Forbidden("only who acts for one of the project's banks may do this")
    if (received.session, received.bank) != (plan.session, call.institution.id) or received.number < 1:
        raise BadMessage("the node's word is on another sum's or another bank's input")
    if received.round != plan.round(received.number).digest:
        raise BadMessage("the node's word is on a round of other terms than the plan's")
    return plan, received


def recompute(plan: AggregationPlan, received: InputReceived, keys: bytes, opening: bytes, vector: NDArray[np.uint64]) -> str:
    """Why ``vector`` and the opened masks do not give the input that the node received; empty where they do."""
    if hashlib.sha256(keys).digest() != received.keys:
        raise BadMessage("this is another key list than the round's")
    try:
        masked = replay(plan.round(received.number), opening, keys, received.sharers, received.bank, vector)
    except CryptoError as error:
        return str(error)
    return "" if words_digest(masked) == received.masked else "the masked input is not that of the vector that was opened"


def add_opening(connection: Connection, proven: ProvenInput, signed: Signed, now: int) -> None:
    """Store the word on an input; raises `Conflict` where another one was given on this bank's input of this round."""
    key = (proven.session, proven.number, proven.bank)
    columns = (opening_table.c.session, opening_table.c.number, opening_table.c.bank)
    same = (column == value for column, value in zip(columns, key, strict=True))
    earlier = connection.execute(select(opening_table.c.document).where(*same)).scalar()
    if earlier is not None:
        if decode(bytes(earlier), Signed) == signed:
            return
        raise Conflict("there is a word of the office on this input already; it is given once")
    row = {"session": proven.session, "number": proven.number, "bank": proven.bank, "masked": proven.masked}
    connection.execute(insert(opening_table).values(**row, document=encode(signed), at=now))
