"""Matrices and hints of epochs as files, mapped into memory; one process maps each once."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models.problems import NotFound


def epoch_key(table: str, epoch: int) -> str:
    """The name of an epoch's OPRF key."""
    return f"epoch-{table}-{epoch}"


class EpochStore:
    """Files below one folder: ``<table>/<epoch>.matrix.npy`` and ``.hint.npy``."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._open: dict[tuple[str, int], NDArray[np.uint8]] = {}

    def save(self, table: str, epoch: int, matrix: NDArray[np.uint8], hint: NDArray[np.uint32]) -> None:
        """Write both files durably, each beside its place and then renamed: never half a table."""
        for kind, array in (("matrix", matrix), ("hint", hint)):
            path = self._path(table, epoch, kind)
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            draft = path.with_suffix(".draft")
            with draft.open("wb") as file:
                np.save(file, array)
                file.flush()
                os.fsync(file.fileno())
            draft.replace(path)

    def matrix(self, table: str, epoch: int) -> NDArray[np.uint8]:
        """D, read-only, in memory; raises `NotFound`."""
        with self._lock:
            kept = self._open.get((table, epoch))
            if kept is None:
                kept = self._load(table, epoch, "matrix").view(np.uint8)
                self._open[table, epoch] = kept
            return kept

    def hint(self, table: str, epoch: int) -> NDArray[np.uint32]:
        """The hint, read from its file; raises `NotFound`."""
        return self._load(table, epoch, "hint").view(np.uint32)

    def remove(self, table: str, epoch: int) -> None:
        """Forget an epoch and delete its files."""
        with self._lock:
            self._open.pop((table, epoch), None)
        for kind in ("matrix", "hint"):
            self._path(table, epoch, kind).unlink(missing_ok=True)

    def _load(self, table: str, epoch: int, kind: str) -> NDArray[np.generic]:
        try:
            array: NDArray[np.generic] = np.load(self._path(table, epoch, kind))
        except FileNotFoundError:
            raise NotFound("this epoch has no files here any more") from None
        array.flags.writeable = False
        return array

    def _path(self, table: str, epoch: int, kind: str) -> Path:
        return self._folder / table / f"{epoch}.{kind}.npy"
