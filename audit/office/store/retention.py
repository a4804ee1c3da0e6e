"""Statements of purging and erasing. None commits."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Connection, Table, and_, delete, func, insert, literal, or_, select, tuple_, update

from audit.office import tables
from audit.office.audit_tables import case, case_item
from audit.office.records import Part
from audit.office.retention_tables import form_gone, retention
from models.cases import ItemKind
from models.consents import Consent
from models.retention import FormGone, RetentionRun
from models.wire import decode

NEWEST = 100
SALT_BYTES = 32


def rows_of(
    connection: Connection, part: Part, *, before: int | None, subject: str = "", most: int = 0
) -> list[tuple[Any, ...]]:
    """Primary keys of a part's rows: whose matter was over `before` then (None: all), of one subject, at most so many."""
    query = select(*part.table.primary_key.columns)
    if before is not None:
        query = query.where(part.since < before)
    if subject:
        query = query.where(part.table.c.subject == subject)
    if most:
        query = query.limit(most)
    return [tuple(row) for row in connection.execute(query)]


def newest_since(connection: Connection, part: Part, subject: str) -> int:
    """When the last of a subject's rows was over; 0 where none is."""
    query = select(func.max(part.since)).select_from(part.table).where(part.table.c.subject == subject)
    return int(connection.execute(query).scalar() or 0)


def unended(connection: Connection, part: Part, subject: str, now: int) -> int:
    """How many of a subject's rows are still in use."""
    query = select(func.count()).select_from(part.table).where(part.table.c.subject == subject)
    return int(connection.execute(query.where(part.since.is_(None) | (part.since > now))).scalar_one())


def erase(connection: Connection, part: Part, keys: list[tuple[Any, ...]], now: int, at_a_time: int = 200) -> None:
    """Delete rows by key, with what hangs on them; forms that no consent rests on any more are noted as gone."""
    columns = tuple_(*part.table.primary_key.columns)
    for start in range(0, len(keys), at_a_time):
        some = columns.in_(keys[start : start + at_a_time])
        forms = _forms(connection, some) if part.table is tables.consent else {}
        for child, parent in part.children:
            named = select(parent).where(some, parent.is_not(None))
            connection.execute(delete(child.table).where(child.in_(named)))
        connection.execute(delete(part.table).where(some))
        _note_gone(connection, forms, now)


# ---------------------------------------------------------------------- forms


def _forms(connection: Connection, some: ColumnElement[bool]) -> dict[str, tuple[set[str], set[int]]]:
    """The forms of these consents, each with where others may be that rest on it: of its subjects, or filed together."""
    one, forms = tables.consent.c, dict[str, tuple[set[str], set[int]]]()
    for row in connection.execute(select(one.subject, one.filing, one.document).where(some)):
        subjects, filings = forms.setdefault(decode(bytes(row.document), Consent).evidence_digest, (set(), set()))
        subjects.add(row.subject)
        filings |= {row.filing} - {None}
    return forms


def _note_gone(connection: Connection, forms: dict[str, tuple[set[str], set[int]]], now: int) -> None:
    one = tables.consent.c
    for digest, (subjects, filings) in forms.items():
        near = or_(one.subject.in_(subjects), one.filing.in_(filings))
        holds = _holds(connection, tables.consent, "document", digest)
        if connection.execute(select(one.id).where(near, holds).limit(1)).first() is None:
            connection.execute(delete(form_gone).where(form_gone.c.digest == digest))
            connection.execute(insert(form_gone).values(digest=digest, at=now))


def forms_gone(connection: Connection, since: int) -> tuple[FormGone, ...]:
    """The forms that went since then."""
    query = select(form_gone).where(form_gone.c.at >= since).order_by(form_gone.c.at, form_gone.c.digest)
    return tuple(FormGone(digest=row.digest, at=row.at) for row in connection.execute(query))


# ---------------------------------------------------------------------- bundles


def drop_bundles_naming(connection: Connection, subject: str) -> int:
    """Drop the bytes of the bundles in which the subject stands; their digests stay. How many there were."""
    return _drop(connection, _holds(connection, case, "bundle", subject))


def drop_bundles_before(connection: Connection, exported: int) -> int:
    """Drop bundles that were exported before then, and those with an access that the office has no more."""
    item, shown = case_item.c, tables.access.c
    known = select(shown.id).where(shown.id == item.ref).exists()
    stale = select(item.number).where(item.case == case.c.id, item.kind == str(ItemKind.ACCESS), ~known).exists()
    return _drop(connection, or_(case.c.exported_at < exported, stale))


def _drop(connection: Connection, which: ColumnElement[bool]) -> int:
    kept = and_(case.c.bundle.is_not(None), which)
    return connection.execute(update(case).where(kept).values(bundle=None)).rowcount


# ---------------------------------------------------------------------- openings and answers


def openings_naming(connection: Connection, subject: str) -> list[bytes]:
    """The commitments of all openings in which the subject stands as a value."""
    table = tables.log.openings
    rows = connection.execute(select(table.c.commitment, table.c.opening).where(_holds(connection, table, "opening", subject)))
    return [bytes(row.commitment) for row in rows if _names(msgspec.json.decode(bytes(row.opening)[SALT_BYTES:]), subject)]


def erase_answers_with(connection: Connection, subject: str) -> int:
    """Stored answers in which the subject stands; how many went."""
    answers = tables.metadata.tables["gate_answer"]
    return connection.execute(delete(answers).where(_holds(connection, answers, "answer", subject))).rowcount


def erase_openings(connection: Connection, commitments: list[bytes]) -> int:
    """Delete openings; how many there were."""
    gone = 0
    for start in range(0, len(commitments), 500):
        some = tables.log.openings.c.commitment.in_(commitments[start : start + 500])
        gone += connection.execute(delete(tables.log.openings).where(some)).rowcount
    return gone


def commitments_between(connection: Connection, start: int, end: int) -> Iterator[bytes]:
    """The commitments in the leaves from `start` to before `end`."""
    entries = tables.log.entries
    query = select(entries.c.entry).where(entries.c.index >= start, entries.c.index < end)
    for (entry,) in connection.execute(query):
        yield bytes.fromhex(msgspec.json.decode(bytes(entry))["opening"])


def size_before(connection: Connection, moment: int) -> int:
    """How many entries the log had when the last checkpoint before `moment` was signed."""
    checkpoints = tables.log.checkpoints
    return int(connection.execute(select(func.max(checkpoints.c.size)).where(checkpoints.c.time < moment)).scalar() or 0)


def _holds(connection: Connection, table: Table, column: str, subject: str) -> Any:
    if connection.dialect.name == "sqlite":
        return func.instr(table.c[column], literal(subject.encode())) > 0
    return func.position(literal(subject.encode()).op("IN")(table.c[column])) > 0


def _names(value: Any, subject: str) -> bool:
    if isinstance(value, dict):
        return any(_names(each, subject) for each in value.values())
    if isinstance(value, list):
        return any(_names(each, subject) for each in value)
    return bool(value == subject)


# ---------------------------------------------------------------------- runs


def add_run(connection: Connection, run: RetentionRun, upto: int = 0) -> None:
    """Remember a purge."""
    row = {"at": run.at, "name": run.name, "before": run.before, "count": run.count, "upto": upto}
    connection.execute(insert(retention).values(row))


def gone_through(connection: Connection, name: str) -> int:
    """Up to which index of the log a class was purged."""
    return int(connection.execute(select(func.max(retention.c.upto)).where(retention.c.name == name)).scalar() or 0)


def last_at(connection: Connection) -> int:
    """When the last purge ran; 0 before the first."""
    return int(connection.execute(select(func.max(retention.c.at))).scalar() or 0)


def runs(connection: Connection) -> tuple[RetentionRun, ...]:
    """The newest, newest first."""
    columns = retention.c
    query = select(columns.at, columns.name, columns.before, columns["count"]).order_by(columns.id.desc()).limit(NEWEST)
    return tuple(
        RetentionRun(at=at, name=name, before=before, count=gone) for at, name, before, gone in connection.execute(query)
    )
