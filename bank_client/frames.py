"""What a bank's DataFrame must be before anything is made of it, and its columns as the scorecard takes them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from pandas.api import types

Values = Sequence[object] | NDArray[np.generic]


def check_frame(X: object, fitted: Sequence[str] | NDArray[Any] | None = None) -> None:
    """Raise ValueError unless `X` is a DataFrame with distinct ids as its index and usable columns.

    Args:
        X: what the caller gave.
        fitted: names that must all be there, for a fitted model.
    """
    if not isinstance(X, pd.DataFrame):
        raise ValueError("X must be a pandas DataFrame whose index holds the subject ids, e.g. frame.set_index('id')")
    if X.empty:
        raise ValueError("X has no rows or no columns")
    if X.index.hasnans or not X.index.is_unique:
        repeated = int(X.index.duplicated().sum())
        raise ValueError(f"the index of X must name each subject once; {repeated} ids are repeated or empty")
    if not X.columns.is_unique:
        raise ValueError("two columns of X have the same name")
    if fitted is not None:
        if absent := [str(name) for name in fitted if name not in X.columns]:
            raise ValueError(f"X lacks columns that the model was fitted on: {', '.join(absent)}")
        return
    for name in X.columns:
        _check_column(str(name), X[name])


def check_labels(X: pd.DataFrame, y: ArrayLike) -> NDArray[np.uint8]:
    """Labels uint8[N], 1 for bad, in the order of `X`; raises ValueError unless all are 0 or 1 and both occur."""
    if isinstance(y, pd.Series) and not y.index.equals(X.index):
        if not y.index.is_unique or not X.index.isin(y.index).all():
            raise ValueError("y is indexed by other ids than X; give one label for each row of X")
        y = y.reindex(X.index)
    labels = pd.to_numeric(pd.Series(np.asarray(y).ravel()), errors="coerce").to_numpy(dtype=np.float64)
    if labels.size != len(X):
        raise ValueError(f"y has {labels.size} labels for {len(X)} rows")
    if not np.isin(labels, (0.0, 1.0)).all():
        raise ValueError("labels must be 0 (good) or 1 (bad), without gaps")
    if labels.min() == labels.max():
        raise ValueError(f"all labels are {int(labels[0])}; a scorecard needs both good and bad rows")
    return labels.astype(np.uint8)


def columns_of(X: pd.DataFrame) -> dict[str, Values]:
    """Column name to values [N]: float64 with NaN for missing, or a list of categories."""
    columns: dict[str, Values] = {}
    for name in X.columns:
        column = X[name]
        if types.is_bool_dtype(column) or types.is_numeric_dtype(column):
            columns[str(name)] = column.to_numpy(dtype=np.float64, na_value=np.nan)
        else:
            columns[str(name)] = ["" if missing else value for value, missing in zip(column, column.isna(), strict=True)]
    return columns


def _check_column(name: str, column: pd.Series[Any]) -> None:
    if types.is_datetime64_any_dtype(column):
        raise ValueError(f"the column {name} holds dates; give it as a number, such as days before the application")
    if types.is_numeric_dtype(column) and np.isinf(column.to_numpy(dtype=np.float64, na_value=np.nan)).any():
        raise ValueError(f"the column {name} holds infinite values; leave them empty or give a number")
    if column.isna().all():
        raise ValueError(f"the column {name} is empty; leave it out")
    if column.nunique(dropna=False) < 2:
        raise ValueError(f"the column {name} has one value in all rows and says nothing; leave it out")
