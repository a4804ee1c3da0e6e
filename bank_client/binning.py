"""Binning of a bank's own fields as credit modellers do it, and a transformer that gives their WOE.

    count       pooled by row counts: a frequent value keeps a bin of its own, the rest is cut evenly (the default)
    quantile    bins of equal shares
    optimal     the most information under a trend and a minimum bin size, by mixed-integer programming (optbinning)
    edges       the modeller's own cuts, or groups of categories

Whatever the method, missing and special values have bins of their own where enough rows have them, and the result is the
package's own `Bins`, at most 20 of at least 50 rows: what a joint training allows.
"""

from __future__ import annotations

import itertools
import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.utils.validation import check_is_fitted

from bank_client.field_tables import bank_table
from bank_client.frames import Values, check_labels, columns_of
from models.scorecard.bank import BankColumn, bank_column
from models.scorecard.binning import (
    ABSENT,
    Bins,
    CategoryBins,
    NumericBins,
    column_bins,
    pool_thin,
    round_between,
    special_with_support,
)
from models.scorecard.limits import LimitRefused, Limits
from models.scorecard.options import FieldBinning

Floats = NDArray[np.float64]
Codes = NDArray[np.uint8]
Method = Literal["count", "quantile", "optimal"]
Trend = Literal["free", "auto", "ascending", "descending"]
Cuts = Sequence[float] | Sequence[Sequence[str]]
_SECONDS = 20  # that the solver may take for one field; it needs some tenths
_PREBINS, _SMALLEST = 20, 0.02  # of the decision tree that proposes cuts: how many, and the least share of rows


class WoeBinning(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Bins columns and replaces values by their weight of evidence; for `JointScorecard(binning=…)` or a pipeline.

    `method`, `trend` and `special` may be given for all columns, or by column name; what is not named has the default.

    Args:
        method: "count", "quantile" or "optimal" (needs the extra `binning`).
        trend: of the bad rate over the values: "free", "ascending", "descending", or "auto" for whichever fits better.
        max_bins: of a column, 2 to 20.
        min_rows: of a bin, at least 50.
        special: values that say something other than a number of the field, such as -1 for "no account".
        edges: the modeller's own: ascending cuts (a bin holds what is above one and up to the next) or, for categories,
            groups of their names; the others share a bin.

    Attributes:
        columns_: a `BankColumn` each. tables_: DataFrame by column: bin, rows, bad rate, WOE, part of the IV.
        iv_: Series by column. feature_names_in_, n_features_in_.
    """

    def __init__(
        self,
        method: Method | Mapping[str, Method] = "count",
        *,
        trend: Trend | Mapping[str, Trend] = "free",
        max_bins: int = 20,
        min_rows: int = 50,
        special: Sequence[float] | Mapping[str, Sequence[float]] = (),
        edges: Mapping[str, Cuts] | None = None,
    ) -> None:
        self.method = method
        self.trend = trend
        self.max_bins = max_bins
        self.min_rows = min_rows
        self.special = special
        self.edges = edges

    def fit(self, X: pd.DataFrame, y: pd.Series[Any] | NDArray[Any]) -> Self:
        """Bin the columns of `X` (numbers, NaN for missing, or categories) on labels `y` (1 for bad).

        Raises:
            ValueError: X, y or a parameter cannot be used; says why.
        """
        labels, columns = check_labels(X, y), columns_of(X)
        limits = self._limits()
        named = {*(self.edges or {}), *_names(self.method), *_names(self.trend), *_names(self.special)}
        if unknown := sorted(named - set(columns)):
            raise ValueError(f"binning was given for columns that X does not have: {', '.join(unknown)}")
        try:
            self.columns_ = [self._column(name, values, labels, limits) for name, values in columns.items()]
        except LimitRefused as refused:
            raise ValueError(str(refused)) from None
        self.tables_ = {column.bins.field: bank_table(column, labels) for column in self.columns_}
        self.iv_ = pd.Series({column.bins.field: column.iv for column in self.columns_}, name="iv")
        self.feature_names_in_ = np.array(list(columns), dtype=object)
        self.n_features_in_ = len(columns)
        return self

    def transform(self, X: pd.DataFrame) -> pd.DataFrame:
        """WOE float64 of each value, also of rows that were not there; a column for each that was fitted."""
        check_is_fitted(self, "columns_")
        if absent := [name for name in self.feature_names_in_ if name not in X.columns]:
            raise ValueError(f"X lacks columns that the bins were fitted on: {', '.join(absent)}")
        values = columns_of(X[list(self.feature_names_in_)])
        return pd.DataFrame({c.bins.field: c.apply(values[c.bins.field]) for c in self.columns_}, index=X.index)

    def get_feature_names_out(self, input_features: object = None) -> NDArray[Any]:
        """Names of the columns that `transform` gives: those that were fitted."""
        check_is_fitted(self, "columns_")
        return self.feature_names_in_

    def _limits(self) -> Limits:
        try:
            return replace(Limits(), levels=self.max_bins, level_rows=self.min_rows)
        except LimitRefused as refused:
            raise ValueError(str(refused)) from None

    def _column(self, name: str, values: Values, labels: Codes, limits: Limits) -> BankColumn:
        trend: Trend = _of(self.trend, name, "free")
        method: Method = _of(self.method, name, "count")
        special = tuple(self.special.get(name, ())) if isinstance(self.special, Mapping) else tuple(self.special)
        numbers = np.asarray(values).dtype.kind == "f"
        if trend not in ("free", "auto", "ascending", "descending"):
            raise ValueError(f"the trend of {name} is free, auto, ascending or descending, not {trend}")
        if self.edges is not None and name in self.edges:
            cut = own_cuts(name, values, self.edges[name], special, limits)
            return bank_column(cut, cut.apply(values), labels, pool=False)
        if method == "optimal":
            find = _optimal_numbers if numbers else _optimal_categories
            bins: Bins = find(name, values, labels, trend, special, limits)
        elif method == "quantile" and numbers:
            bins = quantile_bins(name, np.asarray(values, dtype=np.float64), special, limits)
        elif method in ("count", "quantile"):
            bins = column_bins(name, values, limits.levels, limits, FieldBinning(special=special))
        else:
            raise ValueError(f"the method of {name} is count, quantile or optimal, not {method}")
        return bank_column(bins, bins.apply(values), labels, trend="monotone" if trend == "auto" else trend)


def binned(binning: WoeBinning | Mapping[str, Cuts] | None, X: pd.DataFrame, y: Codes, max_bins: int) -> list[BankColumn]:
    """Columns of `X` as a training takes them.

    Args:
        binning: how; the modeller's own cuts by column; or None for bins by row counts.
        X: the cohort's rows.
        y: labels uint8[N].
        max_bins: that the training allows.

    Raises:
        ValueError: X or a parameter cannot be used; says why.
    """
    made = binning if isinstance(binning, WoeBinning) else WoeBinning(max_bins=max_bins, edges=binning)
    found = clone(made).set_params(max_bins=min(made.max_bins, max_bins)).fit(X, y)
    return list(found.columns_)


def quantile_bins(name: str, values: Floats, special: Sequence[float], limits: Limits) -> NumericBins:
    """Bins of equal shares of the values float64[N] (NaN for missing), pooled where one is thin."""
    special = special_with_support(values, special, limits.levels, limits.level_rows)
    present = values[~np.isnan(values) & ~np.isin(values, special)]
    most = limits.levels - len(special) - 1
    cuts = np.quantile(present, np.linspace(0, 1, most + 1)[1:-1]) if present.size else np.zeros(0)
    return _from_cuts(name, values, cuts, special, limits)


def own_cuts(name: str, values: Values, cuts: Cuts, special: Sequence[float], limits: Limits) -> Bins:
    """The modeller's own bins.

    Raises:
        ValueError: they do not ascend, overlap, are too many, or one holds too few rows.
    """
    bins: Bins
    if np.asarray(values).dtype.kind == "f":
        x = np.asarray(values, dtype=np.float64)
        edges = tuple(float(cut) for cut in cuts)  # type: ignore[arg-type]
        if any(not a < b for a, b in itertools.pairwise(edges)) or not np.isfinite(edges).all():
            raise ValueError(f"the edges of {name} must be numbers that ascend")
        bins = _with_rest(name, x, edges, special_with_support(x, special, limits.levels, limits.level_rows), limits)
    else:
        groups = [tuple(str(value) for value in group) for group in cuts]  # type: ignore[union-attr]
        if len({value for group in groups for value in group}) != sum(len(group) for group in groups):
            raise ValueError(f"a category of {name} stands in two groups, or twice in one")
        bins = _grouped(name, values, groups, limits)
    rows = np.bincount(bins.apply(values), minlength=bins.count)
    if bins.count > limits.levels:
        raise ValueError(f"{name} has {bins.count} bins; at most {limits.levels} are allowed: give fewer")
    if int(rows.min()) < limits.level_rows:
        thin = int(np.argmin(rows))
        raise ValueError(
            f"bin {thin + 1} of {name} holds {int(rows[thin])} rows and needs {limits.level_rows}: pool it with another"
        )
    return bins


def _optimal_numbers(
    name: str, values: Values, labels: Codes, trend: Trend, special: Sequence[float], limits: Limits
) -> NumericBins:
    x = np.asarray(values, dtype=np.float64)
    special = special_with_support(x, special, limits.levels, limits.level_rows)
    usual = ~np.isnan(x) & ~np.isin(x, special)
    most = limits.levels - len(special) - int(np.isnan(x).sum() >= limits.level_rows)
    found = _solve(name, "numerical", x[usual], labels[usual], trend, most, limits.level_rows)
    return _from_cuts(name, x, np.asarray(found, dtype=np.float64), special, limits)


def _optimal_categories(
    name: str, values: Values, labels: Codes, trend: Trend, special: Sequence[float], limits: Limits
) -> CategoryBins:
    words = np.array([str(value) for value in values], dtype=object)
    known, rows = np.unique(words.astype(str), return_counts=True)
    frequent = [w for w, n in zip(known.tolist(), rows.tolist(), strict=True) if n >= limits.level_rows and w not in ABSENT]
    groups = [(word,) for word in frequent]
    if len(frequent) > 1:
        usual = np.isin(words.astype(str), frequent)
        most = limits.levels - 2  # one for the rare ones, one for missing ones
        groups = [tuple(g) for g in _solve(name, "categorical", words[usual], labels[usual], trend, most, limits.level_rows)]
        groups = [group for group in groups if group] or [tuple(frequent)]
    return _grouped(name, values, groups, limits)


def _solve(name: str, kind: str, x: NDArray[Any], labels: Codes, trend: Trend, most: int, support: int) -> Any:
    """Cut points or groups of categories by optbinning."""
    if x.size < 2 * support or labels.min() == labels.max():
        return []
    share = min(support / x.size, 0.5)
    solver = _optbinning()(
        name=name,
        dtype=kind,
        max_n_prebins=_PREBINS,
        min_prebin_size=max(share, _SMALLEST),
        max_n_bins=max(most, 1),
        min_bin_size=share,
        monotonic_trend=None if trend == "free" or kind == "categorical" else _TRENDS[trend],
        cat_cutoff=None,
        time_limit=_SECONDS,
    )
    solver.fit(x, labels)
    return solver.splits


def _optbinning() -> Any:
    logger = logging.getLogger("__cvxpy__")  # at import it reports a solver that is not there and that nothing here uses
    logger.addFilter(_nothing)
    try:
        from optbinning import OptimalBinning
    except ImportError:
        raise ValueError(
            "optimal binning needs the package optbinning: install Xinqiao with the extra `binning`, or use another method"
        ) from None
    finally:
        logger.removeFilter(_nothing)
    return OptimalBinning


def _nothing(_record: logging.LogRecord) -> bool:
    return False


_TRENDS = {"auto": "auto_asc_desc", "ascending": "ascending", "descending": "descending"}


def _from_cuts(name: str, values: Floats, cuts: Floats, special: Sequence[float], limits: Limits) -> NumericBins:
    """Bins between cuts that lie somewhere between two values: each moved to a round number there, thin bins pooled."""
    present = np.unique(values[~np.isnan(values) & ~np.isin(values, special)])
    if not present.size:
        raise ValueError(f"the column {name} has nothing but missing and special values; leave it out")
    places = np.unique(np.searchsorted(present, cuts, side="right"))
    places = places[(places > 0) & (places < present.size)]
    edges = np.array([round_between(float(present[i - 1]), float(present[i])) for i in places])
    inside = values[~np.isnan(values) & ~np.isin(values, special)]
    counts = np.bincount(np.searchsorted(edges, inside, side="left"), minlength=edges.size + 1).astype(np.float64)
    own_missing = int(np.isnan(values).sum() >= limits.level_rows)
    kept = pool_thin(counts, limits.levels - len(special) - own_missing, limits.level_rows)[:-1]
    return _with_rest(name, values, tuple(edges[kept].tolist()), special, limits)


def _with_rest(name: str, values: Floats, edges: tuple[float, ...], special: Sequence[float], limits: Limits) -> NumericBins:
    """The bins of these edges, with missing and special values beside."""
    inside = values[~np.isnan(values) & ~np.isin(values, special)]
    rows = np.bincount(np.searchsorted(np.asarray(edges), inside, side="left"), minlength=len(edges) + 1)
    own_missing = np.isnan(values).sum() >= limits.level_rows
    return NumericBins(name, edges, len(edges) + 1 if own_missing else int(np.argmax(rows)), tuple(special))


def _grouped(name: str, values: Values, groups: Sequence[Sequence[str]], limits: Limits) -> CategoryBins:
    """A bin for each group; all others share one, and so do missing ones, where these have rows enough."""
    words = np.array([str(value) for value in values])
    listed = [value for group in groups for value in group]
    codes = tuple(code for code, group in enumerate(groups) for _ in group)
    sizes = [int(np.isin(words, list(group)).sum()) for group in groups]
    absent = int(np.isin(words, ABSENT).sum())
    own_missing = absent >= limits.level_rows
    rest = words.size - sum(sizes) - absent * own_missing
    own_rest = rest >= limits.level_rows or not groups
    other = len(groups) if own_rest else int(np.argmax(sizes))
    return CategoryBins(name, tuple(listed), codes, other, len(groups) + own_rest if own_missing else None)


def _of(given: Any, name: str, default: Any) -> Any:
    return given.get(name, default) if isinstance(given, Mapping) else given


def _names(given: object) -> set[str]:
    return set(given) if isinstance(given, Mapping) else set()
