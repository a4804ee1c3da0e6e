"""The node's columns of a cohort: bins, codes, and the values behind them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from .binning import Bins, CategoryBins
from .options import Trend

Floats = NDArray[np.float64]
Codes = NDArray[np.uint8]


@dataclass(frozen=True)
class NodeField:
    """One node field of a model.

    Attributes:
        bins: on row counts.
        theme: for reason codes.
        disclosable: whether a bank may be told of it: themes in reason codes, labels in its table (no J-only, no L4).
        trend: which the bank asked the bad rate to follow.
        categories: of an enumeration, in the catalogue's order: its raw values are positions in it.
        dates: its raw values are days since 1970-01-01.
    """

    bins: Bins
    theme: str = ""
    disclosable: bool = False
    trend: Trend = "free"
    categories: tuple[str, ...] = ()
    dates: bool = False

    @property
    def name(self) -> str:
        """The catalogue's name."""
        return self.bins.field

    def codes(self, values: Sequence[object] | NDArray[np.generic]) -> Codes:
        """Codes uint8[M] of raw values [M], also of rows that were not binned."""
        if self.categories and isinstance(self.bins, CategoryBins):
            return self.bins.apply(named(values, self.categories))
        return self.bins.apply(values)


def named(positions: Sequence[object] | NDArray[np.generic], categories: Sequence[str]) -> NDArray[np.str_]:
    """Categories [M] by their positions float64[M]; blank where missing (NaN)."""
    x = np.asarray(positions, dtype=np.float64)
    words = np.array([*categories, ""])
    return words[np.where(np.isnan(x), len(categories), x).astype(np.intp)]


@dataclass(frozen=True, eq=False, repr=False)
class NodeColumns:
    """The node's columns of a cohort, in the cohort's order.

    Attributes:
        fields: J of them.
        codes: uint8[J, N].
        raw: float64[J, N], NaN where missing; only to measure what bands say about them.
    """

    fields: tuple[NodeField, ...]
    codes: Codes
    raw: Floats = field(default_factory=lambda: np.zeros((0, 0)))

    def __repr__(self) -> str:
        return f"NodeColumns(fields={len(self.fields)}, rows={self.rows}, values=<secret>)"

    @property
    def rows(self) -> int:
        """N."""
        return int(self.codes.shape[1])

    @property
    def bins(self) -> tuple[int, ...]:
        """Bins of each field."""
        return tuple(entry.bins.count for entry in self.fields)

    def counts(self, j: int) -> NDArray[np.int64]:
        """Rows of each bin of field j."""
        return np.bincount(self.codes[j], minlength=self.fields[j].bins.count).astype(np.int64)
