"""Points of a scorecard: what each bin of each field adds to the score. Higher is better.

A score is `offset - factor · log-odds of bad`, so that `base_odds` goods to one bad score `base_score`, and every `pdo` points
more double the odds. Each field starts from the same average over the training rows; what a field gives in one bin more
than in another is its own. The node's band is a field like any other, with one bin more for whom the node has no record of.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .design import Design
from .moments import SCALE

Floats = NDArray[np.float64]
MOST_DECIMALS = 6


@dataclass(frozen=True)
class Scaling:
    """How odds become points; `decimals` is to how many places the points of a bin are rounded, None for not at all.

    Raises:
        ValueError: `pdo` or `base_odds` is not above 0, or `decimals` is not 0 to 6.
    """

    pdo: float = 20.0
    base_score: float = 600.0
    base_odds: float = 50.0
    decimals: int | None = 0

    def __post_init__(self) -> None:
        if not (0 < self.pdo < math.inf and 0 < self.base_odds < math.inf and math.isfinite(self.base_score)):
            raise ValueError("pdo (points that double the odds) and base_odds (goods to one bad) must be numbers above 0")
        if self.decimals is not None and not 0 <= self.decimals <= MOST_DECIMALS:
            raise ValueError(f"points are rounded to 0 to {MOST_DECIMALS} decimals, or not at all (None)")

    @property
    def factor(self) -> float:
        """Points for each unit of log-odds."""
        return self.pdo / math.log(2)

    @property
    def offset(self) -> float:
        """The score at even odds."""
        return self.base_score - self.factor * math.log(self.base_odds)

    def score(self, log_odds: ArrayLike) -> Floats:
        """Scores, not rounded, of log-odds of bad."""
        return np.asarray(self.offset - self.factor * np.asarray(log_odds, dtype=np.float64))

    def log_odds(self, score: ArrayLike) -> Floats:
        """Log-odds of bad of scores."""
        return np.asarray((self.offset - np.asarray(score, dtype=np.float64)) / self.factor)

    def rounded(self, points: Floats) -> Floats:
        """Points as they stand in the table."""
        return points if self.decimals is None else np.round(points, self.decimals) + 0.0


@dataclass(frozen=True, eq=False)
class FieldPoints:
    """One field of the table: points float64[B] of its bins, and their shares float64[B] of the training rows."""

    field: str
    points: Floats
    shares: Floats

    @property
    def best(self) -> float:
        """The most that the field can give."""
        return float(self.points.max())

    @property
    def average(self) -> float:
        """What it gives on average over the training rows."""
        return float(self.points @ self.shares / self.shares.sum())


def field_points(
    design: Design,
    coef: Floats,
    intercept: float,
    shares: Sequence[ArrayLike],
    scaling: Scaling,
    line: tuple[float, float] = (1.0, 0.0),
) -> tuple[FieldPoints, ...]:
    """The table: one entry for each column of the bank, and last the node's band.

    Args:
        design: of the bank's half.
        coef: float64[P], as the columns of the design's matrix.
        intercept: of the bank's half.
        shares: of the training rows by bin, for each column and then for each band.
        scaling: of the points.
        line: (slope, intercept) of a calibration of the log-odds.
    """
    slope, shift = line
    of_bins = [slope * part for part in contributions(design, coef)]
    weights = [np.asarray(share, dtype=np.float64) for share in shares]
    weights[-1] = np.append(weights[-1], 0.0)  # nobody without a record was trained on
    average = [float(part @ weight / weight.sum()) for part, weight in zip(of_bins, weights, strict=True)]
    start = float(scaling.score(slope * intercept + shift + sum(average))) / len(of_bins)
    names = [*(column.bins.field for column in design.columns), design.names[-1]]
    return tuple(
        FieldPoints(name, scaling.rounded(start - scaling.factor * (part - mean)), weight)
        for name, part, mean, weight in zip(names, of_bins, average, weights, strict=True)
    )


def contributions(design: Design, coef: Floats) -> list[Floats]:
    """What each bin adds to the log-odds, for each column float64[B]; the band's last entry is for no record."""
    coef = np.asarray(coef, dtype=np.float64).ravel()
    found: list[Floats] = []
    at = 0
    for column in design.columns:
        if design.encoding == "woe":
            found.append(coef[at] * column.levels / SCALE)
            at += 1
        else:
            found.append(coef[at : at + column.bins.count])
            at += column.bins.count
    band = coef[at]
    return [*found, np.append(band * np.asarray(design.means), band * design.unknown)]


def score_of(table: Sequence[FieldPoints], codes: Sequence[NDArray[np.integer]]) -> Floats:
    """Scores float64[M]: the sum of the points of codes int[M], field by field in the table's order."""
    return np.asarray(sum(entry.points[code] for entry, code in zip(table, codes, strict=True)), dtype=np.float64)
