"""Drift of score, fields and the node's table, told from chance, and the command that prints it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

import bank_client.monitoring
from bank_client import Bank, JointScorecard
from bank_client.cli import app
from bank_client.monitoring import watch
from models.scorecard.drift import Thresholds
from models.scorecard.table_drift import BandShares, TableDrift
from tests.bank.customers import people, released, session
from tests.bank.test_config import SETTINGS


@pytest.fixture(scope="module")
def bank(tmp_path_factory: pytest.TempPathFactory) -> Bank:
    return session(tmp_path_factory.mktemp("bank"))


@pytest.fixture(scope="module")
def model(bank: Bank) -> JointScorecard:
    return released(bank, encoding="woe")


def later(rows: int = 3000, worse: float = 0.0) -> tuple[pd.DataFrame, Any]:
    """Applicants after the training; with `worse`, poorer ones in riskier bands."""
    frame, _, bands = people(rows, seed=9, first=10_000)
    moved = np.random.default_rng(2).uniform(size=rows) < worse
    return frame.assign(deposit=np.where(moved, 200.0, frame.deposit)), np.where(moved, 3, bands)


def quarter(name: str, *shares: float | None) -> BandShares:
    return BandShares(quarter=name, people=5000, shares=shares, together=1 - sum(s for s in shares if s is not None))


def level(report: Any, what: str) -> str:
    return str(report.table.set_index("what").level[what])


def test_people_like_those_of_the_training_move_nothing(model: JointScorecard) -> None:
    frame, bands = later()
    report = watch(model, frame, bands=bands)
    assert report.table.what.tolist() == ["score", "node band", "deposit", "overdue", "crop"]
    assert report.table.side.tolist() == ["both", "node", "bank", "bank", "bank"]
    assert set(report.table.level) == {"stable"}
    assert (report.table.psi < 5 * report.table.chance + 0.02).all()
    assert report.warnings == ()
    assert report.node.empty


def test_what_moved_is_named_the_farthest_first(model: JointScorecard) -> None:
    frame, bands = later(worse=0.4)
    report = watch(model, frame, bands=bands)
    assert level(report, "score") == level(report, "node band") == level(report, "deposit") == "shifted"
    assert level(report, "overdue") == level(report, "crop") == "stable"
    assert len(report.warnings) == 3
    assert "deposit has shifted: PSI" in report.warnings[0]
    psi = [float(text.rsplit(" ", 1)[1]) for text in report.warnings]
    assert psi == sorted(psi, reverse=True)
    lax = watch(model, frame, bands=bands, thresholds=Thresholds(5.0, 9.0))
    assert lax.warnings == ()


def test_each_period_is_compared_and_the_latest_is_warned_of(model: JointScorecard) -> None:
    frame, bands = later()
    bad, bad_bands = later(1500, worse=0.5)
    both = pd.concat([frame, bad.set_axis(pd.Index(range(50_000, 51_500)))])
    period = ["2026-02"] * 3000 + ["2026-01"] * 1500
    report = watch(model, both, bands=np.r_[bands, bad_bands], period=period)
    assert report.table.period.unique().tolist() == ["2026-01", "2026-02"]
    assert report.table[report.table.period == "2026-01"].rows.unique().tolist() == [1500]
    assert report.warnings == ()
    turned = watch(model, both, bands=np.r_[bands, bad_bands], period=period[::-1])
    assert any("in 2026-02" in text for text in turned.warnings)


def test_a_few_rows_warn_of_nothing(model: JointScorecard) -> None:
    frame, bands = later(60, worse=0.5)
    report = watch(model, frame, bands=bands)
    assert level(report, "score") == "few"
    assert not any("score" in text for text in report.warnings)


def test_without_bands_the_fields_are_compared_alone(model: JointScorecard) -> None:
    frame, bands = later()
    assert watch(model, frame).table.what.tolist() == ["deposit", "overdue", "crop"]
    some = watch(model, frame, bands=np.where(np.arange(3000) < 1000, bands, np.nan))
    assert some.table.rows.tolist() == [1000, 1000, 3000, 3000, 3000]


@pytest.mark.parametrize(
    ("wrong", "says"),
    [({"bands": [1]}, "1 bands for 3000 rows"), ({"period": ["a"]}, "needs a period"), ({"bands": [9] * 3000}, "outside")],
)
def test_bands_and_periods_must_fit_the_rows(model: JointScorecard, wrong: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        watch(model, later()[0], **wrong)


def test_the_nodes_table_is_compared_with_its_first_quarter_and_the_training(model: JointScorecard) -> None:
    frame, bands = later()
    quarters = (quarter("2026Q1", 0.3, 0.3, None, None), quarter("2026Q2", 0.1, 0.2, 0.35, 0.35))
    report = watch(model, frame, bands=bands, table=TableDrift(model="m1", quarters=quarters))
    assert report.node.quarter.tolist() == ["2026Q1", "2026Q2"]
    assert report.node.since_first[0] == 0
    assert report.node.level.tolist() == ["stable", "shifted"]
    assert report.warnings == (f"the node's table has shifted since its first quarter: PSI {report.node.since_first[1]:.2f}",)
    assert report.node.psi[1] > report.node.psi[0] > 0
    with pytest.raises(ValueError, match="other bands"):
        watch(model, frame, bands=bands, table=TableDrift(model="m1", quarters=(quarter("2026Q1", 0.5, 0.5),)))


def test_pictures_of_one_and_of_several_periods(model: JointScorecard, tmp_path: Path) -> None:
    frame, bands = later(600)
    for name, period in (("one", None), ("many", np.arange(600) // 200)):
        path = watch(model, frame, bands=bands, period=period).draw(tmp_path / f"{name}.png")
        assert path.read_bytes().startswith(b"\x89PNG")


def test_the_command_prints_writes_and_draws_and_asks_about_nobody(
    model: JointScorecard, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tmp_path / "bank.toml"
    config.write_text('identity = "opaque"\n' + SETTINGS.replace("bank.pem", str(tmp_path / "bank.pem")), encoding="utf-8")
    bank_client.config.make_key(bank_client.config.BankConfig.load(config).key_file)
    monkeypatch.setattr(bank_client.monitoring, "review_day", lambda _model: None)
    model.save(tmp_path / "model.json")
    frame, bands = later(worse=0.4)
    frame.assign(month="2026-01").to_csv(tmp_path / "rows.csv")
    frame[[]].assign(band=np.where(np.arange(3000) < 10, "the node has no record", bands)).to_csv(tmp_path / "scores.csv")
    given = ["monitor", str(tmp_path / "model.json"), str(tmp_path / "rows.csv"), "--scores", str(tmp_path / "scores.csv")]
    given += ["--no-node", "--period", "month", "--config", str(config), "--out", str(tmp_path / "drift.csv")]
    given += ["--plot", str(tmp_path / "drift.png")]
    result = CliRunner().invoke(app, given)
    assert result.exit_code == 2, result.output
    assert "deposit has shifted in 2026-01" in result.stdout
    assert "to be reviewed by" in result.stdout
    assert pd.read_csv(tmp_path / "drift.csv").rows.tolist() == [2990, 2990, 3000, 3000, 3000]
    assert (tmp_path / "drift.png").stat().st_size > 1000
    facts = json.loads(CliRunner().invoke(app, [*given, "--moved", "5", "--shifted", "9", "--json"]).stdout)
    assert facts["warnings"] == []
    assert facts["table"][0]["what"] == "score"
    wrong = CliRunner().invoke(app, [*given, "--period", "year"])
    assert wrong.exit_code == 1
    assert "has no column year" in wrong.output
