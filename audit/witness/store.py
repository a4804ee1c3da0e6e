"""A witness's memory in the service's database."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    Engine,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    bindparam,
    func,
    insert,
    select,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite

from audit.database import check_durable, writing
from audit.witness.machine import Decide, Reply, Seen

MAX_FORKS = 100
"""Forks kept for each log: the first ones prove enough, and a log in disorder must not fill the disk."""


@dataclass(frozen=True)
class WitnessTables:
    """`seen`: one row a log. `forks`: pairs of notes that prove a log's misbehaviour."""

    seen: Table
    forks: Table


def witness_tables(metadata: MetaData, prefix: str = "witness") -> WitnessTables:
    """Add the tables of a witness to `metadata` (once) and return them."""
    if f"{prefix}_seen" in metadata.tables:
        return WitnessTables(metadata.tables[f"{prefix}_seen"], metadata.tables[f"{prefix}_forks"])
    return WitnessTables(
        Table(
            f"{prefix}_seen",
            metadata,
            Column("origin", String(300), primary_key=True),
            Column("note", Text, nullable=False),
            Column("time", BigInteger, nullable=False),
        ),
        Table(
            f"{prefix}_forks",
            metadata,
            Column("id", Integer, primary_key=True),
            Column("origin", String(300), nullable=False, index=True),
            Column("seen", Text, nullable=False),
            Column("offered", Text, nullable=False),
        ),
    )


class SqlWitnessStore:
    """Implements `WitnessStore`; a log's row is locked from reading to commit."""

    def __init__(self, engine: Engine, tables: WitnessTables) -> None:
        check_durable(engine)
        self._engine = engine
        self._seen = seen = tables.seen
        self._forks = tables.forks
        # What every checkpoint runs is built once.
        self._find = select(seen.c.note, seen.c.time).where(seen.c.origin == bindparam("log"))
        self._find_and_lock = self._find.with_for_update()
        self._remember = update(seen).where(seen.c.origin == bindparam("log"))

    def update(self, origin: str, decide: Decide) -> Reply:
        """One transaction: lock, decide, remember; committed when it returns."""
        with writing(self._engine) as connection:
            if (row := self._lock(connection, origin)) is None:
                # An empty row first, so that two first requests meet at the same lock.
                self._add_row(connection, origin)
                row = self._lock(connection, origin)
            seen, reply = decide(_seen(row))
            if seen is not None:
                connection.execute(self._remember, {"log": origin, "note": seen.note, "time": seen.time})
            if reply.fork is not None:
                self._keep_fork(connection, origin, reply.fork)
        return reply

    def last(self, origin: str) -> Seen | None:
        """What is remembered of a log."""
        with self._engine.connect() as connection:
            return _seen(connection.execute(self._find, {"log": origin}).first())

    def forks(self, origin: str) -> list[tuple[str, str]]:
        """The evidence kept against a log: pairs of signed notes with one size and two roots."""
        query = select(self._forks.c.seen, self._forks.c.offered).where(self._forks.c.origin == origin)
        with self._engine.connect() as connection:
            return [(row.seen, row.offered) for row in connection.execute(query.order_by(self._forks.c.id))]

    def _lock(self, connection: Connection, origin: str) -> Any:
        return connection.execute(self._find_and_lock, {"log": origin}).first()

    def _add_row(self, connection: Connection, origin: str) -> None:
        dialect = sqlite if connection.dialect.name == "sqlite" else postgresql
        row = {"origin": origin, "note": "", "time": 0}
        connection.execute(dialect.insert(self._seen).on_conflict_do_nothing(), row)

    def _keep_fork(self, connection: Connection, origin: str, fork: tuple[str, str]) -> None:
        of_log = self._forks.c.origin == origin
        known = select(self._forks.c.id).where(of_log, self._forks.c.offered == fork[1])
        count = connection.execute(select(func.count()).select_from(self._forks).where(of_log)).scalar_one()
        if count < MAX_FORKS and connection.execute(known).first() is None:
            connection.execute(insert(self._forks), {"origin": origin, "seen": fork[0], "offered": fork[1]})


def _seen(row: Any) -> Seen | None:
    return Seen(row.note, int(row.time)) if row is not None and row.note else None
