"""Alarms and the evidence that is kept with them."""

from __future__ import annotations

from sqlalchemy import Connection, insert, select

from audit.office.tables import alarm
from models.alarms import Alarm

NEWEST = 1000


def raise_alarm(
    connection: Connection, *, at: int, kind: str, institution: str, about: str, detail: str, evidence: bytes = b""
) -> None:
    """Store an alarm. `kind` is at most 32 characters; neither `about` nor `detail` may name a subject."""
    row = {"at": at, "kind": kind, "institution": institution, "about": about[:200], "detail": detail}
    connection.execute(insert(alarm).values(**row, evidence=evidence))


def newest(connection: Connection) -> tuple[Alarm, ...]:
    """The newest thousand, newest first."""
    query = select(alarm).order_by(alarm.c.id.desc()).limit(NEWEST)
    return tuple(Alarm(**{**dict(row._mapping), "evidence": bytes(row.evidence or b"")}) for row in connection.execute(query))
