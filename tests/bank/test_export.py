"""The bank's half as an ONNX file gives the same probabilities as the estimator, for any row that may come."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import onnxruntime
import pandas as pd
import pytest

from bank_client.calibrators import NONE, Calibrator, Isotonic, Sigmoid
from bank_client.export import export_onnx
from bank_client.half_digest import half_digest
from bank_client.joint_scorecard import JointScorecard
from bank_client.own_half import OwnHalf, with_bands
from models.scorecard.bank import BankColumn, bank_column
from models.scorecard.binning import Bins, CategoryBins, NumericBins
from models.scorecard.design import Encoding

ROWS = 3_000
MEANS = (-1.0, -0.2, 0.5, 1.3)
BINS: dict[str, Bins] = {
    "deposit": NumericBins("deposit", (1000.0, 2500.5, 4000.0), 4),  # missing values have a bin of their own
    "loans": NumericBins("loans", (0.5, 1.5), 0, special=(-1.0, 99.0)),  # these do not, but two values do
    "age": NumericBins("age", (), 0),  # one bin for all
    "crop": CategoryBins("crop", ("稻", "麦", "豆"), (0, 1, 1), 2, 3),
    "village": CategoryBins("village", ("东",), (0,), 1),
}


def rows(seed: int) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {
            "deposit": rng.lognormal(7.8, 0.7, ROWS),
            "loans": rng.choice([-1.0, 0, 1, 2, 3, 99], ROWS),
            "age": rng.integers(18, 80, ROWS).astype(float),
            "crop": np.array(["稻", "麦", "豆", "茶", "", None], dtype=object)[rng.integers(0, 6, ROWS)],
            "village": rng.choice(["东", "西"], ROWS),
        }
    )
    for name in ("deposit", "loans", "age"):
        frame.loc[rng.uniform(size=ROWS) < 0.1, name] = np.nan
    frame.loc[: len(EDGES) - 1, "deposit"] = EDGES
    return with_bands(frame, rng.integers(-1, len(MEANS), ROWS))


EDGES = np.array([1000.0, np.nextafter(1000.0, 2000), 2500.5, 4000.0, np.inf, -np.inf, 0.0, -0.0])


def half(encoding: Encoding) -> OwnHalf:
    frame = rows(1)
    labels = (np.random.default_rng(2).uniform(size=ROWS) < 0.15 + 0.2 * (frame["node band"] > 1)).astype(np.uint8)
    columns: list[BankColumn] = [bank_column(b, b.apply(frame[n].to_numpy()), labels) for n, b in BINS.items()]
    return OwnHalf(tuple(columns), MEANS, encoding=encoding).fit(frame, labels)


def model_of(fitted: OwnHalf, calibrator: Calibrator = NONE) -> JointScorecard:
    """As much of a released model as an export reads."""
    card = SimpleNamespace(node=SimpleNamespace(model="m1"), bank="bank-a")
    return cast(JointScorecard, SimpleNamespace(half_=fitted, calibrator_=calibrator, card_=card))


def answer(path: Path, frame: pd.DataFrame) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any], dict[str, str]]:
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    given: dict[str, Any] = {}
    for wanted in session.get_inputs():
        values = frame[wanted.name].to_numpy()
        kind: Any = {"tensor(double)": np.float64, "tensor(int64)": np.int64, "tensor(string)": object}[wanted.type]
        given[wanted.name] = np.array([str(v) for v in values] if kind is object else values, dtype=kind)[:, None]
    odds, probability = session.run(["log_odds", "probability"], given)
    return odds[:, 0], probability[:, 0], session.get_modelmeta().custom_metadata_map


@pytest.mark.parametrize("encoding", ["woe", "one_hot"])
def test_the_file_scores_as_the_estimator_does(tmp_path: Path, encoding: Encoding) -> None:
    """Edges, missing values, special values, categories never seen before, and applicants without a record at the node."""
    fitted, fresh = half(encoding), rows(3)
    odds, probability, facts = answer(export_onnx(model_of(fitted), tmp_path / "half.onnx"), fresh)
    assert np.abs(probability - fitted.predict_proba(fresh)[:, 1]).max() < 1e-12
    assert np.abs(odds - fitted.decision_function(fresh)).max() < 1e-12
    assert len(np.unique(probability)) > 50
    assert facts == {"xinqiao.model": "m1", "xinqiao.bank": "bank-a", "xinqiao.half": half_digest(fitted), "xinqiao.bands": "4"}


CALIBRATORS = [
    Sigmoid(0.8, -0.3),
    Isotonic((-3.0, -1.5, -1.499, -0.5, 0.4), (0.02, 0.1, 0.15, 0.2, 0.7)),
    Isotonic((0.0,), (0.3,)),
]


@pytest.mark.parametrize("calibrator", CALIBRATORS, ids=["line", "steps", "one step"])
def test_a_calibration_is_part_of_the_file(tmp_path: Path, calibrator: Calibrator) -> None:
    fitted, fresh = half("woe"), rows(4)
    _, probability, _ = answer(export_onnx(model_of(fitted, calibrator), tmp_path / "half.onnx"), fresh)
    assert np.abs(probability - calibrator(fitted.decision_function(fresh))).max() < 1e-12


def test_nothing_of_the_nodes_half_is_in_the_file(tmp_path: Path) -> None:
    """Only the bands' means, which the bank was given."""
    fitted = half("woe")
    inputs = onnxruntime.InferenceSession(export_onnx(model_of(fitted), tmp_path / "half.onnx")).get_inputs()
    assert [entry.name for entry in inputs] == [*BINS, "node band"]


def test_the_digest_names_one_half(tmp_path: Path) -> None:
    fitted = half("woe")
    same = OwnHalf.restored(fitted.design_, fitted.coef_.tolist(), fitted.intercept_.tolist(), fitted.shares_)
    assert half_digest(same) == half_digest(fitted)
    others = [
        OwnHalf.restored(fitted.design_, fitted.coef_ + 1e-12, fitted.intercept_, fitted.shares_),
        OwnHalf.restored(replace(fitted.design_, unknown=0.1), fitted.coef_, fitted.intercept_, fitted.shares_),
    ]
    assert half_digest(fitted) not in {half_digest(other) for other in others}


def test_only_a_released_model_is_exported(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="call release first"):
        export_onnx(JointScorecard("p1"), tmp_path / "half.onnx")
