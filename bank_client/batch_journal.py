"""What a batch has done so far, on disk: a file that a process killed at any moment leaves usable.

States of a subject: ``open`` (to be asked), ``ticket`` (a ticket was asked for), ``asked`` (sent to the node for
evaluation), and then one of `FINAL`. Each step is committed before its call goes out, so that nothing that was asked is
asked again, but for those that were ``asked`` when the process ended: their blinds lived in its memory alone, their
results are lost, and they are counted as such.

The file is an SQLite database of mode 0600, locked by the process that has it open. It holds ids and records, no blind, no
ticket and no key.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from models import wire
from models.batches import Batch
from models.problems import Conflict, NotFound

MOST_TRIES = 3
"""Tickets for one subject; the office gives no more in one batch."""
RECORD, NO_RECORD, NO_CONSENT, REFUSED, DAMAGED = FINAL = ("record", "no-record", "no-consent", "refused", "damaged")
_SCHEMA = """
CREATE TABLE facts (name TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE lost AS SELECT 0 AS results;
CREATE TABLE given (line INTEGER PRIMARY KEY, text TEXT NOT NULL, subject TEXT, reason TEXT NOT NULL);
CREATE TABLE subjects (
    subject TEXT PRIMARY KEY, state TEXT NOT NULL DEFAULT 'open', tries INTEGER NOT NULL DEFAULT 0,
    reason TEXT NOT NULL DEFAULT '', epoch INTEGER, leaf INTEGER, record BLOB
) WITHOUT ROWID;
CREATE INDEX subjects_by_state ON subjects (state, subject);
"""


@dataclass(frozen=True)
class Given:
    """One line of the list that a batch was made from; `subject` is None where the id is not valid."""

    text: str = field(repr=False)
    subject: str | None = field(repr=False)
    reason: str = ""


@dataclass(frozen=True)
class Settled:
    """What came of one subject; `record` is canonical JSON of a `models.records.CheckRecord`."""

    subject: str = field(repr=False)
    state: str
    reason: str = ""
    epoch: int | None = None
    leaf: int | None = None
    record: bytes | None = field(default=None, repr=False)


class Journal:
    """The journal of one batch. Safe to use from several threads."""

    def __init__(self, path: Path) -> None:
        if not path.exists():
            raise NotFound("this bank's data folder holds no such batch; name one that was filed from here")
        self._lock = threading.Lock()
        self._db = sqlite3.connect(path, timeout=1.0, isolation_level=None, check_same_thread=False)
        try:
            for pragma in ("locking_mode = EXCLUSIVE", "synchronous = FULL", "secure_delete = ON"):
                self._db.execute(f"PRAGMA {pragma}")
            self._db.execute("BEGIN EXCLUSIVE")  # and with this mode kept until the file is closed
            self._db.execute("COMMIT")
        except sqlite3.OperationalError:
            self._db.close()
            raise Conflict("this batch is being worked on by another process", advice="Wait until it has ended.") from None

    @classmethod
    def create(cls, path: Path, batch: Batch, table: str, given: Sequence[Given]) -> Journal:
        """Begin a journal; `Conflict` where there is one."""
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        draft = path.with_name(f".{path.name}.draft")
        draft.unlink(missing_ok=True)
        os.close(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        made = cls(draft)
        made._db.executescript(_SCHEMA)
        with made._writing() as db:
            facts = {"batch": wire.encode(batch), "table": table.encode()}
            db.executemany("INSERT INTO facts VALUES (?, ?)", facts.items())
            rows = [(line, one.text, one.subject, one.reason) for line, one in enumerate(given)]
            db.executemany("INSERT INTO given VALUES (?, ?, ?, ?)", rows)
            db.executemany("INSERT INTO subjects (subject) VALUES (?)", [(subject,) for subject in batch.subjects])
        made.close()
        try:
            os.link(draft, path)  # unlike a rename this never takes the place of another journal
        except FileExistsError:
            raise Conflict("a batch with this id was begun before; resume it, or choose another id") from None
        finally:
            draft.unlink(missing_ok=True)
        return cls(path)

    def close(self) -> None:
        """Let go of the file."""
        self._db.close()

    # ---------------------------------------------------------------- facts

    @property
    def batch(self) -> Batch:
        """The batch as it was filed."""
        return wire.decode(self._fact("batch"), Batch)

    @property
    def table(self) -> str:
        """The table to ask, or empty for the project's own."""
        return self._fact("table").decode()

    @property
    def lost(self) -> int:
        """How many results were lost between the node's evaluation and this journal."""
        return int(self._read("SELECT results FROM lost")[0][0])

    @property
    def form(self) -> tuple[list[str], list[str]]:
        """Fields and categories of the records, in the order of the table."""
        text = self._fact("form", b"\n").decode()
        fields, categories = text.split("\n")
        return fields.split("\t") if fields else [], categories.split("\t") if categories else []

    def set_form(self, fields: Iterable[str], categories: Iterable[str]) -> None:
        """Note what the records of the present epoch hold."""
        value = "\t".join(fields) + "\n" + "\t".join(categories)
        if value.encode() != self._fact("form", b"\n"):
            with self._writing() as db:
                db.execute("INSERT OR REPLACE INTO facts VALUES ('form', ?)", (value.encode(),))

    def count(self) -> dict[str, int]:
        """Number of subjects by state."""
        return dict(self._read("SELECT state, count(*) FROM subjects GROUP BY state"))

    def results(self) -> Iterator[tuple[Given, Settled | None, int]]:
        """Each line of the list, what came of it (None for an id that is not valid), and how often it was tried."""
        rows = self._read(
            "SELECT text, given.subject, given.reason, state, subjects.reason, epoch, leaf, record, tries "
            "FROM given LEFT JOIN subjects ON subjects.subject = given.subject ORDER BY line"
        )
        for text, subject, reason, state, because, epoch, leaf, record, tries in rows:
            settled = None if subject is None else Settled(subject, state, because, epoch, leaf, record)
            yield Given(text, subject, reason), settled, tries or 0

    # ---------------------------------------------------------------- steps

    def reopen(self, *, refused: bool = False) -> None:
        """After a process that ended: what it had asked is lost; what had a ticket at most is open again.

        With `refused`, those that were refused are open again too: nothing was asked about them.
        """
        with self._writing() as db:
            lost = db.execute("UPDATE subjects SET state = 'open' WHERE state = 'asked'").rowcount
            self._lose(db, lost)
            db.execute("UPDATE subjects SET state = 'open' WHERE state = 'ticket'")
            if refused:
                words = (NO_CONSENT, REFUSED)
                db.execute("UPDATE subjects SET state = 'open', reason = '', tries = 0 WHERE state IN (?, ?)", words)
            db.execute(
                "UPDATE subjects SET state = ?, reason = ? WHERE state = 'open' AND tries >= ?",
                (
                    REFUSED,
                    f"{MOST_TRIES} tickets brought no answer, and the office gives no more of them in one batch",
                    MOST_TRIES,
                ),
            )

    def next_open(self, after: str, count: int) -> list[str]:
        """So many open subjects behind one, in order."""
        query = "SELECT subject FROM subjects WHERE state = 'open' AND subject > ? ORDER BY subject LIMIT ?"
        return [subject for (subject,) in self._read(query, (after, count))]

    def taking(self, subjects: Iterable[str]) -> None:
        """A ticket for each of them is about to be asked for."""
        self._move("UPDATE subjects SET state = 'ticket', tries = tries + 1 WHERE subject = ?", subjects)

    def asking(self, subjects: Iterable[str]) -> None:
        """They are about to be sent to the node."""
        self._move("UPDATE subjects SET state = 'asked' WHERE subject = ?", subjects)

    def not_asked(self, subjects: Iterable[str], *, ticket: bool) -> None:
        """Nothing was asked about them; `ticket` says whether one was given for each."""
        with self._writing() as db:
            rows = [(0 if ticket else 1, subject) for subject in subjects]
            db.executemany("UPDATE subjects SET state = 'open', tries = tries - ? WHERE subject = ?", rows)

    def lose(self, subjects: Sequence[str]) -> None:
        """They were asked, and the answers did not come."""
        with self._writing() as db:
            db.executemany("UPDATE subjects SET state = 'open' WHERE subject = ?", [(subject,) for subject in subjects])
            self._lose(db, len(subjects))

    def settle(self, settled: Iterable[Settled]) -> None:
        """Keep what came of them."""
        rows = [(one.state, one.reason, one.epoch, one.leaf, one.record, one.subject) for one in settled]
        with self._writing() as db:
            db.executemany("UPDATE subjects SET state = ?, reason = ?, epoch = ?, leaf = ?, record = ? WHERE subject = ?", rows)

    # ---------------------------------------------------------------- the file

    def _lose(self, db: sqlite3.Connection, count: int) -> None:
        db.execute("UPDATE lost SET results = results + ?", (count,))

    def _move(self, statement: str, subjects: Iterable[str]) -> None:
        with self._writing() as db:
            db.executemany(statement, [(subject,) for subject in subjects])

    def _fact(self, name: str, default: bytes | None = None) -> bytes:
        rows = self._read("SELECT value FROM facts WHERE name = ?", (name,))
        if not rows and default is not None:
            return default
        return bytes(rows[0][0])

    def _read(self, query: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        with self._lock:
            return self._db.execute(query, values).fetchall()

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield self._db
            except BaseException:
                self._db.execute("ROLLBACK")
                raise
            self._db.execute("COMMIT")
