"""A table for each field of both sides: bins, rows, bad rate, WOE and part of the information value.

A node field's counts carry the node's noise, and its bins have numbers instead of labels where the field may not be
described; the bank's own are exact.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from models.scorecard.bank import BankColumn
from models.scorecard.binning import CategoryBins
from models.scorecard.tables import group_labels
from models.scorecard.woe import WoeTable, pooled_woe, summed
from models.training import FieldFigure

COLUMNS = ["bin", "rows", "bad_rate", "woe", "iv"]


def node_table(figure: FieldFigure) -> pd.DataFrame:
    """A node field's merged bins; NaN in those with too few rows to be shown."""
    rows = [(e.label or f"bin {n}", e.rows, e.bad_rate, e.woe, e.part) for n, e in enumerate(figure.table, 1)]
    return pd.DataFrame(rows, columns=COLUMNS).astype(dict.fromkeys(COLUMNS[1:], float))


def bank_table(column: BankColumn, labels: NDArray[np.uint8]) -> pd.DataFrame:
    """One of the bank's own fields on the rows that it was binned on; labels uint8[N] of these."""
    groups = level_groups(column)
    rows = np.bincount(column.codes, minlength=column.bins.count).astype(np.float64)
    bads = np.bincount(column.codes, labels, minlength=column.bins.count).astype(np.float64)
    table: WoeTable = pooled_woe(bads, rows, groups)
    grouped_rows, grouped_bads = summed(rows, groups), summed(bads, groups)
    first = [int(np.flatnonzero(groups == g)[0]) for g in range(grouped_rows.size)]
    return pd.DataFrame(
        {
            "bin": group_labels(column.bins, groups),
            "rows": grouped_rows,
            "bad_rate": grouped_bads / np.maximum(grouped_rows, 1.0),
            "woe": table.woe[first],
            "iv": table.parts,
        }
    )


def tables(figures: Iterable[FieldFigure], columns: Iterable[BankColumn], labels: NDArray[np.uint8]) -> dict[str, pd.DataFrame]:
    """Tables of both sides by field; a node field that the bank has as well is called "… (node)"."""
    own = {column.bins.field: bank_table(column, labels) for column in columns}
    node = {f"{f.name} (node)" if f.name in own else f.name: node_table(f) for f in figures}
    return node | own


def level_groups(column: BankColumn) -> NDArray[np.intp]:
    """Group number int[B] of each bin: those that were merged have one WOE, neighbours where values have an order."""
    bins = column.bins
    if isinstance(bins, CategoryBins):
        return np.unique(column.woe, return_inverse=True)[1].astype(np.intp)
    new = np.ones(bins.count, dtype=bool)
    new[1 : bins.ordered] = column.woe[1 : bins.ordered] != column.woe[: bins.ordered - 1]
    return np.asarray(np.cumsum(new) - 1, dtype=np.intp)
