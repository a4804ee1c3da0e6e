"""Stages that work at the same time: while one chunk is used, the next one is made in a thread."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")
_END = object()


def ahead(items: Generator[T]) -> Iterator[T]:
    """The same items; each is made in a thread while the one before it is used, never more than one.

    What making an item raises is raised after all items before it have been used.
    """
    with ThreadPoolExecutor(1) as thread:
        try:
            coming = thread.submit(next, items, _END)
            while (item := coming.result()) is not _END:
                coming = thread.submit(next, items, _END)
                yield item  # type: ignore[misc]
        finally:
            thread.submit(items.close).result()  # after the item that is being made: a generator runs in one place
