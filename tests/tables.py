"""Tables as the node builds them, for tests that need one and no node."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crypto.voprf import VoprfServer
from sharing_node.epochs.build import TableBuild
from sharing_node.epochs.work import Plan, Work
from sharing_node.epochs.workers import Workers
from sharing_node.keys import KeyStore

KEY = "key"


@dataclass(frozen=True)
class BuiltTable:
    """One epoch's public data: D uint8[rows, columns], hint uint32[rows, n], and what the manifest says of them."""

    matrix: NDArray[np.uint8] = field(repr=False)
    hint: NDArray[np.uint32] = field(repr=False)
    seed: bytes
    cells_per_column: int
    padded_size: int
    boundaries: bytes = field(repr=False)
    root: bytes


def build(server: VoprfServer, table: str, epoch: int, subjects: Sequence[str], records: Sequence[bytes]) -> BuiltTable:
    """One epoch under a key of the test's own."""
    with tempfile.TemporaryDirectory() as name:
        keys = key_store(Path(name) / "keys", server)
        plan = Plan(table, epoch, "a", hashlib.sha256(f"{table} {epoch}".encode()).digest(), b"")
        work = Work(Path(name) / "work")
        pairs = sorted(zip(subjects, records, strict=True))
        built = TableBuild(work, plan, keys, KEY, Workers("threading", 1), lambda *_: None).run(lambda: pairs)
        matrix, hint = np.load(work.path("matrix.npy")), np.load(work.path("hint.npy"))
    return BuiltTable(matrix, hint, built.seed, built.cells_per_column, built.padded_size, built.boundaries, built.root)


def key_store(folder: Path, server: VoprfServer) -> KeyStore:
    """A key store that holds this server's key under the name `KEY`."""
    keys = KeyStore(folder)
    (folder / f"{KEY}.oprf").write_bytes(server._secret_key)
    return keys


def digest(array: NDArray[Any]) -> bytes:
    """SHA-256 over the C-ordered little-endian bytes, as the manifest states it."""
    return hashlib.sha256(np.ascontiguousarray(array).data).digest()
