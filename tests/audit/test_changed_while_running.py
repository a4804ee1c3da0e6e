"""What is changed in the database while the sequencer runs, or between two runs: it refuses to sign."""

from __future__ import annotations

from pathlib import Path

import pytest

from audit.log import HighWaterFile, Log, Sequencer
from audit.verifier.errors import DamagedLog, LogRefusal, LogUnavailable
from audit.verifier.log_check import check_log
from audit.verifier.merkle import leaf_hash
from tests.audit.logs import SIGNER, TIMEOUT, entries_of, make_log, put, running

KEYS = [SIGNER.key]


def signer_refuses(log: Log, mark: HighWaterFile | None) -> bool:
    with Sequencer(log, high_water=mark) as sequencer:
        try:
            return not sequencer.wait_ready(TIMEOUT)
        except LogRefusal:
            return True


@pytest.fixture
def log(database_url: str) -> Log:
    return make_log(database_url)


def test_set_back_while_it_runs(log: Log) -> None:
    """The last checkpoint is compared with memory at every batch."""
    with running(log) as sequencer:
        put(log, [b"a"])
        put(log, [b"b"])
        with log.engine.begin() as connection:
            tables = log.store.tables
            connection.execute(tables.checkpoints.delete().where(tables.checkpoints.c.size == 2))
            connection.execute(tables.entries.delete().where(tables.entries.c.index == 1))
        with pytest.raises(LogUnavailable, match="changed or set back"):
            put(log, [b"c"])
        assert isinstance(sequencer.refusal, LogRefusal)


def test_rows_pushed_in_while_it_runs(log: Log) -> None:
    """An entry that nobody signed stands where the next one belongs."""
    with running(log):
        put(log, [b"a"])
        with log.engine.begin() as connection:
            row = {"index": 1, "queue_id": 10**6, "leaf": leaf_hash(b"pushed in"), "entry": b"pushed in"}
            connection.execute(log.store.tables.entries.insert(), row)
        with pytest.raises(LogUnavailable, match="beyond what was signed"):
            put(log, [b"b"])
    assert signer_refuses(log, None), "nor after a restart"


def test_a_bit_flipped_while_it_runs(log: Log) -> None:
    """The signer goes on from memory and never signs the changed byte; the check names the entry."""
    with running(log):
        put(log, entries_of(5))
        with log.engine.begin() as connection:
            entries = log.store.tables.entries
            connection.execute(entries.update().where(entries.c.index == 2).values(entry=b"changed"))
        put(log, [b"next"])
        with pytest.raises(DamagedLog) as caught:
            check_log(log.fetch, KEYS)
        assert caught.value.where == "entry 2"
    assert signer_refuses(log, None)


def test_an_emptied_database_with_a_mark(log: Log, tmp_path: Path) -> None:
    mark = HighWaterFile(tmp_path / "mark")
    with running(log, high_water=mark):
        put(log, [b"a"])
    with log.engine.begin() as connection:
        for table in (log.store.tables.checkpoints, log.store.tables.entries):
            connection.execute(table.delete())
    assert signer_refuses(log, mark)


def test_entries_without_a_checkpoint(log: Log) -> None:
    with running(log):
        put(log, [b"a"])
    with log.engine.begin() as connection:
        connection.execute(log.store.tables.checkpoints.delete())
    assert signer_refuses(log, None), "without a mark: entries that no checkpoint covers"
