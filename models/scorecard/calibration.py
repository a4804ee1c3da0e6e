"""Whether probabilities mean what they say: calibration line, Hosmer-Lemeshow test, reliability points; lift and gain.

Rows are taken by probability in groups of equal size; rows of one probability stay together, so there may be fewer groups.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .metrics import classes

Floats = NDArray[np.float64]
GROUPS = 10
_CLIP = 1e-6  # a probability of 0 or 1 has no odds
_STEPS = 50


@dataclass(frozen=True)
class CalibrationLine:
    """Logit of the true rate against the logit of the probability: slope 1 and intercept 0 are perfect.

    `in_the_large` is the intercept at slope 1: above 0 the model says too little risk. Errors are standard errors.
    """

    slope: float
    slope_error: float
    intercept: float
    intercept_error: float
    in_the_large: float


@dataclass(frozen=True)
class Reliability:
    """One group: rows, mean probability, rate of bads and its 95 % interval (Wilson)."""

    rows: int
    probability: float
    rate: float
    low: float
    high: float


@dataclass(frozen=True)
class HosmerLemeshow:
    """The test's statistic, its degrees of freedom, and p; a small p says that the probabilities do not hold."""

    statistic: float
    freedom: int
    p: float


@dataclass(frozen=True)
class Lift:
    """One group, the riskiest first: rows, bads, rate, share of all bads found so far, and lift over a random choice."""

    rows: int
    bads: int
    rate: float
    gain: float
    lift: float
    lift_so_far: float


def calibration_line(labels: ArrayLike, probabilities: ArrayLike) -> CalibrationLine:
    """Fit the line (Cox 1958) by Newton's method."""
    y, logit = _logits(labels, probabilities)
    (intercept, slope), covariance = _logistic(np.stack([np.ones_like(logit), logit], axis=1), y, np.zeros_like(logit))
    (large,), _ = _logistic(np.ones((y.size, 1)), y, logit)
    return CalibrationLine(
        slope=float(slope),
        slope_error=math.sqrt(covariance[1, 1]),
        intercept=float(intercept),
        intercept_error=math.sqrt(covariance[0, 0]),
        in_the_large=float(large),
    )


def hosmer_lemeshow(labels: ArrayLike, probabilities: ArrayLike, groups: int = GROUPS, fitted: bool = False) -> HosmerLemeshow:
    """The test over `groups`; two degrees of freedom fewer where the rows are those that the model was `fitted` on."""
    y, p = classes(labels, probabilities)
    code = grouped(p, groups)
    rows, bads, expected = np.bincount(code), np.bincount(code, y), np.bincount(code, p)
    variance = np.maximum(expected * (1 - expected / rows), 1e-12)
    statistic = float(((bads - expected) ** 2 / variance).sum())
    freedom = max(1, rows.size - 2 * fitted)
    return HosmerLemeshow(statistic, freedom, chi_square_tail(statistic, freedom))


def reliability(labels: ArrayLike, probabilities: ArrayLike, groups: int = GROUPS) -> tuple[Reliability, ...]:
    """Points of the reliability curve, by rising probability."""
    y, p = classes(labels, probabilities)
    code = grouped(p, groups)
    rows, bads, expected = np.bincount(code), np.bincount(code, y), np.bincount(code, p)
    return tuple(
        Reliability(int(n), float(e / n), float(b / n), *_wilson(float(b), int(n)))
        for n, b, e in zip(rows, bads, expected, strict=True)
    )


def lift_table(labels: ArrayLike, scores: ArrayLike, groups: int = GROUPS) -> tuple[Lift, ...]:
    """Lift and gain by group of falling risk."""
    y, s = classes(labels, scores)
    code = grouped(-s, groups)
    rows, bads = np.bincount(code), np.bincount(code, y)
    average, found, seen = y.mean(), np.cumsum(bads), np.cumsum(rows)
    return tuple(
        Lift(
            rows=int(rows[i]),
            bads=int(bads[i]),
            rate=float(bads[i] / rows[i]),
            gain=float(found[i] / y.sum()),
            lift=float(bads[i] / rows[i] / average),
            lift_so_far=float(found[i] / seen[i] / average),
        )
        for i in range(rows.size)
    )


def grouped(values: Floats, groups: int) -> NDArray[np.intp]:
    """Group of each value, from 0 in rising order: equal sizes as far as equal values stay together, none empty."""
    edges = np.unique(np.quantile(values, np.linspace(0, 1, groups + 1)[1:-1], method="lower"))
    return np.unique(np.searchsorted(edges, values, side="left"), return_inverse=True)[1].astype(np.intp)


def chi_square_tail(statistic: float, freedom: int) -> float:
    """P(χ² > statistic), by the recursion over degrees of freedom."""
    half = statistic / 2
    tail, k = (math.erfc(math.sqrt(half)), 1) if freedom % 2 else (math.exp(-half), 2)
    while k < freedom and half > 0:
        tail += math.exp(k / 2 * math.log(half) - half - math.lgamma(k / 2 + 1))
        k += 2
    return min(1.0, tail)


def _logits(labels: ArrayLike, probabilities: ArrayLike) -> tuple[Floats, Floats]:
    y, p = classes(labels, probabilities)
    clipped = np.clip(p, _CLIP, 1 - _CLIP)
    return y, np.log(clipped / (1 - clipped))


def _logistic(matrix: Floats, y: Floats, offset: Floats) -> tuple[Floats, Floats]:
    """Coefficients and their covariance; a class that is perfectly separated stops at the last step, far out."""
    beta = np.zeros(matrix.shape[1])
    for _ in range(_STEPS):
        p = 1 / (1 + np.exp(-np.clip(matrix @ beta + offset, -35, 35)))
        weight = np.maximum(p * (1 - p), 1e-12)
        information = matrix.T @ (matrix * weight[:, None]) + 1e-9 * np.eye(beta.size)
        step = np.clip(np.linalg.solve(information, matrix.T @ (y - p)), -4, 4)
        beta = beta + step
        if np.abs(step).max() < 1e-10:
            break
    return beta, np.asarray(np.linalg.inv(information), dtype=np.float64)


def _wilson(bads: float, rows: int) -> tuple[float, float]:
    z = NormalDist().inv_cdf(0.975)
    rate, square = bads / rows, z * z / rows
    middle, half = (
        (rate + square / 2) / (1 + square),
        math.sqrt(rate * (1 - rate) * square + square * square / 4) / (1 + square),
    )
    return max(0.0, middle - half), min(1.0, middle + half)
