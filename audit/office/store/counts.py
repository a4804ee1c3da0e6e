"""Counts that only grow: questions asked of a budget, refusals, bulk questions; one row for each scope, name and period."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache

from sqlalchemy import Connection, Insert, bindparam, select, tuple_
from sqlalchemy.dialects import postgresql, sqlite

from audit.office.tables import count

Key = tuple[str, str, int]
"""Scope, name, period."""

_READ = select(count).where(tuple_(count.c.scope, count.c.name, count.c.period).in_(bindparam("keys", expanding=True)))


def read(connection: Connection, keys: Iterable[Key]) -> dict[Key, int]:
    """What was counted so far; absent is none."""
    rows = connection.execute(_READ, {"keys": list(keys)})
    return {(row.scope, row.name, row.period): row.value for row in rows}


def add(connection: Connection, more: Mapping[Key, int]) -> dict[Key, int]:
    """Count on, all at once, and give the new values. The rows stay locked until the transaction ends.

    They are locked in the keys' order, so that two transactions never wait for each other.
    """
    if not more:
        return {}
    rows = [dict(zip(("scope", "name", "period"), key, strict=True)) | {"value": more[key]} for key in sorted(more)]
    connection.execute(_count_on(connection.dialect.name), rows)
    return read(connection, more)


# Building a statement costs more than running it: those of every single question are built once.
@cache
def _count_on(dialect: str) -> Insert:
    new = (sqlite.insert if dialect == "sqlite" else postgresql.insert)(count)
    value = count.c.value + new.excluded.value
    return new.on_conflict_do_update(index_elements=["scope", "name", "period"], set_={"value": value})
