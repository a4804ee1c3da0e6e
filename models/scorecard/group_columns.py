"""Common bank columns: one set of bins by agreement, one set of WOE levels from sums over banks.

The banks agree on the bins, in a file or by taking those of one of them; how the rows of all banks together fall into them
is summed by the aggregation. From these sums follow the levels: bins with too few rows over all banks are pooled, by row
counts alone, and only the sums of what is left are told. So all banks use the same codes and the same integer levels, which
are standardised over the rows of all of them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .bank import BankColumn
from .binning import SUPPORT_ROWS, Bins, NumericBins, bins_from_definition, column_bins
from .limits import InputRefused, LimitRefused, Limits
from .moments import standard_levels
from .woe import summed, woe_table

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Codes = NDArray[np.uint8]
FORMAT = "xinqiao/common-columns/v1"


@dataclass(frozen=True, eq=False)
class CommonColumn:
    """A column over all banks: how its bins were pooled, and what all of them together know of it.

    Attributes:
        bins: as agreed.
        groups: int[B], the pooled bin of each.
        rows, bads: int64[G] over all banks; each group has at least `Limits.level_rows` rows.
        woe: float64[B]. levels: int64[B], standardised over the rows of all banks, within ± 8 at scale 2^10.
        iv: information value over all banks.
    """

    bins: Bins
    groups: NDArray[np.intp]
    rows: Integers
    bads: Integers
    woe: Floats
    levels: Integers
    iv: float

    @classmethod
    def of(cls, bins: Bins, groups: NDArray[np.intp], rows: Integers, bads: Integers) -> CommonColumn:
        """The column whose pooled bins hold so many rows and bads.

        Raises:
            InputRefused: the figures cannot be those of a column.
        """
        if groups.shape != (bins.count,) or rows.shape != bads.shape or sorted(set(groups.tolist())) != list(range(rows.size)):
            raise InputRefused("counts-malformed", f"The counts of the column {bins.field} are not those of its bins")
        if (rows < SUPPORT_ROWS).any():
            raise InputRefused("counts-malformed", f"The column {bins.field} has a bin with fewer than {SUPPORT_ROWS} rows")
        if (bads < 0).any() or (bads > rows).any():
            raise InputRefused("counts-malformed", f"The column {bins.field} has bins with more bad rows than rows")
        table = woe_table(bads.astype(np.float64), rows.astype(np.float64))
        levels = standard_levels(table.woe, rows)
        return cls(bins, groups, rows, bads, table.woe[groups], levels[groups], table.iv)

    def column(self, codes: Codes) -> BankColumn:
        """One bank's column with these common levels; codes uint8[N]."""
        return BankColumn(self.bins, codes, self.woe, self.levels, self.iv)


def common_columns(definitions: Sequence[Bins], counts: Integers, limits: Limits) -> list[CommonColumn]:
    """The columns of all banks from the summed counts int64[2, bins] of `group.counts_of`.

    Raises:
        LimitRefused: all banks together have too few rows for one bin of a column.
    """
    made, start = [], 0
    for bins in definitions:
        rows, bads = counts[:, start : start + bins.count]
        start += bins.count
        groups = support_groups(bins, rows, limits.level_rows)
        total = summed(rows.astype(np.float64), groups).astype(np.int64)
        bad = summed(bads.astype(np.float64), groups).astype(np.int64)
        made.append(CommonColumn.of(bins, groups, total, bad))
    return made


def support_groups(bins: Bins, rows: Integers, support: int) -> NDArray[np.intp]:
    """Pooled bin int[B] of each bin, by row counts alone, so that each has `support` rows.

    Of the ordered bins the thinnest joins its smaller neighbour; any other thin bin joins the thinnest of the rest.

    Raises:
        LimitRefused: there are not even `support` rows.
    """
    if int(rows.sum()) < support:
        raise LimitRefused(
            "field-too-sparse",
            f"The column {bins.field} has fewer than {support} rows over all banks",
            "Leave it out of the common columns.",
        )
    ordered = bins.ordered if isinstance(bins, NumericBins) else 0
    groups = [[b] for b in range(bins.count)]
    size = [int(n) for n in rows]
    while len(groups) > 1 and min(size) < support:
        thin = size.index(min(size))
        line = [g for g, members in enumerate(groups) if members[0] < ordered]
        place = line.index(thin) if thin in line else -1
        near = [line[p] for p in (place - 1, place + 1) if 0 <= p < len(line)] if place >= 0 else []
        other = min(near or [g for g in range(len(groups)) if g != thin], key=lambda g: (size[g], g))
        keep, drop = min(thin, other), max(thin, other)
        groups[keep], size[keep] = sorted(groups[keep] + groups[drop]), size[keep] + size[drop]
        del groups[drop], size[drop]
    result = np.empty(bins.count, dtype=np.intp)
    for number, members in enumerate(groups):
        result[members] = number
    return result


def propose(columns: Mapping[str, Sequence[object] | NDArray[np.generic]], limits: Limits) -> list[Bins]:
    """Bins by one bank's row counts, for all banks to agree on; edges are round numbers and nobody's values."""
    return [column_bins(name, values, limits.levels, limits) for name, values in columns.items()]


def write_definitions(definitions: Sequence[Bins], path: str | Path) -> None:
    """Write the agreed columns as JSON, to be passed on to the other banks; it holds bins and no row."""
    body = {"format": FORMAT, "columns": [json.loads(bins.definition()) for bins in definitions]}
    Path(path).write_text(json.dumps(body, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def read_definitions(path: str | Path, limits: Limits) -> list[Bins]:
    """The agreed columns from a file.

    Raises:
        ValueError: it is no such file, or a column stands twice or has too many bins.
    """
    try:
        body: dict[str, Any] = json.loads(Path(path).read_text(encoding="utf-8"))
        if body["format"] != FORMAT:
            raise ValueError(f"it has another format than {FORMAT}")
        made = [bins_from_definition(json.dumps(column).encode()) for column in body["columns"]]
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{Path(path).name} does not define common columns: {error}") from None
    check_definitions(made, limits)
    return made


def check_definitions(definitions: Sequence[Bins], limits: Limits) -> None:
    """Refuse columns that stand twice or have too many bins; raises `LimitRefused`."""
    names = [bins.field for bins in definitions]
    if len(set(names)) != len(names) or any(not 1 <= bins.count <= limits.levels for bins in definitions):
        raise LimitRefused(
            "common-columns-malformed",
            f"The common columns name a field twice, or one with more than {limits.levels} bins",
            f"Each column stands once, with at most {limits.levels} bins.",
        )
