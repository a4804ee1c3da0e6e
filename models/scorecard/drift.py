"""How far a score or a field has moved from what it was at training: the population stability index and its thresholds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Self

import numpy as np
from numpy.typing import ArrayLike

from .metrics import psi

Level = Literal["stable", "moved", "shifted"]
PARTS = 10


@dataclass(frozen=True)
class Thresholds:
    """From which index on a distribution counts as moved (look at it) and as shifted (act on it).

    Raises:
        ValueError: they are not 0 < moved < shifted.
    """

    moved: float = 0.1
    shifted: float = 0.25

    def __post_init__(self) -> None:
        if not 0 < self.moved < self.shifted:
            raise ValueError("thresholds of the stability index must be 0 < moved < shifted, e.g. 0.1 and 0.25")

    def level(self, index: float) -> Level:
        """What an index means."""
        return "shifted" if index >= self.shifted else "moved" if index >= self.moved else "stable"


@dataclass(frozen=True)
class Reference:
    """A score's distribution at training: shares float[B] of parts cut at `edges` float[B-1], lower ends included."""

    edges: tuple[float, ...]
    shares: tuple[float, ...]

    @classmethod
    def of(cls, scores: ArrayLike, parts: int = PARTS) -> Self:
        """Cut at quantiles of `scores`; equal scores stay together, so there may be fewer parts."""
        s = np.asarray(scores, dtype=np.float64)
        edges = np.unique(np.quantile(s, np.linspace(0, 1, parts + 1)[1:-1]))
        return cls(tuple(edges.tolist()), _shares(edges, s))

    def shares_of(self, scores: ArrayLike) -> tuple[float, ...]:
        """Shares of other scores over the same parts."""
        return _shares(self.edges, scores)

    def psi(self, scores: ArrayLike) -> float:
        """Stability index of other scores against this distribution."""
        return psi(self.shares, self.shares_of(scores))


def _shares(edges: ArrayLike, scores: ArrayLike) -> tuple[float, ...]:
    s = np.asarray(scores, dtype=np.float64)
    if not s.size or not np.isfinite(s).all():
        raise ValueError("a distribution needs scores, and all of them numbers")
    parts = np.bincount(np.searchsorted(edges, s, side="right"), minlength=np.size(edges) + 1)
    return tuple((parts / s.size).tolist())


def shares_of_codes(codes: ArrayLike, count: int) -> tuple[float, ...]:
    """Share of each of `count` bins among codes int[N]."""
    return tuple((np.bincount(np.asarray(codes, dtype=np.int64), minlength=count) / max(1, np.size(codes))).tolist())


def chance_psi(expected: Sequence[float], rows: int) -> float:
    """The index that rows of the very same distribution show on average, (B - 1) / rows: below it nothing has moved."""
    return (sum(share > 0 for share in expected) - 1) / max(1, rows)
