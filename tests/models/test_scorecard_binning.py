"""Bins depend on row counts alone, keep frequent values apart, and apply to rows that were not there."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from models.scorecard.binning import bin_columns, bins_from_definition, category_bins, numeric_bins
from models.scorecard.limits import LimitRefused, Limits


def _column(seed: int, rows: int = 4_000) -> np.ndarray:
    random = np.random.default_rng(seed)
    values = np.where(random.random(rows) < 0.8, 0.0, np.floor(random.gamma(1.0, 30.0, rows)))
    values[random.random(rows) < 0.05] = np.nan
    return values


def test_bins_have_support_and_missing_values_their_own() -> None:
    values = _column(1)
    bins = numeric_bins("debt", values)
    rows = np.bincount(bins.apply(values), minlength=bins.count)
    assert bins.count <= 20
    assert rows.min() >= 50
    assert rows[bins.missing] == np.isnan(values).sum()
    assert bins.missing == bins.count - 1


def test_a_frequent_value_leaves_the_bins_to_the_rare_tail() -> None:
    values = _column(2)
    bins = numeric_bins("debt", values)
    zero = bins.apply(np.array([0.0]))[0]
    assert np.unique(values[bins.apply(values) == zero]).tolist() == [0.0]
    assert bins.count >= 10  # plain quantiles would have kept four


def test_few_missing_values_join_the_largest_bin() -> None:
    values = np.arange(1_000, dtype=np.float64)
    values[:10] = np.nan
    bins = numeric_bins("area", values)
    rows = np.bincount(bins.apply(values[10:]), minlength=bins.count)
    assert rows[bins.missing] == rows.max()
    assert bins.apply(np.array([np.nan]))[0] == bins.missing


def test_edges_are_nobodys_value_and_survive_printing() -> None:
    values = np.repeat([-0.063793, 0.17602, 0.415833], 100)
    bins = numeric_bins("late", values)
    assert not set(bins.edges) & set(values.tolist())
    assert bins.apply(np.array([-0.06379299999999999, 0.176019999999])).tolist() == [0, 1]


@settings(max_examples=40)
@given(arrays(np.float64, st.integers(100, 400), elements=st.floats(-1e6, 1e6)), st.integers(2, 20))
def test_every_column_gets_ascending_edges_and_support(values: np.ndarray, most: int) -> None:
    bins = numeric_bins("x", values, most, 20)
    assert list(bins.edges) == sorted(set(bins.edges))
    assert bins.count <= most
    assert np.bincount(bins.apply(values), minlength=bins.count).min() >= 20
    assert bins_from_definition(bins.definition()) == bins


def test_unknown_and_rare_categories_share_a_bin() -> None:
    values = ["wheat"] * 300 + ["rice"] * 200 + ["tea"] * 10 + ["plum"] * 45
    bins = category_bins("crop", values)
    assert bins.apply(["wheat", "rice", "tea", "plum", "quinoa"]).tolist() == [0, 1, 2, 2, 2]
    assert bins_from_definition(bins.definition()) == bins


def test_categories_never_exceed_the_limit() -> None:
    values = [f"v{i % 40:02d}" for i in range(40 * 60)]
    bins = category_bins("village", values)
    assert bins.count == 20
    assert np.bincount(bins.apply(values)).min() >= 50


def test_a_sparse_field_is_refused_in_plain_words() -> None:
    values = np.full(1_000, np.nan)
    values[:20] = 1.0
    with pytest.raises(LimitRefused, match="fewer than 50 rows"):
        numeric_bins("rare", values)


def test_the_label_aggregate_limit_reduces_bins_and_says_so() -> None:
    columns = {f"f{i}": np.arange(1_000, dtype=np.float64) for i in range(5)}
    bins, notes = bin_columns(columns, Limits())
    aggregates = sum(b.count for b in bins) + len(bins)
    assert aggregates <= 100
    assert "instead of 20" in notes[0]
    with pytest.raises(LimitRefused, match="label aggregates"):
        bin_columns(columns, Limits(), asked=90)


def test_binning_sees_no_labels_and_rows_may_come_in_any_order() -> None:
    values = _column(3)
    assert numeric_bins("x", values) == numeric_bins("x", values[np.random.default_rng(0).permutation(values.size)])
