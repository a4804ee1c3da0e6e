"""Single bits of a log's database, flipped one at a time: the signer must refuse each time, and go on when it is put back."""

from __future__ import annotations

import logging
import random
import sqlite3
from dataclasses import dataclass
from pathlib import Path

from audit.log import HighWaterFile, Log, Sequencer
from audit.verifier.errors import LogRefusal
from audit.witness import Witness
from tests.audit.logs import OFFICE, ORIGIN, SIGNER, TIMEOUT, cosigner, entries_of, make_log, put, running
from tests.audit.test_witness import make_store

SIZE, BATCHES = 300, 6
REGIONS = ("entries", "leaf hashes", "tile hashes", "checkpoints", "cosignatures")
COLUMNS = {
    "entries": ("log_entries", "entry"),
    "leaf hashes": ("log_entries", "leaf"),
    "tile hashes": ("log_nodes", "hash"),
    "checkpoints": ("log_checkpoints", "note"),
    "cosignatures": ("log_cosignatures", "line"),
}


@dataclass(frozen=True)
class Cell:
    """One value in the database."""

    region: str
    rowid: int
    value: bytes


@dataclass
class BitFlips:
    """A log of 300 entries in six batches, each cosigned, and every byte of it that says what the log says."""

    log: Log
    mark: HighWaterFile
    connection: sqlite3.Connection
    cells: list[Cell]

    @classmethod
    def build(cls, folder: Path) -> BitFlips:
        folder.mkdir()
        logging.getLogger("audit.log").addHandler(logging.NullHandler())  # ten thousand refusals are meant
        log = make_log(f"sqlite:///{folder}/log.db", witnesses=[OFFICE.key])
        mark = HighWaterFile(folder / "mark")
        witness = Witness(OFFICE, {ORIGIN: [SIGNER.key]}, make_store(f"sqlite:///{folder}/office.db"))
        entries, step = entries_of(SIZE), SIZE // BATCHES
        with running(log, high_water=mark, cosigners=[cosigner(witness)]):
            for start in range(0, SIZE, step):
                log.wait_cosigned(put(log, entries[start : start + step])[-1], TIMEOUT)
        connection = sqlite3.connect(folder / "log.db", isolation_level=None)
        cells = [
            Cell(region, rowid, value)
            for region, (table, column) in COLUMNS.items()
            for rowid, value in connection.execute(f"SELECT rowid, CAST({column} AS BLOB) FROM {table}")
        ]
        return cls(log, mark, connection, cells)

    def refused(self, rng: random.Random) -> str:
        """Flip one bit, chosen among regions and then among all bits of one; have it refused, put it back; the region."""
        region = rng.choice(REGIONS)
        cells = [cell for cell in self.cells if cell.region == region]
        cell = rng.choices(cells, [len(cell.value) for cell in cells])[0]
        place = rng.randrange(8 * len(cell.value))
        changed = bytearray(cell.value)
        changed[place // 8] ^= 1 << place % 8
        self._store(cell, bytes(changed))
        assert self._signer_refuses(), f"bit {place} of a value of the {region}"
        self._store(cell, cell.value)
        return region

    def _store(self, cell: Cell, value: bytes) -> None:
        table, column = COLUMNS[cell.region]
        kind = "TEXT" if cell.region in {"checkpoints", "cosignatures"} else "BLOB"
        self.connection.execute(f"UPDATE {table} SET {column} = CAST(? AS {kind}) WHERE rowid = ?", (value, cell.rowid))

    def _signer_refuses(self) -> bool:
        with Sequencer(self.log, high_water=self.mark) as sequencer:
            try:
                sequencer.wait_looked_back(TIMEOUT)
            except LogRefusal:
                return True
        return False
