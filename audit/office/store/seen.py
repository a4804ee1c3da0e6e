"""Leaves of both logs as they were followed and verified. Above a log's verified size, rows are of a run that did not end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, delete, insert, select

from audit.office.audit_tables import seen_leaf, seen_log
from audit.verifier.merkle import HASH_BYTES

NODE_LOG, OFFICE_LOG = "node", "office"


@dataclass(frozen=True)
class SeenLeaf:
    """What a leaf says; `about` is the digest of the ticket or manifest that it names, or empty."""

    index: int
    leaf: bytes
    at: int
    action: str
    outcome: str
    institution: str
    table_name: str
    epoch: int
    purpose: str
    project: str
    about: str


@dataclass(frozen=True)
class SeenLog:
    """How far a log was verified: its size, the hashes of its right edge, and the checkpoint that they lead to."""

    size: int = 0
    peaks: tuple[bytes, ...] = ()
    note: str = ""


def verified(connection: Connection, log: str) -> SeenLog:
    """How far a log was verified."""
    row = connection.execute(select(seen_log).where(seen_log.c.log == log)).one_or_none()
    if row is None:
        return SeenLog()
    peaks = bytes(row.peaks)
    return SeenLog(row.size, tuple(peaks[i : i + HASH_BYTES] for i in range(0, len(peaks), HASH_BYTES)), row.note)


def forget_above(connection: Connection, log: str, size: int) -> None:
    """Delete what a run that did not end has left."""
    connection.execute(delete(seen_leaf).where(seen_leaf.c.log == log, seen_leaf.c.index >= size))


def add(connection: Connection, log: str, leaves: Sequence[SeenLeaf]) -> None:
    """Store leaves that are in order, and not verified yet."""
    if leaves:
        connection.execute(insert(seen_leaf), [{"log": log, **vars(leaf)} for leaf in leaves])


def set_verified(connection: Connection, log: str, seen: SeenLog, now: int) -> None:
    """All leaves below this size are verified."""
    connection.execute(delete(seen_log).where(seen_log.c.log == log))
    row = {"log": log, "size": seen.size, "peaks": b"".join(seen.peaks), "note": seen.note, "at": now}
    connection.execute(insert(seen_log).values(row))


def find(connection: Connection, log: str, action: str, about: str) -> SeenLeaf | None:
    """The first leaf of an action that was done and is about this ticket or manifest."""
    query = select(seen_leaf).where(seen_leaf.c.about == about, seen_leaf.c.log == log, seen_leaf.c.action == action)
    row = connection.execute(query.where(seen_leaf.c.outcome == "done").order_by(seen_leaf.c.index).limit(1)).one_or_none()
    return None if row is None else _leaf(row._mapping)


def at(connection: Connection, log: str, index: int) -> SeenLeaf | None:
    """The leaf at an index."""
    row = connection.execute(select(seen_leaf).where(seen_leaf.c.log == log, seen_leaf.c.index == index)).one_or_none()
    return None if row is None else _leaf(row._mapping)


def _leaf(row: object) -> SeenLeaf:
    values = dict(row)  # type: ignore[call-overload]
    values.pop("log")
    return SeenLeaf(**values | {"leaf": bytes(values["leaf"])})
