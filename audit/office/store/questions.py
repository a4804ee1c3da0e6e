"""Tickets that were issued, and who asked about whom."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, Row, and_, bindparam, func, insert, select

from audit.office.tables import access, log, report, ticket
from models.tickets import Access

GRANTED, LOOKED, LOOKED_IN_VAIN = "granted", "looked", "looked-in-vain"
"""Outcomes beside the problems that refuse: a ticket was given; the consents were looked at, and stood or did not."""


@dataclass(frozen=True, repr=False)
class Issued:
    """One issued ticket as the audit needs it: whose, for what, and on which consents.

    The two `further` are ids, one a line, of consents beside the first: each sensitive field has one of its own.
    """

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
    digest: str
    batch: str | None
    further_query_consents: str = ""
    further_collection_consents: str = ""
    table_name: str = ""
    epoch: int = -1
    expires: int = 0


@dataclass(frozen=True, repr=False)
class Attempt:
    """One question about a subject, granted or refused; `ticket` is the digest of what was granted.

    `region` is where the subject's identity code was given out (six digits), empty where it does not say.
    """

    subject: str
    at: int
    bank: str
    officer: str
    purpose: str
    table_name: str
    outcome: str
    region: str
    batch: str | None = None
    ticket: str | None = None
    project: str = ""
    epoch: int = -1


# What is asked at every single question is built once: that costs more than to run it.
_SINGLE = and_(access.c.officer == bindparam("officer_"), access.c.at > bindparam("since"), access.c.batch.is_(None))
_NEWEST = (
    select(access.c.id)
    .where(_SINGLE, access.c.outcome.not_in((LOOKED, LOOKED_IN_VAIN)))
    .order_by(access.c.at.desc())
    .limit(bindparam("most"))
)
_BEFORE = select(access.c.id).where(_SINGLE, access.c.subject == bindparam("subject_")).limit(1)
_DISTINCT = select(func.count(access.c.subject.distinct())).where(_SINGLE, access.c.region == bindparam("region_"))
_SEEN = select(ticket.c.element).where(ticket.c.element.in_(bindparam("elements", expanding=True)))


def add_tickets(connection: Connection, issued: Iterable[Issued]) -> None:
    """Store issued tickets; IntegrityError where an element was seen before."""
    rows = [vars(one) for one in issued]
    if rows:
        connection.execute(insert(ticket), rows)


def seen(connection: Connection, elements: Sequence[bytes]) -> set[bytes]:
    """Those of the elements for which a ticket was issued before."""
    found: set[bytes] = set()
    for start in range(0, len(elements), 500):
        some = connection.execute(_SEEN, {"elements": list(elements[start : start + 500])})
        found.update(bytes(element) for element in some.scalars())
    return found


def add_attempts(connection: Connection, attempts: Sequence[Attempt], queue_ids: Sequence[int]) -> None:
    """Store attempts, each with the queue id of its leaf."""
    rows = [{**vars(one), "queue_id": queue_id} for one, queue_id in zip(attempts, queue_ids, strict=True)]
    if rows:
        connection.execute(insert(access), rows)


def count_single(connection: Connection, officer: str, since: int, most: int) -> int:
    """How many single questions an officer asked since then, looks at consents left out; counted no further than `most`."""
    return len(connection.execute(_NEWEST, {"officer_": officer, "since": since, "most": most}).all())


def asked_before(connection: Connection, officer: str, subject: str, since: int) -> bool:
    """Whether an officer asked about this subject since then, outside of a batch."""
    return connection.execute(_BEFORE, {"officer_": officer, "since": since, "subject_": subject}).first() is not None


def distinct_subjects(connection: Connection, officer: str, region: str, since: int) -> int:
    """How many subjects of a region an officer asked about since then, outside of a batch."""
    return connection.execute(_DISTINCT, {"officer_": officer, "since": since, "region_": region}).scalar_one()


def of_subject(connection: Connection, subject: str, report_due: int) -> tuple[Access, ...]:
    """All questions about a subject, oldest first, each with its last report; index -1 where the leaf has no index yet.

    A granted one from before `report_due` without a report is overdue.
    """
    entries, later = log.entries, report.alias()
    corrected = select(later.c.number).where(later.c.ticket == report.c.ticket, later.c.number > report.c.number).exists()
    query = (
        select(access, entries.c.index.label("leaf_index"), report.c.outcome.label("report"), report.c.filed_at)
        .outerjoin(entries, entries.c.queue_id == access.c.queue_id)
        .outerjoin(report, and_(report.c.ticket == access.c.ticket, ~corrected))
        .where(access.c.subject == subject)
        .order_by(access.c.id)
    )
    return tuple(_access(row, report_due) for row in connection.execute(query))


def _access(row: Row[tuple[object, ...]], report_due: int) -> Access:
    return Access(
        at=row.at,
        bank=row.bank,
        officer=row.officer,
        purpose=row.purpose,
        table=row.table_name,
        outcome=row.outcome,
        index=-1 if row.leaf_index is None else row.leaf_index,
        batch=row.batch or "",
        ticket=row.ticket or "",
        report=row.report or "",
        reported_at=row.filed_at or 0,
        overdue=row.ticket is not None and row.report is None and row.at < report_due,
    )
