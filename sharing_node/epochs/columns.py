"""From cells in the order of their tags to D with its Merkle paths, and from D to the hint D·A, a block at a time."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from audit.verifier.merkle import leaf_hash
from crypto import pir
from crypto.lwe_params import PIR
from models.problems import Conflict
from models.tables import column_entry
from sharing_node.epochs.layout import Layout
from sharing_node.epochs.merkle import paths
from sharing_node.epochs.work import Arranged, Work, hint_part

MATRIX, HINT = "matrix.npy", "hint.npy"
BLOCK_BYTES = 16 << 20
HINT_ROWS = 2_048
_PREFIX_BYTES = 8
_PIECE = 1 << 20


class BoundaryCollision(Conflict):
    """Two tags on both sides of a column's boundary agree in their first eight bytes. One table in a million millions."""


def arrange(work: Work, layout: Layout, report: Callable[[int], None]) -> Arranged:
    """Write D, its columns filled in order, each followed by its path; raises `BoundaryCollision`.

    D is mapped anew for each block, so that no more than a block of it is ever resident in this process.
    """
    draft = work.draft(MATRIX)
    np.lib.format.open_memmap(draft, "w+", np.uint8, (layout.rows, layout.columns)).flush()
    draft.chmod(0o600)
    leaves = np.empty((layout.columns, 32), np.uint8)
    boundaries, last = [], b""
    for start, block in _columns(work.path("cells"), layout):
        for number, column in enumerate(block, start):
            leaves[number] = np.frombuffer(leaf_hash(column_entry(number, column.tobytes())), np.uint8)
            first = column[:_PREFIX_BYTES].tobytes()
            if first == last:
                raise BoundaryCollision("two tags agree in their first eight bytes at a column's boundary")
            boundaries.append(first)
            last = column[-layout.cell :][:_PREFIX_BYTES].tobytes()
        matrix = np.load(draft, mmap_mode="r+")
        matrix[: layout.body, start : start + len(block)] = block.T
        del matrix
        report(start + len(block))
    below, root = paths(leaves)
    matrix = np.load(draft, mmap_mode="r+")
    matrix[layout.body :] = below
    del matrix
    digest = digest_of(draft)
    work.settle(draft, MATRIX)
    return Arranged(root, b"".join(boundaries), digest)


def _columns(cells: Path, layout: Layout) -> Iterator[tuple[int, NDArray[np.uint8]]]:
    """(number of the first, uint8[some, body]) for consecutive columns."""
    step = max(1, BLOCK_BYTES // layout.body)
    for start in range(0, layout.columns, step):
        count = min(step, layout.columns - start)
        flat = np.fromfile(cells, np.uint8, count * layout.body, offset=start * layout.body)
        yield start, flat.reshape(count, layout.body)


@dataclass(frozen=True)
class HintPart:
    """Some rows of the hint, as a part of work."""

    folder: Path
    seed: bytes

    def __call__(self, index: int) -> int:
        """Write the product of these rows of D with A; how many they are."""
        work = Work(self.folder)
        matrix = np.load(work.path(MATRIX), mmap_mode="r")
        rows = np.array(matrix[index * HINT_ROWS : (index + 1) * HINT_ROWS])
        del matrix
        work.write(hint_part(index), [pir.setup(rows, self.seed).astype("<u4", copy=False).reshape(-1).data])
        return len(rows)


def join_hint(work: Work, rows: int, parts: Sequence[int]) -> bytes:
    """Put the hint's parts together into one file; its digest."""
    draft = work.draft(HINT)
    np.lib.format.open_memmap(draft, "w+", np.dtype("<u4"), (rows, PIR.dimension)).flush()
    draft.chmod(0o600)
    with draft.open("r+b") as whole:
        whole.seek(data_offset(draft))
        for part in parts:
            with work.path(hint_part(part)).open("rb") as file:
                shutil.copyfileobj(file, whole, _PIECE)
    digest = digest_of(draft)
    work.settle(draft, HINT)
    return digest


def data_offset(path: Path) -> int:
    """Where the array's bytes begin in a ``.npy`` file."""
    return int(np.load(path, mmap_mode="r").offset)


def digest_of(path: Path) -> bytes:
    """SHA-256 over the C-ordered bytes of the array in a ``.npy`` file, as the manifest states it."""
    found = hashlib.sha256()
    with path.open("rb") as file:
        file.seek(data_offset(path))
        while piece := file.read(_PIECE):
            found.update(piece)
    return found.digest()
