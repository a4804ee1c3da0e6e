"""What must not be forgotten: the checks of the branch and their decisions, in the desk's own SQLite file (mode 0600).

There is no record in it and no id. So that an officer knows again whom a decision is about, an open check keeps the bank's own
reference and a masked id, whose middle is gone. The mask is erased when the decision is recorded, or after `MASK_DAYS`;
a decided check is deleted after `KEPT_DAYS`. A check that was under way when the desk stopped is ``interrupted``.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path

MASK_DAYS = 90
KEPT_DAYS = 30
DAY = 24 * 3600
ASKING, ANSWERED, REFUSED, DAMAGED, INTERRUPTED = "asking", "answered", "refused", "damaged", "interrupted"

_TABLE = """
CREATE TABLE IF NOT EXISTS checks (
  handle TEXT PRIMARY KEY, officer TEXT NOT NULL, at INTEGER NOT NULL, project TEXT NOT NULL, purpose TEXT NOT NULL,
  reference TEXT NOT NULL, mask TEXT NOT NULL, state TEXT NOT NULL, problem TEXT NOT NULL DEFAULT '',
  ticket TEXT NOT NULL DEFAULT '', leaf INTEGER NOT NULL DEFAULT -1, outcome TEXT NOT NULL DEFAULT '',
  decided_at INTEGER NOT NULL DEFAULT 0, report TEXT NOT NULL DEFAULT ''
) STRICT
"""


@dataclass(frozen=True)
class Check:
    """One check as the ledger knows it. `ticket` and `report` are digests, `leaf` the index in the node's log or -1."""

    handle: str
    officer: str
    at: int
    project: str
    purpose: str
    reference: str
    mask: str
    state: str
    problem: str = ""
    ticket: str = ""
    leaf: int = -1
    outcome: str = ""
    decided_at: int = 0
    report: str = ""

    @property
    def is_open(self) -> bool:
        """A ticket was spent and nobody has said what became of it."""
        return bool(self.ticket) and not self.outcome and self.state != ASKING


_COLUMNS = tuple(entry.name for entry in fields(Check))


class Ledger:
    """The file of one desk."""

    def __init__(self, path: Path, now: int) -> None:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
        self._lock = threading.Lock()
        self._connection = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        self._connection.execute("PRAGMA secure_delete = ON")
        self._connection.execute("PRAGMA synchronous = FULL")
        self._connection.execute(_TABLE)
        self._run("UPDATE checks SET state = ? WHERE state = ?", (INTERRUPTED, ASKING))
        self.forget(now)

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._connection.close()

    def begin(self, check: Check) -> None:
        """Note a check before anybody is asked."""
        marks = ", ".join("?" * len(_COLUMNS))
        values = tuple(getattr(check, name) for name in _COLUMNS)
        self._run(f"INSERT INTO checks ({', '.join(_COLUMNS)}) VALUES ({marks})", values)  # noqa: S608 - our own words

    def spent(self, handle: str, ticket: str) -> None:
        """Note which ticket a check spends, before it is spent."""
        self._run("UPDATE checks SET ticket = ? WHERE handle = ?", (ticket, handle))

    def end(self, handle: str, state: str, *, leaf: int = -1, problem: str = "") -> None:
        """Note how a check ended. One that the office refused needs no decision, and its mask goes at once."""
        statement = "UPDATE checks SET state = ?, leaf = ?, problem = ?, mask = CASE WHEN ticket = '' THEN '' ELSE mask END"
        self._run(f"{statement} WHERE handle = ?", (state, leaf, problem, handle))

    def decide(self, handle: str, outcome: str, reference: str, at: int, report: str) -> None:
        """Note a decision that the office has; the mask goes."""
        statement = "UPDATE checks SET outcome = ?, reference = ?, decided_at = ?, report = ?, mask = '' WHERE handle = ?"
        self._run(statement, (outcome, reference, at, report, handle))

    def find(self, handle: str, officer: str) -> Check | None:
        """A check of this officer."""
        return next(iter(self._rows("handle = ? AND officer = ?", (handle, officer))), None)

    def open_of(self, officer: str) -> list[Check]:
        """Checks that wait for this officer's decision, the oldest first."""
        return [row for row in self._rows("officer = ? AND outcome = '' ORDER BY at", (officer,)) if row.is_open]

    def since(self, officer: str, at: int) -> list[Check]:
        """This officer's checks since then, the newest first."""
        return self._rows("officer = ? AND at >= ? ORDER BY at DESC, rowid DESC", (officer, at))

    def forget(self, now: int) -> None:
        """Delete what need not be kept any more."""
        self._run("DELETE FROM checks WHERE at < ? AND (outcome <> '' OR ticket = '')", (now - KEPT_DAYS * DAY,))
        self._run("UPDATE checks SET mask = '' WHERE at < ? AND mask <> ''", (now - MASK_DAYS * DAY,))

    def _rows(self, where: str, values: Sequence[object]) -> list[Check]:
        with self._lock:
            found = self._connection.execute(f"SELECT {', '.join(_COLUMNS)} FROM checks WHERE {where}", values)  # noqa: S608
            return [Check(*row) for row in found.fetchall()]

    def _run(self, statement: str, values: Sequence[object] = ()) -> None:
        with self._lock:
            self._connection.execute(statement, values)
