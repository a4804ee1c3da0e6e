"""Weight of evidence and information value from noisy bad counts.

Signs: a positive WOE means riskier than average, ln(share of the bads / share of the goods). The smoothing adds rows of
average risk to each bin, so that a thin bin under noise does not pretend to know. Label-dependent pooling gives several
bins one level; the codes, and with them the shape of every message, stay as they were.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .binning import Bins, NumericBins
from .options import Trend

Floats = NDArray[np.float64]

SMOOTHING_ROWS = 20.0


@dataclass(frozen=True)
class WoeTable:
    """WOE float64[B] of the bins of one field, what each adds to the information value, and that value."""

    woe: Floats
    parts: Floats

    @property
    def iv(self) -> float:
        """The information value."""
        return float(self.parts.sum())


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
    return WoeTable(woe, (bad_share - good_share) * woe)


def merged_bins(
    bads: Floats, rows: Floats, bins: Bins, noise: float, trend: Trend = "free", z: float = 1.0
) -> NDArray[np.intp]:
    """Group number int[B] of each bin of a field after pooling what bad counts cannot tell apart.

    Neighbouring bins of numbers are pooled, under a trend until the WOE follows it; so are categories that are neighbours
    by bad rate. Bins of missing and of special values stay alone. A function of the counts given and of nothing else: where
    these carry the node's noise, the groups tell nothing more.

    Args:
        bads: float64[B], bad rows of each bin, possibly noisy.
        rows: float64[B], rows of each bin.
        bins: of the field.
        noise: standard deviation of the noise on each bad count.
        trend: of the bad rate over the values; categories have none.
        z: standard errors below which two neighbours are alike; 0 pools only what the trend asks for.
    """
    if isinstance(bins, NumericBins):
        groups = [[i] for i in range(bins.ordered)]
        if trend != "free":
            groups = _isotonic(groups, bads, rows, noise, trend)
        groups = _pooled(groups, bads, rows, noise, z)
        if trend != "free":
            groups = _isotonic(groups, bads, rows, noise, trend)
    else:
        named = [i for i in range(rows.size) if i != bins.missing]
        average = _average(bads, rows)
        named.sort(key=lambda i: _smoothed(float(bads[i]), float(rows[i]), average))
        groups = _pooled([[i] for i in named], bads, rows, noise, z)
    result = np.full(rows.size, -1, dtype=np.intp)
    for number, members in enumerate(groups):
        result[members] = number
    alone = np.flatnonzero(result < 0)
    result[alone] = len(groups) + np.arange(alone.size)
    return result


def _pooled(groups: list[list[int]], bads: Floats, rows: Floats, noise: float, z: float) -> list[list[int]]:
    """Pool neighbouring groups until every pair differs by `z` standard errors, which count both sampling and noise.

    It always goes on to a single group, and gives the groups where it should have stopped: bad counts come here before they
    are proven, and the time that an answer takes must not tell of them.
    """
    average = min(max(float(bads.sum()) / max(float(rows.sum()), 1.0), 1e-4), 1 - 1e-4)
    made = [(group, float(bads[group].sum()), float(rows[group].sum())) for group in groups]
    found = None

    def difference(a: tuple[list[int], float, float], b: tuple[list[int], float, float]) -> float:
        na, nb = a[2] + 1e-9, b[2] + 1e-9
        rate = min(max((a[1] + b[1]) / (na + nb), average / 10), 1 - 1e-4)
        error = rate * (1 - rate) * (1 / na + 1 / nb) + noise**2 * (len(a[0]) / na**2 + len(b[0]) / nb**2)
        return abs(a[1] / na - b[1] / nb) / math.sqrt(error)

    while len(made) > 1:
        gaps = [difference(a, b) for a, b in itertools.pairwise(made)]
        nearest = gaps.index(min(gaps))
        if found is None and gaps[nearest] >= z:
            found = [group for group, _, _ in made]
        one, other = made[nearest : nearest + 2]
        made[nearest : nearest + 2] = [(one[0] + other[0], one[1] + other[1], one[2] + other[2])]
    return [group for group, _, _ in made] if found is None else found


def _isotonic(groups: list[list[int]], bads: Floats, rows: Floats, noise: float, trend: Trend) -> list[list[int]]:
    """Pool adjacent violators until smoothed bad rates, and with them the WOE, follow the trend.

    "monotone" takes the direction with the smaller misfit, each bin weighted by the inverse of its variance, noise included.
    """
    if trend == "monotone":
        both: list[Trend] = ["ascending", "descending"]
        found = [_isotonic(groups, bads, rows, noise, direction) for direction in both]
        return min(found, key=lambda made: _misfit(made, bads, rows, noise))
    sign = 1.0 if trend == "ascending" else -1.0
    average = _average(bads, rows)
    made: list[tuple[list[int], float, float]] = []
    for group in groups:
        made.append((list(group), float(bads[group].sum()), float(rows[group].sum())))
        while len(made) > 1 and sign * (_smoothed(*made[-1][1:], average) - _smoothed(*made[-2][1:], average)) < 0:
            one, other = made[-2:]
            made[-2:] = [(one[0] + other[0], one[1] + other[1], one[2] + other[2])]
    return [group for group, _, _ in made]


def _misfit(groups: list[list[int]], bads: Floats, rows: Floats, noise: float) -> float:
    average = min(max(bads.sum() / max(rows.sum(), 1.0), 1e-4), 1 - 1e-4)
    total = 0.0
    for group in groups:
        n = rows[group]
        weights = 1.0 / (average * (1 - average) / n + noise**2 / n**2)
        total += float(weights @ (bads[group] / n - bads[group].sum() / n.sum()) ** 2)
    return total


def _smoothed(bads: float, rows: float, average: float) -> float:
    """The bad rate of a group as `woe_table` takes it."""
    return (bads + SMOOTHING_ROWS * average) / (rows + SMOOTHING_ROWS)


def _average(bads: Floats, rows: Floats) -> float:
    return float((bads.sum() + 1.0) / (rows.sum() + 2.0))


def pooled_woe(bads: Floats, rows: Floats, groups: NDArray[np.intp], smoothing: float = SMOOTHING_ROWS) -> WoeTable:
    """WOE float64[B] of each bin's group, since bins of one group share a level; parts float64[G] by group."""
    table = woe_table(summed(bads, groups), summed(rows, groups), smoothing)
    return WoeTable(table.woe[groups], table.parts)


def summed(counts: Floats, groups: NDArray[np.intp]) -> Floats:
    """Counts float64[G] of the groups of bins with counts float64[B]."""
    return np.bincount(groups, counts).astype(np.float64)
