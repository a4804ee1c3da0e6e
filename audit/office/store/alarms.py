"""Alarms and the evidence that is kept with them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from functools import cache

from sqlalchemy import ColumnElement, Connection, Insert, Row, case, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite

from audit.office.audit_tables import alarm_event
from audit.office.tables import alarm
from models.alarms import CLOSED, OPEN, Alarm, AlarmEvent, AskAlarms

NEWEST = 1000
PAGE = 200


def raise_alarm(
    connection: Connection, *, at: int, kind: str, institution: str, about: str, detail: str, evidence: bytes = b""
) -> None:
    """Store an alarm. `kind` is at most 32 characters; neither `about` nor `detail` may name a subject."""
    row = {"at": at, "kind": kind, "institution": institution, "about": about[:200], "detail": detail}
    connection.execute(insert(alarm).values(**row, evidence=evidence))


def raise_or_count(
    connection: Connection,
    *,
    same: Iterable[object],
    at: int,
    kind: str,
    institution: str,
    about: str,
    detail: str,
    measured: float | None = None,
    threshold: float | None = None,
) -> None:
    """Store an alarm, or count it on and renew its detail where one stands that is the `same`; a closed one is open again.

    `measured` is the number that broke the rule, `threshold` the largest that does not.
    """
    row = {"at": at, "kind": kind, "institution": institution, "about": about[:200], "detail": detail}
    more = {"same": _digest(same), "count": 1, "last_at": at, "measured": measured, "threshold": threshold, "state": OPEN}
    connection.execute(_raise_or_count(connection.dialect.name), [row | more])


def raise_once(
    connection: Connection,
    *,
    same: Iterable[object],
    at: int,
    kind: str,
    institution: str,
    about: str,
    detail: str,
    evidence: bytes = b"",
) -> None:
    """Store an alarm unless one stands that is the `same`: for what is found again at every look."""
    row = {"at": at, "kind": kind, "institution": institution, "about": about[:200], "detail": detail}
    new = (sqlite.insert if connection.dialect.name == "sqlite" else postgresql.insert)(alarm)
    values = {**row, "same": _digest(same), "count": 1, "last_at": at, "evidence": evidence, "state": OPEN}
    connection.execute(new.on_conflict_do_nothing(index_elements=["same"]).values(values))


def count_again(connection: Connection, *, same: Iterable[object], at: int) -> bool:
    """Count on the alarm that is the `same`; False where none stands."""
    counted = update(alarm).where(alarm.c.same == _digest(same))
    again = {"count": alarm.c.count + 1, "last_at": at, "state": _again(alarm.c.state)}
    return connection.execute(counted.values(again)).rowcount == 1


def find(connection: Connection, ask: AskAlarms) -> tuple[Alarm, ...]:
    """One page of alarms, newest first."""
    query = select(alarm).order_by(alarm.c.id.desc()).limit(PAGE)
    for name in ("state", "kind", "institution"):
        if wanted := getattr(ask, name):
            query = query.where(alarm.c[name] == wanted)
    if ask.before:
        query = query.where(alarm.c.id < ask.before)
    return tuple(map(_alarm, connection.execute(query)))


def get(connection: Connection, number: int) -> Alarm | None:
    """One alarm, or None."""
    row = connection.execute(select(alarm).where(alarm.c.id == number)).one_or_none()
    return None if row is None else _alarm(row)


def events(connection: Connection, number: int) -> tuple[AlarmEvent, ...]:
    """What was done about an alarm, oldest first."""
    query = select(alarm_event).where(alarm_event.c.alarm == number).order_by(alarm_event.c.id)
    rows = connection.execute(query)
    return tuple(AlarmEvent(at=row.at, by=row.by, state=row.state, reason=row.reason) for row in rows)


def handle(connection: Connection, number: int, event: AlarmEvent) -> bool:
    """Change an alarm's state; False where it has that state already."""
    values = {"state": event.state, "handled_by": event.by, "handled_at": event.at, "reason": event.reason}
    change = update(alarm).where(alarm.c.id == number, alarm.c.state != event.state).values(values)
    if connection.execute(change).rowcount != 1:
        return False
    row = {"alarm": number, "at": event.at, "by": event.by, "state": event.state, "reason": event.reason}
    connection.execute(insert(alarm_event).values(row))
    return True


def newest(connection: Connection) -> tuple[Alarm, ...]:
    """The newest thousand, newest first."""
    return tuple(map(_alarm, connection.execute(select(alarm).order_by(alarm.c.id.desc()).limit(NEWEST))))


@cache
def _raise_or_count(dialect: str) -> Insert:
    new = (sqlite.insert if dialect == "sqlite" else postgresql.insert)(alarm)
    again = {
        **{name: new.excluded[name] for name in ("detail", "last_at", "measured", "threshold")},
        "count": alarm.c.count + 1,
        "state": _again(alarm.c.state),
    }
    return new.on_conflict_do_update(index_elements=["same"], set_=again)


def _again(state: ColumnElement[str]) -> ColumnElement[str]:
    """What happens again although it was closed must be looked at again."""
    return case((state == CLOSED, OPEN), else_=state)


def _alarm(row: Row[tuple[object, ...]]) -> Alarm:
    values = {name: value for name, value in row._mapping.items() if name != "same"}
    filled = {"evidence": bytes(row.evidence or b""), "last_at": row.last_at or row.at, "handled_at": row.handled_at or 0}
    return Alarm(**{**values, **filled})


def _digest(same: Iterable[object]) -> str:
    return hashlib.sha256("\0".join(map(str, same)).encode()).hexdigest()
