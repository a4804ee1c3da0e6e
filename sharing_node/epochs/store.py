"""Matrices and hints of epochs as files; every process maps a matrix, so that all share one copy in the page cache."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models.durable import sync_folder
from models.problems import NotFound
from sharing_node.epochs.columns import HINT, MATRIX, data_offset
from sharing_node.epochs.work import Work

SCORES = "scores"
"""Padded scores of a private model, which its table's cells open."""
FILES = (MATRIX, HINT, SCORES)


def epoch_key(table: str, epoch: int) -> str:
    """The name of an epoch's OPRF key."""
    return f"epoch-{table}-{epoch}"


class EpochStore:
    """Files below one folder: ``<table>/<epoch>.matrix.npy`` and ``.hint.npy``, and ``<epoch>.build/`` while one is built."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._open: dict[tuple[str, int], NDArray[np.uint8]] = {}

    def work_folder(self, table: str, epoch: int) -> Path:
        """Where an epoch is built: on the same disk as its files, so that these are put in place by renaming."""
        return self._folder / table / f"{epoch}.build"

    def adopt(self, table: str, epoch: int, work: Work) -> None:
        """Put the files of a finished build in their place; those that are there already stay."""
        for name in FILES:
            if work.has(name):
                work.path(name).replace(self.path(table, epoch, name))
        sync_folder(self._folder / table)

    def matrix(self, table: str, epoch: int) -> NDArray[np.uint8]:
        """D, uint8[rows, columns], read-only, mapped; raises `NotFound`."""
        with self._lock:
            # Files are removed by the builder, which is another process: a mapping would keep their bytes on the disk.
            for gone in [known for known in self._open if not self.path(*known, MATRIX).exists()]:
                del self._open[gone]
            kept = self._open.get((table, epoch))
            if kept is None:
                kept = self._open[table, epoch] = np.asarray(self._map(table, epoch, MATRIX))
            return kept

    def file(self, table: str, epoch: int, name: str) -> tuple[Path, int]:
        """The file of an epoch's matrix or hint, and where in it the array's bytes begin; raises `NotFound`."""
        path = self.path(table, epoch, name)
        try:
            return path, _nothing_before(path) if name == SCORES else data_offset(path)
        except FileNotFoundError:
            raise _gone() from None

    def remove(self, table: str, epoch: int) -> None:
        """Forget an epoch and delete its files, those of its build too."""
        with self._lock:
            self._open.pop((table, epoch), None)
        for name in FILES:
            self.path(table, epoch, name).unlink(missing_ok=True)
        folder = self.work_folder(table, epoch)
        if folder.exists():
            Work(folder).discard()

    def path(self, table: str, epoch: int, name: str) -> Path:
        """Where an epoch's matrix or hint lies."""
        return self._folder / table / f"{epoch}.{name}"

    def _map(self, table: str, epoch: int, name: str) -> NDArray[np.uint8]:
        try:
            array: NDArray[np.uint8] = np.load(self.path(table, epoch, name), mmap_mode="r")
        except FileNotFoundError:
            raise _gone() from None
        return array


def _nothing_before(path: Path) -> int:
    """The offset of a file without a header; raises FileNotFoundError."""
    path.stat()
    return 0


def _gone() -> NotFound:
    return NotFound("this epoch has no files here any more")
