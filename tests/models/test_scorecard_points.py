"""Points: the scale, the sum, and what rounding costs on real data."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression

from models.scorecard.bank import BankColumn, bank_columns
from models.scorecard.design import Design
from models.scorecard.limits import Limits
from models.scorecard.metrics import auc
from models.scorecard.points import Scaling, contributions, field_points, score_of
from tests.conftest import shared_path


def test_the_scale_is_what_it_says() -> None:
    scale = Scaling(pdo=20, base_score=600, base_odds=50)
    assert scale.score(-math.log(50)) == pytest.approx(600)
    assert scale.score(-math.log(100)) == pytest.approx(620)
    assert scale.log_odds([600, 620]) == pytest.approx([-math.log(50), -math.log(100)])
    assert Scaling(decimals=None).rounded(np.array([1.26])) == pytest.approx([1.26])
    assert Scaling(decimals=1).rounded(np.array([1.26, -0.04])).tolist() == [1.3, 0.0]
    assert str(Scaling().rounded(np.array([-0.2]))[0]) == "0.0"  # no minus before nothing


def columns(rows: int = 1500) -> tuple[list[BankColumn], dict[str, Any], Any]:
    rng = np.random.default_rng(4)
    values = {"a": rng.normal(size=rows), "b": rng.integers(0, 4, rows).astype(float)}
    labels = (rng.uniform(size=rows) < 1 / (1 + np.exp(1 - values["a"] - 0.5 * values["b"]))).astype(np.uint8)
    return bank_columns(values, labels, Limits()), values, labels


@pytest.mark.parametrize("encoding", ["woe", "one_hot"])
def test_contributions_add_up_to_the_matrix_times_the_coefficients(encoding: Any) -> None:
    own, values, _ = columns()
    design = Design(tuple(own), (-1.0, 0.25, 2.0), encoding, unknown=0.1)
    bands = np.random.default_rng(5).integers(-1, 3, 1500)
    coef = np.random.default_rng(6).normal(size=len(design.names))
    codes = design.codes(values, bands)
    parts = contributions(design, coef)
    assert [part.size for part in parts] == [*(column.bins.count for column in own), 4]
    log_odds = design.matrix(values, bands) @ coef
    assert np.allclose(sum(part[code] for part, code in zip(parts, codes, strict=True)), log_odds)
    counts = [*(column.bins.count for column in own), 3]
    shares = [np.bincount(code[code < n], minlength=n) / 1500 for code, n in zip(codes, counts, strict=True)]
    scale = Scaling(decimals=None)
    table = field_points(design, coef, -1.5, shares, scale, line=(0.8, 0.3))
    assert np.allclose(score_of(table, codes), scale.score(0.8 * (log_odds - 1.5) + 0.3))
    assert np.ptp([entry.average for entry in table]) < 1e-9
    assert all(entry.best == entry.points.max() for entry in table)


@pytest.mark.parametrize(("name", "most"), [("default_credit", 0.001), ("give_credit", 0.001)])
def test_whole_points_cost_next_to_nothing_on_real_data(name: str, most: float) -> None:
    """Both sides' columns in one place, the second side's through 20 bands; 7,000 rows a part."""
    guest = pd.read_csv(shared_path(f"data/{name}/{name}_hetero_guest.csv"), index_col="id")
    host = pd.read_csv(shared_path(f"data/{name}/{name}_hetero_host.csv"), index_col="id").add_prefix("node ")
    both: Any = guest.join(host, how="inner").sample(14_000, random_state=1)
    labels = both.pop("y").to_numpy(np.uint8)
    train, held = slice(0, 7_000), slice(7_000, 14_000)
    sides = [[n for n in both if (n in guest.columns) == own] for own in (True, False)]
    values: Any = [[{n: both[n].to_numpy(float)[part] for n in side} for part in (train, held)] for side in sides]
    node = bank_columns(values[1][0], labels[train], Limits())
    woe = [np.stack([c.apply(part[c.bins.field]) for c in node], axis=1) for part in values[1]]
    u = [LogisticRegression().fit(woe[0], labels[train]).decision_function(part) for part in woe]
    edges = np.unique(np.quantile(u[0], np.linspace(0, 1, 21)[1:-1]))
    bands = [np.searchsorted(edges, part) for part in u]
    means = tuple(float(u[0][bands[0] == band].mean()) for band in range(edges.size + 1))
    design = Design(tuple(bank_columns(values[0][0], labels[train], Limits())), means)
    half = LogisticRegression(C=0.3).fit(design.matrix(values[0][0], bands[0]), labels[train])
    codes = [design.codes(part, band) for part, band in zip(values[0], bands, strict=True)]
    counts = [*(column.bins.count for column in design.columns), len(means)]
    shares = [np.bincount(code, minlength=n) for code, n in zip(codes[0], counts, strict=True)]
    table = field_points(design, half.coef_, float(half.intercept_[0]), shares, Scaling())
    exact = auc(labels[held], half.decision_function(design.encoded(codes[1])))
    loss = exact - auc(labels[held], -score_of(table, codes[1]))
    print(f"AUC {exact:.4f}, lost by whole points {loss:.5f}")
    assert exact > 0.7
    assert abs(loss) <= most
