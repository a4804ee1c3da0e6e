"""The log on SQLite and on PostgreSQL: what is acknowledged is there, once, in order, and provable."""

from __future__ import annotations

import contextlib
import itertools
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Column, Connection, Engine, Integer, MetaData, Table, create_engine, func, insert, select
from sqlalchemy.exc import IntegrityError, OperationalError

import audit.log.sequencer as sequencer_module
from audit.database import open_engine, writing
from audit.log import HighWaterFile, Log, Sequencer, log_tables
from audit.verifier.errors import EntryTooLarge, LogRefusal, LogUnavailable, ProofError
from audit.verifier.log_check import check_log
from audit.verifier.merkle import leaf_hash, verify_consistency, verify_inclusion
from audit.verifier.promise import open_promise, verify_promise
from audit.verifier.proof import verify_receipt
from audit.verifier.tiles import ENTRIES, Tile, levels_of, tiles_at
from tests.audit import reference
from tests.audit.logs import BANK, OFFICE, ORIGIN, SIGNER, TIMEOUT, entries_of, make_log, put, running


@pytest.fixture
def log(database_url: str) -> Log:
    return make_log(database_url)


def test_entries_get_consecutive_indices_in_queue_order(log: Log) -> None:
    with running(log):
        assert put(log, entries_of(600)) == list(range(600))
        assert put(log, [b"", b"x" * 65_535]) == [600, 601]
    assert log.size == 602
    assert check_log(log.fetch, [SIGNER.key]).size == 602


def test_an_entry_and_its_state_change_are_one(log: Log) -> None:
    metadata = MetaData()
    state = Table("state", metadata, Column("id", Integer, primary_key=True))
    metadata.create_all(log.engine)

    def enqueue_with_state(entry: bytes) -> int:
        with log.engine.begin() as connection:
            queue_id = log.enqueue(connection, entry)
            connection.execute(insert(state), {"id": 1})
            return queue_id

    with running(log):
        kept = enqueue_with_state(b"kept")
        with pytest.raises(IntegrityError):
            enqueue_with_state(b"lost")
        assert log.wait(kept, TIMEOUT) == 0
        assert put(log, [b"next"]) == [1]
    assert log.tile(Tile(ENTRIES, 0, 2)) == b"\0\4kept\0\4next"


def test_fails_closed(log: Log) -> None:
    with log.engine.begin() as connection:
        queue_id = log.enqueue(connection, b"entry")
        with pytest.raises(EntryTooLarge, match="commitment"):
            log.enqueue(connection, b"x" * 65_536)
    with pytest.raises(LogUnavailable, match="nothing was released"):
        log.wait(queue_id, 0.05)
    for early in (log.checkpoint, log.published, lambda: log.receipt(0), lambda: log.wait_cosigned(0, 0.05)):
        with pytest.raises(LogUnavailable):
            early()
    with running(log):
        assert log.wait(queue_id, TIMEOUT) == 0, "the entry is taken later, and waiting again finds it"
        with pytest.raises(LogUnavailable):
            log.wait(queue_id + 1, 0.05)


def test_the_tables_refuse_an_oversize_entry(log: Log) -> None:
    with pytest.raises(IntegrityError), log.engine.begin() as connection:
        log.store.enqueue(connection, b"x" * 65_536)


def test_eight_threads(log: Log) -> None:
    found: dict[bytes, int] = {}

    def work(thread: int) -> None:
        for number in range(25):
            entry = f"{thread}/{number}".encode()
            if number % 2:
                found[entry] = log.append(entry, TIMEOUT)
            else:
                [found[entry]] = put(log, [entry])

    with running(log):
        run_all([lambda thread=thread: work(thread) for thread in range(8)])
    assert sorted(found.values()) == list(range(200))
    stored: list[bytes] = []
    check_log(log.fetch, [SIGNER.key], on_entry=lambda _, entry: stored.append(entry))
    assert {entry: index for index, entry in enumerate(stored)} == found
    assert all(
        index < found[f"{thread}/{number + 1}".encode()]
        for thread in range(8)
        for number in range(24)
        for index in [found[f"{thread}/{number}".encode()]]
    ), "one thread's entries keep their order"


def run_all(jobs: list[Callable[[], Any]]) -> None:
    errors: list[BaseException] = []

    def guarded(job: Callable[[], Any]) -> None:
        try:
            job()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=guarded, args=(job,)) for job in jobs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]


def test_one_lease_two_sequencers(database_url: str) -> None:
    """Only one sequences; when it stops the other goes on; waiting in a process without a sequencer works."""
    first, second, third = make_log(database_url), make_log(database_url), make_log(database_url)
    # However long a disk or a busy machine holds up the leader, it keeps the lease; the other one looks often.
    with running(first, lease_seconds=600.0) as leader, Sequencer(second, lease_seconds=1.0) as standby:
        jobs = [lambda log=log: [put(log, [b"entry"]) for _ in range(10)] for log in (first, second, third)]
        run_all(jobs)
        assert not standby.wait_ready(0.0)
        leader.stop()
        assert standby.wait_ready(TIMEOUT)
        run_all(jobs)
    assert check_log(third.fetch, [SIGNER.key]).size == 60


def test_the_lease_of_a_process_that_was_killed_is_free_at_once(tmp_path: Path) -> None:
    """On the same machine; of another machine nobody can tell, so the lease runs its time."""
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    for number, (host, free) in enumerate([(socket.gethostname()[:24], True), ("another", False)]):
        log = make_log(f"sqlite:///{tmp_path}/{number}.db")
        now = time.time()
        with log.engine.begin() as connection:
            assert log.store.take_lease(connection, f"{host} {ended.pid} 00", now, now + 3600)
        with Sequencer(log) as sequencer:
            assert sequencer.wait_ready(TIMEOUT if free else 0.2) == free


def test_a_sequencer_that_lost_its_lease_writes_nothing(log: Log) -> None:
    """Whatever its clock says: the batch's transaction looks at the lease first."""
    with running(log, lease_seconds=60.0) as sequencer:
        put(log, entries_of(3))
        with writing(log.engine) as connection:
            assert not log.store.take_lease(connection, "usurper", time.time(), time.time() + 60)
            assert log.store.take_lease(connection, "usurper", time.time() + 61, time.time() + 120)
        with log.engine.begin() as connection:
            queue_id = log.enqueue(connection, b"entry")
        with pytest.raises(LogUnavailable):
            log.wait(queue_id, 0.3)
        noticed = time.monotonic() + TIMEOUT
        while sequencer.wait_ready(0.0) and time.monotonic() < noticed:
            time.sleep(0.01)
        assert not sequencer.wait_ready(0.0)
        assert sequencer.refusal is None
    assert log.size == 3


def test_tiles_at_every_size(log: Log) -> None:
    """Each size that was signed has its tiles, also after the log has grown (tlog-tiles, "Partial Tiles")."""
    entries = entries_of(257)
    with running(log):
        for start, end in [(0, 1), (1, 255), (255, 256), (256, 257)]:
            put(log, entries[start:end])
    for size in (1, 255, 256, 257):
        files = reference.log_files(entries[:size], SIGNER)
        for level in (ENTRIES, *levels_of(size)):
            for tile in tiles_at(size, level):
                assert log.tile(tile) == files[tile.path], (size, tile)
    assert log.checkpoint() == reference.checkpoint_note(entries, SIGNER)
    for beyond in (Tile(0, 1, 2), Tile(ENTRIES, 1, 2), Tile(1, 0, 2), Tile(2, 0, 1), Tile(0, 2, 1), Tile(0, 1)):
        with pytest.raises(FileNotFoundError):
            log.tile(beyond)


def test_tiles_of_70000(tmp_path: Path) -> None:
    entries = entries_of(70_000)
    log = make_log(f"sqlite:///{tmp_path}/log.db")
    with log.engine.begin() as connection:
        last = log.store.enqueue_all(connection, entries)[-1]
    with running(log):
        assert log.wait(last, TIMEOUT) == 69_999
    for path, data in reference.log_files(entries, SIGNER).items():
        assert log.fetch(path) == data, path
    verify_receipt(log.receipt(12_345), entries[12_345], [SIGNER.key])


@pytest.fixture(scope="module")
def long_log(tmp_path_factory: pytest.TempPathFactory) -> Log:
    log = make_log(f"sqlite:///{tmp_path_factory.mktemp('long')}/log.db")
    with running(log):
        put(log, entries_of(700))
    return log


@given(st.data())
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_proofs_from_tiles_equal_the_rfc(long_log: Log, data: st.DataObject) -> None:
    new = data.draw(st.integers(1, 700))
    old = data.draw(st.integers(1, new))
    entries = entries_of(new)
    inclusion = long_log.inclusion(old - 1, new)
    assert inclusion == reference.path(old - 1, entries)
    verify_inclusion(old - 1, new, leaf_hash(entries[old - 1]), inclusion, reference.mth(entries))
    consistency = long_log.consistency(old, new)
    assert consistency == reference.proof(old, entries)
    verify_consistency(old, new, reference.mth(entries[:old]), reference.mth(entries), consistency)


def test_no_proofs_beyond_the_log(long_log: Log) -> None:
    for call in (
        lambda: long_log.inclusion(700, 701),
        lambda: long_log.inclusion(0, 701),
        lambda: long_log.consistency(1, 701),
        lambda: long_log.consistency(700, 1024),
        lambda: long_log.receipt(700),
        lambda: long_log.promise(700, b"entry"),
        lambda: long_log.promise(5, b"another entry"),
    ):
        with pytest.raises(ProofError):
            call()


def test_receipts_and_promises(log: Log) -> None:
    with running(log):
        put(log, entries_of(20))
        for index, entry in enumerate(entries_of(20)):
            verify_receipt(log.receipt(index), entry, [SIGNER.key])
            verify_promise(log.promise(index, entry), index, entry, [SIGNER.key])
        with log.engine.begin() as connection:
            queued = log.enqueue(connection, b"one more")
        told = log.place(queued, TIMEOUT)
        assert (told.index, told.leaf) == (20, leaf_hash(b"one more"))
        assert log.promise_of(told) == log.promise(20, b"one more")
        assert told == log._look_up(queued), "who asks later, or another process, is told the same"
        with pytest.raises(ProofError, match="another entry"):
            log.promise(3, entries_of(20)[4])


def test_time_never_runs_back(database_url: str) -> None:
    times = iter([1000.0, 2000.0, 1500.0, 1500.0, 2500.0])
    clock = [0.0]
    log = make_log(database_url, clock=lambda: clock[0])
    seen = []
    for now in times:
        clock[0] = now
        with running(log):
            [index] = put(log, [b"entry"])
        with log.engine.connect() as connection:
            assert log.now(connection) == max([int(now), *seen])
        seen.append(open_promise(log.promise(index, b"entry"), [SIGNER.key]).time)
    assert seen == [1000, 2000, 2000, 2000, 2500]


def test_openings_can_be_erased_and_leaves_stay(log: Log) -> None:
    with running(log):
        with log.engine.begin() as connection:
            queue_id = log.enqueue(connection, b"leaf with commitment")
            log.store_openings(connection, {b"c" * 32: b"who it was", b"d" * 32: b"another"})
        index = log.wait(queue_id, TIMEOUT)
        assert log.opening(b"c" * 32) == b"who it was"
        with log.engine.begin() as connection:
            assert log.erase_opening(connection, b"c" * 32)
            assert not log.erase_opening(connection, b"c" * 32)
        assert log.opening(b"c" * 32) is None
        assert log.opening(b"d" * 32) == b"another"
        verify_receipt(log.receipt(index), b"leaf with commitment", [SIGNER.key])


def test_restart_goes_on_where_it_stopped(log: Log, tmp_path: Path) -> None:
    mark = HighWaterFile(tmp_path / "mark")
    for round_ in range(3):
        with running(log, high_water=mark) as sequencer:
            assert put(log, [b"a", b"b"]) == [2 * round_, 2 * round_ + 1]
            with pytest.raises(LogUnavailable):
                sequencer.wait(10**6, 0.01)
        assert mark.read() == log.checkpoint()
    assert HighWaterFile(tmp_path / "mark").read() == log.checkpoint()


def test_a_lost_commit_acknowledgement_is_found_again(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    """The database commits a batch, and the connection breaks before it says so."""
    failures = itertools.cycle([True, False, False])

    @contextlib.contextmanager
    def lossy(engine: Engine) -> Iterator[Connection]:
        with writing(engine) as connection:
            yield connection
        if next(failures):
            raise OperationalError("COMMIT", {}, ConnectionError("connection lost"))

    with running(log) as sequencer:
        monkeypatch.setattr(sequencer_module, "RETRY_SECONDS", 0.01)
        monkeypatch.setattr(sequencer_module, "writing", lossy)
        for number in range(6):
            assert put(log, [b"entry"]) == [number]
        assert sequencer.refusal is None
    assert check_log(log.fetch, [SIGNER.key]).size == 6


def test_a_full_disk_under_the_mark_passes(
    log: Log, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A batch is durable but its mark cannot be written: nobody is told of it until it can."""
    mark = HighWaterFile(tmp_path / "mark")
    write, failures = mark.write, itertools.cycle([True, True, False])

    def write_or_fail(note: str) -> None:
        if next(failures):
            raise OSError(28, "No space left on device")
        write(note)

    with running(log, high_water=mark) as sequencer:
        monkeypatch.setattr(sequencer_module, "RETRY_SECONDS", 0.01)
        monkeypatch.setattr(mark, "write", write_or_fail)
        for number in range(3):
            assert put(log, [b"entry"]) == [number]
            assert mark.read() == log.checkpoint()
        assert sequencer.refusal is None
    assert "trying again: OSError" in caplog.text


def test_weak_durability_is_refused(tmp_path: Path, postgresql_server: str) -> None:
    tables = log_tables(MetaData())
    with pytest.raises(ValueError, match="synchronous=FULL"):
        Log(create_engine(f"sqlite:///{tmp_path}/weak.db"), tables, SIGNER)
    with pytest.raises(ValueError, match="memory"):
        open_engine("sqlite://")
    weak = open_engine(
        postgresql_server.replace("postgresql://", "postgresql+psycopg://"),
        connect_args={"options": "-c synchronous_commit=off"},
    )
    with pytest.raises(ValueError, match="synchronous_commit"):
        Log(weak, tables, SIGNER)


def test_witness_policies_that_make_no_sense(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/log.db"
    for options in (
        {"witnesses": [SIGNER.key]},
        {"witnesses": [OFFICE.key, OFFICE.key]},
        {"witnesses": [OFFICE.key], "quorum": 2},
        {"witnesses": [OFFICE.key], "quorum": 0},
        {"witnesses": [OFFICE.key], "required": [BANK.key]},
    ):
        with pytest.raises(ValueError, match=r"witness|quorum"):
            make_log(url, **options)


def test_the_queue_is_empty_afterwards(log: Log) -> None:
    with running(log):
        put(log, entries_of(5))
    with log.engine.connect() as connection:
        assert connection.execute(select(func.count()).select_from(log.store.tables.queue)).scalar_one() == 0
        assert connection.execute(select(func.count()).select_from(log.store.tables.entries)).scalar_one() == 5
    assert log.origin == ORIGIN


def test_a_refusing_signer_fails_every_wait(log: Log, tmp_path: Path) -> None:
    (tmp_path / "mark").write_bytes(b"scratched")
    with Sequencer(log, high_water=HighWaterFile(tmp_path / "mark")) as sequencer:
        with pytest.raises(LogRefusal, match="cannot be read"):
            sequencer.wait_ready(TIMEOUT)
        with log.engine.begin() as connection:
            queue_id = log.enqueue(connection, b"entry")
        with pytest.raises(LogUnavailable, match="refuses to sign"):
            log.wait(queue_id, TIMEOUT)
