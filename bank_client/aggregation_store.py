"""What a bank remembers of sums over banks: the secrets of rounds under way, and of which banks sums have come out before.

An SQLite database of mode 0600 in the data folder. A step is one transaction: it reads the round as it stands, takes the step,
stores it and commits, and only then may the answer leave. So a process that was killed goes on where it was, and two processes
cannot answer one step differently. The secrets of a session are deleted, and overwritten, when it ends.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from crypto.secure_aggregation import Participant, Round, Unmasked

_SCHEMA = """
CREATE TABLE IF NOT EXISTS rounds (session TEXT, number INTEGER, snapshot BLOB NOT NULL, PRIMARY KEY (session, number));
CREATE TABLE IF NOT EXISTS unmasked (session TEXT PRIMARY KEY, question BLOB NOT NULL, banks TEXT NOT NULL);
"""


class Steps:
    """One transaction on the store."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def load(self, session: str, number: int, key: Ed25519PrivateKey) -> Participant | None:
        """This bank in a round, or None where it has not begun it."""
        query = "SELECT snapshot FROM rounds WHERE session = ? AND number = ?"
        row = self._db.execute(query, (session, number)).fetchone()
        return None if row is None else Participant.restore(row[0], key)

    def save(self, terms: Round, participant: Participant) -> None:
        """Store this bank in a round; in force when the transaction ends."""
        values = (terms.session, terms.number, participant.snapshot())
        self._db.execute("INSERT OR REPLACE INTO rounds VALUES (?, ?, ?)", values)

    def history(self) -> list[Unmasked]:
        """All sums that this bank has helped to unmask."""
        rows = self._db.execute("SELECT question, banks FROM unmasked ORDER BY rowid")
        return [Unmasked(bytes(question), tuple(banks.split("\n"))) for question, banks in rows]

    def remember(self, session: str, unmasked: Unmasked) -> None:
        """This bank is about to help to unmask a sum."""
        values = (session, unmasked.question, "\n".join(unmasked.banks))
        self._db.execute("INSERT OR IGNORE INTO unmasked VALUES (?, ?, ?)", values)

    def banks_of(self, session: str) -> tuple[str, ...] | None:
        """Of which banks a session's sum was unmasked with this bank's help; None where it was not."""
        row = self._db.execute("SELECT banks FROM unmasked WHERE session = ?", (session,)).fetchone()
        return None if row is None else tuple(row[0].split("\n"))

    def forget(self, session: str) -> None:
        """Delete the secrets of a session."""
        self._db.execute("DELETE FROM rounds WHERE session = ?", (session,))


class AggregationStore:
    """The store of one data folder."""

    def __init__(self, data_dir: Path) -> None:
        self._path = data_dir / "aggregations.sqlite"

    @contextmanager
    def step(self) -> Iterator[Steps]:
        """A transaction that no other one comes between; what happens in it lasts when the block ends well, or not at all."""
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.close(os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600))
        with closing(sqlite3.connect(self._path, timeout=60.0, isolation_level=None)) as db:
            for pragma in ("synchronous = FULL", "secure_delete = ON"):
                db.execute(f"PRAGMA {pragma}")
            db.execute("BEGIN IMMEDIATE")
            try:
                for statement in filter(None, map(str.strip, _SCHEMA.split(";"))):
                    db.execute(statement)
                yield Steps(db)
            except BaseException:
                db.execute("ROLLBACK")
                raise
            db.execute("COMMIT")
