"""Deleting what need not be kept: nonces whose signatures have ended, answers that nobody will ask for again.

A stored answer may hold what was shown to its asker, and is the only copy of it here; after `answer_days` it goes. The same
request then counts as a new one, and what it would do twice is refused by the state itself (a spent element stays spent).
Leaves and their openings are never touched.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from sqlalchemy import Connection, Engine, Table, delete, select, tuple_

from audit.database import writing
from audit.service.rounds import Rounds

ROUND_SECONDS = 60.0
ROWS_A_TRANSACTION = 200
"""Few, since others wait to write meanwhile."""
PAUSE_SECONDS = 0.05
CLOCK_TOLERANCE = 60
"""Seconds past its expiry until a signature surely fails by itself, however the clocks differ."""


class Purge(Rounds):
    """One service's housekeeping."""

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
        super().__init__("purge", ROUND_SECONDS, is_ours)
        self._engine = engine
        self._nonces = nonces
        self._answers = answers
        self._answer_seconds = answer_days * 24 * 3600
        self._clock = clock

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

    def look(self) -> None:
        """Delete what is due."""
        self.run_once()


def _delete_some(connection: Connection, table: Table, column: str, before: int) -> int:
    key = list(table.primary_key.columns)
    due = select(*key).where(table.c[column] < before).limit(ROWS_A_TRANSACTION)
    # The keys are read first: PostgreSQL would not look at a limit inside of a delete only once.
    rows = [tuple(row) for row in connection.execute(due)]
    if rows:
        connection.execute(delete(table).where(tuple_(*key).in_(rows)))
    return len(rows)
