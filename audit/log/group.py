"""Group commit: threads that enqueue at the same time share one transaction."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

from sqlalchemy import Connection, Engine

from audit.database import writing

EnqueueAll = Callable[[Connection, Sequence[bytes]], list[int]]


class GroupCommit:
    """While one thread commits, the others gather; whoever comes next commits for all of them."""

    def __init__(self, engine: Engine, enqueue_all: EnqueueAll) -> None:
        self._engine = engine
        self._enqueue_all = enqueue_all
        self._guard = threading.Lock()
        self._writing = threading.Lock()
        self._gathered: list[_Place] = []

    def enqueue(self, entry: bytes) -> int:
        """The queue id of `entry` once it is committed; what the database raises goes to all that it failed for."""
        place = _Place(entry)
        with self._guard:
            self._gathered.append(place)
        with self._writing:
            if not place.done:
                with self._guard:
                    group, self._gathered = self._gathered, []
                self._commit(group)
        if place.error is not None:
            raise place.error
        return place.queue_id

    def _commit(self, group: list[_Place]) -> None:
        try:
            with writing(self._engine) as connection:
                queue_ids = self._enqueue_all(connection, [place.entry for place in group])
        except Exception as error:
            for place in group:
                place.error = error
        else:
            for place, queue_id in zip(group, queue_ids, strict=True):
                place.queue_id = queue_id
        for place in group:
            place.done = True


class _Place:
    """One thread's entry and what became of it."""

    def __init__(self, entry: bytes) -> None:
        self.entry = entry
        self.queue_id = 0
        self.error: Exception | None = None
        self.done = False
