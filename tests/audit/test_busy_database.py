"""A writer that holds SQLite for long makes others wait and try again; it does not stop the log for good."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from audit import database


@pytest.mark.parametrize("threads", ["the same process", "another process"])
def test_waiting_in_vain_is_an_error_of_the_database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, threads: str) -> None:
    monkeypatch.setattr(database, "BUSY_SECONDS", 0.05)
    url = f"sqlite:///{tmp_path / 'log.db'}"
    first = database.open_engine(url)
    second = database.open_engine(url)
    if threads == "another process":  # which does not share the lock of this one
        monkeypatch.setattr(database, "_write_locks", type(database._write_locks)(threading.Lock))
        second = database.open_engine(url)
    with database.writing(first) as connection:
        connection.execute(text("CREATE TABLE t (x INTEGER)"))
        with pytest.raises(DBAPIError, match="locked"), database.writing(second):
            pass
    with database.writing(second) as connection:
        assert connection.execute(text("SELECT count(*) FROM t")).scalar_one() == 0


def test_only_who_says_so_does_not_wait_for_the_disk(tmp_path: Path) -> None:
    """Each transaction has its own level, on the one connection that all of them use in turn."""
    engine = database.open_engine(f"sqlite:///{tmp_path / 'log.db'}", pool_size=1, max_overflow=0)
    level = text("PRAGMA synchronous")
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE t (x INTEGER)"))
    for _ in range(2):
        with database.writing(engine, synced=False) as connection:
            assert connection.execute(level).scalar_one() == 1
            connection.execute(text("INSERT INTO t VALUES (1)"))
        with engine.begin() as connection:  # reads first, and then writes
            assert connection.execute(text("SELECT count(*) FROM t")).scalar_one()
            connection.execute(text("INSERT INTO t VALUES (2)"))
            assert connection.execute(level).scalar_one() == 2
        with database.writing(engine, synced=False):
            pass
        with database.writing(engine) as connection:
            assert connection.execute(level).scalar_one() == 2
    with database.writing(engine, synced=False):
        pass
    database.check_durable(engine)
