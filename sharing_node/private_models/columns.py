"""The node's fields as columns that a private model may weigh, and what the office is told about them."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from itertools import pairwise

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
    """Rows in each pair of bins of all fields, float64[C, C], with the node's noise.

    The noise of two fields is a function of their counts alone: whatever other fields are asked for, and in whatever order,
    they meet the same, so that nothing is averaged out over several models.

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
    bins = [slice(start, end) for start, end in pairwise(starts.tolist())]
    for place, own in enumerate(bins):
        total[own, own] += _symmetric(_noise_of(total[own, own], key, limits))
        for other in bins[place + 1 :]:
            noisy = total[own, other] + _noise_of(total[own, other], key, limits)
            total[own, other], total[other, own] = noisy, noisy.T
    return total


def _noise_of(block: NDArray[np.float64], key: bytes, limits: Limits) -> NDArray[np.float64]:
    """The noise of one block of counts, the same for the block turned over."""
    forms = [(form.shape, form.tobytes()) for form in (block, block.T)]
    shape, data = min(forms)
    context = hashlib.sha256(repr(shape).encode() + data).digest()
    drawn = noise.gaussian(key, context, block.size, round(limits.node_noise)).astype(np.float64).reshape(shape)
    return drawn if (shape, data) == forms[0] else drawn.T


def _symmetric(drawn: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(np.triu(drawn) + np.triu(drawn, 1).T, np.float64)


def column_codes(columns: Sequence[WeightColumn], fields: Sequence[PrivateField], codes: Codes) -> Codes:
    """The columns' values uint8[J, N] from the fields' bin codes uint8[F, N]."""
    return np.stack([values(fields[column.field], column)[codes[column.field]] for column in columns])
