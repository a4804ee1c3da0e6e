"""The name of a bank's half: what is scored with can be held against the card that three parties signed."""

from __future__ import annotations

import hashlib
import json

from bank_client.own_half import OwnHalf


def half_digest(half: OwnHalf) -> str:
    """SHA-256 in hex over bins, levels, band means, encoding and coefficients; equal for equal halves, also from a file."""
    design = half.design_
    body = {
        "columns": [[column.bins.definition().decode(), [int(level) for level in column.levels]] for column in design.columns],
        "means": [float(mean) for mean in design.means],
        "unknown": float(design.unknown),
        "encoding": design.encoding,
        "coef": [float(value) for value in half.coef_.ravel()],
        "intercept": [float(value) for value in half.intercept_.ravel()],
    }
    return hashlib.sha256(json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()).hexdigest()
