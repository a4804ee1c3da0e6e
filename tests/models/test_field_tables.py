"""Merged bins, their tables, trends, special values, stability: in the node's pure part."""

from __future__ import annotations

import numpy as np
import pytest

from models.scorecard.binning import NumericBins, bins_from_definition, category_bins, column_bins, numeric_bins
from models.scorecard.columns import NodeColumns, NodeField, named
from models.scorecard.learner import Learner
from models.scorecard.limits import LimitRefused, Limits
from models.scorecard.noise import NodeNoise
from models.scorecard.options import FieldBinning, Trend, binning_of, check_binnings
from models.scorecard.score import NodeModel
from models.scorecard.stability import counted, drift, same_rows
from models.scorecard.tables import field_table, group_labels
from models.scorecard.woe import merged_bins, pooled_woe

LIMITS = Limits()


def _values(seed: int, rows: int = 3_000) -> np.ndarray:
    random = np.random.default_rng(seed)
    values = np.round(random.normal(size=rows), 2)
    values[random.random(rows) < 0.05] = np.nan
    values[random.random(rows) < 0.05] = -999.0
    values[:30] = -7.0
    return values


def test_special_values_with_support_have_bins_of_their_own() -> None:
    values = _values(1)
    bins = numeric_bins("x", values, special=(-999.0, -7.0, 5_000.0))
    assert bins.special == (-999.0,), "30 rows are too few, and none are none"
    codes = bins.apply(values)
    assert (values[codes == bins.count - 1] == -999.0).all()
    assert np.isnan(values[codes == bins.missing]).all()
    rows = np.bincount(codes, minlength=bins.count)
    assert rows.min() >= 50
    assert bins.count <= 20
    assert bins_from_definition(bins.definition()) == bins
    assert b"special" not in numeric_bins("x", values).definition(), "bins without special values are written as before"


def test_missing_values_may_be_pooled_and_categories_have_them_apart() -> None:
    values = _values(2)
    pooled = column_bins("x", values, 20, LIMITS, FieldBinning(missing="pooled", min_rows=200))
    assert isinstance(pooled, NumericBins)
    assert pooled.missing < pooled.ordered
    assert np.bincount(pooled.apply(values)).min() >= 200
    words = ["wheat"] * 300 + ["rice"] * 200 + [""] * 60 + ["tea"] * 60 + ["plum"] * 20 + ["fig"] * 30
    bins = category_bins("crop", words)
    assert bins.apply(["wheat", "rice", "tea", "fig", None, np.nan, ""]).tolist() == [0, 1, 2, 3, 4, 4, 4]
    assert bins_from_definition(bins.definition()) == bins
    few = category_bins("crop", ["wheat"] * 300 + [""] * 20)
    assert few.missing is None
    with pytest.raises(LimitRefused, match="fewer than 50"):
        category_bins("crop", [""] * 300 + ["rice"] * 20)


@pytest.mark.parametrize(("trend", "sign"), [("ascending", 1), ("descending", -1), ("monotone", 1)])
def test_a_trend_holds_for_the_woe_whatever_the_noise(trend: Trend, sign: int) -> None:
    for seed in range(30):
        random = np.random.default_rng(seed)
        rows = random.integers(50, 400, 16).astype(np.float64)
        rate = np.linspace(0.05, 0.4, 16) if sign > 0 else np.linspace(0.4, 0.05, 16)
        bads = np.clip(random.binomial(rows.astype(int), rate) + random.normal(0, 4, 16), 0, rows)
        bins = NumericBins("x", tuple(range(13)), 14, (-1.0,))  # 14 ordered, missing, one special
        groups = merged_bins(bads, rows, bins, 4.0, trend)
        woe = pooled_woe(bads, rows, groups).woe
        assert (np.diff(woe[:14]) * sign >= 0).all()
        assert len({groups[14], groups[15], *groups[:14]}) == len(set(groups[:14])) + 2, "missing and special stay alone"


def test_categories_that_are_alike_are_grouped_wherever_they_stand() -> None:
    bins = category_bins("c", [w for w, n in (("a", 500), ("b", 480), ("c", 460), ("d", 440)) for _ in range(n)])
    rows = np.array([500.0, 480.0, 460.0, 440.0])
    groups = merged_bins(rows * [0.1, 0.4, 0.1, 0.41], rows, bins, 4.0)
    assert groups[0] == groups[2] != groups[1] == groups[3]
    assert group_labels(bins, groups) == ["a, c", "b, d"]


def test_thin_bins_and_undisclosed_labels_are_not_shown() -> None:
    bins = NumericBins("x", (1.04, 2.06), 3)
    rows, bads = np.array([400.0, 48.0, 500.0, 90.0]), np.array([40.0, 30.0, 250.0, 2.0])
    for disclosable, labels in ((True, ["≤ 1", "1 – 2.1", "> 2.1", "missing"]), (False, ["", "", "", ""])):
        table = field_table(NodeField(bins, disclosable=disclosable), bads, rows, LIMITS)
        assert [entry.label for entry in table.bins] == labels
        assert [entry.rows for entry in table.bins] == [400, None, 500, 90]
        assert table.bins[1].woe is None
        assert table.bins[1].part is None
        assert table.bins[0].bad_rate == 0.1
    assert table.iv > 0


def test_labels_of_dates_are_days() -> None:
    assert group_labels(NumericBins("d", (19_000.5, 19_400.5), 0), np.arange(3), dates=True)[1] == "2022-01-08 – 2023-02-12"


def test_categories_at_the_node_are_positions_in_its_catalogue() -> None:
    crops = ("wheat", "rice", "tea")
    raw = np.repeat([0.0, 1.0, 2.0, np.nan], [300, 200, 100, 80])
    bins = column_bins("crop", named(raw, crops), 20, LIMITS)
    field = NodeField(bins, categories=crops)
    assert np.bincount(field.codes(raw)).tolist() == [300, 200, 100, 80]
    model = NodeModel.from_bytes(_model(field, raw).to_bytes())
    assert model.codes({"crop": raw}).tolist() == field.codes(raw)[None].tolist()


def _model(field: NodeField, raw: np.ndarray) -> NodeModel:
    from models.scorecard.release import Bands

    return NodeModel((field,), ((0,) * field.bins.count,), (0.0,), Bands((0.0,), (0.0, 0.0)))


def test_options_are_held_to_the_training() -> None:
    options = (FieldBinning(trend="monotone"), FieldBinning(field="a", min_rows=100))
    assert binning_of(options, "a").min_rows == 100
    assert binning_of(options, "b").trend == "monotone"
    assert binning_of((), "b") == FieldBinning()
    check_binnings(options, ["a", "b"], 1_000)
    wrong = {
        "does not have: z": (FieldBinning(field="z"),),
        "one field twice": (FieldBinning(field="a"), FieldBinning(field="a")),
        "up to half": (FieldBinning(min_rows=800),),
        "100, 200, 400": (FieldBinning(min_rows=101),),
        "9 special values": (FieldBinning(special=tuple(map(float, range(9)))),),
    }
    for said, given in wrong.items():
        with pytest.raises(LimitRefused, match=said):
            check_binnings(given, ["a", "b"], 1_000)


def test_stability_is_zero_for_the_same_people_and_grows_with_the_drift() -> None:
    def columns(values: np.ndarray) -> NodeColumns:
        return NodeColumns((NodeField(bins),), bins.apply(values)[None], values[None])

    values = _values(3)
    bins = numeric_bins("x", values)
    before = counted(columns(values), NodeNoise(b"n" * 32, b"spring", LIMITS))
    again = drift(before, columns(values), NodeNoise(b"n" * 32, b"spring", LIMITS))
    assert same_rows(again)
    alike = drift(before, columns(_values(4)), NodeNoise(b"n" * 32, b"autumn", LIMITS))["x"]
    moved = drift(before, columns(_values(4) + 0.6), NodeNoise(b"n" * 32, b"autumn", LIMITS))["x"]
    assert 0 < alike < 0.1
    assert moved > 0.25
    assert "edges" not in repr(before)


def test_a_trend_is_another_question_and_the_iv_is_the_tables() -> None:
    values = _values(5)
    bins = numeric_bins("x", values)
    codes, labels = bins.apply(values), (np.random.default_rng(6).random(values.size) < 0.3).astype(np.uint8)
    made = []
    for trend in ("free", "monotone"):
        columns = NodeColumns((NodeField(bins, disclosable=True, trend=trend),), codes[None], values[None])  # type: ignore[arg-type]
        learner = Learner(columns, NodeNoise(b"n" * 32, b"root", LIMITS), LIMITS)
        learner.learn_woe(np.bincount(codes, labels, minlength=bins.count).astype(float), b"m" * 32)
        made.append(learner)
        table = learner._table(0)
        shown = [entry.part for entry in table.bins]
        assert learner.ivs_[0] == pytest.approx(sum(part for part in shown if part is not None), rel=0.02)
    assert made[0].question() == made[1].question(), "the tables count the same rows"
