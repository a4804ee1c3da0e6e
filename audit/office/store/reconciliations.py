"""The runs that compared a day's tickets, leaves and evaluations, and what they found."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Row, Select, func, insert, select

from audit.office.audit_tables import finding, reconciliation, table_count
from audit.office.store.orphans import Orphan
from audit.office.tables import log
from models.reconciliation import Finding, ReconciledDay, TableCount


def add_run(connection: Connection, run: ReconciledDay, queue_id: int) -> int:
    """Store a run; its number."""
    names = [column.name for column in reconciliation.c if column.name not in {"id", "queue_id"}]
    values = {name: getattr(run, name) for name in names}
    key = connection.execute(insert(reconciliation).values(values | {"queue_id": queue_id})).inserted_primary_key
    assert key is not None
    return int(key[0])


def add_details(connection: Connection, run: int, day: str, tables: Sequence[TableCount], found: Sequence[Orphan]) -> None:
    """Store what a run counted and found."""
    if tables:
        names = ("epoch", "tickets", "leaves", "evaluations", "unused")
        rows = [{"run": run, "table_name": one.table} | {name: getattr(one, name) for name in names} for one in tables]
        connection.execute(insert(table_count), rows)
    if found:
        rows = [{"run": run, "day": day, "table_name": one.table} | vars(one) for one in found]
        connection.execute(insert(finding), [{name: row[name] for name in row if name != "table"} for row in rows])


def days(connection: Connection, since: str, until: str) -> tuple[ReconciledDay, ...]:
    """The last run over each day from `since` to `until`, oldest first."""
    last = select(func.max(reconciliation.c.id)).where(reconciliation.c.day.between(since, until))
    query = _runs().where(reconciliation.c.id.in_(last.group_by(reconciliation.c.day))).order_by(reconciliation.c.day)
    return tuple(_day(row) for row in connection.execute(query))


def last_run(connection: Connection, day: str) -> tuple[int, ReconciledDay] | None:
    """The last run over a day, with its number."""
    query = _runs().where(reconciliation.c.day == day).order_by(reconciliation.c.id.desc()).limit(1)
    row = connection.execute(query).one_or_none()
    return None if row is None else (row.id, _day(row))


def tables_of(connection: Connection, run: int) -> tuple[TableCount, ...]:
    """What a run counted."""
    query = select(table_count).where(table_count.c.run == run).order_by(table_count.c.table_name, table_count.c.epoch)
    names = ("epoch", "tickets", "leaves", "evaluations", "unused")
    rows = connection.execute(query)
    return tuple(TableCount(table=row.table_name, **{name: getattr(row, name) for name in names}) for row in rows)


def findings_of(connection: Connection, run: int, most: int) -> tuple[Finding, ...]:
    """What a run found, at most so much."""
    query = select(finding).where(finding.c.run == run).order_by(finding.c.id).limit(most)
    return tuple(_finding(row) for row in connection.execute(query))


def get_finding(connection: Connection, number: int) -> Finding | None:
    """One finding, or None."""
    row = connection.execute(select(finding).where(finding.c.id == number)).one_or_none()
    return None if row is None else _finding(row)


def _runs() -> Select[Any]:
    joined = select(reconciliation, log.entries.c.index.label("leaf_index"))
    return joined.select_from(reconciliation).outerjoin(log.entries, log.entries.c.queue_id == reconciliation.c.queue_id)


def _day(row: Row[Any]) -> ReconciledDay:
    names = [name for name in ReconciledDay.__struct_fields__ if name != "index"]  # type: ignore[attr-defined]
    index = -1 if row.leaf_index is None else row.leaf_index
    return ReconciledDay(**{name: getattr(row, name) for name in names}, index=index)


def _finding(row: Row[Any]) -> Finding:
    names = [name for name in Finding.__struct_fields__ if name != "table"]  # type: ignore[attr-defined]
    return Finding(**{name: getattr(row, name) for name in names}, table=row.table_name)
