"""What a training says of the fields of both sides: strength, tables, correlation, stability, and which to go on with."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.utils.validation import check_is_fitted

from bank_client.field_tables import tables
from bank_client.frames import columns_of
from bank_client.selection import Selection, select_fields, split, stability_of
from models import wire
from models.scorecard.bank import BankColumn
from models.training import Figures


class TrainedFields:
    """The part of `JointScorecard` that reads a training's figures; nothing here sends a message or spends a budget."""

    figures_: Figures
    columns_: list[BankColumn]
    iv_: pd.Series[Any]
    vif_: pd.Series[Any]
    correlation_: pd.DataFrame

    def set_figures(self, figures: Figures) -> None:
        """Take the figures of a training, from `fit` or from a file."""
        self.figures_ = figures
        own, node = [column.bins.field for column in self.columns_], list(self._node_names())
        ivs = [*(f.iv for f in figures.fields), *(column.iv for column in self.columns_)]
        names = [*node, *own]
        self.iv_ = pd.Series(ivs, index=names, name="iv").sort_values(ascending=False)
        self.vif_ = pd.Series([f.vif for f in figures.fields], index=node, name="vif")
        matrix = wire.unpack(figures.correlation, "<f8", (len(names), len(names)), "correlation")
        self.correlation_ = pd.DataFrame(matrix, index=names, columns=names)

    @property
    def tables_(self) -> dict[str, pd.DataFrame]:
        """A table by field of both sides: bin, rows, bad rate, WOE, part of the IV.

        Counts of node fields carry the node's noise, and bins with too few rows show none; a field that may not be described
        has numbers for bins. The bank's own need its training rows: a model from a file has them after `attach`.
        """
        check_is_fitted(self, "figures_")
        rows: pd.DataFrame | None = getattr(self, "_rows", None)
        labels: NDArray[np.uint8] = getattr(self, "labels_", np.zeros(0, dtype=np.uint8))
        return tables(self.figures_.fields, self._with_codes(rows), labels)

    @property
    def stability_(self) -> pd.Series[float]:
        """Stability index by node field against the project's last training that had other rows; NaN where there was none."""
        return self.stability()

    def stability(self, other: pd.DataFrame | None = None) -> pd.Series[float]:
        """Stability index by field of both sides: the node's as in `stability_`, the bank's own against `other`.

        Args:
            other: the bank's rows of another period.
        """
        check_is_fitted(self, "figures_")
        return stability_of(self.figures_.fields, self._with_codes(getattr(self, "_rows", None)), other)

    def select(
        self,
        *,
        iv: tuple[float, float] = (0.02, np.inf),
        correlation: float = 0.7,
        vif: float = 10.0,
        psi: float = 0.25,
        other: pd.DataFrame | None = None,
    ) -> Selection:
        """Which fields to train with next: `JointScorecard(…).fit(X[list(s.bank_columns)], y, node_fields=s.node_fields)`.

        Args:
            iv: least and largest information value.
            correlation: ceiling of the absolute correlation with a stronger field.
            vif: ceiling of the variance inflation among the fields kept.
            psi: ceiling of the stability index.
            other: the bank's rows of another period, for the stability of its own fields.
        """
        kept, dropped = select_fields(
            self.iv_,
            self.correlation_,
            self.stability(other),
            iv_range=iv,
            most_correlation=correlation,
            most_vif=vif,
            most_psi=psi,
        )
        return split(kept, self._node_names(), dropped)

    def _node_names(self) -> dict[str, str]:
        """A node field's own name by the one it is shown under: both sides may have a field of one name."""
        own = {column.bins.field for column in self.columns_}
        return {f"{f.name} (node)" if f.name in own else f.name: f.name for f in self.figures_.fields}

    def _with_codes(self, rows: pd.DataFrame | None) -> list[BankColumn]:
        if rows is None:
            return []
        values = columns_of(rows)
        return [replace(column, codes=column.bins.apply(values[column.bins.field])) for column in self.columns_]
