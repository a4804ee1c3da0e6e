"""The log's high-water mark: its last signed checkpoint, kept apart from the database.

A database that was set back to an old backup looks whole; only something that did not go back with it can tell. The mark
is a signed checkpoint, so that it needs no trust in the disk it lies on, and it must not lie in the same backup.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Protocol


class HighWater(Protocol):
    """Where the mark is kept."""

    def read(self) -> str | None:
        """The last checkpoint note that was written, or None before the first."""

    def write(self, note: str) -> None:
        """Keep a checkpoint note; durable when it returns."""


class HighWaterFile:
    """The mark in a file of its own, replaced whole."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._new = path.with_name(path.name + ".new")

    def read(self) -> str | None:
        """The note in the file, or None where there is no file."""
        try:
            return self._path.read_text(encoding="utf-8")
        except FileNotFoundError:
            return None

    def write(self, note: str) -> None:
        """Write a new file, force it to the disk, put it in the old one's place, and force that to the disk too."""
        with self._new.open("w", encoding="utf-8") as file:
            file.write(note)
            file.flush()
            os.fsync(file.fileno())
        self._new.replace(self._path)
        directory = os.open(self._path.parent, os.O_RDONLY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)
