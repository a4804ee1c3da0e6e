"""How many cells make a column, and what follows from it."""

from __future__ import annotations

import math
from dataclasses import dataclass

from crypto.cells import cell_size
from models.tables import path_depth

DUMMY_STEP = 1000
PAD_STEP = 32
EASY_COLUMNS = 1 << 15  # keeps a query, columns × 4 bytes, at 128 KiB
MOST_COLUMNS = 1 << 20  # of the proven range of the parameters
EASY_ROWS = 9_600  # keeps the hint, rows × 1,024 × 4 bytes, below 40 MB
_LENGTH_BYTES = 4


def padded_size(longest: int) -> int:
    """Bytes of every padded record where the longest record has so many."""
    return math.ceil((longest + _LENGTH_BYTES) / PAD_STEP) * PAD_STEP


def cells_per_column(count: int, size: int) -> int:
    """Cells in a column of a table of `count` cells of `size` bytes.

    A query and its answer together cost 4·(columns + rows) bytes, least with as many rows as columns. A column is shorter than
    that as long as the hint would pass 40 MB, and no shorter than what keeps a query at 128 KiB.
    """
    balanced = max(1, round(math.sqrt(count / size)))
    small_hint = (EASY_ROWS - 32 * path_depth(EASY_COLUMNS)) // size
    per_column = min(balanced, max(small_hint, math.ceil(count / EASY_COLUMNS)))
    return max(1, per_column, math.ceil(count / MOST_COLUMNS))


@dataclass(frozen=True)
class Layout:
    """The shape of one table: D is uint8[rows, columns]."""

    subjects: int
    cell: int
    per_column: int
    columns: int

    @classmethod
    def of(cls, subjects: int, padded: int) -> Layout:
        """For so many subjects, with dummies up to the next 1,000 and to whole columns."""
        target = max(DUMMY_STEP, math.ceil(subjects / DUMMY_STEP) * DUMMY_STEP)
        per_column = cells_per_column(target, cell_size(padded))
        return cls(subjects, cell_size(padded), per_column, math.ceil(target / per_column))

    @property
    def cells(self) -> int:
        """All cells, dummies included."""
        return self.columns * self.per_column

    @property
    def dummies(self) -> int:
        """Cells that nobody can open."""
        return self.cells - self.subjects

    @property
    def body(self) -> int:
        """Bytes of a column's cells; below them stands its Merkle path."""
        return self.per_column * self.cell

    @property
    def rows(self) -> int:
        """Rows of D."""
        return self.body + 32 * path_depth(self.columns)
