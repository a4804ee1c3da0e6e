"""Points, reasons, calibration, evaluation of a released model, and copies of it in searches."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from typer.testing import CliRunner

from bank_client import Bank, JointScorecard
from bank_client.applicants import REFUSED, Applicants
from bank_client.binning import WoeBinning
from bank_client.cli import app
from bank_client.config import BankConfig, make_key
from bank_client.private_query import CheckResult
from bank_client.reject_inference import Parcelling
from models.problems import NoConsent
from models.scorecard.metrics import auc
from models.tables import RegisterModel
from tests.bank.customers import ROWS, people, released, session
from tests.bank.test_config import SETTINGS


@pytest.fixture(scope="module")
def bank(tmp_path_factory: pytest.TempPathFactory) -> Bank:
    return session(tmp_path_factory.mktemp("bank"))


@pytest.fixture(scope="module")
def shared(bank: Bank) -> JointScorecard:
    """For tests that change nothing."""
    return released(bank, encoding="woe")


class Table:
    """Stands where the private query stands: bands of new applicants, and nothing of some."""

    def __init__(self, bands: dict[str, int], themes: tuple[str, ...] = (), refuse: tuple[str, ...] = ()) -> None:
        self.bands, self.themes, self.refuse, self.asked = bands, themes, refuse, 0

    def ask_many(self, subjects: list[str], _purpose: str, *, progress: object) -> list[CheckResult]:
        self.asked += len(subjects)
        return [self._answer(subject) for subject in subjects]

    def _answer(self, subject: str) -> CheckResult:
        if subject in self.refuse:
            return CheckResult(subject, "score-m1", 1, refused=NoConsent("no query consent"))
        if subject not in self.bands:
            return CheckResult(subject, "score-m1", 1, record=None)
        themes = ",".join(f'"{theme}"' for theme in self.themes)
        record = f'{{"band":{self.bands[subject]},"reasons":[{themes}]}}'.encode()
        return CheckResult(subject, "score-m1", 1, record=record)


def newcomers(model: JointScorecard, rows: int = 800, **table: Any) -> tuple[pd.DataFrame, Any, Table]:
    frame, labels, bands = people(rows, seed=5, first=ROWS)
    stands = Table({f"opaque:{i}": int(b) for i, b in zip(frame.index, bands, strict=True)}, **table)
    known = dict(zip(model.cohort_.subjects, model.bands_.tolist(), strict=True))
    model._looked_up = Applicants(stands, known)  # type: ignore[arg-type]
    return frame, labels, stands


# -------------------------------------------------------------------- points


@pytest.mark.parametrize("encoding", ["woe", "one_hot"])
def test_points_add_up_to_the_models_odds(bank: Bank, encoding: Any) -> None:
    model = released(bank, encoding=encoding, point_decimals=None, pdo=40.0, base_score=500.0, base_odds=20.0)
    frame, _, _ = people(ROWS)
    scores = model.points(frame)
    bad = model.predict_proba(frame)[:, 1]
    assert np.allclose(scores, 500 - 40 / np.log(2) * (np.log(bad / (1 - bad)) + np.log(20)))
    assert np.allclose(model.probability_of(scores), bad)
    assert model.probability_of(500.0) == pytest.approx(1 / 21)
    assert model.probability_of(540.0) == pytest.approx(1 / 41)


def test_whole_points_rank_as_the_model_does(shared: JointScorecard) -> None:
    frame, labels, _ = newcomers(shared, 2000)
    scores, bad = shared.points(frame), shared.predict_proba(frame)[:, 1]
    assert np.array_equal(scores, np.round(scores))
    assert abs(auc(labels, -scores) - auc(labels, bad)) < 0.002
    assert np.corrcoef(scores, -np.log(bad / (1 - bad)))[0, 1] > 0.999
    assert np.abs(shared.probability_of(scores) - bad).max() < 0.02


def test_the_table_has_every_bin_of_both_sides(shared: JointScorecard) -> None:
    table: Any = shared.scorecard_
    assert table.columns.tolist() == ["side", "field", "bin", "share", "woe", "points"]
    assert table.field.unique().tolist() == ["deposit", "overdue", "crop", "node band"]
    node = table[table.side == "node"]
    assert node.bin.tolist() == ["band 0", "band 1", "band 2", "band 3", "no record"]
    assert node.points[:-1].is_monotonic_decreasing
    assert node.points.iloc[3] < node.points.iloc[4] < node.points.iloc[0]
    assert table.groupby("field").share.sum().to_numpy() == pytest.approx(1)
    deposit = table[table.field == "deposit"]
    assert deposit.bin.iloc[-1] == "missing"
    assert np.corrcoef(deposit.points, -deposit.woe)[0, 1] > 0.98  # higher is better
    average = (table.points * table.share).groupby(table.field).sum()
    assert average.max() - average.min() < 1.0  # every field starts from the same average


@pytest.mark.parametrize("wrong", [{"pdo": 0.0}, {"base_odds": -1.0}, {"point_decimals": 9}, {"pdo": float("nan")}])
def test_a_scale_that_makes_no_sense_is_refused(bank: Bank, wrong: dict[str, Any]) -> None:
    model = clone(released(bank, encoding="woe")).set_params(**wrong)
    with pytest.raises(ValueError, match=r"pdo|decimals"):
        _ = model.scaling_


# -------------------------------------------------------------------- reasons


def test_reasons_name_fields_and_themes_and_no_value(shared: JointScorecard) -> None:
    frame, _, _ = newcomers(shared, 300, themes=("土地 / Land", "保险 / Insurance"))
    frame["crop"] = "茶"
    explained = shared.explain(frame, language="en", names={"overdue": "Payments overdue"})
    assert all(len(one.reasons) <= 4 for one in explained)
    assert max(len(one.reasons) for one in explained) == 4
    for one, score, bad in zip(explained, shared.points(frame), shared.predict_proba(frame)[:, 1], strict=True):
        assert (one.score, one.probability) == (score, bad)
        assert [r.lost for r in one.reasons] == sorted((r.lost for r in one.reasons), reverse=True)
    texts = {reason.text for one in explained for reason in one.reasons}
    assert "Payments overdue is below what scores well" in texts
    assert "Public records: Land" in texts
    assert not any(sign in text for text in texts for sign in ("茶", "band", *"0123456789"))
    codes = {reason.code for one in explained for reason in one.reasons}
    assert codes == {"bank:overdue", "bank:deposit", "bank:crop", "node:Land", "node:Insurance"}
    assert "政务数据：土地" in {r.text for one in shared.explain(frame) for r in one.reasons}


def test_what_is_lost_is_counted_against_the_best_bin_or_the_average(shared: JointScorecard) -> None:
    frame, _, _ = people(200)
    table: Any = shared.scorecard_
    best, average = shared.explain(frame), shared.explain(frame, against="average", most=3)
    top = table.groupby("field").points.max().sum()
    for one, fewer in zip(best, average, strict=True):
        if len(one.reasons) < 4:
            assert one.score == pytest.approx(top - sum(reason.lost for reason in one.reasons))
        assert len(fewer.reasons) <= 3
        assert all(reason.lost > 0 for reason in fewer.reasons)
        assert one.reasons or one.score == pytest.approx(top)
    assert any(reason.code == "node" for one in best for reason in one.reasons)  # a cohort row has a band and no themes
    for wrong in ({"most": 5}, {"against": "worst"}):
        with pytest.raises(ValueError, match=r"reasons|best or average"):
            shared.explain(frame, **wrong)


def test_who_may_not_be_asked_about_has_neither_score_nor_reasons(shared: JointScorecard) -> None:
    frame, _, _ = newcomers(shared, 20, refuse=(f"opaque:{ROWS}",))
    with pytest.warns(UserWarning, match="could not be scored"):
        explained = shared.explain(frame)
    assert np.isnan(explained[0].score)
    assert explained[0].reasons == ()
    assert not np.isnan(explained[1].score)
    with pytest.warns(UserWarning, match="could not be scored"):
        assert np.isnan(shared.points(frame).iloc[0])


def test_the_command_writes_points_and_reasons(shared: JointScorecard, tmp_path: Path) -> None:
    """Rows of the cohort, whose bands are in the model's file, so that nobody is asked about."""
    config = tmp_path / "bank.toml"
    config.write_text('identity = "opaque"\n' + SETTINGS, encoding="utf-8")
    make_key(BankConfig.load(config).key_file)
    frame, _, _ = people(ROWS)
    shared.save(tmp_path / "model.json")
    frame[:40].to_csv(tmp_path / "rows.csv")
    out = tmp_path / "scores.csv"
    given = ["score", str(tmp_path / "model.json"), str(tmp_path / "rows.csv"), "--id", "id", "--out", str(out)]
    given += ["--config", str(config)]
    result = CliRunner().invoke(app, given)
    assert result.exit_code == 0, result.output
    assert "40 of 40 are scored" in result.stdout
    written = pd.read_csv(out, index_col="id")
    assert written.columns.tolist() == ["probability", "points", "band", "reasons"]
    assert np.allclose(written.points, shared.points(frame[:40]))
    assert np.allclose(written.probability, shared.predict_proba(frame[:40])[:, 1])
    assert written.reasons.str.contains("未达到较好水平").any()


# -------------------------------------------------------------------- calibration and evaluation


@pytest.mark.parametrize("method", ["sigmoid", "isotonic"])
def test_a_hold_out_makes_probabilities_hold_and_keeps_the_order(bank: Bank, tmp_path: Path, method: Any) -> None:
    model = released(bank, encoding="woe", point_decimals=None)
    frame, labels, _ = newcomers(model, 3000)
    labels = np.where(np.random.default_rng(1).uniform(size=labels.size) < 0.4, 0, labels)  # a better year than before
    before = model.evaluate(frame[1500:], labels[1500:]).metrics.iloc[0]
    raw, points = model.predict_proba(frame)[:, 1], model.points(frame)
    model.calibrate(frame[:1500], labels[:1500], method)
    after = model.evaluate(frame[1500:], labels[1500:]).metrics.iloc[0]
    assert before.hl_p < 1e-6 < after.hl_p
    assert after.brier < before.brier
    now = model.predict_proba(frame)[:, 1]
    order = np.argsort(raw)
    assert (np.diff(now[order]) >= -1e-12).all()
    scores = model.points(frame)
    assert np.allclose(model.probability_of(scores), now)
    assert np.allclose(scores, points) == (method == "isotonic")
    model.save(tmp_path / "model.json")
    again = JointScorecard.load(tmp_path / "model.json", bank)
    again._looked_up = model._applicants
    assert np.allclose(again.predict_proba(frame)[:, 1], now)
    assert np.allclose(again.points(frame), scores)
    assert again.calibrator_ == model.calibrator_
    assert again.reference_ == model.reference_
    pd.testing.assert_frame_equal(again.scorecard_, model.scorecard_)
    with pytest.raises(ValueError, match="hold-out"):
        again.calibrate()


def test_a_calibration_takes_no_row_that_was_trained_on(bank: Bank) -> None:
    model = released(bank, encoding="woe")
    frame, labels, _ = people(ROWS)
    with pytest.raises(ValueError, match="2400 rows of the hold-out were trained on"):
        model.calibrate(frame, labels)
    with pytest.raises(ValueError, match="needs its labels"):
        model.calibrate(frame)
    model.calibrate()  # out of fold
    assert model.calibrator_.line[0] == pytest.approx(1, abs=0.15)
    fresh, other, _ = newcomers(model, 400)
    with pytest.raises(ValueError, match="1,000 rows"):
        model.calibrate(fresh, other, "isotonic")
    with pytest.raises(ValueError, match="sigmoid or isotonic"):
        model.calibrate(method="beta")  # type: ignore[arg-type]
    assert not hasattr(model.refit().calibrator_, "rates")
    assert model.calibrator_.line == (1.0, 0.0)


def test_the_out_of_time_test_tells_rows_that_were_trained_on(shared: JointScorecard) -> None:
    frame, labels, _ = newcomers(shared, 1200)
    report = shared.evaluate(frame, labels, period=np.arange(1200) // 400)
    assert report.metrics.index.tolist() == ["all", 0, 1, 2]
    assert report.metrics.loc["all", "auc"] == pytest.approx(auc(labels, shared.predict_proba(frame)[:, 1]))
    assert (report.metrics.psi < 0.1).all()
    own, own_labels, _ = people(ROWS)
    with pytest.warns(UserWarning, match="2400 of 2400 rows were trained on"):
        assert shared.evaluate(own, own_labels).metrics.psi.iloc[0] == pytest.approx(0)


# -------------------------------------------------------------------- copies, searches, rejects


def test_a_search_over_a_released_model_spends_no_training(bank: Bank) -> None:
    model = released(bank, binning=WoeBinning())
    frame, labels, _ = people(ROWS)
    found = GridSearchCV(model, {"C": [1e-4, 0.3], "encoding": ["woe", "one_hot"]}, cv=3, scoring="roc_auc")
    found.fit(frame, labels)
    assert found.best_params_["C"] == 0.3
    best: JointScorecard = found.best_estimator_
    assert best.model_id_ == model.model_id_
    assert best.half_ is not model.half_
    assert best.predict_proba(frame).shape == (ROWS, 2)
    scores = cross_val_score(make_pipeline(FunctionTransformer(), model), frame, labels, cv=3, scoring="roc_auc")
    assert (scores > 0.65).all()


def test_a_copy_never_starts_a_training(bank: Bank) -> None:
    frame, labels, _ = people(ROWS)
    model = released(bank, encoding="woe")
    for copied in (clone(JointScorecard("p1", bank)), clone(clone(JointScorecard("p1", bank)))):
        with pytest.raises(ValueError, match="a copy starts no training"):
            copied.fit(frame, labels)
    with pytest.raises(ValueError, match="a new value of max_bins needs a new training"):
        clone(model).set_params(max_bins=5).fit(frame, labels)
    with pytest.raises(ValueError, match="a new value of max_bins"):
        clone(clone(model).set_params(max_bins=5)).fit(frame, labels)
    stranger = frame.set_axis(pd.Index(range(1, ROWS + 1), name="id"))
    with pytest.raises(ValueError, match="1 rows are not in the cohort"):
        clone(model).fit(stranger, labels.to_numpy())
    again = clone(clone(model)).fit(frame, labels)
    assert np.allclose(again.coef_, model.coef_)
    assert again.get_params() == model.get_params()
    assert clone(model).bank is bank


def test_a_part_of_the_cohort_is_fitted_with_its_own_bands(bank: Bank) -> None:
    frame, labels, bands = people(ROWS)
    whole = np.random.default_rng(3).permutation(ROWS)
    shuffled = clone(released(bank, encoding="woe")).fit(frame.iloc[whole], labels[whole])
    assert np.array_equal(shuffled._bands_of_training(), bands[whole])
    part = whole[:1500]
    model = clone(shuffled).fit(frame.iloc[part], labels[part])
    assert np.array_equal(model._bands_of_training(), bands[part])
    assert model.metrics_.rows == 1500
    assert auc(labels, model.predict_proba(frame)[:, 1]) > 0.7


def test_refit_takes_new_parameters_and_rejects(bank: Bank) -> None:
    model = released(bank, encoding="woe")
    coef = model.coef_.copy()
    assert not np.allclose(model.set_params(C=1e-4).refit().coef_, coef)
    assert np.allclose(model.set_params(C=0.3).refit().coef_, coef)
    frame, _, table = newcomers(model, 200, refuse=(f"opaque:{ROWS}",))
    with pytest.raises(ValueError, match="set reject_inference"):
        model.refit(frame)
    assert table.asked == 0
    model.set_params(reject_inference=Parcelling(factor=4.0))
    with pytest.warns(UserWarning, match="1 of 200 applicants could not be scored"):
        model.refit(frame)
    assert table.asked == 200
    assert not np.allclose(model.coef_, coef)
    assert model.card_.metrics.rows == ROWS  # figures are of rows whose outcome is known
    own, _, _ = people(ROWS)
    with pytest.raises(ValueError, match="2400 of the rejects are in the cohort"):
        model.refit(own)


def test_a_registered_card_is_not_replaced(bank: Bank) -> None:
    """The node would sign the new card, the office would not take it, and no approval would fit any more."""
    model = released(bank, encoding="woe")
    signed = bank.sign(model.card_)
    model.registered_ = RegisterModel(bank_card=signed, node_card=model.node_card_)
    assert not model.refit().refitted_since_registration
    frame, labels, _ = people(ROWS)
    other = clone(model).set_params(C=1e-4).fit(frame, labels)
    for changed in (other, model.set_params(C=1e-4).refit()):
        assert changed.refitted_since_registration
        with pytest.raises(ValueError, match="registered with another half"):
            changed.register()


def test_the_card_says_how_points_are_made(shared: JointScorecard) -> None:
    points = shared.card_.points
    assert points is not None
    assert (points.pdo, points.base_points, points.base_odds) == (20.0, 600.0, 50.0)
    assert shared.card_.bank_bins == tuple(column.bins.count for column in shared.columns_)
    assert shared.card_.metrics.auc_low < shared.card_.metrics.auc < shared.card_.metrics.auc_high


def test_bands_of_a_refused_reject_are_not_used(shared: JointScorecard) -> None:
    frame, _, _ = newcomers(shared, 5, refuse=(f"opaque:{ROWS}",))
    with pytest.warns(UserWarning, match="could not be scored"):
        assert shared.bands_of(frame.index)[0] == REFUSED
