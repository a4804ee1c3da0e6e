"""Where the parts of a build run: in this process, on this machine's cores, or on a Dask cluster.

A part is a function of paths and numbers. Neither keys nor records travel: a worker reads them from the data folder, which
a cluster must share.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ThreadPoolExecutor, as_completed, wait
from contextlib import AbstractContextManager, ExitStack, contextmanager
from itertools import chain, islice
from typing import Any, TypeVar

import joblib
from joblib.externals.loky import get_reusable_executor

T = TypeVar("T")
R = TypeVar("R")
PARTS_A_WORKER = 2
"""One in hand and one that waits for the worker, so that it does not wait for us."""
IDLE_SECONDS = 300


class Workers:
    """`backend`: ``loky`` (processes), ``threading`` or ``dask`` (with the address of its `scheduler`).

    `jobs`: how many parts at a time, 0 for as many as there are cores (with Dask: as the cluster takes).
    """

    def __init__(self, backend: str = "loky", jobs: int = 0, scheduler: str = "") -> None:
        self._backend = backend
        self._jobs = jobs or joblib.cpu_count()
        self._scheduler = scheduler
        self._pool: Executor | None = None
        self._width: Callable[[], int] = lambda: self._jobs

    @contextmanager
    def ready(self) -> Iterator[None]:
        """Keep processes and connections for several calls of `each`; they end with the block, whatever they are doing."""
        with ExitStack() as stack:
            if self._backend == "dask":
                cluster = stack.enter_context(_cluster(self._scheduler))
                self._pool, self._width = cluster.get_executor(), lambda: sum(cluster.nthreads().values())
            elif self._jobs > 1 and self._backend == "loky":
                self._pool = processes = get_reusable_executor(self._jobs, timeout=IDLE_SECONDS)
                stack.callback(processes.shutdown, kill_workers=True)  # what they write is whole or not there
            elif self._jobs > 1:
                self._pool = stack.enter_context(ThreadPoolExecutor(self._jobs))
            try:
                yield
            finally:
                self._pool = None

    def each(self, work: Callable[[T], R], items: Iterable[T]) -> Iterator[R]:
        """The result of `work` for each item, as they come. One item, or one job, is done right here.

        Items are taken here as well, and no more of them than keep the workers busy: making one may be work of its own.
        """
        remaining = iter(items)
        first = list(islice(remaining, 2))
        pool = self._pool
        if pool is None or len(first) < 2:
            yield from map(work, chain(first, remaining))
            return
        task = _Under(os.getpid(), work) if self._backend == "loky" else work
        pending: set[Future[R]] = set()
        try:
            for item in chain(first, remaining):
                pending.add(pool.submit(task, item))
                if len(pending) >= PARTS_A_WORKER * max(1, self._width()):
                    done, pending = wait(pending, return_when=FIRST_COMPLETED)
                    yield from (future.result() for future in done)
            yield from (future.result() for future in as_completed(pending))
        finally:
            for future in pending:
                future.cancel()


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
