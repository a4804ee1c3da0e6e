"""Attack: pull the node's plug between any two steps of a training, and take what it said twice or not at all.

At every request of a training, from the opening of the job to the release, a process of the node dies: before it began,
with the step computed, in the middle of the transaction, or with everything stored and nothing said. Another process is
then asked the same.

Naive build: the new state is committed by itself, before answer and leaf; a process that dies in between leaves a step that
was taken, that nobody was told of, and that can never be taken.

Criterion: the other process answers; what was committed is resent and never computed again; what was not is computed once;
each step has one leaf, and none went without; the figures are, bit by bit, those of a process that nothing happened to.
"""

from __future__ import annotations

import multiprocessing
import os
import random
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import msgspec
import pytest
from sqlalchemy import Connection, select

from audit.database import writing
from crypto import kernels
from crypto.warm import warm_up
from models import wire
from models.problems import Problem
from sharing_node.app import LOG_TABLES
from sharing_node.jobs.running import Running, Store
from sharing_node.records import repository as records
from tests.attacks.stage import in_turn
from tests.node.test_trainings import Shadow
from tests.node.trainings import Ask, County, Worker, drive, release, train

pytestmark = pytest.mark.attack

NAME = "training-kills"
FULL_COUNT = 40  # trainings, each killed at every one of its nine requests
SMALL_COUNT = 1
REQUESTS = 9
FORK = multiprocessing.get_context("fork")

# Where a process dies: a method that it never returns from, or whose return it does not live to see.
POINTS: dict[str, tuple[str, bool]] = {
    "before the step": ("handle", False),
    "with the step computed": ("handle", True),
    "in the transaction": ("_store", False),
    "before the commit": ("_store", True),
    "before the reply": ("commit", True),
}
STORED = "before the reply"


class Stuck(AssertionError):
    """The training did not go on."""


def die(county: County, ask: Ask, point: str) -> None:
    """In a process of its own: take a step and die at a point of it."""
    kernels._pool.cache_clear()  # the threads of the parent are not here
    worker = Worker(county)
    name, afterwards = POINTS[point]
    owner: Any = worker.ledger if name == "_store" else worker
    method = getattr(owner, name)

    def dying(*args: Any, **kwargs: Any) -> Any:
        if afterwards:
            method(*args, **kwargs)
        os._exit(9)

    setattr(owner, name, dying)
    worker.ask(ask)


def one_training(folder: Path, points: Iterator[str], counts: Counter[str]) -> None:
    """One training that is killed at each request."""
    county = County(folder, f"sqlite:///{folder}/node.db", rows=1_000, bank_fields=1)
    with patch.object(records, "numeric_columns", county.numeric_columns):
        survivor = Worker(county)
        shadow, handled = Shadow(survivor), Counter[str]()
        handle = survivor.handle

        def counted(ask: Ask, bank: str = "bank-a") -> Any:
            handled[ask.key] += 1
            return handle(ask, bank)

        survivor.handle = counted  # type: ignore[method-assign]

        def ask(one: Ask) -> Any:
            point = next(points)
            process = FORK.Process(target=die, args=(county, one, point))
            process.start()
            process.join(300)
            assert process.exitcode == 9
            counts[point] += 1
            try:
                answer = survivor.ask(one)
            except Problem as problem:
                raise Stuck(f"{one.step}, killed {point}: {problem.detail}") from None
            computed = handled[one.key]
            assert computed == (point != STORED), f"{one.step}, killed {point}: computed {computed} times by the survivor"
            assert wire.encode(survivor.ask(one)) == wire.encode(answer)
            if one.step != "release":
                shadow.follow(one, answer)
            return answer

        figures = drive(train(county), ask)
        ask(release(figures.job))
        leaves = Counter(leaves_of(survivor))
        assert set(leaves.values()) == {1}, leaves
        assert len(leaves) == REQUESTS
        survivor.close()


def leaves_of(worker: Worker) -> list[tuple[str, int]]:
    """Action and round of every leaf that waits for the sequencer."""
    with worker.engine.connect() as connection:
        entries = connection.scalars(select(LOG_TABLES.queue.c.entry)).all()
    decoded = [msgspec.json.decode(entry) for entry in entries]
    return [(leaf["action"], leaf["facts"].get("round", 0)) for leaf in decoded]


def campaign(count: int, seed: int) -> dict[str, Any]:
    warm_up()  # here, so that the processes that are killed need not
    points, counts = in_turn(POINTS, REQUESTS * count, random.Random(seed)), Counter[str]()
    for _ in range(count):
        with tempfile.TemporaryDirectory() as folder:
            one_training(Path(folder), points, counts)
    return {"trainings": count, "kills": dict(sorted(counts.items()))}


def test_a_killed_node_goes_on_and_says_nothing_twice() -> None:
    outcome = campaign(SMALL_COUNT, seed=3)
    assert sum(outcome["kills"].values()) == REQUESTS * SMALL_COUNT


def _state_first() -> AbstractContextManager[Any]:
    """The naive build: the new state is stored by itself, before answer and leaf."""
    sound = Store.step

    def step(self: Store, running: Running, at: int) -> Callable[[Connection], None]:
        with writing(self._node.engine) as connection:
            sound(self, running, at)(connection)
        return lambda _connection: None

    return patch.object(Store, "step", step)


def test_the_naive_build_is_caught() -> None:
    with _state_first(), pytest.raises(Stuck):
        campaign(SMALL_COUNT, seed=3)
