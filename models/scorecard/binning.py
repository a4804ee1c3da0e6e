"""Bins of a column on row counts alone: what both sides cut their columns with before any label is seen.

Neighbouring values are pooled, always the pair with the fewest rows together, until at most `most` bins remain and each
has `support` rows. Columns without frequent values end up in quantiles; a frequent value keeps a bin of its own and leaves
the other bins to the rare tail, which is where credit risk sits. Edges are round numbers strictly between two observed
values: no edge is anybody's value, and a value that was printed and read again falls in its old bin.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .limits import FieldTooSparse, Limits
from .options import FieldBinning, binning_of

MOST_BINS = 20
SUPPORT_ROWS = 50
ABSENT = ("", "nan", "None", "<NA>", "NaT")  # how a missing category reads as text
_GRAINS = 1_000  # a column of many values is first cut into so many quantiles
_FREQUENT = 200  # a value with 1/200 of the rows is kept apart from its neighbours in that first cut

Floats = NDArray[np.float64]
Codes = NDArray[np.uint8]


@dataclass(frozen=True)
class NumericBins:
    """Bins of a numeric field: code i holds edges[i-1] < x <= edges[i].

    `missing` is the code of absent values (NaN): a bin of its own, after the ordered ones, if it had support, else the
    largest bin. `special` are values with a bin each, whose codes are the last ones, in this order.
    """

    field: str
    edges: tuple[float, ...]
    missing: int
    special: tuple[float, ...] = ()

    @property
    def ordered(self) -> int:
        """Bins that have neighbours; those of missing and of special values come after them."""
        return len(self.edges) + 1

    @property
    def count(self) -> int:
        """Number of bins."""
        return max(self.ordered, self.missing + 1) + len(self.special)

    def apply(self, values: Sequence[object] | NDArray[np.generic]) -> Codes:
        """Codes uint8[N] of values [N] (NaN or None for missing); also for rows that were not binned."""
        x = np.asarray(values, dtype=np.float64)
        codes = np.searchsorted(np.asarray(self.edges), x, side="left")
        codes = np.where(np.isnan(x), self.missing, codes)
        for code, value in enumerate(self.special, self.count - len(self.special)):
            codes[x == value] = code
        return codes.astype(np.uint8)

    def definition(self) -> bytes:
        """Canonical bytes: equal for equal bins, and nothing else."""
        body = {"field": self.field, "edges": [repr(float(e)) for e in self.edges], "missing": self.missing}
        if self.special:
            body["special"] = [repr(float(value)) for value in self.special]
        return json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


@dataclass(frozen=True)
class CategoryBins:
    """Bins of a category: value `values[i]` has code `codes[i]`, every other one `other`.

    `missing` is the code of absent values (None, NaN, blank); None where they have no bin of their own and fall in `other`.
    """

    field: str
    values: tuple[str, ...]
    codes: tuple[int, ...]
    other: int
    missing: int | None = None

    @property
    def ordered(self) -> int:
        """Categories have no neighbours."""
        return 0

    @property
    def count(self) -> int:
        """Number of bins."""
        return max((*self.codes, self.other, -1 if self.missing is None else self.missing)) + 1

    def apply(self, values: Sequence[object] | NDArray[np.generic]) -> Codes:
        """Codes uint8[N] of values [N]; unknown values fall in `other`."""
        known = dict(zip(self.values, self.codes, strict=True))
        known |= dict.fromkeys(ABSENT, self.other if self.missing is None else self.missing)
        return np.array([known.get(str(v), self.other) for v in values], dtype=np.uint8)

    def definition(self) -> bytes:
        """Canonical bytes: equal for equal bins, and nothing else."""
        body = {"field": self.field, "values": self.values, "codes": self.codes, "other": self.other}
        if self.missing is not None:
            body["missing"] = self.missing
        return json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


Bins = NumericBins | CategoryBins


def bins_from_definition(definition: bytes) -> Bins:
    """The bins whose `definition()` this is.

    Raises:
        ValueError: the bytes are no definition.
    """
    body = json.loads(definition)
    if "edges" in body:
        edges = tuple(float(e) for e in body["edges"])
        if any(a >= b for a, b in itertools.pairwise(edges)):
            raise ValueError("bin edges must ascend")
        special = tuple(float(value) for value in body.get("special", ()))
        return NumericBins(body["field"], edges, int(body["missing"]), special)
    missing = body.get("missing")
    return CategoryBins(body["field"], tuple(body["values"]), tuple(body["codes"]), int(body["other"]), missing)


def numeric_bins(
    field: str,
    values: Floats,
    most: int = MOST_BINS,
    support: int = SUPPORT_ROWS,
    special: Sequence[float] = (),
    own_missing: bool = True,
) -> NumericBins:
    """Fine bins of values float64[N] (NaN for missing), by row counts only.

    A special value with fewer than `support` rows, or where no bin is left for it, is a number like any other.

    Raises:
        FieldTooSparse: fewer than `support` values are present.
    """
    special = special_with_support(values, special, most, support)
    most -= len(special)
    present = values[~np.isnan(values) & ~np.isin(values, special)]
    absent = int(np.count_nonzero(np.isnan(values)))
    if present.size < support:
        raise FieldTooSparse(field, support)
    own_missing = bool(own_missing and absent >= support and most > 1)
    distinct, rows = np.unique(present, return_counts=True)
    last = _grains(rows)
    counts = np.add.reduceat(rows, np.r_[0, last[:-1] + 1]).astype(np.float64)
    kept = last[pool_thin(counts, most - own_missing, support)]
    edges = tuple(round_between(float(distinct[i]), float(distinct[i + 1])) for i in kept[:-1])
    filled = np.bincount(np.searchsorted(np.asarray(edges), present, side="left"), minlength=len(edges) + 1)
    return NumericBins(field, edges, len(edges) + 1 if own_missing else int(np.argmax(filled)), special)


def special_with_support(values: Floats, special: Sequence[float], most: int, support: int) -> tuple[float, ...]:
    """Those of the special values that have `support` rows, while a bin is left for them beside two for all others."""
    counted = {float(value): int(np.count_nonzero(values == value)) for value in special}
    return tuple(value for value, rows in counted.items() if rows >= support)[: max(0, most - 2)]


def category_bins(
    field: str, values: Sequence[object], most: int = MOST_BINS, support: int = SUPPORT_ROWS, own_missing: bool = True
) -> CategoryBins:
    """A bin for each frequent category; rare and unknown ones share one (or fall in the largest, if they are too few).

    Missing values have the last bin to themselves where they have `support`, and otherwise count as rare.

    Raises:
        FieldTooSparse: nearly all values are missing.
    """
    names, rows = np.unique(np.array([str(v) for v in values]), return_counts=True)
    by_rows = sorted(zip(rows.tolist(), names.tolist(), strict=True), key=lambda pair: (-pair[0], pair[1]))
    absent = sum(n for n, name in by_rows if name in ABSENT)
    own_missing = own_missing and absent >= support and most > 1
    most -= own_missing
    frequent = [(n, name) for n, name in by_rows if n >= support and name not in ABSENT]
    kept = frequent if len(frequent) <= most else frequent[: most - 1]
    rest = len(values) - sum(n for n, _ in kept) - absent * own_missing
    if rest >= support and len(kept) == most:
        kept = kept[:-1]
    if own_missing and not kept and rest < support:
        raise FieldTooSparse(field, support)
    own_rest = rest >= support or not kept
    names_kept = tuple(name for _, name in kept)
    missing = len(kept) + own_rest if own_missing else None
    return CategoryBins(field, names_kept, tuple(range(len(kept))), len(kept) if own_rest else 0, missing)


def bin_columns(
    columns: Mapping[str, Sequence[object] | NDArray[np.generic]],
    limits: Limits,
    asked: int = 0,
    options: Sequence[FieldBinning] = (),
) -> tuple[list[Bins], list[str]]:
    """Bin the node's columns within the limit of label aggregates.

    Args:
        columns: field name to values [N]; numbers (NaN for missing) or categories.
        limits: of the project.
        asked: label aggregates asked so far over all runs on the same subjects.
        options: how the bank wants them binned; a trend is not for here.

    Returns:
        the bins of each column, and notes in plain words where the limit left fewer bins than usual.

    Raises:
        LimitRefused: no two bins a column are left, or a column is too sparse.
    """
    rows = len(next(iter(columns.values())))
    most = limits.bins_per_field(rows, asked, len(columns))
    notes = []
    if most < limits.levels:
        notes.append(
            f"Columns were cut into at most {most} bins instead of {limits.levels}: {rows} rows allow "
            f"{rows // limits.rows_per_aggregate} label aggregates, of which {asked} were asked before."
        )
    bins: list[Bins] = []
    for name, values in columns.items():
        bins.append(column_bins(name, values, most, limits, binning_of(options, name)))
    return bins, notes


def column_bins(
    name: str,
    values: Sequence[object] | NDArray[np.generic],
    most: int,
    limits: Limits,
    option: FieldBinning | None = None,
) -> Bins:
    """Bins of one column on row counts: numbers (NaN for missing) or categories, by the type of the values."""
    option = option or FieldBinning()
    array, support, own_missing = np.asarray(values), option.support(limits), option.missing == "own"
    if array.dtype.kind in "iufb":
        return numeric_bins(name, array.astype(np.float64), most, support, option.special, own_missing)
    return category_bins(name, list(values), most, support, own_missing)


def _grains(rows: NDArray[np.int64]) -> NDArray[np.intp]:
    """Index of the last distinct value of each first-cut grain."""
    if rows.size <= _GRAINS:
        return np.arange(rows.size)
    ends = np.cumsum(rows)
    cut = np.searchsorted(ends, np.arange(1, _GRAINS + 1) * (int(ends[-1]) / _GRAINS), side="left")
    frequent = np.flatnonzero(rows * _FREQUENT >= ends[-1])
    last = np.unique(np.concatenate([cut, frequent, frequent - 1, [rows.size - 1]]))
    return last[(last >= 0) & (last < rows.size)]


def pool_thin(counts: Floats, most: int, support: int) -> NDArray[np.intp]:
    """Pool neighbours until at most `most` bins have `support` rows each; the last grain of every bin that is left."""
    rows, last = counts, list(range(counts.size))
    while rows.size > 1:
        pairs = rows[:-1] + rows[1:]
        thin = int(np.argmin(rows))
        if rows.size > most:
            left = int(np.argmin(pairs))
        elif rows[thin] < support:
            left = min((i for i in (thin - 1, thin) if 0 <= i < pairs.size), key=lambda i: float(pairs[i]))
        else:
            break
        rows = np.concatenate([rows[:left], pairs[left : left + 1], rows[left + 2 :]])
        del last[left]
    return np.array(last, dtype=np.intp)


def round_between(low: float, high: float) -> float:
    """The number with the fewest decimals near the middle of two neighbouring values, and equal to neither."""
    middle = low + (high - low) / 2
    for digits in range(-9, 17):
        candidate = round(middle, digits)
        if low < candidate < high:
            return candidate
    return middle if low < middle < high else low
