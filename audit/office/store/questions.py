"""Tickets that were issued, and who asked about whom."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, insert, select

from audit.office.tables import access, log, ticket
from models.tickets import Access


@dataclass(frozen=True, repr=False)
class Issued:
    """One issued ticket as the audit needs it: whose, for what, and on which consents."""

    element: bytes
    subject: str
    project: str
    context: bytes
    proof: bytes
    query_consent: str
    collection_consent: str
    salt: bytes
    approval: bytes | None
    issued_at: int


@dataclass(frozen=True, repr=False)
class Attempt:
    """One question about a subject, granted or refused."""

    subject: str
    at: int
    bank: str
    officer: str
    purpose: str
    table_name: str
    outcome: str


def add_tickets(connection: Connection, issued: Iterable[Issued]) -> None:
    """Store issued tickets; IntegrityError where an element was seen before."""
    rows = [vars(one) for one in issued]
    if rows:
        connection.execute(insert(ticket), rows)


def seen(connection: Connection, elements: Sequence[bytes]) -> set[bytes]:
    """Those of the elements for which a ticket was issued before."""
    found: set[bytes] = set()
    for start in range(0, len(elements), 500):
        query = select(ticket.c.element).where(ticket.c.element.in_(elements[start : start + 500]))
        found.update(bytes(element) for element in connection.execute(query).scalars())
    return found


def add_attempts(connection: Connection, attempts: Sequence[Attempt], queue_ids: Sequence[int]) -> None:
    """Store attempts, each with the queue id of its leaf."""
    rows = [{**vars(one), "queue_id": queue_id} for one, queue_id in zip(attempts, queue_ids, strict=True)]
    if rows:
        connection.execute(insert(access), rows)


def of_subject(connection: Connection, subject: str) -> tuple[Access, ...]:
    """All questions about a subject, oldest first; index -1 where the leaf has no index yet."""
    entries = log.entries
    query = (
        select(access, entries.c.index.label("leaf_index"))
        .outerjoin(entries, entries.c.queue_id == access.c.queue_id)
        .where(access.c.subject == subject)
        .order_by(access.c.id)
    )
    return tuple(
        Access(
            at=row.at,
            bank=row.bank,
            officer=row.officer,
            purpose=row.purpose,
            table=row.table_name,
            outcome=row.outcome,
            index=-1 if row.leaf_index is None else row.leaf_index,
        )
        for row in connection.execute(query)
    )
