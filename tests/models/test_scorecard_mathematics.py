"""WOE, metrics, moments and node noise against slow or published references."""

from __future__ import annotations

import sys
from collections import Counter
from types import FrameType

import numpy as np
import pytest
from scipy.stats import ks_2samp
from sklearn.linear_model import Ridge
from sklearn.metrics import brier_score_loss, roc_auc_score

from models.scorecard import metrics
from models.scorecard.binning import NumericBins
from models.scorecard.limits import LimitRefused, Limits
from models.scorecard.moments import CLIP, SCALE, assemble, bank_moments, integer_gram, standard_levels
from models.scorecard.noise import NodeNoise, alpha_mac
from models.scorecard.woe import merged_bins, pooled_woe, woe_table


def _scores(seed: int) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    y = (random.random(3_000) < 0.1).astype(np.uint8)
    return y, np.round(1 / (1 + np.exp(-(random.normal(size=y.size) + y))), 2)  # rounded: many ties


@pytest.mark.parametrize("seed", range(4))
def test_metrics_agree_with_scikit_learn_and_scipy(seed: int) -> None:
    y, p = _scores(seed)
    assert metrics.auc(y, p) == pytest.approx(roc_auc_score(y, p), abs=1e-12)
    assert metrics.gini(y, p) == pytest.approx(2 * roc_auc_score(y, p) - 1, abs=1e-12)
    assert metrics.ks(y, p) == pytest.approx(ks_2samp(p[y == 1], p[y == 0]).statistic, abs=1e-12)
    assert metrics.brier(y, p) == pytest.approx(brier_score_loss(y, p), abs=1e-12)


def test_stability_index_is_zero_for_equal_and_grows_with_drift() -> None:
    _, p = _scores(9)
    assert metrics.score_psi(p, p) == 0.0
    assert 0.0 < metrics.score_psi(p, p + 0.02) < metrics.score_psi(p, p + 0.2)
    assert np.isfinite(metrics.psi([10, 0], [0, 10]))
    expected, actual = np.array([0.2, 0.8]), np.array([0.3, 0.7])
    assert metrics.psi(expected, actual) == pytest.approx(0.1 * np.log(1.5) - 0.1 * np.log(0.875))


@pytest.mark.parametrize(
    ("labels", "scores"), [([0, 0], [1.0, 2.0]), ([0, 2], [1.0, 2.0]), ([0, 1], [np.nan, 1.0]), ([0, 1], [1.0])]
)
def test_metrics_refuse_what_they_cannot_measure(labels: list[int], scores: list[float]) -> None:
    with pytest.raises(ValueError, match=r"labels|scores"):
        metrics.auc(labels, scores)


def test_woe_and_iv_by_the_book() -> None:
    bads, rows = np.array([10.0, 30.0]), np.array([100.0, 100.0])
    table = woe_table(bads, rows, smoothing=0.0)
    bad, good = bads / 40, (rows - bads) / 160
    assert table.woe == pytest.approx(np.log(bad / good))
    assert table.iv == pytest.approx(((bad - good) * np.log(bad / good)).sum())


def test_noise_and_nonsense_never_break_the_woe() -> None:
    rows = np.array([50.0, 50.0, 900.0])
    for bads in ([-1e18, 1e18, 0.0], [0.0, 0.0, 0.0], [50.0, 50.0, 900.0]):
        table = woe_table(np.array(bads), rows)
        assert np.isfinite(table.woe).all()
        assert table.iv >= 0.0


def test_alike_neighbours_share_a_level_and_the_rest_stays_alone() -> None:
    rows = np.array([1_000.0, 1_000.0, 1_000.0, 300.0])
    bads = np.array([50.0, 52.0, 300.0, 52.0])
    groups = merged_bins(bads, rows, NumericBins("x", (1.0, 2.0), 3), noise=4.0)
    assert groups.tolist() == [0, 0, 1, 2]
    woe = pooled_woe(bads, rows, groups).woe
    assert woe.size == 4
    assert woe[0] == woe[1] < woe[3] < woe[2]


def test_levels_are_standardised_integers_within_the_clip() -> None:
    rows = np.array([100_000, 900, 50])
    levels = standard_levels(np.array([0.0, 1.0, 40.0]), rows)
    assert levels.dtype == np.int64
    assert np.abs(levels).max() == CLIP * SCALE
    balanced = standard_levels(np.array([-1.0, 1.0]), np.array([500, 500]))
    assert balanced.tolist() == [-SCALE, SCALE]
    assert standard_levels(np.array([0.3, 0.3]), np.array([5, 5])).tolist() == [0, 0]


def test_the_banks_moments_are_exact() -> None:
    random = np.random.default_rng(5)
    columns = random.integers(-CLIP * SCALE, CLIP * SCALE + 1, (3, 2_000))
    labels = (random.random(2_000) < 0.3).astype(np.uint8)
    vectors = [np.ones(2_000, dtype=object), *columns.astype(object), labels.astype(object)]
    assert bank_moments(labels, columns).tolist() == [[int(a @ b) for b in vectors] for a in vectors]
    with pytest.raises(ValueError, match="clipped"):
        integer_gram(np.array([[CLIP * SCALE + 1]]))


def test_assembled_moments_give_the_ridge_solution_correlations_and_vif() -> None:
    random = np.random.default_rng(6)
    base = random.normal(size=(5, 4_000))
    base[3] += base[0]
    Z = np.rint(np.clip((base - base.mean(1, keepdims=True)) / base.std(1, keepdims=True), -8, 8) * SCALE).astype(np.int64)
    y = (random.random(4_000) < 1 / (1 + np.exp(-base[0] - base[4]))).astype(np.uint8)
    node, bank = Z[:2] / SCALE, Z[2:] / SCALE
    cross = np.column_stack([node @ y, node @ bank.T])
    moments = assemble(4_000, node @ node.T, node.sum(1), cross, bank_moments(y, Z[2:]))
    whole = np.concatenate([node, bank])
    ridge = Ridge(alpha=0.01 * 4_000).fit(whole.T, y)
    assert moments.weights(0.01) == pytest.approx(ridge.coef_, abs=1e-9)
    assert moments.correlation() == pytest.approx(np.corrcoef(whole), abs=1e-9)
    assert moments.vif() == pytest.approx(np.diag(np.linalg.inv(np.corrcoef(whole))), rel=1e-6)


def test_equal_questions_get_equal_noise_and_others_independent_noise() -> None:
    limits = Limits()
    noise = NodeNoise(b"k" * 32, b"root", limits)
    mac = alpha_mac(b"o" * 32, np.array([1, 0, 1]))
    assert noise.draw(b"bin 1", mac) == NodeNoise(b"k" * 32, b"root", limits).draw(b"bin 1", mac)
    other = alpha_mac(b"o" * 32, np.array([1, 0, 0]))
    assert len({noise.draw(b"bin 1", mac), noise.draw(b"bin 2", mac), noise.draw(b"bin 1", other)}) == 3
    assert noise.draw(b"bin 1", mac) != NodeNoise(b"k" * 32, b"other", limits).draw(b"bin 1", mac)
    drawn = np.array([noise.draw(str(i).encode(), mac, 8.0) for i in range(2_000)])
    assert drawn.std() == pytest.approx(32.0, rel=0.08)
    assert abs(drawn.mean()) < 3.0
    assert "k" * 8 not in repr(noise)


@pytest.mark.parametrize(
    ("name", "value"),
    [("cohort_rows", 999), ("r2_column", 0.71), ("r2_mean", 0.5), ("releases", 5), ("bands", 21), ("node_noise", 3.9)],
)
def test_limits_move_towards_stricter_only(name: str, value: float) -> None:
    with pytest.raises(LimitRefused, match=name):
        Limits(**{name: value})


def test_each_limit_refuses_with_what_would_be_accepted() -> None:
    limits = Limits()
    limits.check_cohort(1_000)
    limits.check_difference(0)
    limits.check_difference(50)
    limits.check_releases(3)
    limits.check_trainings(11)
    limits.check_label_vectors(5, is_new=False)
    limits.check_classes(200, 1_000, 20)
    for refuse in (
        lambda: limits.check_cohort(999),
        lambda: limits.check_difference(1),
        lambda: limits.check_difference(49),
        lambda: limits.check_releases(4),
        lambda: limits.check_trainings(12),
        lambda: limits.check_label_vectors(5, is_new=True),
        lambda: limits.bins_per_field(1_000, 80, 10),
    ):
        with pytest.raises(LimitRefused) as refused:
            refuse()
        assert refused.value.accepted.endswith(".")
    with pytest.raises(ValueError, match="at least 200 rows"):
        limits.check_classes(199, 1_000, 20)
    assert (limits.band_count(7), limits.band_count(8)) == (10, 20)


def test_pooling_takes_as_many_steps_whatever_the_bad_counts_are() -> None:
    """They come to it before the office has proven them, and the bank waits for the answer."""
    bins, rows = NumericBins("x", tuple(map(float, range(19))), 0), np.full(20, 1_000.0)
    called: Counter[str] = Counter()

    def count(frame: FrameType, event: str, _: object) -> None:
        called[frame.f_code.co_name] += event == "call"

    groups, steps = [], []
    for bads in (np.linspace(20, 875, 20), np.full(20, 300.0), np.where(np.arange(20) == 10, 900.0, 300.0)):
        called.clear()
        sys.setprofile(count)
        try:
            groups.append(int(merged_bins(bads, rows, bins, 4.0).max()) + 1)
        finally:
            sys.setprofile(None)
        steps.append(called["difference"])
    assert groups == [20, 1, 3]
    assert len(set(steps)) == 1
