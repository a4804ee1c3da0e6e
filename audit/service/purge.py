"""Deleting what need not be kept: nonces whose signatures have ended, answers that nobody will ask for again.

A stored answer may hold what was shown to its asker, and is the only copy of it here; after `answer_days` it goes. The same
request then counts as a new one, and what it would do twice is refused by the state itself (a spent element stays spent).
Leaves and their openings are never touched.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from types import TracebackType

import structlog
from sqlalchemy import Connection, Engine, Table, delete, select, tuple_
from sqlalchemy.exc import SQLAlchemyError

from audit.database import writing

logger = structlog.get_logger()
ROUND_SECONDS = 60.0
ROWS_A_TRANSACTION = 200
"""Few, since others wait to write meanwhile."""
PAUSE_SECONDS = 0.05
CLOCK_TOLERANCE = 60
"""Seconds past its expiry until a signature surely fails by itself, however the clocks differ."""


class Purge:
    """One service's housekeeping, in the process for which `is_ours` holds: the one that sequences the log."""

    def __init__(
        self,
        engine: Engine,
        nonces: Table,
        answers: Table,
        *,
        answer_days: int,
        is_ours: Callable[[], bool],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._engine = engine
        self._nonces = nonces
        self._answers = answers
        self._answer_seconds = answer_days * 24 * 3600
        self._is_ours = is_ours
        self._clock = clock
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="purge", daemon=True)

    def __enter__(self) -> Purge:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._stopping.set()
        self._thread.join()

    def run_once(self) -> int:
        """Delete all that is due, in small transactions; how many rows went."""
        now = int(self._clock())
        return self._delete(self._nonces, "expires", now - CLOCK_TOLERANCE) + self._delete(
            self._answers, "at", now - self._answer_seconds
        )

    def _delete(self, table: Table, column: str, before: int) -> int:
        gone = 0
        while not self._stopping.is_set():
            with writing(self._engine) as connection:
                deleted = _delete_some(connection, table, column, before)
            gone += deleted
            if deleted < ROWS_A_TRANSACTION:
                break
            self._stopping.wait(PAUSE_SECONDS)
        return gone

    def _run(self) -> None:
        while not self._stopping.wait(ROUND_SECONDS):
            try:
                if self._is_ours():
                    self.run_once()
            except SQLAlchemyError as error:
                logger.warning("nothing could be purged now", error=type(error).__name__)


def _delete_some(connection: Connection, table: Table, column: str, before: int) -> int:
    key = list(table.primary_key.columns)
    due = select(*key).where(table.c[column] < before).limit(ROWS_A_TRANSACTION)
    # The keys are read first: PostgreSQL would not look at a limit inside of a delete only once.
    rows = [tuple(row) for row in connection.execute(due)]
    if rows:
        connection.execute(delete(table).where(tuple_(*key).in_(rows)))
    return len(rows)
