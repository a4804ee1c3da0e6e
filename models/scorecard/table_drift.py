"""How the people of a score table are spread over its bands, quarter by quarter: what a bank is shown of the node's side.

::

    bank                                   node
    ── drift of my model ────────────────> once a quarter: counts of all served people by band
    <─ shares of all quarters so far ────  with noise, small bands together

Leakage: for each band a count with Gaussian noise of 8 people, four times a year. To one who knows everybody else's band, a
year of it tells of one person's with an R² of at most 0.06. The noise is a PRF of the counts: a quarter in which nothing
changed shows the same figures, and averaging takes nothing off. Bands with fewer than 50 people are shown together, and not
at all if that leaves one that follows from the others. Noise alone makes a stability index of (B - 1) · B · 64 / N² for B
bands of N people: 0.02 for 20 bands of 1,000 people, 0.0002 for 10,000.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime

import numpy as np
from numpy.typing import ArrayLike, NDArray

from crypto.noise import prf_gaussian
from models.wire import Message

from .limits import LimitRefused, Limits
from .metrics import psi

CONTEXT = b"xinqiao/scorecard/table-drift"
NOISE = 8.0
"""Standard deviation of the noise on each count, in people."""


class BandShares(Message):
    """One quarter (`2026Q4`): `people`, to two digits, and the share of each band, None where it is among the `together`."""

    quarter: str
    people: int
    shares: tuple[float | None, ...]
    together: float


class TableDrift(Message):
    """All quarters that were counted, oldest first."""

    model: str
    quarters: tuple[BandShares, ...]


def quarter_of(now: float) -> str:
    """The quarter of a POSIX time, in UTC."""
    day = datetime.fromtimestamp(now, UTC)
    return f"{day.year}Q{(day.month + 2) // 3}"


def shown_shares(counts: ArrayLike, quarter: str, key: bytes, model: str, limits: Limits) -> BandShares:
    """What is shown of the counts int[B] of a table's people by band.

    Args:
        counts: of all bands.
        quarter: the quarter they were counted in.
        key: the node's noise key, 32 bytes.
        model: the table's.
        limits: of the node.

    Raises:
        LimitRefused: the table serves fewer people than a cohort must have.
    """
    exact = np.asarray(counts, dtype="<i8")
    noisy = np.maximum(exact + _noise(exact, key, model), 0.0)
    if noisy.sum() < limits.cohort_rows:
        raise LimitRefused(
            "table-too-small",
            f"The model's table serves too few people for figures about them; {limits.cohort_rows:,} are needed",
            "Watch the scores of those who are asked about instead.",
        )
    small = noisy < limits.level_rows
    if small.sum() == 1:  # one alone would follow from the others
        small |= noisy == noisy[~small].min()
    shares = noisy / noisy.sum()
    return BandShares(
        quarter=quarter,
        people=int(float(f"{noisy.sum():.2g}")),
        shares=tuple(None if hidden else _three(share) for share, hidden in zip(shares, small, strict=True)),
        together=_three(float(shares[small].sum())),
    )


def drift_of(expected: Sequence[float], now: BandShares) -> float:
    """Stability index of a quarter against other shares of the same bands; bands that are shown together count as one.

    Raises:
        ValueError: the bands are others.
    """
    if len(expected) != len(now.shares):
        raise ValueError("these shares are of other bands; a new release has its own")
    shown = [(e, share) for e, share in zip(expected, now.shares, strict=True) if share is not None]
    rest = sum(e for e, share in zip(expected, now.shares, strict=True) if share is None)
    pairs = shown + ([(rest, now.together)] if len(shown) < len(expected) else [])
    return psi([e for e, _ in pairs], [share for _, share in pairs])


def _noise(exact: NDArray[np.int64], key: bytes, model: str) -> NDArray[np.float64]:
    parts = [CONTEXT, model.encode(), exact.tobytes()]
    asked = hashlib.sha256(b"".join(len(part).to_bytes(4, "big") + part for part in parts)).digest()
    return np.array([prf_gaussian(key, asked + band.to_bytes(2, "big"), NOISE) for band in range(exact.size)])


def _three(share: float) -> float:
    return float(f"{share:.3g}")
