"""Choosing fields from figures that a training has given already: no message, and no budget.

A field is dropped for the first of these that holds: its information value lies outside the range, its distribution has
moved, it says nearly the same as a stronger one, or the others together say it (the largest variance inflation first, and
the others are looked at anew without it). Node fields that are dropped are simply not asked for by the next `fit`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bank_client.frames import columns_of
from models.scorecard.bank import BankColumn
from models.scorecard.metrics import psi
from models.training import FieldFigure

_LEAST_EIGENVALUE = 1e-3  # of a correlation matrix with noise in it


@dataclass(frozen=True)
class Selection:
    """Which fields to go on with.

    Attributes:
        node_fields: for `fit(node_fields=…)`.
        bank_columns: columns of `X`.
        dropped: reason by field; a node field that the bank has as well is called "… (node)".
    """

    node_fields: tuple[str, ...]
    bank_columns: tuple[str, ...]
    dropped: dict[str, str]


def select_fields(
    iv: pd.Series[float],
    correlation: pd.DataFrame,
    stability: pd.Series[float] | None = None,
    *,
    iv_range: tuple[float, float] = (0.02, np.inf),
    most_correlation: float = 0.7,
    most_vif: float = 10.0,
    most_psi: float = 0.25,
) -> tuple[list[str], dict[str, str]]:
    """Names kept, strongest first, and a reason for each name dropped.

    Args:
        iv: information value by field.
        correlation: of the same fields, with unit diagonal.
        stability: index by field where it is known; NaN elsewhere.
        iv_range: least and largest information value; a very large one hints at a field that knows the outcome.
        most_correlation: ceiling of the absolute correlation with a stronger field.
        most_vif: ceiling of the variance inflation among the fields kept.
        most_psi: ceiling of the stability index.
    """
    least, largest = iv_range
    moved = pd.Series(dtype=float) if stability is None else stability
    kept: list[str] = []
    dropped: dict[str, str] = {}
    for name in iv.sort_values(ascending=False, kind="stable").index:
        value, index = float(iv[name]), float(moved.get(name, np.nan))
        others = correlation.loc[name, kept].abs()
        if not least <= value <= largest:
            dropped[name] = f"information value {value:.3f} is outside {least:g} to {largest:g}"
        elif index > most_psi:
            dropped[name] = f"stability index {index:.3f} is above {most_psi:g}"
        elif len(others) and others.max() > most_correlation:
            dropped[name] = (
                f"correlation {others.max():.2f} with {others.idxmax()}, which is stronger, is above {most_correlation:g}"
            )
        else:
            kept.append(name)
    while len(kept) > 1:
        factors = inflation(correlation.loc[kept, kept])
        if factors.max() <= most_vif:
            break
        worst = str(factors.idxmax())
        dropped[worst] = f"variance inflation {factors[worst]:.1f} is above {most_vif:g}"
        kept.remove(worst)
    return kept, dropped


def inflation(correlation: pd.DataFrame) -> pd.Series[float]:
    """Variance inflation factors of fields with these correlations, which may carry noise; at least 1."""
    values, vectors = np.linalg.eigh(correlation.to_numpy())
    inverse = (vectors / np.maximum(values, _LEAST_EIGENVALUE)) @ vectors.T
    return pd.Series(np.maximum(np.diag(inverse), 1.0), index=correlation.index, name="vif")


def stability_of(
    figures: Sequence[FieldFigure], columns: Sequence[BankColumn], other: pd.DataFrame | None = None
) -> pd.Series[float]:
    """Stability index by field of both sides, NaN where there is nothing to compare with.

    Args:
        figures: of the node, which compares with the project's last training that had other rows.
        columns: the bank's own, with their training rows.
        other: the bank's rows of another period.
    """
    own = {column.bins.field: np.nan if other is None else _own_psi(column, other) for column in columns}
    node = {f"{f.name} (node)" if f.name in own else f.name: np.nan if f.psi is None else f.psi for f in figures}
    return pd.Series(node | own, name="psi", dtype=float)


def split(kept: Sequence[str], node: Mapping[str, str], dropped: dict[str, str]) -> Selection:
    """The names kept by side; `node` gives a node field's own name by the one it is shown under."""
    return Selection(
        tuple(node[name] for name in kept if name in node), tuple(name for name in kept if name not in node), dropped
    )


def _own_psi(column: BankColumn, other: pd.DataFrame) -> float:
    name = column.bins.field
    if name not in other.columns:
        return float("nan")
    now: NDArray[np.uint8] = column.bins.apply(columns_of(other[[name]])[name])
    return psi(np.bincount(column.codes, minlength=column.bins.count), np.bincount(now, minlength=column.bins.count))
