"""The node's fields as columns that a private model may weigh, and what the office is told about them."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from crypto import noise
from models.private_model import PrivateField, WeightColumn, values
from models.scorecard.columns import NodeField
from models.scorecard.limits import Limits

ROWS_A_STEP = 1 << 16
Codes = NDArray[np.uint8]


def private_fields(fields: Sequence[NodeField]) -> tuple[PrivateField, ...]:
    """What the bank is told of each field."""
    return tuple(
        PrivateField(
            name=entry.name,
            count=entry.bins.count,
            ordered=entry.bins.ordered,
            bins=entry.bins.definition() if entry.disclosable else b"",
        )
        for entry in fields
    )


def noisy_gram(codes: Codes, counts: Sequence[int], key: bytes, limits: Limits) -> NDArray[np.float64]:
    """Rows in each pair of bins of all fields, float64[C, C], with the node's noise: an equal question gets equal noise.

    Args:
        codes: uint8[F, N].
        counts: bins of each field, F of them, C in all.
        key: secret of the node.
        limits: whose `node_noise` is the standard deviation, in rows.
    """
    starts = np.cumsum([0, *counts])
    total = np.zeros((starts[-1], starts[-1]))
    for first in range(0, codes.shape[1], ROWS_A_STEP):
        part = codes[:, first : first + ROWS_A_STEP]
        ones = np.zeros((part.shape[1], starts[-1]), np.float32)
        for code, start in zip(part, starts, strict=False):
            ones[np.arange(code.size), start + code] = 1.0
        total += ones.T @ ones
    context = hashlib.sha256(repr(tuple(counts)).encode() + total.tobytes()).digest()
    drawn = noise.gaussian(key, context, total.size, round(limits.node_noise)).reshape(total.shape)
    upper = np.triu(drawn)
    return np.asarray(total + upper + np.triu(drawn, 1).T, dtype=np.float64)


def column_codes(columns: Sequence[WeightColumn], fields: Sequence[PrivateField], codes: Codes) -> Codes:
    """The columns' values uint8[J, N] from the fields' bin codes uint8[F, N]."""
    return np.stack([values(fields[column.field], column)[codes[column.field]] for column in columns])
