"""Intervals and calibration figures against slow twins, other libraries and simulation."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.stats import chi2
from sklearn.linear_model import LogisticRegression

from models.scorecard.calibration import calibration_line, chi_square_tail, grouped, hosmer_lemeshow, lift_table
from models.scorecard.drift import Reference, Thresholds, chance_psi
from models.scorecard.intervals import (
    auc_difference,
    auc_interval,
    brier_interval,
    ks_difference,
    ks_interval,
    ks_resamples,
)
from models.scorecard.metrics import auc, brier, ks, psi


def sample(rng: Any, rows: int = 400) -> tuple[Any, Any, Any]:
    x, z = rng.normal(size=(2, rows))
    labels = (rng.uniform(size=rows) < 1 / (1 + np.exp(-(x - 1)))).astype(np.uint8)
    return labels, np.round(x + 0.5 * z, 1), np.round(x + z, 1)  # rounded, so that there are ties


def slow_variance(labels: Any, first: Any, second: Any) -> float:
    """DeLong's covariance by its definition: a kernel over all pairs."""

    def placements(scores: Any) -> tuple[Any, Any]:
        bads, goods = scores[labels == 1], scores[labels == 0]
        kernel = (bads[:, None] > goods[None, :]) + 0.5 * (bads[:, None] == goods[None, :])
        return kernel.mean(axis=1), kernel.mean(axis=0)

    (a1, b1), (a2, b2) = placements(first), placements(second)
    return float(np.cov(a1 - a2) / a1.size + np.cov(b1 - b2) / b1.size)


def test_the_variance_is_that_of_the_definition() -> None:
    labels, first, second = sample(np.random.default_rng(1))
    found = auc_difference(labels, first, second)
    error = (found.high - found.low) / 2 / 1.959964
    assert error**2 == pytest.approx(slow_variance(labels, first, second), rel=1e-6)
    assert found.value == pytest.approx(auc(labels, second) - auc(labels, first))
    alone = auc_interval(labels, first)
    assert ((alone.high - alone.low) / 2 / 1.959964) ** 2 == pytest.approx(
        slow_variance(labels, first, np.zeros(labels.size)), rel=1e-6
    )


@pytest.mark.parametrize(("figure", "interval"), [(auc, auc_interval), (brier, brier_interval), (ks, ks_interval)])
def test_an_interval_holds_the_truth_as_often_as_it_says(figure: Any, interval: Any) -> None:
    rng = np.random.default_rng(7)

    def draw(rows: int) -> tuple[Any, Any]:
        x = rng.normal(size=rows)
        p = 1 / (1 + np.exp(-(1.5 * x - 1)))
        return (rng.uniform(size=rows) < p).astype(np.uint8), p

    truth = figure(*draw(200_000))
    found = [interval(*draw(1000)) for _ in range(60)]
    held = sum(one.low <= truth <= one.high for one in found)
    assert held >= 52


def test_resampling_follows_the_seed_alone_and_pairs_two_models() -> None:
    labels, first, second = sample(np.random.default_rng(3))
    assert np.array_equal(ks_resamples(labels, first, 20), ks_resamples(labels, first, 20))
    assert not np.array_equal(ks_resamples(labels, first, 20), ks_resamples(labels, first, 20, seed=1))
    equal = ks_difference(labels, first, first)
    assert (equal.value, equal.low, equal.high, equal.p) == (0, 0, 0, 1)
    apart = ks_difference(labels, first, second)
    assert apart.low < apart.value < apart.high


def test_the_calibration_line_is_a_logistic_regression_on_the_logit() -> None:
    rng = np.random.default_rng(2)
    logit = rng.normal(-1, 1, 3000)
    labels = (rng.uniform(size=3000) < 1 / (1 + np.exp(-(0.5 + 0.7 * logit)))).astype(np.uint8)
    probabilities = 1 / (1 + np.exp(-logit))
    line = calibration_line(labels, probabilities)
    other = LogisticRegression(C=np.inf, tol=1e-9).fit(logit[:, None], labels)
    assert line.slope == pytest.approx(other.coef_[0, 0], abs=1e-4)
    assert line.intercept == pytest.approx(other.intercept_[0], abs=1e-4)
    assert abs(line.slope - 0.7) < 3 * line.slope_error
    assert abs(line.intercept - 0.5) < 3 * line.intercept_error
    assert line.in_the_large > 0


def test_probabilities_of_nought_and_one_have_a_line_too() -> None:
    labels = np.array([0, 0, 1, 1] * 20)
    assert np.isfinite(calibration_line(labels, labels.astype(float)).slope)
    assert np.isfinite(calibration_line(labels, np.full(80, 0.5)).in_the_large)


@pytest.mark.parametrize("freedom", range(1, 13))
def test_the_tail_of_chi_square(freedom: int) -> None:
    for statistic in (0.0, 0.3, 5.0, 40.0):
        assert chi_square_tail(statistic, freedom) == pytest.approx(chi2.sf(statistic, freedom), abs=1e-12)


def test_hosmer_lemeshow_rejects_as_often_as_it_should() -> None:
    rng = np.random.default_rng(4)
    found = []
    for _ in range(200):
        p = rng.uniform(0.05, 0.6, 800)
        found.append(hosmer_lemeshow((rng.uniform(size=800) < p).astype(np.uint8), p).p)
    assert 0.01 <= np.mean(np.array(found) < 0.05) <= 0.10
    labels = (rng.uniform(size=800) < p).astype(np.uint8)
    assert hosmer_lemeshow(labels, p, fitted=True).freedom == hosmer_lemeshow(labels, p).freedom - 2


def test_equal_values_stay_in_one_group() -> None:
    values = np.array([0.0] * 700 + list(np.linspace(1, 2, 300)))
    code = grouped(values, 10)
    assert np.unique(code[:700]).size == 1
    assert np.array_equal(np.unique(code), np.arange(code.max() + 1))
    assert len(lift_table(np.arange(1000) % 2, np.zeros(1000))) == 1


def test_a_reference_keeps_its_parts_for_other_scores() -> None:
    rng = np.random.default_rng(6)
    scores = rng.normal(size=5000)
    reference = Reference.of(scores)
    assert sum(reference.shares) == pytest.approx(1)
    assert reference.psi(scores) == 0
    assert reference.psi(rng.normal(size=5000)) < 0.01 < 0.1 < reference.psi(scores + 0.5)
    assert reference.psi(scores + 0.5) == pytest.approx(psi(reference.shares, reference.shares_of(scores + 0.5)))
    for wrong in ([], [np.nan]):
        with pytest.raises(ValueError, match="numbers"):
            reference.psi(wrong)


def test_chance_alone_moves_the_index_by_what_is_said() -> None:
    rng = np.random.default_rng(8)
    shares = (0.1, 0.2, 0.3, 0.4)
    found = [psi(shares, rng.multinomial(500, shares)) for _ in range(300)]
    assert np.mean(found) == pytest.approx(chance_psi(shares, 500), rel=0.15)


def test_thresholds_name_three_levels() -> None:
    assert [Thresholds().level(index) for index in (0.09, 0.1, 0.25)] == ["stable", "moved", "shifted"]
    for wrong in ((0.3, 0.2), (0.0, 0.2)):
        with pytest.raises(ValueError, match="moved < shifted"):
            Thresholds(*wrong)
