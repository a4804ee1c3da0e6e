"""Where the parts of a build run: in this process, on this machine's cores, or on a Dask cluster. joblib carries them.

A part is a function of paths and numbers. Neither keys nor records travel: a worker reads them from the data folder, which
a cluster must share.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any, TypeVar

import joblib
from joblib.externals.loky import get_reusable_executor

T = TypeVar("T")
R = TypeVar("R")


class Workers:
    """`backend`: ``loky`` (processes), ``threading`` or ``dask`` (with the address of its `scheduler`).

    `jobs`: how many parts at a time, 0 for as many as there are cores (with Dask: as the cluster takes).
    """

    def __init__(self, backend: str = "loky", jobs: int = 0, scheduler: str = "") -> None:
        self._backend = backend
        self._jobs = jobs or joblib.cpu_count()
        self._scheduler = scheduler

    @contextmanager
    def ready(self) -> Iterator[None]:
        """Keep processes and connections for several calls of `each`; they end with the block."""
        if self._backend == "dask":
            with _cluster(self._scheduler):
                yield
            return
        try:
            yield
        finally:
            if self._backend == "loky":
                get_reusable_executor().shutdown(wait=True)

    def each(self, work: Callable[[T], R], items: Sequence[T]) -> Iterator[R]:
        """The result of `work` for each item, as they come. One item, or one job, is done right here."""
        jobs = -1 if self._backend == "dask" else min(self._jobs, len(items))
        if jobs == 1 or len(items) <= 1:
            yield from map(work, items)
            return
        begun = _Under(os.getpid(), work) if self._backend == "loky" else work
        with joblib.parallel_config(backend=self._backend):
            parallel = joblib.Parallel(n_jobs=jobs, batch_size=1, return_as="generator_unordered")
            yield from parallel(joblib.delayed(begun)(item) for item in items)


def _cluster(scheduler: str) -> AbstractContextManager[Any]:
    try:
        from distributed import Client
    except ModuleNotFoundError:
        raise RuntimeError("builds on a Dask cluster need the extra: pip install 'xinqiao[cluster]'") from None
    client: AbstractContextManager[Any] = Client(scheduler)  # type: ignore[no-untyped-call]
    return client


class _Under:
    """Work in a process that ends when the one which began it does: else it would hold memory until it is idle."""

    watched = False

    def __init__(self, parent: int, work: Callable[[T], R]) -> None:
        self._parent = parent
        self._work = work

    def __call__(self, item: Any) -> Any:
        if not _Under.watched:
            _Under.watched = True
            threading.Thread(target=self._watch, name="parent-watch", daemon=True).start()
        return self._work(item)

    def _watch(self) -> None:
        while os.getppid() == self._parent:
            time.sleep(0.5)
        os._exit(1)
