"""The bank's half of a model as a JSON file: no pickle, so that opening a file runs nobody's code.

A trained model holds bins, WOE levels and the aligned customers' ids; a released one also the bands of these customers,
coefficients and cards. Training rows and labels are in neither.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import pandas as pd

from bank_client.alignment import AlignedCohort
from bank_client.calibrators import NONE, load_calibrator
from bank_client.own_half import OwnHalf
from bank_client.report.summary import TrainingSummary
from models.durable import write_private
from models.scorecard.bank import BankColumn
from models.scorecard.binning import bins_from_definition
from models.scorecard.card import ModelCard
from models.scorecard.design import Design
from models.scorecard.drift import Reference
from models.tables import RegisterModel
from models.training import Figures
from models.wire import Signed

if TYPE_CHECKING:
    from bank_client.joint_scorecard import JointScorecard

FORMAT = "xinqiao/bank-half/v2"
PARAMETERS = ("project", "max_bins", "encoding", "C", "purpose", "pdo", "base_score", "base_odds", "point_decimals")


def save_half(model: JointScorecard, path: str | Path) -> None:
    """Write a trained or released model, mode 0600."""
    cohort = model.cohort_
    body = {
        "format": FORMAT,
        "parameters": {name: getattr(model, name) for name in PARAMETERS},
        "job": model.job_,
        "cohort": {"id": cohort.id, "root": cohort.root.hex(), "subjects": list(cohort.subjects)},
        "columns": [_column(column) for column in model.columns_],
        "iv": model.iv_.to_dict(),
        "figures": msgspec.to_builtins(model.figures_) if hasattr(model, "figures_") else None,
        "released": _released(model) if hasattr(model, "card_") else None,
    }
    write_private(Path(path), json.dumps(body, ensure_ascii=False).encode())


def load_half(model: JointScorecard, path: str | Path) -> JointScorecard:
    """Fill an empty estimator with what `save_half` wrote; raises ValueError for any other file."""
    name = Path(path).name
    try:
        body: dict[str, Any] = json.loads(Path(path).read_text(encoding="utf-8"))
        if body["format"] != FORMAT:
            raise ValueError(f"{name} has another format than {FORMAT}")
        given = body["parameters"]
        model.set_params(**{parameter: given[parameter] for parameter in PARAMETERS if parameter in given})
        cohort, subjects = body["cohort"], tuple(body["cohort"]["subjects"])
        model.cohort_ = AlignedCohort(model.project, cohort["id"], bytes.fromhex(cohort["root"]), subjects, len(subjects))
        model.job_ = body["job"]
        model.columns_ = [_load_column(column) for column in body["columns"]]
        model.iv_ = pd.Series(body["iv"], name="iv", dtype=float)
        if body.get("figures") is not None:
            model.set_figures(msgspec.convert(body["figures"], Figures))
        if body["released"] is not None:
            _load_released(model, body["released"])
    except (KeyError, TypeError, UnicodeDecodeError, json.JSONDecodeError, msgspec.ValidationError) as error:
        raise ValueError(f"{name} is not a model that was saved here ({type(error).__name__})") from None
    return model


def _released(model: JointScorecard) -> dict[str, Any]:
    return {
        "bands": model.bands_.tolist(),
        "encoding": model.encoding_,
        "coef": model.coef_.tolist(),
        "intercept": model.intercept_.tolist(),
        "unknown": model.half_.design_.unknown,
        "shares": [list(shares) for shares in model.half_.shares_],
        "reference": asdict(model.reference_),
        "calibrator": None if model.calibrator_ == NONE else model.calibrator_.to_json(),
        "card": msgspec.to_builtins(model.card_),
        "node_card": msgspec.to_builtins(model.node_card_),
        "registered": msgspec.to_builtins(model.registered_) if hasattr(model, "registered_") else None,
        "summary": msgspec.to_builtins(model.summary_) if hasattr(model, "summary_") else None,
    }


def _load_released(model: JointScorecard, body: dict[str, Any]) -> None:
    model.bands_ = np.array(body["bands"], dtype=np.uint8)
    model.encoding_ = body["encoding"]
    model.node_card_ = msgspec.convert(body["node_card"], Signed)
    model.set_card(msgspec.convert(body["card"], ModelCard))
    design = Design(tuple(model.columns_), tuple(model.band_means_), model.encoding_, float(body["unknown"]))
    half = OwnHalf.restored(design, body["coef"], body["intercept"], body["shares"], model.C)
    model.set_half(half, load_calibrator(body["calibrator"]))
    if body.get("registered") is not None:
        model.registered_ = msgspec.convert(body["registered"], RegisterModel)
        model.signed_card_ = model.registered_.bank_card
    if body.get("summary") is not None:
        model.summary_ = msgspec.convert(body["summary"], TrainingSummary)
    model.reference_ = Reference(tuple(body["reference"]["edges"]), tuple(body["reference"]["shares"]))


def _column(column: BankColumn) -> dict[str, Any]:
    return {
        "bins": column.bins.definition().decode(),
        "woe": column.woe.tolist(),
        "levels": column.levels.tolist(),
        "iv": column.iv,
    }


def _load_column(body: dict[str, Any]) -> BankColumn:
    bins = bins_from_definition(body["bins"].encode())
    levels = np.array(body["levels"], dtype=np.int64)
    return BankColumn(bins, np.zeros(0, dtype=np.uint8), np.array(body["woe"]), levels, float(body["iv"]))
