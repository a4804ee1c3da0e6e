"""The estimator's conventions, its half that stays at the bank, and the file it is kept in."""

from __future__ import annotations

import json
import stat
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

import bank_client
from bank_client import AlignedCohort, Bank, JointScorecard
from bank_client.applicants import REFUSED, UNKNOWN, Applicants
from bank_client.frames import columns_of
from bank_client.joint_training import JointTraining
from bank_client.plots import draw_roc, draw_woe
from bank_client.private_query import CheckResult
from models import wire
from models.problems import Damaged, NoConsent
from models.scorecard.bank import bank_columns
from models.scorecard.card import LeakageStatement, ModelCard, NodeCard, metrics
from models.scorecard.limits import Limits
from models.scorecard.rounds import Plan
from models.scorecard.schemes import backend
from models.training import ProductAnswer
from tests.bank.test_config import SETTINGS
from tests.bank.test_config import load as load_config

ROWS = 1200
MEANS = (-1.2, -0.3, 0.4, 1.1)


@pytest.fixture
def bank(tmp_path: Path) -> Bank:
    return a_bank(tmp_path)


def a_bank(tmp_path: Path) -> Bank:
    """A modeller's session with services that do not answer."""
    config = load_config(tmp_path, 'identity = "opaque"\n' + SETTINGS)
    bank_client.config.make_key(config.key_file)
    return Bank(config)


def customers() -> tuple[pd.DataFrame, np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Rows indexed by id, labels that depend on them and on the node's band, and that band."""
    rng = np.random.default_rng(11)
    bands = rng.integers(0, 4, ROWS).astype(np.uint8)
    frame = pd.DataFrame(
        {"deposit": rng.lognormal(8, 1, ROWS), "overdue": rng.poisson(0.6, ROWS), "crop": rng.choice(["稻", "麦"], ROWS)},
        index=pd.Index(range(ROWS), name="id"),
    )
    risk = 0.7 * np.array(MEANS)[bands] + 0.6 * frame.overdue - 0.4 * (np.log(frame.deposit) - 8) - 1
    labels = (rng.uniform(size=ROWS) < 1 / (1 + np.exp(-risk))).astype(np.uint8)
    return frame, labels, bands


def node_card() -> NodeCard:
    nothing = LeakageStatement(
        node_learns=("sums",), bank_learns=("bands",), office_learns=("labels",), label_aggregates=10, band_bits=2.0,
        r2_most=0.5, r2_mean=0.2, r2_most_allowed=0.7, r2_mean_allowed=0.45, shrunk_fields=(), releases_counted=1,
    )  # fmt: skip
    return NodeCard(
        model="m1", project="p1", job="j1", cohort_root="00" * 32, rows=ROWS, fields=(), bands=4, band_means=MEANS,
        budgets=(), leakage=nothing, notes=(),
    )  # fmt: skip


def trained(bank: Bank) -> JointScorecard:
    """An estimator as `fit` leaves it, without the node's figures."""
    frame, labels, _ = customers()
    model = JointScorecard("p1", bank)
    model._forget_release()
    model.cohort_ = AlignedCohort("p1", "c1", bytes(32), tuple(f"opaque:{i}" for i in reversed(range(ROWS))), ROWS)
    model.job_ = "j1"
    model._take_rows(frame, labels, [f"opaque:{i}" for i in frame.index])
    model.columns_ = bank_columns(columns_of(model._rows), model.labels_, Limits())
    model.iv_ = pd.Series({column.bins.field: column.iv for column in model.columns_})
    return model


def released(bank: Bank) -> JointScorecard:
    """An estimator as `release` leaves it."""
    model = trained(bank)
    _, _, bands = customers()
    model.bands_ = bands[::-1].copy()
    model._fit_half(node_card())
    figures = metrics(model.labels_, model.out_of_fold_, model.out_of_fold_)
    model.set_card(
        ModelCard(node=node_card(), bank="bank-a", bank_columns=(), encoding=model.encoding_, metrics=figures, parent="")
    )
    model.node_card_ = bank.sign(node_card())
    return model


def test_exports_are_lazy_and_complete() -> None:
    for name in bank_client.__all__:
        assert getattr(bank_client, name).__name__ == name
    assert set(bank_client.__all__) <= set(dir(bank_client))
    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        _ = bank_client.Nothing


def test_parameters_are_plain_and_a_clone_shares_the_session(bank: Bank) -> None:
    model = JointScorecard("p1", bank, max_bins=10, encoding="woe", C=2.0)
    copy = clone(model)
    assert copy is not model
    assert copy.get_params() == model.get_params()
    assert copy.bank is bank
    assert clone(model).set_params(max_bins=5).max_bins == 5
    assert not hasattr(clone(trained(bank)), "cohort_")


def test_nothing_is_predicted_or_released_before_its_time(bank: Bank) -> None:
    frame, _, _ = customers()
    model = JointScorecard("p1", bank)
    for call in (lambda: model.predict_proba(frame), model.release, model.register, model.serve, lambda: model.save("x")):
        with pytest.raises(NotFittedError):
            call()
    with pytest.raises(ValueError, match="Bank"):
        JointScorecard("p1").fit(frame, np.zeros(ROWS))


def test_rows_are_taken_in_the_cohorts_order(bank: Bank) -> None:
    frame, labels, _ = customers()
    model = trained(bank)
    assert model._rows.index.tolist() == list(reversed(range(ROWS)))
    assert np.array_equal(model.labels_, labels[::-1])
    with pytest.raises(ValueError, match="1 rows of the cohort have no row in X"):
        model.attach(frame[1:], labels[1:])


def test_bands_add_what_the_bank_cannot_know(bank: Bank) -> None:
    frame, _, bands = customers()
    model = released(bank)
    assert model.classes_.tolist() == [0, 1]
    assert model.coef_.shape[1] == len(model._design.names)
    probabilities = model.predict_proba(frame)
    assert probabilities.shape == (ROWS, 2)
    assert np.allclose(probabilities.sum(axis=1), 1)
    by_band = [probabilities[bands == band, 1].mean() for band in range(4)]
    assert by_band == sorted(by_band)
    assert 0.65 < model.metrics_.auc < 0.9
    assert set(model.predict(frame)) <= {0, 1}


def test_a_file_brings_the_model_back_and_is_private(bank: Bank, tmp_path: Path) -> None:
    frame, labels, _ = customers()
    model, path = released(bank), tmp_path / "model.json"
    model.save(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    again = JointScorecard.load(path, bank)
    assert np.allclose(again.predict_proba(frame), model.predict_proba(frame))
    assert again.card_ == model.card_
    assert again.node_card_ == model.node_card_
    assert again.get_params() == model.get_params()

    trained(bank).save(path)
    resumed = JointScorecard.load(path, bank)
    with pytest.raises(ValueError, match="attach"):
        resumed.release()
    assert resumed.attach(frame, labels).cohort_.rows == ROWS
    assert not hasattr(resumed, "card_")


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"format": "pickle"}', '{"format": "xinqiao/bank-half/v2"}', "\x80"])
def test_another_file_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "model.json"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(ValueError, match=r"model\.json"):
        JointScorecard.load(path)


def test_a_cohort_is_kept_as_json(tmp_path: Path) -> None:
    cohort = AlignedCohort("p1", "c1", b"r" * 32, ("opaque:2", "opaque:1"), 5, {"no-consent": 2}, 1)
    cohort.save(tmp_path / "cohort.json")
    assert AlignedCohort.load(tmp_path / "cohort.json") == cohort
    assert "opaque:2" not in repr(cohort)
    assert json.loads((tmp_path / "cohort.json").read_text())["root"] == "72" * 32


class _Answers:
    """Stands where the private query stands, to count what is asked."""

    def __init__(self, **records: bytes | None) -> None:
        self.records = records
        self.asked: list[list[str]] = []

    def ask_many(self, subjects: list[str], _purpose: str, *, progress: object) -> list[CheckResult]:
        self.asked.append(subjects)
        return [self._answer(subject) for subject in subjects]

    def _answer(self, subject: str) -> CheckResult:
        if subject not in self.records:
            return CheckResult(subject, "score-m1", 1, refused=NoConsent("no query consent"))
        return CheckResult(subject, "score-m1", 1, record=self.records[subject])


def test_applicants_are_asked_about_once_and_refused_ones_again() -> None:
    answers = _Answers(b=b'{"band":3,"reasons":["land"]}', c=None)
    applicants = Applicants(answers, {"a": 1})  # type: ignore[arg-type]
    with pytest.warns(UserWarning, match="1 of 3 applicants could not be scored: 1 × no query consent"):
        first = applicants.bands(["a", "b", "c", "d", "b"], "loan-approval")
    assert first.tolist() == [1, 3, UNKNOWN, REFUSED, 3]
    assert applicants.reasons(["a", "b", "c", "d"]) == [(), ("land",), (), ()]
    answers.records["d"] = b'{"band":0}'
    assert applicants.bands(["d"], "loan-approval").tolist() == [REFUSED]
    assert applicants.bands(["d", "c", "b"], "loan-approval", again=True).tolist() == [0, UNKNOWN, 3]
    assert answers.asked == [["b", "c", "d"], ["d"]]


def test_unknown_applicants_count_as_average_and_refused_ones_get_nothing(bank: Bank) -> None:
    frame, _, _ = customers()
    model = released(bank)
    answers = _Answers(**{"opaque:new": None})
    model._looked_up = Applicants(answers, {})  # type: ignore[arg-type]
    new = frame[:2].set_axis(pd.Index(["new", "barred"], name="id"))
    with pytest.warns(UserWarning, match="could not be scored"):
        probabilities = model.predict_proba(new)
    spread = [model._half.predict_proba(model._matrix(new[:1], np.array([band], dtype=np.uint8)))[0, 1] for band in range(4)]
    assert min(spread) < probabilities[0, 1] < max(spread)
    assert np.isnan(probabilities[1]).all()


def test_the_nodes_card_is_the_one_that_was_signed(bank: Bank) -> None:
    model = released(bank)
    assert wire.decode(model.node_card_.payload, NodeCard) == model.card_.node


@pytest.mark.attack
def test_a_product_that_does_not_open_is_kept_as_evidence(bank: Bank) -> None:
    """Under Paillier a node may send what is no ciphertext; the bank gives no answer to it, which could tell of its key."""
    spoilt = ProductAnswer(h=b"", c=bytes(768))

    class Spoilt(JointTraining):
        def _product(self, *_arguments: Any) -> Any:
            yield from ()
            return SimpleNamespace(answer=spoilt, h=np.zeros((1, 0), np.uint8), c=np.zeros((1, 768), np.uint8))

    shape, seed = Plan(1_000, (1,), 0, scheme="paillier").shape(1), bytes(32)
    product = backend("paillier").bank(shape, seed, np.zeros((1, 1_000), np.int64), seed)
    cohort = AlignedCohort("p1", "c1", bytes(32), ("opaque:1",), 1)
    play = Spoilt(bank, cohort, np.zeros(1, np.uint8), [])._play(*cast(Any, (None, None, product, 1)))
    with pytest.raises(Damaged, match="does not open"):
        next(play)
    [kept] = (bank.config.data_dir / "evidence").iterdir()
    assert wire.encode(spoilt) in kept.read_bytes()


def test_plots_are_drawn(bank: Bank, tmp_path: Path) -> None:
    model = released(bank)
    curves = {"joint": (model.labels_, model.out_of_fold_), "one value": (model.labels_, np.zeros(ROWS))}
    for path in (draw_roc(curves, tmp_path / "plots" / "roc.png", "synthetic"), draw_woe(model, tmp_path / "woe.png")):
        assert path.read_bytes().startswith(b"\x89PNG")
