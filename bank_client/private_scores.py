"""The padded scores of a private model's epoch at the bank: downloaded once and whole, checked against the manifest."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bank_client.session import Bank
from crypto.bfv import ModelKey, unpad
from models.durable import draft_of
from models.private_model import BLOCK_BYTES, BLOCK_ROWS, PrivateCell
from models.problems import TooLarge
from models.tables import Manifest

MOST_BYTES = 4 << 30


class ScoreBlocks:
    """The scores of one table; files of earlier epochs are removed."""

    def __init__(self, bank: Bank, table: str, key: ModelKey) -> None:
        self._bank, self._table, self._key = bank, table, key
        self._folder = bank.config.data_dir / "tables" / table
        self._opened: dict[tuple[int, int], NDArray[np.int64]] = {}

    def __repr__(self) -> str:
        return f"ScoreBlocks({self._table!r}, redacted)"

    def fetch(self, manifest: Manifest) -> None:
        """Have an epoch's scores on disk; raises `Damaged`, which was reported, where they are not the manifest's."""
        path = self._path(manifest.epoch)
        if _digest(path) == manifest.scores_digest:
            return
        address = f"/tables/{self._table}/epochs/{manifest.epoch}/scores"
        try:
            with draft_of(path) as file:
                self._bank.node.client.download(address, file, MOST_BYTES)
        except TooLarge:
            pass
        else:
            if _digest(path) == manifest.scores_digest:
                for old in self._folder.glob("*.scores"):
                    if old.stem.isdecimal() and int(old.stem) < manifest.epoch - 1:
                        old.unlink(missing_ok=True)
                return
            path.unlink(missing_ok=True)
        self._bank.damaged("scores", "the padded scores are not those of the manifest", table=self._table, epoch=manifest.epoch)

    def score(self, epoch: int, cell: PrivateCell) -> int:
        """The score that a cell opens; raises LookupError or ValueError where the cell points nowhere."""
        if not 0 <= cell.row < BLOCK_ROWS or cell.block < 0:
            raise LookupError("the cell names no row of a block")
        key = epoch, cell.block
        if key not in self._opened:
            with self._path(epoch).open("rb") as file:
                file.seek(cell.block * BLOCK_BYTES)
                self._opened[key] = self._key.open(file.read(BLOCK_BYTES))
        return unpad(int(self._opened[key][cell.row]), cell.pad)

    def _path(self, epoch: int) -> Path:
        return self._folder / f"{epoch}.scores"


def _digest(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").digest()
    except FileNotFoundError:
        return b"-"
