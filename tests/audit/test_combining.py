"""What waits at the same time is done together: in order, by key and weight, each with its own result or error."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest

from audit.combining import Combiner


class Work:
    """Work that waits at its first turn until it is let go on, so that the others surely gather."""

    def __init__(self, of: Callable[[int], int | Exception] = lambda item: 10 * item) -> None:
        self.turns: list[list[int]] = []
        self.begun, self.may_end = threading.Event(), threading.Event()
        self._of = of

    def __call__(self, items: Sequence[int]) -> list[int | Exception]:
        self.turns.append(list(items))
        self.begun.set()
        assert self.may_end.wait(20)
        return [self._of(item) for item in items]


def gather(work: Work, combiner: Combiner[int, int], first: int, others: Sequence[int]) -> list[Future[int]]:
    """Have one turn under way with `first` and the others waiting in this order; then let all go on."""
    pool = ThreadPoolExecutor(1 + len(others))
    futures = [pool.submit(combiner, first)]
    assert work.begun.wait(20)
    for count, other in enumerate(others, 1):
        futures.append(pool.submit(combiner, other))
        while len(combiner._waiting) < count:
            time.sleep(0.001)
    work.may_end.set()
    pool.shutdown()
    return futures


def test_whoever_waits_shares_the_next_turn() -> None:
    work = Work()
    futures = gather(work, Combiner(work, most=100), 0, range(1, 20))
    assert [future.result() for future in futures] == [10 * n for n in range(20)]
    assert work.turns == [[0], list(range(1, 20))]


def test_a_turn_has_a_limit_and_keeps_the_order() -> None:
    work = Work()
    gather(work, Combiner(work, most=4), 0, range(1, 10))
    assert work.turns == [[0], [1, 2, 3, 4], [5, 6, 7, 8], [9]]


def test_a_turn_takes_one_key_and_the_first_in_line_always_goes() -> None:
    work = Work()
    futures = gather(work, Combiner(work, most=10, key=lambda item: item % 2), 0, [1, 2, 3, 4, 5, 6])
    assert work.turns == [[0], [1, 3, 5], [2, 4, 6]]
    assert [future.result() for future in futures] == [10 * n for n in range(7)]


def test_heavy_items_go_alone_and_light_ones_fill_the_turn() -> None:
    work = Work()
    gather(work, Combiner(work, most=5, weight=lambda item: item), 1, [9, 3, 4, 2])
    assert work.turns == [[1], [9], [3, 2], [4]]


def test_one_item_s_error_is_its_own() -> None:
    def of(item: int) -> int | Exception:
        return ValueError("three") if item == 3 else item

    work = Work(of)
    futures = gather(work, Combiner(work, most=10), 0, [1, 2, 3, 4])
    with pytest.raises(ValueError, match="three"):
        futures[3].result()
    assert [futures[n].result() for n in (0, 1, 2, 4)] == [0, 1, 2, 4]


def test_what_the_work_raises_goes_to_all_of_its_turn_and_the_next_one_goes_on() -> None:
    def of(item: int) -> int | Exception:
        if item == 2:
            raise RuntimeError("broken")
        return item

    work = Work(of)
    combiner: Combiner[int, int] = Combiner(work, most=2)
    futures = gather(work, combiner, 0, [1, 2, 3, 4])
    for n in (1, 2):
        with pytest.raises(RuntimeError, match="broken"):
            futures[n].result()
    assert [futures[n].result() for n in (0, 3, 4)] == [0, 3, 4]
    assert combiner(7) == 7


def test_as_many_turns_at_once_as_are_allowed() -> None:
    here: Any = threading.Barrier(2)

    def work(items: Sequence[int]) -> Sequence[int | Exception]:
        here.wait(20)  # breaks unless two are at it together
        return items

    with ThreadPoolExecutor(2) as pool:
        assert sorted(pool.map(Combiner(work, most=1, at_once=2), range(2))) == [0, 1]
