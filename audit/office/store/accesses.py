"""An auditor's search among all questions ever asked; every way in has an index that gives the newest first."""

from __future__ import annotations

from typing import Any

import msgspec
from sqlalchemy import Connection, Row, Select, and_, select, tuple_

from audit.office.audit_tables import table_field
from audit.office.exposure_tables import exposure
from audit.office.store.questions import GRANTED, LOOKED, LOOKED_IN_VAIN
from audit.office.tables import access, log, report
from models.exposure import TABLE as EXPOSURE
from models.oversight import OVERDUE, REFUSED, UNREPORTED, FoundAccess, SearchAccesses
from models.reports import CheckOutcome

EQUAL = {"bank": "bank", "officer": "officer", "subject": "subject", "purpose": "purpose", "project": "project",
         "batch": "batch", "table": "table_name"}  # fmt: skip
"""What is searched for as it stands: the name in a search, and the column."""


def search(
    connection: Connection, ask: SearchAccesses, after: tuple[int, int] | None, report_due: int
) -> tuple[FoundAccess, ...]:
    """At most `ask.most` accesses, newest first, older than `after` (time and id)."""
    query = _query(ask, after, report_due)
    if not ask.field:
        return tuple(_row(row, report_due) for row in connection.execute(query))
    # Table by table, each from its own index, and the newest of all: one query over many tables would sort all their rows.
    tables = connection.execute(select(table_field.c.table_name).where(table_field.c.field == ask.field)).scalars().all()
    rows = [row for table in tables for row in connection.execute(query.where(access.c.table_name == table))]
    rows.sort(key=lambda row: (row.at, row.id), reverse=True)
    return tuple(_row(row, report_due) for row in rows[: ask.most])


def _query(ask: SearchAccesses, after: tuple[int, int] | None, report_due: int) -> Select[Any]:
    query = _found()
    for name, column in EQUAL.items():
        if wanted := getattr(ask, name):
            query = query.where(access.c[column] == wanted)
    if ask.since:
        query = query.where(access.c.at >= ask.since)
    if ask.until:
        query = query.where(access.c.at < ask.until)
    if ask.result:
        query = query.where(_result(ask.result, report_due))
    if after is not None:
        query = query.where(tuple_(access.c.at, access.c.id) < after)
    return query.order_by(access.c.at.desc(), access.c.id.desc()).limit(ask.most)


def get(connection: Connection, number: int, report_due: int) -> FoundAccess | None:
    """One access, or None."""
    row = connection.execute(_found().where(access.c.id == number)).one_or_none()
    return None if row is None else _row(row, report_due)


def queue_id(connection: Connection, number: int) -> int:
    """The queue id of an access's leaf."""
    return int(connection.execute(select(access.c.queue_id).where(access.c.id == number)).scalar_one())


def exposure_of(connection: Connection, number: int) -> Row[Any] | None:
    """The question of an exposure check behind an access, or None. The access's leaf names its ticket."""
    queued = select(log.entries.c.entry).join(access, access.c.queue_id == log.entries.c.queue_id)
    entry = connection.execute(queued.where(access.c.id == number, access.c.table_name == EXPOSURE)).scalar()
    if entry is None:
        return None
    ticket = msgspec.json.decode(bytes(entry))["facts"].get("ticket", "")
    return connection.execute(select(exposure).where(exposure.c.ticket == ticket)).one_or_none()


def _found() -> Select[Any]:
    later = report.alias()
    corrected = select(later.c.number).where(later.c.ticket == report.c.ticket, later.c.number > report.c.number).exists()
    joined = select(access, report.c.outcome.label("report"), report.c.filed_at)
    return joined.select_from(access).outerjoin(report, and_(report.c.ticket == access.c.ticket, ~corrected))


def _result(result: str, report_due: int) -> Any:
    unreported = and_(access.c.ticket.is_not(None), report.c.outcome.is_(None))
    if result == REFUSED:
        return access.c.outcome.not_in((GRANTED, LOOKED, LOOKED_IN_VAIN))
    if result == UNREPORTED:
        return unreported
    if result == OVERDUE:
        return and_(unreported, access.c.at < report_due)
    if result in set(CheckOutcome):
        return report.c.outcome == result
    return access.c.outcome == result


def _row(row: Row[Any], report_due: int) -> FoundAccess:
    return FoundAccess(
        id=row.id,
        at=row.at,
        bank=row.bank,
        officer=row.officer,
        subject=row.subject,
        purpose=row.purpose,
        project=row.project,
        table=row.table_name,
        epoch=row.epoch,
        outcome=row.outcome,
        batch=row.batch or "",
        ticket=row.ticket or "",
        report=row.report or "",
        reported_at=row.filed_at or 0,
        overdue=row.ticket is not None and row.report is None and row.at < report_due,
    )
