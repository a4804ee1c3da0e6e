"""Doing together what several threads want at the same time: while some are at it, the others gather for the next turn.

Nobody waits for company: a thread that finds nothing under way begins at once. Those that gather are served in the order in
which they came; a turn takes the first, and with it those behind that go with it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable, Sequence
from typing import Generic, TypeVar

T = TypeVar("T")
R = TypeVar("R")


class Combiner(Generic[T, R]):
    """Calls `work` with what gathered, at most `at_once` times at the same time.

    `work` gives one result for each item, or an exception that this item's thread alone then raises; what `work` itself
    raises goes to all of its items. A turn takes items of one `key`, of a summed `weight` of at most `most` (an item of more
    goes alone).
    """

    def __init__(
        self,
        work: Callable[[Sequence[T]], Sequence[R | Exception]],
        *,
        most: int,
        at_once: int = 1,
        key: Callable[[T], Hashable] = lambda _: None,
        weight: Callable[[T], int] = lambda _: 1,
    ) -> None:
        self._work = work
        self._most = most
        self._at_once = at_once
        self._key = key
        self._weight = weight
        self._guard = threading.Lock()
        self._waiting: list[_Place[T, R]] = []
        self._working = 0

    def __call__(self, item: T) -> R:
        """The result for one item; the calling thread may do the work for others with its own."""
        place = _Place[T, R](item)
        with self._guard:
            if self._working < self._at_once:  # then nobody waits
                self._working += 1
                place.turn = [place]
            else:
                self._waiting.append(place)
        if place.turn is None:
            place.called.acquire()
        if place.turn is not None:
            self._take_turn(place.turn)
        if place.error is not None:
            raise place.error
        assert place.result, "a turn leaves a result or an error with each of its places"
        return place.result[0]

    def _take_turn(self, turn: Sequence[_Place[T, R]]) -> None:
        try:
            for place, result in zip(turn, self._work([place.item for place in turn]), strict=True):
                if isinstance(result, Exception):
                    place.error = result
                else:
                    place.result = [result]
        except BaseException as error:
            for place in turn:
                place.result, place.error = [], error
        finally:
            with self._guard:
                following = self._gather()
                if following:
                    following[0].turn = following
                else:
                    self._working -= 1
            if following:
                following[0].called.release()
            for place in turn[1:]:
                place.called.release()

    def _gather(self) -> list[_Place[T, R]]:
        """Take the next turn's places out of those that wait: the first, and what goes with it."""
        if not self._waiting:
            return []
        first = self._waiting[0]
        turn, weight, left = [first], self._weight(first.item), []
        for place in self._waiting[1:]:
            more = self._weight(place.item)
            if self._key(place.item) == self._key(first.item) and weight + more <= self._most:
                turn.append(place)
                weight += more
            else:
                left.append(place)
        self._waiting = left
        return turn


class _Place(Generic[T, R]):
    """One thread's item and what becomes of it. `called` is held until it is done, or until `turn` is its thread's to take."""

    def __init__(self, item: T) -> None:
        self.item = item
        self.turn: list[_Place[T, R]] | None = None
        self.result: list[R] = []
        self.error: BaseException | None = None
        self.called = threading.Lock()
        self.called.acquire()
