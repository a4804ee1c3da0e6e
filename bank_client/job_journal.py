"""What a bank remembers of a long job, so that another process goes on at the very request that got no answer.

::

    bank                                     journal                        node, office
    inputs, a fresh secret            ───>   inputs, secret
    request n: a function of secret,
      inputs and answers 1 … n−1      ─────────────────────────────────>   done once, whoever repeats it
                                      ───>   answer n               <────
    after a kill: secret, answers     <───
    request n+1, the very same bytes  ─────────────────────────────────>   the same answer, or done now

An answer is on the disk before anything that follows from it is sent: what follows from another answer to the same request,
which a node could give to a bank that asks again, is never sent as well. A journal is an SQLite file of mode 0600 in the
data folder, and only one process works with it at a time. It holds what the job's process held: seeds, blinds, customers'
ids, answers; not the labels and columns, of which it keeps a digest. It is deleted, and overwritten, when the job ends.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

from crypto.xof import derive_key
from models import wire
from models.http_client import Reply
from models.logged import Logged
from models.problems import Conflict

FOLDER = "jobs"
_SCHEMA = """
CREATE TABLE IF NOT EXISTS facts (name TEXT PRIMARY KEY, value BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS answers (number INTEGER PRIMARY KEY, value BLOB NOT NULL);
"""


class Cancelled(Exception):
    """The job was given up by `cancel`; nothing of it is left to go on with."""


class JobJournal:
    """The journal of one job: the file is made when it is first held, and is open only while it is held."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._turn = threading.RLock()
        self._stopping = threading.Event()
        self._db: sqlite3.Connection | None = None

    def __repr__(self) -> str:
        return f"JobJournal({self.path.stem!r}, contents=<secret>)"

    @classmethod
    def of(cls, data_dir: Path, *names: str) -> JobJournal:
        """The journal of what these names name: the same names find it again, and their order counts."""
        state = hashlib.sha256()
        for name in names:
            state.update(len(name.encode()).to_bytes(8, "big") + name.encode())
        return cls(data_dir / FOLDER / f"{state.hexdigest()[:32]}.sqlite")

    @classmethod
    def all(cls, data_dir: Path) -> list[JobJournal]:
        """Every journal of a data folder, oldest first."""
        files = sorted((data_dir / FOLDER).glob("*.sqlite"), key=lambda file: file.stat().st_mtime)
        return [cls(file) for file in files]

    # ---------------------------------------------------------------- one at a time

    @contextmanager
    def held(self, *, to_cancel: bool = False) -> Iterator[JobJournal]:
        """Work with the journal, alone; within one thread it may be held again.

        Raises:
            Cancelled: `stop` was called, by whoever is going to cancel the job.
            Conflict: another process works with it.
        """
        with self._turn:
            if not to_cancel:
                self.check()
            if self._db is not None:
                yield self
                return
            self._db = self._open()
            try:
                yield self
            finally:
                if self._db is not None:
                    self._db.close()
                self._db = None

    def stop(self) -> None:
        """Have whoever holds it raise `Cancelled` before the next request."""
        self._stopping.set()

    def check(self) -> None:
        """Raises `Cancelled` once `stop` was called."""
        if self._stopping.is_set():
            raise Cancelled("this job was cancelled")

    def _open(self) -> sqlite3.Connection:
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.close(os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600))
        db = sqlite3.connect(self.path, timeout=1.0, isolation_level=None, check_same_thread=False)
        try:
            for pragma in ("locking_mode = EXCLUSIVE", "synchronous = FULL", "secure_delete = ON"):
                db.execute(f"PRAGMA {pragma}")
            db.execute("BEGIN EXCLUSIVE")  # and with this mode kept until the file is closed
            for statement in filter(None, map(str.strip, _SCHEMA.split(";"))):
                db.execute(statement)
            db.execute("INSERT OR IGNORE INTO facts VALUES ('secret', ?)", (secrets.token_bytes(32),))
            db.execute("COMMIT")
        except sqlite3.OperationalError:
            db.close()
            raise Conflict("this job is being worked on by another process", advice="Wait until it has ended.") from None
        return db

    # ---------------------------------------------------------------- what it holds

    def begin(self, inputs: bytes) -> None:
        """Keep what is there if it is of a job with just these inputs (a digest); else forget it and begin anew."""
        if self.fact("inputs") != inputs:
            with self._writing() as db:
                db.execute("DELETE FROM answers")
                db.execute("DELETE FROM facts WHERE name = 'open'")
                rows = (("secret", secrets.token_bytes(32)), ("inputs", inputs))
                db.executemany("INSERT OR REPLACE INTO facts VALUES (?, ?)", rows)

    def derived(self, what: str) -> bytes:
        """32 secret bytes of this job for a purpose, the same each time."""
        secret = self.fact("secret")
        assert secret is not None
        return derive_key(secret, b"xinqiao/bank/job/" + what.encode())

    def fact(self, name: str) -> bytes | None:
        """What was kept under a name."""
        found = self._held.execute("SELECT value FROM facts WHERE name = ?", (name,)).fetchone()
        return None if found is None else bytes(found[0])

    def keep(self, name: str, value: bytes, *, instead_of: str = "") -> None:
        """Keep a value under a name, durably, in the place of all whose names begin with `instead_of`."""
        with self._writing() as db:
            if instead_of:
                db.execute("DELETE FROM facts WHERE substr(name, 1, ?) = ?", (len(instead_of), instead_of))
            db.execute("INSERT OR REPLACE INTO facts VALUES (?, ?)", (name, value))

    @property
    def answered(self) -> int:
        """How many requests were answered."""
        return int(self._held.execute("SELECT count(*) FROM answers").fetchone()[0])

    def answer(self, number: int) -> Any:
        """What request `number` was answered, or None."""
        found = self._held.execute("SELECT value FROM answers WHERE number = ?", (number,)).fetchone()
        return None if found is None else _restored(bytes(found[0]))

    def add_answer(self, number: int, answer: Any) -> None:
        """Keep what request `number` was answered, durably."""
        with self._writing() as db:
            db.execute("INSERT INTO answers VALUES (?, ?)", (number, _kept(answer)))

    def forget(self) -> None:
        """Overwrite and delete all of it; while it is held."""
        with self._writing() as db:
            db.execute("DELETE FROM answers")
            db.execute("DELETE FROM facts")
        self._held.close()
        self._db = None
        self.path.unlink(missing_ok=True)
        self.path.with_name(self.path.name + "-journal").unlink(missing_ok=True)

    @property
    def _held(self) -> sqlite3.Connection:
        if self._db is None:
            raise RuntimeError("a journal is read and written while it is held")
        return self._db

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        db = self._held
        db.execute("BEGIN IMMEDIATE")
        try:
            yield db
        except BaseException:
            db.execute("ROLLBACK")
            raise
        db.execute("COMMIT")


# ---------------------------------------------------------------------- answers as bytes


def _kept(answer: Any) -> bytes:
    """A `Reply`, a message or a tuple of words, with its name."""
    if isinstance(answer, Reply):
        logged = Logged(answer=wire.encode(answer.answer), leaves=answer.leaves)
        return msgspec.msgpack.encode(("reply", _name(type(answer.answer)), wire.encode(logged)))
    if isinstance(answer, wire.Message):
        return msgspec.msgpack.encode(("message", _name(type(answer)), wire.encode(answer)))
    return msgspec.msgpack.encode(("words", "", msgspec.msgpack.encode(answer)))


def _restored(data: bytes) -> Any:
    form, name, body = msgspec.msgpack.decode(data, type=tuple[str, str, bytes])
    if form == "words":
        return msgspec.msgpack.decode(body, type=tuple[str, ...])
    kind = next(one for one in _kinds(wire.Message) if _name(one) == name)
    if form == "message":
        return wire.decode(body, kind)
    logged = wire.decode(body, Logged)
    return Reply(wire.decode(logged.answer, kind), logged.leaves)


def _name(kind: type) -> str:
    return f"{kind.__module__}.{kind.__qualname__}"


def _kinds(root: type[wire.Message]) -> Iterator[type[wire.Message]]:
    for kind in root.__subclasses__():
        yield kind
        yield from _kinds(kind)
