"""Opening a database so that a commit is durable when it returns, and so that threads queue up to write.

PostgreSQL needs nothing but its defaults. SQLite gets WAL with synchronous=FULL (a commit is one fsync), deleted bytes
overwritten, and a lock in the process: without it, writers sleep in SQLite's busy handler and starve each other.

A transaction whose first statement writes takes the lock at once (BEGIN IMMEDIATE). One that reads first and then writes
must begin with `writing(engine)`, or SQLite refuses the write when another transaction came between.
"""

from __future__ import annotations

import sqlite3
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Self

from sqlalchemy import Connection, Engine, create_engine, event, make_url, text
from sqlalchemy.exc import OperationalError

BUSY_SECONDS = 15.0
SQLITE_POOL = 80
"""Connections kept open: a pool that overflows opens and closes a file for each transaction, which is slow."""
POSTGRESQL_POOL = 16
READING_STATEMENTS = ("SELECT", "PRAGMA", "EXPLAIN", "WITH")

_write_locks: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)
_write_locks_guard = threading.Lock()


def open_engine(url: str, **options: Any) -> Engine:
    """An engine for `sqlite:///path` or `postgresql+psycopg://…` whose commits are durable."""
    # A failed statement's parameters hold identities and records: an error must not print them.
    options = {"hide_parameters": True} | options
    parsed = make_url(url)
    if parsed.get_backend_name() != "sqlite":
        options = {"pool_size": POSTGRESQL_POOL, "pool_pre_ping": True} | options
        return create_engine(parsed, **options)
    if not parsed.database or parsed.database == ":memory:":
        raise ValueError("a database in memory is not durable; give a file: sqlite:///path/to/file.db")
    with _write_locks_guard:
        lock = _write_locks[parsed.database]
    arguments = {"timeout": BUSY_SECONDS, "factory": _factory(lock)} | options.pop("connect_args", {})
    options = {"pool_size": SQLITE_POOL} | options
    engine = create_engine(parsed, connect_args=arguments, **options)
    event.listen(engine, "connect", _prepare_sqlite)
    return engine


@contextmanager
def writing(engine: Engine, *, synced: bool = True) -> Iterator[Connection]:
    """A transaction that may read before it writes: it holds SQLite's write lock from the start.

    With `synced` False, SQLite does not wait for the disk: others see the commit at once and it outlives every process, but
    it becomes durable only with the next commit that is synced. A machine that fails before that loses it, and with it all
    that was committed after it. Only for what may be lost so. PostgreSQL always waits.
    """
    with engine.begin() as connection:
        driver = connection.connection.driver_connection
        if isinstance(driver, _SqliteConnection):
            driver.begin_write(synced=synced)
        yield connection


def check_durable(engine: Engine) -> None:
    """Refuse, with ValueError, a database whose commits may be lost when the power fails."""
    with writing(engine) as connection:
        if engine.dialect.name == "sqlite":
            mode = connection.execute(text("PRAGMA journal_mode")).scalar_one()
            level = connection.execute(text("PRAGMA synchronous")).scalar_one()
            if mode != "wal" or level < 2:
                raise ValueError("SQLite must run with WAL and synchronous=FULL: open it with audit.database.open_engine")
            return
        for setting in ("fsync", "synchronous_commit", "full_page_writes"):
            if connection.execute(text(f"SHOW {setting}")).scalar_one() == "off":
                raise ValueError(f"PostgreSQL runs with {setting}=off, so a commit may be lost: switch it on")


class _SqliteConnection(sqlite3.Connection):
    """A connection that holds the process's write lock from its first write to its commit or rollback."""

    write_lock: threading.Lock
    holds_lock = False
    is_synced: bool | None = None

    def cursor(self, factory: Any = None) -> Any:
        return super().cursor(factory or _SqliteCursor)

    def run(self, statement: str) -> None:
        """A statement that begins no transaction."""
        super().cursor(sqlite3.Cursor).execute(statement)

    def begin(self, statement: str) -> None:
        """The transaction that a statement needs, where there is none."""
        if self.holds_lock:
            return
        if not statement.lstrip()[:7].upper().startswith(READING_STATEMENTS):
            self.begin_write()
        elif not self.in_transaction:
            self._sync(True)
            self.run("BEGIN")

    def begin_write(self, *, synced: bool = True) -> None:
        if self.holds_lock:
            return
        if not self.write_lock.acquire(timeout=BUSY_SECONDS):
            raise _busy(sqlite3.OperationalError("database is locked by another thread of this process"))
        self.holds_lock = True
        try:
            if not self.in_transaction:
                self._sync(synced)
                self.run("BEGIN IMMEDIATE")
        except sqlite3.OperationalError as error:
            self._release()
            raise _busy(error) from None
        except BaseException:
            self._release()
            raise

    def commit(self) -> None:
        super().commit()
        self._release()

    def rollback(self) -> None:
        try:
            super().rollback()
        finally:
            self._release()

    def close(self) -> None:
        try:
            super().close()
        finally:
            self._release()

    def _sync(self, synced: bool) -> None:
        """Set before each transaction, where it differs, so that none inherits another's."""
        if self.is_synced != synced:
            self.run(f"PRAGMA synchronous={'FULL' if synced else 'NORMAL'}")
            self.is_synced = synced

    def _release(self) -> None:
        if self.holds_lock:
            self.holds_lock = False
            self.write_lock.release()


class _SqliteCursor(sqlite3.Cursor):
    """Begins what its statement needs. Here and not in an event of the engine's, which would make each statement dearer."""

    connection: _SqliteConnection

    def execute(self, statement: str, *parameters: Any) -> Self:
        self.connection.begin(statement)
        return super().execute(statement, *parameters)

    def executemany(self, statement: str, parameters: Any) -> Self:
        self.connection.begin(statement)
        return super().executemany(statement, parameters)


def _busy(error: sqlite3.OperationalError) -> OperationalError:
    """As SQLAlchemy raises it: this statement does not pass through it, and callers who wait and retry look for its errors."""
    return OperationalError("BEGIN IMMEDIATE", None, error)


def _factory(lock: threading.Lock) -> Callable[..., _SqliteConnection]:
    def connect(*args: Any, **kwargs: Any) -> _SqliteConnection:
        connection = _SqliteConnection(*args, **kwargs)
        connection.write_lock = lock
        return connection

    return connect


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # transactions begin here, not in the driver's guess
    connection.run("PRAGMA journal_mode=WAL")
    connection.run("PRAGMA foreign_keys=ON")
    connection.run("PRAGMA secure_delete=ON")
