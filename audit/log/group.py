"""Group commit: threads that enqueue at the same time share one transaction."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

from sqlalchemy import Connection, Engine

from audit.database import writing
from audit.verifier.errors import LogUnavailable

EnqueueAll = Callable[[Connection, Sequence[bytes]], list[int]]


class GroupCommit:
    """While one thread commits, the others gather; then one of those commits for all that gathered."""

    def __init__(self, engine: Engine, enqueue_all: EnqueueAll) -> None:
        self._engine = engine
        self._enqueue_all = enqueue_all
        self._guard = threading.Lock()
        self._gathered: list[_Place] = []
        self._committing = False

    def enqueue(self, entry: bytes) -> int:
        """The queue id of `entry` once it is committed; what the database raises goes to all that it failed for."""
        place = _Place(entry)
        with self._guard:
            self._gathered.append(place)
            leads, self._committing = not self._committing, True
        if not leads:
            place.turn.acquire()
        if not place.done:
            self._lead()
        if place.error is not None:
            raise place.error
        return place.queue_id

    def _lead(self) -> None:
        """Commit for all that gathered, then hand over."""
        with self._guard:
            group, self._gathered = self._gathered, []
        try:
            with writing(self._engine) as connection:
                queue_ids = self._enqueue_all(connection, [place.entry for place in group])
            for place, queue_id in zip(group, queue_ids, strict=True):
                place.queue_id = queue_id
        except BaseException as error:
            for place in group:
                place.error = error if isinstance(error, Exception) else LogUnavailable("the commit was interrupted")
            if not isinstance(error, Exception):
                raise
        finally:
            with self._guard:
                self._committing = bool(self._gathered)
                if self._gathered:
                    self._gathered[0].turn.release()
            for place in group:
                place.done = True
                place.turn.release()


class _Place:
    """One thread's entry and what became of it; `turn` opens when it is committed, or when it is this thread's to lead."""

    def __init__(self, entry: bytes) -> None:
        self.entry = entry
        self.queue_id = 0
        self.error: Exception | None = None
        self.done = False
        self.turn = threading.Semaphore(0)
