"""Reports on checks: a bank's own word on what became of each ticket, the corrections included."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, insert, select

from audit.office.tables import report, ticket
from models.reports import CheckReport
from models.tickets import TicketContext
from models.wire import Signed, decode, encode


@dataclass(frozen=True)
class LastReport:
    """The report on a ticket that no other one corrects."""

    number: int
    digest: str


def ticket_context(connection: Connection, digest: str) -> TicketContext | None:
    """What the ticket with this digest is for, or None where there is none."""
    context = connection.execute(select(ticket.c.context).where(ticket.c.digest == digest)).scalar()
    return None if context is None else decode(bytes(context), TicketContext)


def last(connection: Connection, digest: str) -> LastReport | None:
    """The last report on a ticket, or None."""
    query = select(report.c.number, report.c.digest).where(report.c.ticket == digest).order_by(report.c.number.desc())
    row = connection.execute(query.limit(1)).one_or_none()
    return None if row is None else LastReport(row.number, row.digest)


def add(connection: Connection, number: int, said: CheckReport, signed: Signed, now: int) -> None:
    """Store a report; IntegrityError where the ticket has one of this number."""
    row = {"ticket": said.ticket, "number": number, "officer": signed.signer, "outcome": str(said.outcome)}
    connection.execute(insert(report).values(**row, digest=signed.digest(), document=encode(signed), filed_at=now))
