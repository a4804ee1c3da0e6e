"""The shape in which departments' data leave the model: named tables of columns, rounded as they are sent.

Numbers are float64 with NaN for "not sent", texts are objects with "" for "not sent"; every column has shape (rows,). Rounding
happens here, before the bank's outcomes are drawn, so that anyone can recompute those from the written files.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, timedelta

import numpy as np
import numpy.typing as npt

from models.county.population import Floats, Texts

Column = Floats | Texts


@dataclass(frozen=True)
class Table:
    """Columns of equal length under one name, keyed by the column ``key``.

    A department's table holds one category for one group of subjects; the groups of a category go into one file.
    """

    name: str
    key: str
    columns: Mapping[str, Column]

    def __len__(self) -> int:
        """Number of rows."""
        return len(self.columns[self.key])

    def where(self, rows: npt.NDArray[np.bool_] | npt.NDArray[np.int64]) -> Table:
        """The same table with these rows only."""
        return replace(self, columns={name: column[rows] for name, column in self.columns.items()})


def whole(values: npt.ArrayLike) -> Floats:
    """Counts: rounded to integers."""
    return amount(values, 0)


def amount(values: npt.ArrayLike, digits: int = 2) -> Floats:
    """Amounts: rounded to the digits that the department sends."""
    return np.asarray(np.round(np.asarray(values, dtype=np.float64), digits), dtype=np.float64)


def flag(values: npt.ArrayLike) -> Texts:
    """Booleans as departments write them."""
    return np.where(np.asarray(values, dtype=bool), "是", "否").astype(object)


def pick(condition: npt.ArrayLike, chosen: npt.ArrayLike, otherwise: str = "") -> Texts:
    """Texts where the condition holds, ``otherwise`` elsewhere."""
    return np.where(np.asarray(condition, dtype=bool), np.asarray(chosen, dtype=object), otherwise).astype(object)


def days_after(start: date, days: npt.ArrayLike) -> Texts:
    """ISO dates that many days after ``start``."""
    return np.array([(start + timedelta(days=int(d))).isoformat() for d in np.asarray(days)], dtype=object)


def blank(rng: np.random.Generator, column: Column, rate: npt.ArrayLike) -> Column:
    """Leave out values at random with the given rate (a number, or one per row)."""
    gone = rng.uniform(size=len(column)) < np.asarray(rate)
    if column.dtype == object:
        return pick(~gone, column)
    return np.where(gone, np.nan, column)
