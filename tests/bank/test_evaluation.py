"""Figures of a model on new rows: intervals that hold, periods, a challenger beside the champion."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from bank_client.compare import compare, compare_scores
from bank_client.evaluation import evaluate
from models.scorecard.drift import Reference
from models.scorecard.metrics import auc

N = 4000


def scored(seed: int = 5, rows: int = N) -> tuple[Any, Any, Any]:
    """Labels, probabilities that are true, and a weaker model's that are not."""
    rng = np.random.default_rng(seed)
    x, z = rng.normal(size=(2, rows))
    true = 1 / (1 + np.exp(-(x + z - 1.5)))
    labels = (rng.uniform(size=rows) < true).astype(np.uint8)
    return labels, true, 1 / (1 + np.exp(-(2.0 * x - 2.0)))


def cells(table: Any) -> Any:
    """A table whose cells are taken for numbers."""
    return table


class Fixed:
    """A model that was asked before."""

    def __init__(self, probabilities: Any) -> None:
        self.probabilities = probabilities

    def predict_proba(self, X: pd.DataFrame) -> Any:
        return np.stack([1 - self.probabilities, self.probabilities], axis=1)[: len(X)]


def test_all_rows_and_each_period_have_their_figures() -> None:
    labels, true, _ = scored()
    period = np.array(["2025Q2", "2025Q1", "2025Q4"])[np.arange(N) % 3]
    labels[period == "2025Q4"] = 0
    report = evaluate(labels, true, period, Reference.of(true))
    assert report.metrics.index.tolist() == ["all", "2025Q1", "2025Q2", "2025Q4"]
    assert report.metrics.loc["2025Q1", "rows"] == (period == "2025Q1").sum()
    everything = cells(report.metrics).loc["all"]
    assert everything.auc == pytest.approx(auc(labels, true))
    assert everything.auc_low < everything.auc < everything.auc_high
    assert everything.ks_low < everything.ks < everything.ks_high
    assert everything.gini_high == pytest.approx(2 * everything.auc_high - 1)
    assert everything.psi == pytest.approx(0)
    one_class = cells(report.metrics).loc["2025Q4"]
    assert one_class[["auc", "ks", "slope", "hl_p"]].isna().all()
    assert one_class.psi < 0.05


def test_true_probabilities_are_found_calibrated_and_others_not() -> None:
    labels, true, other = scored()
    good, bad = cells(evaluate(labels, true).metrics).loc["all"], cells(evaluate(labels, other).metrics).loc["all"]
    assert good.slope == pytest.approx(1, abs=0.1)
    assert good.hl_p > 0.01
    assert bad.slope < 0.8
    assert bad.hl_p < 1e-6
    points = cells(evaluate(labels, true).reliability)
    assert points.rows.sum() == N
    assert ((points.low <= points.probability) & (points.probability <= points.high)).mean() >= 0.8


def test_lift_counts_every_row_once_from_the_riskiest_down() -> None:
    labels, true, _ = scored()
    lift = cells(evaluate(labels, true).lift)
    assert lift.rows.sum() == N
    assert lift.bads.sum() == labels.sum()
    assert lift.gain.iloc[-1] == pytest.approx(1)
    assert lift.lift.iloc[0] > 2 > lift.lift.iloc[-1]
    assert lift.lift_so_far.iloc[-1] == pytest.approx(1)


def test_rows_without_a_score_are_left_out_and_counted() -> None:
    labels, true, _ = scored()
    true[:7] = np.nan
    report = evaluate(labels, true)
    assert report.left_out == 7
    assert report.metrics.loc["all", "rows"] == N - 7


@pytest.mark.parametrize(("period", "says"), [(["a"] * 3, "3 periods for 4000 rows"), ([None] * N, "has no period")])
def test_periods_must_fit_the_rows(period: Any, says: str) -> None:
    labels, true, _ = scored()
    with pytest.raises(ValueError, match=says):
        evaluate(labels, true, period)


def test_a_better_challenger_is_told_from_chance() -> None:
    labels, true, weaker = scored()
    frame = pd.DataFrame({"x": np.zeros(N)}, index=pd.Index(range(N), name="id"))
    found = compare(Fixed(weaker), Fixed(true), frame, labels)
    assert found.table.index.tolist() == ["auc", "gini", "ks", "brier"]
    row = cells(found.table).loc["auc"]
    assert row.difference == pytest.approx(auc(labels, true) - auc(labels, weaker))
    assert 0 < row.difference_low < row.difference < row.difference_high
    assert row.p < 1e-6
    assert found.table.loc["gini", "difference"] == pytest.approx(2 * row.difference)
    assert cells(found.table).loc["brier", "difference"] < 0
    assert found.psi > 0.1
    same = compare_scores(labels, true, true)
    assert (same.table.difference == 0).all()
    assert (same.table.p == 1).all()
    assert same.psi == pytest.approx(0)


def test_the_swap_set_counts_who_only_one_would_approve() -> None:
    labels, true, weaker = scored()
    swap = cells(compare_scores(labels, weaker, true, approve=0.7).swap_set)
    assert swap.rows.sum() == N
    assert swap.bads.sum() == labels.sum()
    assert swap.loc["champion", "rows"] == swap.loc["challenger", "rows"] > 0
    assert swap.loc[["both", "champion"], "rows"].sum() == round(0.7 * N)
    assert swap.loc["challenger", "rate"] < swap.loc["champion", "rate"]
    assert np.isnan(cells(compare_scores(labels, true, true).swap_set).loc["champion", "rate"])
    with pytest.raises(ValueError, match="between 0 and 1"):
        compare_scores(labels, weaker, true, approve=1.0)


def test_rows_that_one_model_cannot_score_count_for_neither() -> None:
    labels, true, weaker = scored()
    true[:5], weaker[3:9] = np.nan, np.nan
    found = compare_scores(labels, weaker, true)
    assert found.left_out == 9
    assert found.labels.size == found.champion.size == N - 9


def test_pictures_are_drawn(tmp_path: Path) -> None:
    labels, true, weaker = scored(rows=600)
    report = evaluate(labels, true, np.arange(600) // 300)
    paths = report.draw(tmp_path / "one") + compare_scores(labels, weaker, true).draw(tmp_path / "two")
    drawn = ["roc.png", "reliability.png", "gain.png"]
    assert [path.name for path in paths] == [*drawn, "periods.png", *drawn]
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in paths)
