"""A process that dies between any two steps: what it acknowledged is there afterwards, no index is given twice."""

from __future__ import annotations

import importlib
import itertools
import json
import multiprocessing
import os
from pathlib import Path
from typing import Any

import pytest

from audit.log import HighWaterFile
from audit.verifier.log_check import check_log
from audit.verifier.promise import verify_promise
from tests.audit.logs import SIGNER, TIMEOUT, make_log, put, running

FORK = multiprocessing.get_context("fork")
POINTS = {
    "before the entry is queued": "audit.log.store:LogStore.enqueue",
    "before the lease is renewed": "audit.log.store:LogStore.renew_lease",
    "after the entries are taken": "audit.log.sequencer:Sequencer._sign",
    "before the batch is stored": "audit.log.store:LogStore.append",
    "before the batch is remembered": "audit.log.sequencer:Sequencer._settle",
    "before the high-water mark is written": "audit.log.high_water:HighWaterFile.write",
    "before the waiters are told": "audit.log.waiting:Waiters.sequenced",
    "before the promise is signed": "audit.log.log:Log.promise_of",
}


def die_at(url: str, mark: Path, said: Path, point: str, count: int) -> None:
    """In a process of its own: append until the `count`-th call of the method `point`, and die as it begins.

    What stands in the file `said` was acknowledged.
    """
    module, _, path = point.partition(":")
    owner = getattr(importlib.import_module(module), path.split(".")[0])
    method = path.split(".")[1]
    original = getattr(owner, method)
    log = make_log(url)
    calls = itertools.count(1)
    armed = False

    def dying(*args: Any, **kwargs: Any) -> Any:
        if armed and next(calls) >= count:
            os._exit(9)
        return original(*args, **kwargs)

    setattr(owner, method, dying)
    with running(log, high_water=HighWaterFile(mark), lease_seconds=0.2), said.open("a") as file:
        armed = True
        for number in range(10_000):
            entry = f"{point} {count} {number}"
            with log.engine.begin() as connection:
                queue_id = log.enqueue(connection, entry.encode())
            index = log.wait(queue_id, TIMEOUT)
            file.write(json.dumps([index, entry, log.promise(index, entry.encode()).decode()]) + "\n")
            file.flush()


@pytest.mark.parametrize("point", POINTS.values(), ids=POINTS.keys())
def test_killed_between_two_steps(database_url: str, tmp_path: Path, point: str) -> None:
    mark = tmp_path / "mark"
    said = tmp_path / "said"
    said.touch()
    for count in (1, 3):
        process = FORK.Process(target=die_at, args=(database_url, mark, said, point, count))
        process.start()
        process.join(300)
        assert process.exitcode == 9
    acknowledged = [json.loads(line) for line in said.read_text().splitlines()]
    log = make_log(database_url)
    with running(log, high_water=HighWaterFile(mark), lease_seconds=0.2):
        put(log, [b"after the crash"])
    stored: list[bytes] = []
    check_log(log.fetch, [SIGNER.key], on_entry=lambda _, entry: stored.append(entry))
    assert len(stored) == len(set(stored)), "no entry twice"
    assert stored[-1] == b"after the crash"
    for index, entry, promise in acknowledged:
        assert stored[index] == entry.encode()
        verify_promise(promise, index, entry.encode(), [SIGNER.key])
    assert len({index for index, _, _ in acknowledged}) == len(acknowledged), "no index twice"


def test_a_torn_high_water_mark_leaves_the_one_before(tmp_path: Path) -> None:
    """A crash in the middle of a write spoils one slot; the other one is read."""
    path = tmp_path / "mark"
    mark = HighWaterFile(path)
    assert mark.read() is None
    notes = [f"note {number}" for number in range(5)]
    for number, note in enumerate(notes):
        mark.write(note)
        assert HighWaterFile(path).read() == note
        whole = path.read_bytes()
        newer = 4096 * ((number + 1) % 2)
        path.write_bytes(whole[: newer + 70] + b"?" + whole[newer + 71 :])
        assert HighWaterFile(path).read() == (notes[number - 1] if number else "")
        path.write_bytes(whole)
