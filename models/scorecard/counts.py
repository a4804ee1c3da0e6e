"""Row counts and bad counts of bins under the node's noise: everything that is ever shown of a bin follows from these.

The noise of a bin is bound to the rows that it holds, not to how it was described: another number of bins, a special value
that nobody has, or a second field with the same rows ask the same question, and get the same noise.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from .noise import NodeNoise

Floats = NDArray[np.float64]
Codes = NDArray[np.uint8]


def members(codes: Codes, count: int) -> list[bytes]:
    """Digest (32 bytes) of the rows of each of `count` bins, from codes uint8[N] in the cohort's order."""
    order = np.argsort(codes, kind="stable").astype("<u4")
    ends = np.cumsum(np.bincount(codes, minlength=count))
    return [hashlib.sha256(part.tobytes()).digest() for part in np.split(order, ends[:-1])]


def noisy_rows(noise: NodeNoise, rows: NDArray[np.integer], digests: Sequence[bytes]) -> Floats:
    """Rows [B] of the bins with these members with the node's noise, float64[B], at least 1."""
    drawn = np.array([noise.draw(b"rows" + digest) for digest in digests])
    return np.asarray(np.maximum(rows + drawn, 1.0), dtype=np.float64)


def noisy_bads(noise: NodeNoise, decoded: Floats, digests: Sequence[bytes], label_mac: bytes) -> Floats:
    """Decoded bad counts float64[B] of the bins with these members, with the node's noise; never raises on a value."""
    drawn = np.array([noise.draw(b"bin" + digest, label_mac) for digest in digests])
    return np.asarray(np.nan_to_num(np.asarray(decoded, dtype=np.float64)) + drawn, dtype=np.float64)
