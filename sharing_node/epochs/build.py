"""From records to a matrix: cells sorted by tag, columns with their Merkle paths, and the hint. No I/O."""

from __future__ import annotations

import hashlib
import math
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from audit.verifier.merkle import leaf_hash, node_hash, prove_inclusion, root_of
from crypto import cells, pir
from crypto.voprf import VoprfServer
from models.problems import Conflict
from models.tables import column_entry, path_depth, tag_context

DUMMY_STEP = 1000
LARGEST_COLUMNS = 1 << 15
LARGEST_ROWS = 9_600  # keeps the hint, rows × 1,024 × 4 bytes, below 40 MB
PAD_STEP = 32


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
    """Build one epoch. `records` are the plain records in the order of `subjects` (canonical ids, distinct)."""
    outputs = server.evaluate_many([subject.encode() for subject in subjects])
    context = tag_context(table, epoch)
    padded_size = _padded_size(records)
    keyed = (cells.derive(y, context) for y in outputs)
    sealed = cells.seal_many(((tag, key, record) for (tag, key), record in zip(keyed, records, strict=True)), padded_size)
    target = max(DUMMY_STEP, math.ceil(len(sealed) / DUMMY_STEP) * DUMMY_STEP)
    per_column = _cells_per_column(target, cells.cell_size(padded_size))
    columns = math.ceil(target / per_column)
    sealed += [cells.dummy_cell(padded_size) for _ in range(columns * per_column - len(sealed))]
    sealed.sort()
    matrix, root = _matrix(sealed, per_column)
    seed = secrets.token_bytes(32)
    boundaries = b"".join(sealed[i * per_column][:8] for i in range(columns))
    if any(sealed[i * per_column - 1][:8] == sealed[i * per_column][:8] for i in range(1, columns)):
        # A client searches one column only, so its boundary must tell the two tags apart. One build in a million millions.
        raise Conflict("two tags agree in their first eight bytes at a column's boundary", advice="Build the epoch once more.")
    return BuiltTable(matrix, pir.setup(matrix, seed), seed, per_column, padded_size, boundaries, root)


def _padded_size(records: Sequence[bytes]) -> int:
    longest = max((len(record) for record in records), default=0) + 4
    return math.ceil(longest / PAD_STEP) * PAD_STEP


def _cells_per_column(count: int, cell_size: int) -> int:
    # Up and down together cost 4·(columns + rows) bytes a query; the best split has as many rows as columns.
    balanced = max(1, round(math.sqrt(count / cell_size)))
    fewest = math.ceil(count / LARGEST_COLUMNS)
    most = max(1, (LARGEST_ROWS - 32 * 15) // cell_size)
    return max(fewest, min(balanced, most))


def _matrix(sealed: list[bytes], per_column: int) -> tuple[NDArray[np.uint8], bytes]:
    columns = len(sealed) // per_column
    bodies = [b"".join(sealed[i * per_column : (i + 1) * per_column]) for i in range(columns)]
    leaves = [leaf_hash(column_entry(i, body)) for i, body in enumerate(bodies)]
    nodes: dict[tuple[int, int], bytes] = {(0, i): leaf for i, leaf in enumerate(leaves)}
    level, width = 0, columns
    while width > 1:
        for i in range(width // 2):
            nodes[level + 1, i] = node_hash(nodes[level, 2 * i], nodes[level, 2 * i + 1])
        level, width = level + 1, width // 2
    depth = path_depth(columns)
    matrix = np.empty((len(bodies[0]) + 32 * depth, columns), dtype=np.uint8)
    for i, body in enumerate(bodies):
        path = b"".join(prove_inclusion(i, columns, lambda level, index: nodes[level, index]))
        matrix[:, i] = np.frombuffer(body + path.ljust(32 * depth, b"\0"), dtype=np.uint8)
    return matrix, root_of(leaves)


def digest(array: NDArray[np.uint8] | NDArray[np.uint32]) -> bytes:
    """SHA-256 over the C-ordered little-endian bytes, as the manifest states it."""
    return hashlib.sha256(np.ascontiguousarray(array).data).digest()
