"""The folder of a build: every step's output is whole or not there, whatever ends the process.

::

    <table>/<epoch>.build/plan            table, epoch, seed, fingerprint of what goes in, and the name of the attempt
    <table>/<epoch>.build/<attempt>/
        eligible                          who may be served, sorted
        shard-00000 …                     records in the order of ids, in clear: gone as soon as they are evaluated
        keyed-00000 …                     tag, key and record of one shard's subjects, sorted by tag: gone as soon as sealed
        snapshot                          how many, and the size of a cell
        run-00000 …                       cells of one shard, sorted by tag
        cells                             all cells and dummies, sorted by tag
        matrix.npy, arranged              D; its root, boundaries and digest
        hint-00000 …, hint.npy, built     D·A; its digest

An attempt that is given up takes its folder with it, so that a process which still works on it cannot write into the next.
"""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import TypeVar

import msgspec

from models.durable import sync_folder

S = TypeVar("S", bound=msgspec.Struct)


class Plan(msgspec.Struct, frozen=True):
    """What a build was begun for. The same plan and key give the same bytes, wherever it runs."""

    table: str
    epoch: int
    attempt: str
    seed: bytes
    fingerprint: bytes


class Snapshot(msgspec.Struct, frozen=True):
    """How many subjects were written into how many shards, and the bytes of a padded record."""

    subjects: int
    shards: int
    padded_size: int


class Arranged(msgspec.Struct, frozen=True):
    """What the manifest says of D."""

    root: bytes
    boundaries: bytes
    matrix_digest: bytes


class Built(msgspec.Struct, frozen=True):
    """What the manifest says of D, the hint and the cells. Digests are SHA-256 over C-ordered bytes."""

    rows: int
    columns: int
    cells_per_column: int
    padded_size: int
    seed: bytes
    root: bytes
    boundaries: bytes
    matrix_digest: bytes
    hint_digest: bytes


class Work:
    """Files of one folder, each written beside its place, synced and renamed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def path(self, name: str) -> Path:
        """Where a file of this name lies."""
        return self.folder / name

    def has(self, name: str) -> bool:
        """Whether this file is there, and so whole."""
        return self.path(name).exists()

    def write(self, name: str, pieces: Iterable[bytes | memoryview]) -> None:
        """Write a file of mode 0600 durably."""
        draft = self.draft(name)
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            for piece in pieces:
                file.write(piece)
        self.settle(draft, name)

    def draft(self, name: str) -> Path:
        """A place beside the file's own that nobody else writes to."""
        return self.path(f"{name}.{secrets.token_hex(4)}.draft")

    def settle(self, draft: Path, name: str) -> None:
        """Make a draft durable and put it in its place."""
        with draft.open("rb") as file:
            os.fsync(file.fileno())
        draft.replace(self.path(name))
        sync_folder(self.folder)

    def mark(self, name: str, content: msgspec.Struct) -> None:
        """Write down what a step found; it also says that the step is done."""
        self.write(name, [msgspec.json.encode(content)])

    def marked(self, name: str, kind: type[S]) -> S | None:
        """What a step found, or None where it is not done."""
        try:
            return msgspec.json.decode(self.path(name).read_bytes(), type=kind)
        except FileNotFoundError:
            return None

    def remove(self, names: Iterable[str]) -> None:
        """Delete files that are not needed any more."""
        for name in names:
            self.path(name).unlink(missing_ok=True)

    def tidy(self) -> None:
        """Delete what an interrupted step left half written."""
        for draft in self.folder.glob("*.draft"):
            draft.unlink(missing_ok=True)

    def discard(self) -> None:
        """Delete the folder with all that is in it."""
        shutil.rmtree(self.folder, ignore_errors=True)


def shard(index: int) -> str:
    """The name of a shard."""
    return f"shard-{index:05}"


def keyed(index: int) -> str:
    """The name of a shard's tags, keys and records."""
    return f"keyed-{index:05}"


def run(index: int) -> str:
    """The name of a shard's sorted cells."""
    return f"run-{index:05}"


def hint_part(index: int) -> str:
    """The name of some rows of the hint."""
    return f"hint-{index:05}"
