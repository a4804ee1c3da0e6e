"""What a day's tickets, leaves and evaluations are compared by.

Two kinds of questions are matched alike: checks (records, scores and private models' scores), whose tickets the node evaluates,
and exposure checks, whose tickets it opens to other banks. Each has its rows here and its leaves in both logs.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Column, ColumnElement, Connection, Row, and_, func, select

from audit.office.audit_tables import seen_leaf
from audit.office.exposure_tables import exposure
from audit.office.store.seen import NODE_LOG, OFFICE_LOG
from audit.office.tables import access, log, manifest, report, ticket
from models.exposure import TABLE as EXPOSURE_TABLE
from models.reconciliation import TableCount
from models.reports import CheckOutcome
from models.tickets import TicketContext
from models.wire import decode

BUILD, OPEN, RELEASE, DONE = "epoch.build", "epoch.open", "exposure.release", "done"


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


@dataclass(frozen=True)
class Kind:
    """A kind of question: the rows of the tickets that were given, and what both logs call giving and spending one.

    `shown` says whether a row stands in what its subject is shown.
    """

    digest: Column[str]
    context: Column[bytes]
    issued_at: Column[int]
    given: str
    spent: str
    shown: ColumnElement[bool]

    def leaf(self, log_: str) -> ColumnElement[bool]:
        """Whether a row has its leaf in this log."""
        leaf = seen_leaf.alias(f"leaf_{log_}")
        action = self.spent if log_ == NODE_LOG else self.given
        named = and_(leaf.c.about == self.digest, leaf.c.log == log_)
        return select(leaf.c.index).where(named, leaf.c.action == action, leaf.c.outcome == DONE).exists()


def _exposure_shown() -> ColumnElement[bool]:
    # Its row has no ticket, since no report is awaited: it is found by its leaf.
    own, entries = seen_leaf.alias("shown"), log.entries
    leaf = and_(own.c.about == exposure.c.ticket, own.c.log == OFFICE_LOG, own.c.index == entries.c.index)
    row = and_(access.c.subject == exposure.c.subject, access.c.at == exposure.c.issued_at)
    return select(access.c.id).where(leaf, row, access.c.queue_id == entries.c.queue_id).exists()


CHECKS = Kind(
    ticket.c.digest,
    ticket.c.context,
    ticket.c.issued_at,
    given="ticket",
    spent="check.evaluate",
    shown=select(access.c.id).where(access.c.ticket == ticket.c.digest).exists(),
)
EXPOSURES = Kind(
    exposure.c.ticket,
    exposure.c.context,
    exposure.c.issued_at,
    given="exposure.ticket",
    spent="exposure.ask",
    shown=_exposure_shown(),
)


def counts(connection: Connection, period: Period) -> tuple[TableCount, ...]:
    """Tickets of the period by table and epoch, with how many of them have a leaf here and an evaluation at the node."""
    columns = (ticket.c.table_name, ticket.c.epoch)
    leaves, evaluated = (func.count().filter(CHECKS.leaf(log_)) for log_ in (OFFICE_LOG, NODE_LOG))
    query = select(*columns, func.count(), leaves, evaluated).where(period.holds(ticket.c.issued_at))
    rows = connection.execute(query.group_by(*columns).order_by(*columns))
    return tuple(_count(*row) for row in rows) + _exposure_counts(connection, period)


def _exposure_counts(connection: Connection, period: Period) -> tuple[TableCount, ...]:
    columns = (exposure.c.context, EXPOSURES.leaf(OFFICE_LOG), EXPOSURES.leaf(NODE_LOG))
    all_, leaves, asked = Counter[int](), Counter[int](), Counter[int]()
    for context, has_leaf, was_asked in connection.execute(select(*columns).where(period.holds(exposure.c.issued_at))):
        epoch = decode(bytes(context), TicketContext).epoch
        all_[epoch] += 1
        leaves[epoch] += has_leaf
        asked[epoch] += was_asked
    return tuple(_count(EXPOSURE_TABLE, epoch, all_[epoch], leaves[epoch], asked[epoch]) for epoch in sorted(all_))


def _count(table: str, epoch: int, tickets: int, leaves: int, done: int) -> TableCount:
    return TableCount(table=table, epoch=epoch, tickets=tickets, leaves=leaves, evaluations=done, unused=tickets - done)


def orphans(connection: Connection, period: Period) -> Iterator[Orphan]:
    """Everything of the period that does not fit, rule by rule."""
    for kind in (CHECKS, EXPOSURES):
        yield from _evaluations(connection, period, kind)
        yield from _leaves_and_rows(connection, period, kind)
    yield from _used(connection, period)
    yield from _released(connection, period)
    yield from _epochs(connection, period)


def _evaluations(connection: Connection, period: Period, kind: Kind) -> Iterator[Orphan]:
    node = seen_leaf.alias("node")
    evaluated = and_(node.c.log == NODE_LOG, node.c.action == kind.spent, node.c.outcome == DONE)
    before = seen_leaf.alias("before")
    same = and_(
        before.c.log == NODE_LOG, before.c.action == kind.spent, before.c.outcome == DONE, before.c.about == node.c.about
    )
    first = select(func.min(before.c.index)).where(same, before.c.index < node.c.index).scalar_subquery()
    joined = (
        select(node, kind.context, first.label("first"))
        .select_from(node)
        .outerjoin(kind.context.table, kind.digest == node.c.about)
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


def _leaves_and_rows(connection: Connection, period: Period, kind: Kind) -> Iterator[Orphan]:
    own = seen_leaf.alias("own")
    given = and_(own.c.log == OFFICE_LOG, own.c.action == kind.given, own.c.outcome == DONE)
    known = select(kind.digest).where(kind.digest == own.c.about).exists()
    for row in connection.execute(select(own).where(given, period.holds(own.c.at), ~known).order_by(own.c.index)):
        yield Orphan(
            "leaf-without-ticket",
            row.table_name,
            row.epoch,
            row.about,
            office_index=row._mapping["index"],
            detail=row.institution,
        )
    for rule, present in (("ticket-without-leaf", kind.leaf(OFFICE_LOG)), ("ticket-without-access", kind.shown)):
        query = select(kind.digest, kind.context).where(period.holds(kind.issued_at), ~present).order_by(kind.digest)
        for digest, context in connection.execute(query):
            yield _row(rule, digest or "", context, "a row of the office's own database")


def _row(rule: str, digest: str, context: bytes, detail: str) -> Orphan:
    asked = decode(bytes(context), TicketContext)
    return Orphan(rule, asked.table, asked.epoch, digest, detail=detail)


def _used(connection: Connection, period: Period) -> Iterator[Orphan]:
    """Tickets that were used in the period, as the bank reports or the office released, and that the node never spent."""
    used = and_(period.holds(report.c.filed_at), report.c.outcome != str(CheckOutcome.NOT_USED))
    columns = (report.c.ticket, ticket.c.table_name, ticket.c.epoch, report.c.outcome)
    query = select(*columns).join(ticket, ticket.c.digest == report.c.ticket).where(used)
    query = query.where(~CHECKS.leaf(NODE_LOG)).order_by(report.c.ticket).distinct()
    for digest, table, epoch, outcome in connection.execute(query):
        yield Orphan("used-without-evaluation", table, epoch, digest, detail=f"reported as {outcome}")
    released = select(exposure.c.ticket, exposure.c.context).where(period.holds(exposure.c.released_at))
    for digest, context in connection.execute(released.where(~EXPOSURES.leaf(NODE_LOG)).order_by(exposure.c.ticket)):
        yield _row("used-without-evaluation", digest, context, "its sum was released")


def _released(connection: Connection, period: Period) -> Iterator[Orphan]:
    """Sums of exposures that the node gave out, and that this office never said it may."""
    node = seen_leaf.alias("node")
    out = and_(node.c.log == NODE_LOG, node.c.action == RELEASE, node.c.outcome == DONE, period.holds(node.c.at))
    allowed = select(exposure.c.id).where(exposure.c.ticket == node.c.about, exposure.c.released_at.is_not(None)).exists()
    for row in connection.execute(select(node).where(out, ~allowed).order_by(node.c.index)):
        yield Orphan(
            "release-without-leave", EXPOSURE_TABLE, ticket=row.about, node_index=row._mapping["index"], detail=row.institution
        )


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
