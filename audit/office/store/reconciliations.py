"""What a day's tickets, leaves and evaluations are compared by, and the runs that did so."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Select, and_, func, insert, select

from audit.office.audit_tables import finding, reconciliation, seen_leaf, table_count
from audit.office.store.seen import NODE_LOG, OFFICE_LOG
from audit.office.tables import access, log, manifest, report, ticket
from models.reconciliation import Finding, ReconciledDay, TableCount
from models.reports import CheckOutcome
from models.tickets import TicketContext
from models.wire import decode

TICKET, EVALUATE, BUILD, OPEN, DONE = "ticket", "check.evaluate", "epoch.build", "epoch.open", "done"


@dataclass(frozen=True)
class Orphan:
    """Something that does not fit, as it is found."""

    rule: str
    table: str = ""
    epoch: int = -1
    ticket: str = ""
    node_index: int = -1
    office_index: int = -1
    detail: str = ""


@dataclass(frozen=True)
class Period:
    """POSIX seconds, `end` exclusive. `tolerance` is for an evaluation that comes in at its ticket's end."""

    begin: int
    end: int
    tolerance: int = 120

    def holds(self, column: ColumnElement[int]) -> ColumnElement[bool]:
        """Whether a time lies in it."""
        return and_(column >= self.begin, column < self.end)


def counts(connection: Connection, period: Period) -> tuple[TableCount, ...]:
    """Tickets of the period by table and epoch, with how many of them have a leaf here and an evaluation at the node."""
    has_leaf, was_evaluated = (_leaf_of_ticket(log_, action).exists() for log_, action in _BOTH)
    columns = (ticket.c.table_name, ticket.c.epoch)
    query = (
        select(*columns, func.count(), _count_where(has_leaf), _count_where(was_evaluated))
        .where(period.holds(ticket.c.issued_at))
        .group_by(*columns)
        .order_by(*columns)
    )
    return tuple(
        TableCount(table=table, epoch=epoch, tickets=all_, leaves=leaves, evaluations=done, unused=all_ - done)
        for table, epoch, all_, leaves, done in connection.execute(query)
    )


def orphans(connection: Connection, period: Period) -> Iterator[Orphan]:
    """Everything of the period that does not fit, rule by rule."""
    yield from _evaluations(connection, period)
    yield from _leaves_and_rows(connection, period)
    yield from _used(connection, period)
    yield from _epochs(connection, period)


def _evaluations(connection: Connection, period: Period) -> Iterator[Orphan]:
    node = seen_leaf.alias("node")
    evaluated = and_(node.c.log == NODE_LOG, node.c.action == EVALUATE, node.c.outcome == DONE)
    before = seen_leaf.alias("before")
    same = and_(before.c.log == NODE_LOG, before.c.action == EVALUATE, before.c.outcome == DONE, before.c.about == node.c.about)
    first = select(func.min(before.c.index)).where(same, before.c.index < node.c.index).scalar_subquery()
    joined = (
        select(node, ticket.c.context, first.label("first"))
        .select_from(node)
        .outerjoin(ticket, ticket.c.digest == node.c.about)
    )
    for row in connection.execute(joined.where(evaluated, period.holds(node.c.at)).order_by(node.c.index)):
        found = {"table": row.table_name, "epoch": row.epoch, "ticket": row.about, "node_index": row._mapping["index"]}
        if row.context is None:
            yield Orphan("evaluation-without-ticket", **found, detail=f"asked for by {row.institution}")
            continue
        if row.first is not None:
            yield Orphan("evaluation-twice", **found, detail=f"evaluated before, entry {row.first} of the node's log")
        if differences := _differences(row, decode(bytes(row.context), TicketContext), period.tolerance):
            yield Orphan("evaluation-differs", **found, detail="other than the ticket: " + ", ".join(differences))


def _differences(row: Row[Any], context: TicketContext, tolerance: int) -> list[str]:
    said = {
        "bank": (row.institution, context.bank),
        "table": (row.table_name, context.table),
        "epoch": (row.epoch, context.epoch),
        "purpose": (row.purpose, context.purpose),
        "project": (row.project, context.project),
        "time": (max(row.at, context.expires + tolerance), context.expires + tolerance),
    }
    return [name for name, (leaf, given) in said.items() if leaf != given]


def _leaves_and_rows(connection: Connection, period: Period) -> Iterator[Orphan]:
    own = seen_leaf.alias("own")
    given = and_(own.c.log == OFFICE_LOG, own.c.action == TICKET, own.c.outcome == DONE)
    known = select(ticket.c.element).where(ticket.c.digest == own.c.about).exists()
    for row in connection.execute(select(own).where(given, period.holds(own.c.at), ~known).order_by(own.c.index)):
        yield Orphan(
            "leaf-without-ticket",
            row.table_name,
            row.epoch,
            row.about,
            office_index=row._mapping["index"],
            detail=row.institution,
        )
    shown = select(access.c.id).where(access.c.ticket == ticket.c.digest).exists()
    for rule, present in (
        ("ticket-without-leaf", _leaf_of_ticket(OFFICE_LOG, TICKET).exists()),
        ("ticket-without-access", shown),
    ):
        columns = (ticket.c.digest, ticket.c.table_name, ticket.c.epoch)
        query = select(*columns).where(period.holds(ticket.c.issued_at), ~present).order_by(ticket.c.digest)
        for digest, table, epoch in connection.execute(query):
            yield Orphan(rule, table, epoch, digest or "", detail="a row of the office's own database")


def _used(connection: Connection, period: Period) -> Iterator[Orphan]:
    """Tickets that were reported in the period as used, and that the node has no evaluation of."""
    used = and_(period.holds(report.c.filed_at), report.c.outcome != str(CheckOutcome.NOT_USED))
    columns = (report.c.ticket, ticket.c.table_name, ticket.c.epoch, report.c.outcome)
    query = select(*columns).join(ticket, ticket.c.digest == report.c.ticket).where(used)
    query = query.where(~_leaf_of_ticket(NODE_LOG, EVALUATE).exists()).order_by(report.c.ticket).distinct()
    for digest, table, epoch, outcome in connection.execute(query):
        yield Orphan("used-without-evaluation", table, epoch, digest, detail=f"reported as {outcome}")


def _epochs(connection: Connection, period: Period) -> Iterator[Orphan]:
    node = seen_leaf.alias("node")
    built = select(node.c.index).where(
        node.c.log == NODE_LOG, node.c.action == BUILD, node.c.outcome == DONE, node.c.about == manifest.c.digest
    )
    columns = (manifest.c.table_name, manifest.c.epoch, manifest.c.digest)
    query = select(*columns).where(period.holds(manifest.c.sealed_at), ~built.exists()).order_by(*columns)
    for table, epoch, digest in connection.execute(query):
        yield Orphan("seal-without-build", table, epoch, detail=f"manifest {digest}")
    sealed = select(manifest.c.digest).where(manifest.c.digest == node.c.about).exists()
    opened = and_(node.c.log == NODE_LOG, node.c.action == OPEN, node.c.outcome == DONE, period.holds(node.c.at))
    for row in connection.execute(select(node).where(opened, ~sealed).order_by(node.c.index)):
        yield Orphan(
            "epoch-without-seal",
            row.table_name,
            row.epoch,
            node_index=row._mapping["index"],
            detail=f"manifest {row.about or '-'}",
        )


_BOTH = ((OFFICE_LOG, TICKET), (NODE_LOG, EVALUATE))


def _leaf_of_ticket(log_: str, action: str) -> Select[Any]:
    leaf = seen_leaf.alias(f"leaf_{log_}")
    named = and_(leaf.c.about == ticket.c.digest, leaf.c.log == log_)
    return select(leaf.c.index).where(named, leaf.c.action == action, leaf.c.outcome == DONE)


def _count_where(condition: ColumnElement[bool]) -> ColumnElement[int]:
    return func.count().filter(condition)


# ---------------------------------------------------------------------- runs


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
