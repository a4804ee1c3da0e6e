"""How sure a scorecard's figures are: confidence intervals of AUC, Gini, KS and Brier, and of differences of two models.

AUC and Gini by the placements of DeLong, DeLong and Clarke-Pearson (Biometrics 44, 1988) with midranks for ties (Sun and Xu,
IEEE Signal Processing Letters 21, 2014); Brier by the standard error of a mean; KS, which has no such formula, by resampling
goods and bads with a fixed seed. Two models on the same rows are compared row by row, so that what is common cancels.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .metrics import auc, brier, classes, ks

Floats = NDArray[np.float64]
LEVEL = 0.95
RESAMPLES = 400
SEED = 20_240_601


@dataclass(frozen=True)
class Interval:
    """A figure with its confidence interval."""

    value: float
    low: float
    high: float

    @classmethod
    def normal(cls, value: float, error: float, level: float = LEVEL, least: float = 0.0, most: float = 1.0) -> Interval:
        """From a standard error; the ends are kept within what the figure can be."""
        half = NormalDist().inv_cdf(0.5 + level / 2) * error
        return cls(value, max(least, value - half), min(most, value + half))


@dataclass(frozen=True)
class Difference:
    """By how much the second of two figures is larger, with its interval and the two-sided p of no difference."""

    value: float
    low: float
    high: float
    p: float

    @classmethod
    def normal(cls, value: float, error: float, level: float = LEVEL) -> Difference:
        """From the standard error of the difference; without any spread, equal figures are equal and others differ."""
        half = NormalDist().inv_cdf(0.5 + level / 2) * error
        p = math.erfc(abs(value) / error / math.sqrt(2)) if error > 0 else float(value == 0)
        return cls(value, value - half, value + half, p)


def auc_interval(labels: ArrayLike, scores: ArrayLike, level: float = LEVEL) -> Interval:
    """AUC and its interval (DeLong)."""
    [[variance]] = _covariance(labels, scores)
    return Interval.normal(auc(labels, scores), math.sqrt(variance), level)


def gini_interval(labels: ArrayLike, scores: ArrayLike, level: float = LEVEL) -> Interval:
    """2 AUC - 1 and its interval."""
    area = auc_interval(labels, scores, level)
    return Interval(2 * area.value - 1, 2 * area.low - 1, 2 * area.high - 1)


def auc_difference(labels: ArrayLike, first: ArrayLike, second: ArrayLike, level: float = LEVEL) -> Difference:
    """AUC of `second` less that of `first` on the same rows (DeLong's test)."""
    cov = _covariance(labels, first, second)
    variance = max(0.0, float(cov[0, 0] + cov[1, 1] - 2 * cov[0, 1]))
    return Difference.normal(auc(labels, second) - auc(labels, first), math.sqrt(variance), level)


def brier_interval(labels: ArrayLike, probabilities: ArrayLike, level: float = LEVEL) -> Interval:
    """Brier score and its interval."""
    squares = _squares(labels, probabilities)
    return Interval.normal(brier(labels, probabilities), _error(squares), level)


def brier_difference(labels: ArrayLike, first: ArrayLike, second: ArrayLike, level: float = LEVEL) -> Difference:
    """Brier score of `second` less that of `first` on the same rows; below 0 is better."""
    squares = _squares(labels, second) - _squares(labels, first)
    return Difference.normal(brier(labels, second) - brier(labels, first), _error(squares), level)


def ks_interval(labels: ArrayLike, scores: ArrayLike, level: float = LEVEL) -> Interval:
    """KS and its interval, from the spread of `RESAMPLES` resamples."""
    return Interval.normal(ks(labels, scores), float(ks_resamples(labels, scores).std(ddof=1)), level)


def ks_difference(labels: ArrayLike, first: ArrayLike, second: ArrayLike, level: float = LEVEL) -> Difference:
    """KS of `second` less that of `first`; both are resampled alike."""
    spread = ks_resamples(labels, second) - ks_resamples(labels, first)
    return Difference.normal(ks(labels, second) - ks(labels, first), float(spread.std(ddof=1)), level)


def ks_resamples(labels: ArrayLike, scores: ArrayLike, resamples: int = RESAMPLES, seed: int = SEED) -> Floats:
    """KS of resamples float64[resamples]; goods and bads are drawn apart, and by the seed alone."""
    y, s = classes(labels, scores)
    order = np.argsort(s, kind="stable")
    ends = np.flatnonzero(np.r_[np.diff(s[order]) != 0, True])
    bads, goods = np.flatnonzero(y == 1), np.flatnonzero(y == 0)
    rng = np.random.default_rng(seed)
    found = np.empty(resamples)
    for i in range(resamples):
        weight = np.zeros(y.size)
        for rows, sign in ((bads, 1.0), (goods, -1.0)):
            weight[rows] = np.bincount(rng.integers(0, rows.size, rows.size), minlength=rows.size) * (sign / rows.size)
        found[i] = np.abs(np.cumsum(weight[order])[ends]).max()
    return found


def _covariance(labels: ArrayLike, *scores: ArrayLike) -> Floats:
    """Covariance float64[K, K] of the AUCs of K scores on the same rows."""
    of_bads, of_goods = [], []
    for one in scores:
        y, s = classes(labels, one)
        bad = y == 1
        of_bads.append(_below(s[bad], s[~bad]))
        of_goods.append(1.0 - _below(s[~bad], s[bad]))
    parts = [np.atleast_2d(np.cov(np.stack(part))) / max(1, part[0].size) for part in (of_bads, of_goods)]
    return np.asarray(np.nan_to_num(parts[0] + parts[1]), dtype=np.float64)


def _below(of: Floats, others: Floats) -> Floats:
    """Share of `others` below each of `of`, ties counting half."""
    ascending = np.sort(others)
    left, right = np.searchsorted(ascending, of, "left"), np.searchsorted(ascending, of, "right")
    return np.asarray((left + right) / (2.0 * others.size), dtype=np.float64)


def _squares(labels: ArrayLike, probabilities: ArrayLike) -> Floats:
    y, p = classes(labels, probabilities)
    return np.asarray((p - y) ** 2, dtype=np.float64)


def _error(values: Floats) -> float:
    return float(values.std(ddof=1) / math.sqrt(values.size))
