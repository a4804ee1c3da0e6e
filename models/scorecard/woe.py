"""Weight of evidence and information value from noisy bad counts.

Signs: a positive WOE means riskier than average, ln(share of the bads / share of the goods). The smoothing adds rows of
average risk to each bin, so that a thin bin under noise does not pretend to know. Label-dependent pooling gives several
bins one level; the codes, and with them the shape of every message, stay as they were.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

SMOOTHING_ROWS = 20.0


@dataclass(frozen=True)
class WoeTable:
    """WOE float64[B] of the bins of one field and its information value."""

    woe: Floats
    iv: float


def woe_table(bads: Floats, rows: Floats, smoothing: float = SMOOTHING_ROWS) -> WoeTable:
    """WOE and IV of one field.

    Args:
        bads: float64[B], bad rows of each bin, possibly noisy (clipped here to [0, rows]).
        rows: float64[B], rows of each bin.
        smoothing: rows of average risk added to each bin.
    """
    rows = np.maximum(np.asarray(rows, dtype=np.float64), 0.0)
    bads = np.clip(np.asarray(bads, dtype=np.float64), 0.0, rows)
    total = rows.sum()
    average = (bads.sum() + 1.0) / (total + 2.0)
    bad = bads + smoothing * average
    good = rows - bads + smoothing * (1.0 - average)
    bad_share, good_share = bad / bad.sum(), good / good.sum()
    woe = np.log(bad_share / good_share)
    return WoeTable(woe, float(((bad_share - good_share) * woe).sum()))


def pool_alike(bads: Floats, rows: Floats, ordered: int, noise: float, z: float = 1.0) -> NDArray[np.intp]:
    """Group number of each bin after pooling neighbours that cannot be told apart.

    The pair of neighbouring groups with the smallest difference of bad rates, in standard errors that count both sampling
    and noise, is pooled until every pair differs by at least `z`.

    Args:
        bads: float64[B], noisy bad counts.
        rows: float64[B].
        ordered: the first so many bins are neighbours in order; the rest (missing values, categories) stay alone.
        noise: standard deviation of the noise on each bad count.
        z: standard errors below which two neighbours are alike.
    """
    groups = [[i] for i in range(ordered)]
    average = min(max(bads.sum() / max(rows.sum(), 1.0), 1e-4), 1 - 1e-4)

    def difference(a: list[int], b: list[int]) -> float:
        na, nb = rows[a].sum() + 1e-9, rows[b].sum() + 1e-9
        rate = min(max((bads[a].sum() + bads[b].sum()) / (na + nb), average / 10), 1 - 1e-4)
        error = rate * (1 - rate) * (1 / na + 1 / nb) + noise**2 * (len(a) / na**2 + len(b) / nb**2)
        return float(abs(bads[a].sum() / na - bads[b].sum() / nb) / np.sqrt(error))

    while len(groups) > 1:
        gaps = [difference(a, b) for a, b in itertools.pairwise(groups)]
        nearest = int(np.argmin(gaps))
        if gaps[nearest] >= z:
            break
        groups[nearest : nearest + 2] = [groups[nearest] + groups[nearest + 1]]
    result = np.empty(rows.size, dtype=np.intp)
    for number, members in enumerate(groups):
        result[members] = number
    result[ordered:] = len(groups) + np.arange(rows.size - ordered)
    return result


def pooled_woe(bads: Floats, rows: Floats, groups: NDArray[np.intp], smoothing: float = SMOOTHING_ROWS) -> WoeTable:
    """WOE float64[B] of each bin's group: bins of one group share a level."""
    pooled_bads = np.bincount(groups, bads).astype(np.float64)
    pooled_rows = np.bincount(groups, rows).astype(np.float64)
    table = woe_table(pooled_bads, pooled_rows, smoothing)
    return WoeTable(table.woe[groups], table.iv)
