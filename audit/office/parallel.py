"""Many small group operations at once: chunks on threads, through joblib so that a configured cluster takes over."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from joblib import Parallel, delayed

T = TypeVar("T")
R = TypeVar("R")

CHUNK = 256


def map_threads(function: Callable[[T], R], items: Sequence[T], workers: int) -> list[R]:
    """``[function(item) for item in items]`` on up to `workers` threads, in order."""
    if workers == 1 or len(items) <= CHUNK:
        return [function(item) for item in items]

    def run(chunk: Sequence[T]) -> list[R]:
        return [function(item) for item in chunk]

    parts = (items[start : start + CHUNK] for start in range(0, len(items), CHUNK))
    results: list[list[R]] = Parallel(n_jobs=workers, prefer="threads")(delayed(run)(part) for part in parts)
    return [result for part in results for result in part]
