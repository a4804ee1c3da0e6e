"""Figures of a scorecard: discrimination (AUC, Gini, KS), calibration (Brier) and stability (PSI), in numpy.

Scores are any real numbers, higher meaning riskier; labels are 0 (good) and 1 (bad).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]


def classes(labels: ArrayLike, scores: ArrayLike) -> tuple[Floats, Floats]:
    """Labels and scores as float64[N] each; raises ValueError unless both classes occur and every score is a number."""
    y, s = np.asarray(labels, dtype=np.float64), np.asarray(scores, dtype=np.float64)
    if y.shape != s.shape or y.ndim != 1:
        raise ValueError("labels and scores must be two vectors of one length")
    if not np.isin(y, (0.0, 1.0)).all() or y.min() == y.max():
        raise ValueError("labels must be 0 and 1, and both must occur")
    if not np.isfinite(s).all():
        raise ValueError("scores must be finite")
    return y, s


def auc(labels: ArrayLike, scores: ArrayLike) -> float:
    """Area under the ROC curve (Mann-Whitney, ties count half)."""
    y, s = classes(labels, scores)
    _, place, count = np.unique(s, return_inverse=True, return_counts=True)
    rank = np.cumsum(count) - (count - 1) / 2
    bads = y.sum()
    return float((rank[place] @ y - bads * (bads + 1) / 2) / (bads * (y.size - bads)))


def gini(labels: ArrayLike, scores: ArrayLike) -> float:
    """2 AUC - 1."""
    return 2.0 * auc(labels, scores) - 1.0


def ks(labels: ArrayLike, scores: ArrayLike) -> float:
    """Kolmogorov-Smirnov distance between the scores of bads and goods."""
    y, s = classes(labels, scores)
    _, place = np.unique(s, return_inverse=True)
    bads, goods = np.bincount(place, y), np.bincount(place, 1.0 - y)
    return float(np.abs(np.cumsum(bads) / bads.sum() - np.cumsum(goods) / goods.sum()).max())


def brier(labels: ArrayLike, probabilities: ArrayLike) -> float:
    """Mean squared difference of probability and label."""
    y, p = classes(labels, probabilities)
    if p.min() < 0.0 or p.max() > 1.0:
        raise ValueError("the Brier score needs probabilities between 0 and 1")
    return float(np.mean((p - y) ** 2))


def psi(expected: ArrayLike, actual: ArrayLike) -> float:
    """Population stability index of two distributions over the same bins, given as counts or shares.

    Empty bins count as half a row in ten thousand, so that the index stays finite.
    """
    e, a = np.asarray(expected, dtype=np.float64), np.asarray(actual, dtype=np.float64)
    if e.shape != a.shape or e.ndim != 1 or e.sum() <= 0 or a.sum() <= 0 or min(e.min(), a.min()) < 0:
        raise ValueError("the stability index needs two non-empty distributions over the same bins")
    e, a = np.maximum(e / e.sum(), 5e-5), np.maximum(a / a.sum(), 5e-5)
    return float(((a - e) * np.log(a / e)).sum())


def score_psi(expected_scores: ArrayLike, actual_scores: ArrayLike, bins: int = 10) -> float:
    """Stability index of a score over quantiles of the expected scores."""
    e = np.asarray(expected_scores, dtype=np.float64)
    edges = np.unique(np.quantile(e, np.linspace(0, 1, bins + 1)[1:-1]))
    counts = [
        np.bincount(np.searchsorted(edges, np.asarray(s, dtype=np.float64), side="right"), minlength=edges.size + 1)
        for s in (e, actual_scores)
    ]
    return psi(counts[0], counts[1])
