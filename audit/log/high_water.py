"""The log's high-water mark: its last signed checkpoint, kept apart from the database.

A database that was set back to an old backup looks whole; only something that did not go back with it can tell. The mark
is a signed checkpoint, so that it needs no trust in the disk it lies on. It must not lie in the same backup.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Protocol

from audit.verifier.errors import LogRefusal
from models.durable import sync_folder

SLOT_BYTES = 4096
DIGEST_HEX = 64


class HighWater(Protocol):
    """Where the mark is kept."""

    def read(self) -> str | None:
        """The last checkpoint note that was written, or None before the first."""

    def write(self, note: str) -> None:
        """Keep a checkpoint note; durable when it returns."""


class HighWaterFile:
    """The mark in a file of its own: two slots, written in turn, so that a crash in a write leaves the other one.

    A slot is `<sha256 of the rest, hex>\\n<counter>\\n<note>`, filled up with zero bytes.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._counter = -1

    def read(self) -> str | None:
        """The newer note of the two slots; None where there is no file; LogRefusal where neither can be read."""
        try:
            data = self._path.read_bytes()
        except FileNotFoundError:
            return None
        found = [slot for start in (0, SLOT_BYTES) if (slot := _decode(data[start : start + SLOT_BYTES]))]
        if not found:
            raise LogRefusal("the high-water mark cannot be read: compare the log with a witness before you replace it")
        self._counter, note = max(found)
        return note

    def write(self, note: str) -> None:
        """Overwrite the older slot and force it to the disk."""
        if self._counter < 0 and self.read() is None:
            self._create()
        self._counter += 1
        file = os.open(self._path, os.O_WRONLY)
        try:
            os.pwrite(file, _encode(self._counter, note), SLOT_BYTES * (self._counter % 2))
            os.fdatasync(file)
        finally:
            os.close(file)

    def _create(self) -> None:
        """A file of full length whose name is durable too, but which holds no mark yet."""
        new = self._path.with_name(self._path.name + ".new")
        with new.open("wb") as file:
            file.write(_encode(0, "").ljust(2 * SLOT_BYTES, b"\0"))
            os.fsync(file.fileno())
        new.replace(self._path)
        sync_folder(self._path.parent)
        self._counter = 0


def _encode(counter: int, note: str) -> bytes:
    body = f"{counter}\n{note}".encode()
    slot = hashlib.sha256(body).hexdigest().encode() + b"\n" + body
    if len(slot) > SLOT_BYTES:
        raise ValueError("the checkpoint is too long for the high-water mark: shorten the log's name")
    return slot.ljust(SLOT_BYTES, b"\0")


def _decode(slot: bytes) -> tuple[int, str] | None:
    digest, body = slot[:DIGEST_HEX], slot[DIGEST_HEX + 1 :].rstrip(b"\0")
    if hashlib.sha256(body).hexdigest().encode() != digest:
        return None
    counter, _, note = body.decode().partition("\n")
    return int(counter), note
