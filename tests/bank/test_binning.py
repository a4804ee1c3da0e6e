"""A bank's own bins by every method, in pipelines and clones, and fields chosen from figures."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline

from bank_client.binning import WoeBinning, binned
from bank_client.field_tables import node_table, tables
from bank_client.selection import inflation, select_fields, split, stability_of
from models.scorecard.binning import CategoryBins, NumericBins
from models.scorecard.tables import BinFigure
from models.training import FieldFigure

ROWS = 3_000


@pytest.fixture(scope="module")
def data() -> tuple[pd.DataFrame, np.ndarray]:
    random = np.random.default_rng(0)
    hidden = random.normal(size=ROWS)
    X = pd.DataFrame(
        {
            "income": np.round(hidden, 2),
            "months": np.where(random.random(ROWS) < 0.1, -1.0, np.floor(np.exp(random.normal(size=ROWS) + 0.3 * hidden) * 10)),
            "job": random.choice(list("abcdef"), ROWS),
            "debt": np.where(random.random(ROWS) < 0.1, np.nan, hidden + random.normal(size=ROWS)),
        },
        index=pd.Index([f"r{n}" for n in range(ROWS)], name="id"),
    )
    X.loc[X.index[:20], "job"] = "rare"
    X.loc[X.index[100:200], "job"] = None
    y = (random.random(ROWS) < 1 / (1 + np.exp(1 + hidden + 0.8 * (X["job"] == "b")))).astype(np.uint8)
    return X, y


@pytest.mark.parametrize("method", ["count", "quantile", "optimal"])
@pytest.mark.parametrize("trend", ["free", "auto"])
def test_every_method_keeps_support_special_and_missing_values(
    data: tuple[pd.DataFrame, np.ndarray], method: str, trend: str
) -> None:
    X, y = data
    binning = WoeBinning(method, trend=trend, special=(-1.0,), max_bins=12).fit(X, y)  # type: ignore[arg-type]
    for column in binning.columns_:
        rows = np.bincount(column.codes, minlength=column.bins.count)
        assert column.bins.count <= 12
        assert rows.min() >= 50
        table = binning.tables_[column.bins.field]
        assert table["rows"].sum() == ROWS
        assert table["iv"].sum() == pytest.approx(column.iv)
    months, debt, job = (binning.tables_[name]["bin"].tolist() for name in ("months", "debt", "job"))
    assert months[-1] == "= -1"
    assert debt[-1] == "missing"
    assert "missing" in job
    income = next(c for c in binning.columns_ if c.bins.field == "income")
    assert isinstance(income.bins, NumericBins)
    if trend == "auto":
        assert (np.diff(income.woe[: income.bins.ordered]) <= 0).all()
    assert not set(income.bins.edges) & set(X["income"])


def test_a_modellers_own_cuts_are_kept_or_refused_in_plain_words(data: tuple[pd.DataFrame, np.ndarray]) -> None:
    X, y = data
    binning = WoeBinning(edges={"income": [-1.0, 0.0, 1.0], "job": [["a", "b"], ["c", "d"]]}).fit(X, y)
    assert binning.tables_["income"]["bin"].tolist() == ["≤ -1", "-1 – 0", "0 – 1", "> 1"]
    job = next(c for c in binning.columns_ if c.bins.field == "job").bins
    assert isinstance(job, CategoryBins)
    assert job.apply(["a", "b", "c", "d", "e", "rare", "new", None]).tolist() == [0, 0, 1, 1, 2, 2, 2, 3]
    for said, wrong in {
        "ascend": {"income": [1.0, 0.0]},
        "holds .* rows and needs 50": {"income": [5.0]},
        "two groups": {"job": [["a"], ["a", "b"]]},
        "does not have: height": {"height": [1.0]},
        "at most 20": {"income": list(np.linspace(-1.2, 1.2, 25))},
    }.items():
        with pytest.raises(ValueError, match=said):
            WoeBinning(edges=wrong).fit(X, y)
    for said, given in {"laxer": {"min_rows": 10}, "method of income": {"method": "best"}, "trend of": {"trend": "up"}}.items():
        with pytest.raises(ValueError, match=said):
            WoeBinning(**given).fit(X, y)  # type: ignore[arg-type]


def test_it_is_a_transformer_like_any_other(data: tuple[pd.DataFrame, np.ndarray]) -> None:
    X, y = data
    half = ROWS // 2
    pipeline = make_pipeline(WoeBinning(), LogisticRegression())
    search = GridSearchCV(pipeline, {"woebinning__max_bins": [3, 8], "woebinning__trend": ["free", "auto"]}, cv=2)
    search.fit(X[:half], y[:half])
    assert search.score(X[half:], y[half:]) > 0.6
    binning = clone(WoeBinning({"income": "quantile"}, special={"months": (-1.0,)})).fit(X, y)
    assert binning.get_params()["method"] == {"income": "quantile"}
    out = binning.transform(X[:5])
    assert out.columns.tolist() == X.columns.tolist() == binning.get_feature_names_out().tolist()
    assert out.index.equals(X.index[:5])
    with pytest.raises(ValueError, match="lacks columns"):
        binning.transform(X[["income"]])


def test_a_training_never_gets_more_bins_than_it_allows(data: tuple[pd.DataFrame, np.ndarray]) -> None:
    X, y = data
    asked = WoeBinning("quantile", max_bins=15)
    for given in (None, asked, {"income": [0.0]}):
        assert max(column.bins.count for column in binned(given, X, y, 6)) <= 6
    assert asked.max_bins == 15, "the caller's own stays as it was"
    assert not hasattr(asked, "columns_")


def _figure(name: str, psi: float | None = None) -> FieldFigure:
    table = (
        BinFigure(label="≤ 3", rows=400, bad_rate=0.1, woe=-0.5, part=0.04),
        BinFigure(label="", rows=None, bad_rate=None, woe=None, part=None),
    )
    return FieldFigure(name=name, iv=0.1, bins=5, vif=1.2, table=table, psi=psi)


def test_tables_of_both_sides_stand_together(data: tuple[pd.DataFrame, np.ndarray]) -> None:
    X, y = data
    columns = binned(None, X, y, 20)
    found = tables([_figure("income"), _figure("arrears")], columns, y)
    assert list(found) == ["income (node)", "arrears", "income", "months", "job", "debt"]
    assert {tuple(table.columns) for table in found.values()} == {("bin", "rows", "bad_rate", "woe", "iv")}
    assert node_table(_figure("arrears"))["bin"].tolist() == ["≤ 3", "bin 2"]
    assert node_table(_figure("arrears"))["rows"].isna().tolist() == [False, True]


def test_stability_is_of_both_sides_where_there_is_something_to_compare(data: tuple[pd.DataFrame, np.ndarray]) -> None:
    X, y = data
    columns = binned(None, X, y, 20)
    figures = [_figure("arrears", 0.031), _figure("income")]
    alone = stability_of(figures, columns)
    assert alone["arrears"] == 0.031
    assert alone.drop("arrears").isna().all()
    later = X.assign(income=X["income"] + 1.0)
    found = stability_of(figures, columns, later)
    assert found["income"] > 0.5
    assert found["debt"] == 0.0
    assert np.isnan(found["income (node)"])


def test_fields_are_dropped_for_a_reason_that_is_said() -> None:
    names = ["strong", "twin", "weak", "leaky", "moved", "sum", "other"]
    iv = pd.Series([0.5, 0.4, 0.01, 3.0, 0.3, 0.2, 0.1], index=names)
    correlation = pd.DataFrame(np.eye(7), index=names, columns=names)
    correlation.loc["twin", "strong"] = correlation.loc["strong", "twin"] = 0.9
    for name in ("strong", "other"):
        correlation.loc["sum", name] = correlation.loc[name, "sum"] = 0.69
    psi = pd.Series({"moved": 0.4, "strong": 0.01, "twin": np.nan})
    kept, dropped = select_fields(iv, correlation, psi, iv_range=(0.02, 1.0), most_vif=5.0)
    assert kept == ["strong", "other"]
    assert {name: reason.split()[0] for name, reason in dropped.items()} == {
        "leaky": "information", "twin": "correlation", "moved": "stability", "weak": "information", "sum": "variance",
    }  # fmt: skip
    assert inflation(correlation.loc[kept, kept]).max() == pytest.approx(1.0)
    chosen = split(kept, {"strong": "strong", "twin (node)": "twin"}, dropped)
    assert (chosen.node_fields, chosen.bank_columns) == (("strong",), ("other",))
