"""Counts that only grow: questions asked of a budget, refusals, bulk questions; one row for each scope, name and period."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from sqlalchemy import Connection, select, tuple_
from sqlalchemy.dialects import postgresql, sqlite

from audit.office.tables import count

Key = tuple[str, str, int]
"""Scope, name, period."""


def read(connection: Connection, keys: Iterable[Key]) -> dict[Key, int]:
    """What was counted so far; absent is none."""
    query = select(count).where(tuple_(count.c.scope, count.c.name, count.c.period).in_(list(keys)))
    return {(row.scope, row.name, row.period): row.value for row in connection.execute(query)}


def add(connection: Connection, more: Mapping[Key, int]) -> dict[Key, int]:
    """Count on, all at once, and give the new values. The rows stay locked until the transaction ends.

    They are locked in the keys' order, so that two transactions never wait for each other.
    """
    if not more:
        return {}
    insert = sqlite.insert if connection.dialect.name == "sqlite" else postgresql.insert
    new = insert(count)
    counted = new.on_conflict_do_update(
        index_elements=["scope", "name", "period"], set_={"value": count.c.value + new.excluded.value}
    )
    rows = [dict(zip(("scope", "name", "period"), key, strict=True)) | {"value": more[key]} for key in sorted(more)]
    connection.execute(counted, rows)
    return read(connection, more)
