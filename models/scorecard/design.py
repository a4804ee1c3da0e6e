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
Integers = NDArray[np.int64]
Encoding = Literal["woe", "one_hot"]
ENCODINGS: tuple[Encoding, ...] = ("woe", "one_hot")
BAND = "node band"


@dataclass(frozen=True)
class Design:
    """Builds the matrix for cohort rows and new rows alike.

    Attributes:
        columns: the bank's own.
        means: of the released bands, by band.
        encoding: of the bank's columns.
        unknown: stands for the band's mean where the node has no record; the average over the training rows.
    """

    columns: tuple[BankColumn, ...]
    means: tuple[float, ...]
    encoding: Encoding = "woe"
    unknown: float = 0.0

    @property
    def names(self) -> tuple[str, ...]:
        """Name of each column of the matrix; the last is the node's band."""
        own: list[str] = []
        for column in self.columns:
            field = column.bins.field
            own += [field] if self.encoding == "woe" else [f"{field}[{i}]" for i in range(column.bins.count)]
        return (*own, BAND)

    def codes(self, values: Mapping[str, Sequence[object] | NDArray[np.generic]], bands: NDArray[np.integer]) -> list[Integers]:
        """Bin int64[M] of each column and then of the band, from the bank's values by field name, each [M].

        Args:
            values: by field name.
            bands: integers [M]; below 0 where the node has no record, whose bin comes after all bands.

        Raises:
            ValueError: a band that the release does not have.
        """
        band = np.asarray(bands, dtype=np.int64)
        if band.size and int(band.max()) >= len(self.means):
            raise ValueError("a band lies outside the model's bands; use the table of this model")
        own = [column.bins.apply(values[column.bins.field]).astype(np.int64) for column in self.columns]
        return [*own, np.where(band < 0, len(self.means), band)]

    def matrix(self, values: Mapping[str, Sequence[object] | NDArray[np.generic]], bands: NDArray[np.integer]) -> Floats:
        """float64[M, P] from the bank's values by field name, each [M], and bands [M], below 0 for no record.

        Raises:
            ValueError: a band that the release does not have.
        """
        return self.encoded(self.codes(values, bands))

    def encoded(self, codes: Sequence[Integers]) -> Floats:
        """float64[M, P] from the codes of `codes`."""
        *own, band = codes
        parts = [self._encode(column, code) for column, code in zip(self.columns, own, strict=True)]
        means = np.append(np.asarray(self.means, dtype=np.float64), self.unknown)
        return np.concatenate([*parts, means[band][:, None]], axis=1)

    def _encode(self, column: BankColumn, codes: Integers) -> Floats:
        if self.encoding == "one_hot":
            one_hot: Floats = np.eye(column.bins.count)[codes]
            return one_hot
        return np.asarray(column.levels[codes][:, None] / SCALE, dtype=np.float64)
