"""The design matrix of the bank's own half: its own columns and the mean of the node's band.

The bank fits its own logistic regression on it, with whatever library it likes. Two encodings of its columns: "woe", one
standardised WOE column a field, for small cohorts; "one_hot", a 0/1 column for each bin, which lets fields that say the
same share out their weight and pays from some ten thousand rows on. Cross-validate on the training rows to choose.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from .bank import BankColumn
from .moments import SCALE

Floats = NDArray[np.float64]
Codes = NDArray[np.uint8]
Encoding = Literal["woe", "one_hot"]
ENCODINGS: tuple[Encoding, ...] = ("woe", "one_hot")


@dataclass(frozen=True)
class Design:
    """Builds the matrix for cohort rows and new rows alike.

    Attributes:
        columns: the bank's own.
        means: of the released bands, by band.
        encoding: of the bank's columns.
    """

    columns: tuple[BankColumn, ...]
    means: tuple[float, ...]
    encoding: Encoding = "woe"

    @property
    def names(self) -> tuple[str, ...]:
        """Name of each column of the matrix; the last is the node's band."""
        own: list[str] = []
        for column in self.columns:
            field = column.bins.field
            own += [field] if self.encoding == "woe" else [f"{field}[{i}]" for i in range(column.bins.count)]
        return (*own, "node band")

    def matrix(self, values: Mapping[str, Sequence[object] | NDArray[np.generic]], bands: Codes) -> Floats:
        """float64[M, P] from the bank's values by field name, each [M], and bands uint8[M].

        Raises:
            ValueError: a band that the release does not have.
        """
        if bands.size and int(bands.max()) >= len(self.means):
            raise ValueError("a band lies outside the model's bands; use the table of this model")
        parts = [self._encode(column, column.bins.apply(values[column.bins.field])) for column in self.columns]
        return np.concatenate([*parts, np.asarray(self.means)[bands][:, None]], axis=1)

    def _encode(self, column: BankColumn, codes: Codes) -> Floats:
        if self.encoding == "one_hot":
            one_hot: Floats = np.eye(column.bins.count)[codes]
            return one_hot
        return np.asarray(column.levels[codes][:, None] / SCALE, dtype=np.float64)
