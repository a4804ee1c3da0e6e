"""Column queries share passes: fewer than there are requests, each with exactly its own answer, and a full line says so."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest
from numpy.typing import NDArray

from crypto import kernels, pir
from models.problems import BadMessage, Busy
from sharing_node.epochs import combiner as module
from sharing_node.epochs.combiner import QUERIES_A_PASS, QUERIES_A_PIECE, ColumnCombiner

ROWS, COLUMNS = 40, 24
RNG = np.random.default_rng(20_250_101)


def matrix() -> NDArray[np.uint8]:
    return RNG.integers(0, 256, (ROWS, COLUMNS), dtype=np.uint8)


def queries(count: int, columns: int = COLUMNS) -> NDArray[np.uint32]:
    return RNG.integers(0, 1 << 32, (count, columns), dtype=np.uint32)


def slow_reference(table: NDArray[np.uint8], asked: NDArray[np.uint32]) -> NDArray[np.uint32]:
    return ((asked.astype(object) @ table.view(np.int8).astype(object).T) % (1 << 32)).astype(np.uint32)


class Passes:
    """Counts passes; the first one waits until it is let go on."""

    def __init__(self) -> None:
        self.sizes: list[int] = []
        self.begun, self.may_end = threading.Event(), threading.Event()
        self._answer_many = pir.answer_many

    def __call__(self, table: NDArray[np.uint8], asked: NDArray[np.uint32]) -> NDArray[np.uint32]:
        self.sizes.append(len(asked))
        self.begun.set()
        assert self.may_end.wait(60)
        return self._answer_many(table, asked)


@contextmanager
def counted() -> Iterator[Passes]:
    passes = Passes()
    with patch.object(module.pir, "answer_many", passes):
        yield passes


def wait_for(combiner: ColumnCombiner, waiting: int) -> None:
    inner: Any = combiner._answer_together
    while len(inner._waiting) < waiting:
        time.sleep(0.001)


def test_waiting_requests_take_fewer_passes_and_each_gets_its_own_answer() -> None:
    combiner = ColumnCombiner(passes=1, requests=32)
    tables = [matrix(), matrix()]
    asked = [(tables[n % 2], queries(1 + n % 3)) for n in range(12)]
    with counted() as passes, ThreadPoolExecutor(13) as pool:
        first = pool.submit(combiner.answer, tables[0], queries(1))
        assert passes.begun.wait(60)
        answers = [pool.submit(combiner.answer, *one) for one in asked]
        wait_for(combiner, len(asked))
        passes.may_end.set()
        first.result()
        for (table, words), answer in zip(asked, answers, strict=True):
            assert np.array_equal(answer.result(), slow_reference(table, words))
    assert len(passes.sizes) == 1 + 2, "one pass for each of the two matrices"
    assert sum(passes.sizes) == 1 + sum(len(words) for _, words in asked)


def test_a_large_request_lines_up_again_after_each_piece() -> None:
    combiner = ColumnCombiner(passes=1, requests=4)
    table, many, one = matrix(), queries(5 * QUERIES_A_PIECE + 3), queries(1)
    with counted() as passes, ThreadPoolExecutor(2) as pool:
        village = pool.submit(combiner.answer, table, many)
        assert passes.begun.wait(60)
        officer = pool.submit(combiner.answer, table, one)
        wait_for(combiner, 1)
        passes.may_end.set()
        assert np.array_equal(officer.result(), slow_reference(table, one))
        assert np.array_equal(village.result(), slow_reference(table, many))
    assert passes.sizes[:2] == [QUERIES_A_PIECE, 1], "the officer went next, not last"
    assert max(passes.sizes) <= QUERIES_A_PASS


def test_a_query_of_another_shape_is_refused_before_it_lines_up() -> None:
    combiner, table, good = ColumnCombiner(passes=1, requests=4), matrix(), queries(2)
    for bad in (queries(1, COLUMNS - 1), queries(1)[0], queries(1).astype(np.uint64)):
        with pytest.raises(BadMessage, match="24 numbers"):
            combiner.answer(table, bad)
    assert np.array_equal(combiner.answer(table, good), slow_reference(table, good))


def test_a_full_line_says_when_to_come_again() -> None:
    combiner, table = ColumnCombiner(passes=1, requests=2), matrix()
    with counted() as passes, ThreadPoolExecutor(2) as pool:
        taken = [pool.submit(combiner.answer, table, queries(1)) for _ in range(2)]
        assert passes.begun.wait(60)
        wait_for(combiner, 1)
        with pytest.raises(Busy) as caught:
            combiner.answer(table, queries(1))
        assert caught.value.retry_after
        passes.may_end.set()
        for one in taken:
            one.result()
    assert combiner.answer(table, queries(1)).shape == (1, ROWS)


def test_the_products_run_without_the_interpreter_s_lock() -> None:
    """While one thread multiplies, this one counts: with the lock held it could not."""
    table = RNG.integers(0, 256, (2048, 4096), dtype=np.uint8)
    asked = queries(64, 4096)
    kernels.table_times(table[:4], asked)  # compiled
    done, turns = threading.Event(), 0
    with ThreadPoolExecutor(1) as pool:
        product = pool.submit(kernels.table_times, table, asked)
        product.add_done_callback(lambda _: done.set())
        while not done.is_set():
            turns += 1
    assert turns > 100
