"""The RFC 6962 tree over all columns at once, and every column's path in it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from audit.verifier.merkle import node_hash
from models.tables import path_depth


def paths(leaves: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], bytes]:
    """Paths uint8[32 · depth, n], zeros below the shorter ones, and the root, from leaf hashes uint8[n, 32].

    Level by level: neighbours are joined, and a last one without a neighbour goes up as it is. That is the tree of RFC 6962
    §2.1, whose left part is always the largest power of two.
    """
    count = len(leaves)
    columns = np.arange(count)
    out = np.zeros((path_depth(count), count, 32), dtype=np.uint8)
    filled = np.zeros(count, dtype=np.intp)
    level, places = leaves, columns.copy()
    while len(level) > 1:
        siblings = places ^ 1
        has = siblings < len(level)
        out[filled[has], columns[has]] = level[siblings[has]]
        filled += has
        level, places = _joined(level), places >> 1
    return np.ascontiguousarray(out.transpose(0, 2, 1)).reshape(-1, count), level[0].tobytes()


def _joined(level: NDArray[np.uint8]) -> NDArray[np.uint8]:
    hashes = [node_hash(level[i].tobytes(), level[i + 1].tobytes()) for i in range(0, len(level) - 1, 2)]
    joined = np.frombuffer(b"".join(hashes), dtype=np.uint8).reshape(-1, 32)
    return np.concatenate([joined, level[-1:]]) if len(level) % 2 else joined
