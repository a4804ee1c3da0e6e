"""Alarms and the evidence that is kept with them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from functools import cache

from sqlalchemy import Connection, Insert, Row, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite

from audit.office.tables import alarm
from models.alarms import Alarm

NEWEST = 1000


def raise_alarm(
    connection: Connection, *, at: int, kind: str, institution: str, about: str, detail: str, evidence: bytes = b""
) -> None:
    """Store an alarm. `kind` is at most 32 characters; neither `about` nor `detail` may name a subject."""
    row = {"at": at, "kind": kind, "institution": institution, "about": about[:200], "detail": detail}
    connection.execute(insert(alarm).values(**row, evidence=evidence))


def raise_or_count(
    connection: Connection, *, same: Iterable[object], at: int, kind: str, institution: str, about: str, detail: str
) -> None:
    """Store an alarm, or count it on and renew its detail where one stands that is the `same`."""
    row = {"at": at, "kind": kind, "institution": institution, "about": about[:200], "detail": detail}
    more = {"same": _digest(same), "count": 1, "last_at": at}
    connection.execute(_raise_or_count(connection.dialect.name), [row | more])


def count_again(connection: Connection, *, same: Iterable[object], at: int) -> bool:
    """Count on the alarm that is the `same`; False where none stands."""
    counted = update(alarm).where(alarm.c.same == _digest(same)).values(count=alarm.c.count + 1, last_at=at)
    return connection.execute(counted).rowcount == 1


def newest(connection: Connection) -> tuple[Alarm, ...]:
    """The newest thousand, newest first."""
    return tuple(map(_alarm, connection.execute(select(alarm).order_by(alarm.c.id.desc()).limit(NEWEST))))


@cache
def _raise_or_count(dialect: str) -> Insert:
    new = (sqlite.insert if dialect == "sqlite" else postgresql.insert)(alarm)
    again = {"count": alarm.c.count + 1, "detail": new.excluded.detail, "last_at": new.excluded.last_at}
    return new.on_conflict_do_update(index_elements=["same"], set_=again)


def _alarm(row: Row[tuple[object, ...]]) -> Alarm:
    values = {name: value for name, value in row._mapping.items() if name != "same"}
    return Alarm(**{**values, "evidence": bytes(row.evidence or b""), "last_at": row.last_at or row.at})


def _digest(same: Iterable[object]) -> str:
    return hashlib.sha256("\0".join(map(str, same)).encode()).hexdigest()
