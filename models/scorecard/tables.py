"""A field's table of merged bins, from counts that carry the node's noise.

Leakage: a table is a function of the noisy bad counts and noisy row counts of the field's row-count bins, so it tells
nothing that these do not. Labels of bins, which are the node's edges or categories, stand only in tables of fields that a
bank may be told of in plain words; elsewhere bins have numbers.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from datetime import date

import numpy as np
from numpy.typing import NDArray

from models.wire import Message

from .binning import Bins, CategoryBins, NumericBins
from .columns import NodeField
from .limits import Limits
from .woe import merged_bins, pooled_woe, summed

Floats = NDArray[np.float64]
_EPOCH = date(1970, 1, 1).toordinal()


class BinFigure(Message):
    """One merged bin; rows and bad rate with the node's noise, three digits. All None below the minimum support.

    `label` is empty where the field may not be described; `part` is the bin's part of the information value.
    """

    label: str
    rows: int | None
    bad_rate: float | None
    woe: float | None
    part: float | None


@dataclass(frozen=True)
class FieldTable:
    """The merged bins of a field and its information value."""

    bins: tuple[BinFigure, ...]
    iv: float


def field_table(field: NodeField, bads: Floats, rows: Floats, limits: Limits) -> FieldTable:
    """The table of a field.

    Args:
        field: whose bins these are.
        bads: float64[B], with the node's noise.
        rows: float64[B], with the node's noise.
        limits: of the project.
    """
    if not bads.size:
        return FieldTable((), 0.0)
    groups = merged_bins(bads, rows, field.bins, limits.node_noise, field.trend)
    table = pooled_woe(bads, rows, groups)
    all_bads, all_rows = summed(bads, groups), summed(rows, groups)
    labels = group_labels(field.bins, groups, field.dates) if field.disclosable else [""] * all_rows.size
    made = []
    for g, label in enumerate(labels):
        if all_rows[g] < limits.level_rows:
            made.append(BinFigure(label=label, rows=None, bad_rate=None, woe=None, part=None))
            continue
        woe = float(table.woe[int(np.flatnonzero(groups == g)[0])])
        made.append(
            BinFigure(
                label=label,
                rows=round(float(all_rows[g])),
                bad_rate=_three(float(all_bads[g] / all_rows[g])),
                woe=_three(woe),
                part=_three(float(table.parts[g])),
            )
        )
    return FieldTable(tuple(made), table.iv)


def group_labels(bins: Bins, groups: NDArray[np.intp], dates: bool = False) -> list[str]:
    """What each group of bins holds, in plain words; edges with as few digits as keep them apart."""
    if isinstance(bins, CategoryBins):
        return [_category_label(bins, set(np.flatnonzero(groups == g).tolist())) for g in range(int(groups.max()) + 1)]
    edges = [_day(edge) for edge in bins.edges] if dates else _rounded(bins.edges)
    return [_number_label(bins, np.flatnonzero(groups == g), edges) for g in range(int(groups.max()) + 1)]


def _number_label(bins: NumericBins, codes: NDArray[np.intp], edges: list[str]) -> str:
    parts = []
    inside = codes[codes < bins.ordered]
    if inside.size:
        first, last = int(inside[0]), int(inside[-1])
        low, high = edges[first - 1] if first else "", edges[last] if last < len(edges) else ""
        parts.append(f"{low} – {high}" if low and high else f"> {low}" if low else f"≤ {high}" if high else "all")
    if bins.missing >= bins.ordered and bins.missing in codes:
        parts.append("missing")
    specials = range(bins.count - len(bins.special), bins.count)
    parts += [f"= {value:g}" for code, value in zip(specials, bins.special, strict=True) if code in codes]
    return ", ".join(parts)


def _category_label(bins: CategoryBins, codes: set[int]) -> str:
    parts = [value for value, code in zip(bins.values, bins.codes, strict=True) if code in codes]
    if bins.other not in bins.codes and bins.other in codes:
        parts.append("others")
    if bins.missing is not None and bins.missing in codes:
        parts.append("missing")
    return ", ".join(parts)


def _rounded(edges: tuple[float, ...]) -> list[str]:
    for digits in range(2, 17):
        rounded = [float(f"{edge:.{digits}g}") for edge in edges]
        if all(a < b for a, b in itertools.pairwise(rounded)):
            return [f"{edge:.{digits}g}" if abs(edge) < 1e-4 or abs(edge) >= 1e15 else f"{edge:.15g}" for edge in rounded]
    return [f"{edge:.17g}" for edge in edges]


def _day(days: float) -> str:
    return date.fromordinal(_EPOCH + int(np.floor(days))).isoformat()


def _three(value: float) -> float:
    return float(f"{value:.3g}")
