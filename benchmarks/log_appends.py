"""Durable appends to the transparency log on SQLite, beside bare SQLite commits on the same disk in the same run.

`THREADS` writers append `APPENDS` entries of 200 bytes each and wait for every index: once each in a transaction of its own,
as an endpoint does that changes state with its leaf, once through `Log.append`, where threads share a commit. The high-water
mark is written too. One writer alone shows the latency.
"""

from __future__ import annotations

import sqlite3
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

from sqlalchemy import MetaData

from audit.database import open_engine
from audit.log import HighWaterFile, Log, Sequencer, log_tables
from audit.verifier.note import NoteSigner
from benchmarks.report import Metric, Result, Settings

TIMEOUT = 60.0
ENTRY_BYTES = 200


def run(settings: Settings) -> Result:
    """All metrics of one run."""
    threads, appends = settings.size("THREADS", 64), settings.size("APPENDS", 100)
    with tempfile.TemporaryDirectory(prefix="xinqiao-log-") as name:
        folder = Path(name)
        bare = bare_commits(folder / "bare.db")
        rates, latency = {}, {}
        for kind, writers in (("own_transaction", threads), ("append", threads), ("single", 1)):
            log, sequencer = start(folder / kind)
            write = in_own_transaction if kind != "append" else lambda log, entry: log.append(entry, TIMEOUT)
            with sequencer:
                rates[kind], latency[kind] = measure(lambda entry, log=log, write=write: write(log, entry), writers, appends)
    return {
        "appends_own_transaction": Metric(rates["own_transaction"], "1/s", bare, "bare SQLite commits, one writer"),
        "appends_shared_commit": Metric(rates["append"], "1/s", bare, "bare SQLite commits, one writer"),
        "single_writer_median": Metric(latency["single"] * 1e3, "ms", 1e3 / bare, "one bare SQLite commit"),
    }


def start(folder: Path) -> tuple[Log, Sequencer]:
    folder.mkdir()
    metadata = MetaData()
    tables = log_tables(metadata)
    engine = open_engine(f"sqlite:///{folder}/log.db")
    metadata.create_all(engine)
    log = Log(engine, tables, NoteSigner.from_seed("log.example/benchmark", bytes(32)))
    return log, Sequencer(log, high_water=HighWaterFile(folder / "mark"))


def in_own_transaction(log: Log, entry: bytes) -> int:
    with log.engine.begin() as connection:
        queue_id = log.enqueue(connection, entry)
    return log.wait(queue_id, TIMEOUT)


def measure(write: Callable[[bytes], int], writers: int, appends: int) -> tuple[float, float]:
    """Appends a second over all writers, and the median of one, in seconds."""
    indices: list[int] = []
    seconds: list[float] = []

    def work(writer: int) -> None:
        for number in range(appends):
            begun = time.perf_counter()
            indices.append(write(f"{writer}/{number}".ljust(ENTRY_BYTES).encode()))
            seconds.append(time.perf_counter() - begun)

    threads = [threading.Thread(target=work, args=(writer,)) for writer in range(writers)]
    begun = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    elapsed = time.perf_counter() - begun
    assert sorted(indices) == list(range(writers * appends)), "every entry has an index of its own"
    return writers * appends / elapsed, median(seconds)


def bare_commits(path: Path, count: int = 500) -> float:
    """Commits of one row a second, WAL with synchronous=FULL."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("CREATE TABLE t (entry BLOB)")
    begun = time.perf_counter()
    for _ in range(count):
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("INSERT INTO t VALUES (?)", (bytes(ENTRY_BYTES),))
        connection.commit()
    elapsed = time.perf_counter() - begun
    connection.close()
    return count / elapsed
