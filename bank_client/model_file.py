"""The bank's half of a released model as a JSON file: no pickle, so that opening a file runs nobody's code.

It holds bins, WOE levels and coefficients, the card, and the bands of the cohort's customers by id.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
from sklearn.linear_model import LogisticRegression

from bank_client.alignment import AlignedCohort
from models.scorecard.bank import BankColumn
from models.scorecard.binning import bins_from_definition
from models.scorecard.card import ModelCard
from models.scorecard.design import Design
from models.wire import Signed

if TYPE_CHECKING:
    from bank_client.joint_scorecard import JointScorecard

FORMAT = "xinqiao/bank-half/v1"


def save_half(model: JointScorecard, path: str | Path) -> None:
    """Write a released model, mode 0600."""
    cohort = model.cohort_
    body = {
        "format": FORMAT,
        "parameters": {name: getattr(model, name) for name in ("project", "max_bins", "encoding", "C", "purpose")},
        "model": model.model_id_,
        "job": model.job_,
        "cohort": {"id": cohort.id, "root": cohort.root.hex(), "subjects": list(cohort.subjects)},
        "bands": model.bands_.tolist(),
        "columns": [_column(column) for column in model.columns_],
        "encoding": model.encoding_,
        "coef": model.coef_.tolist(),
        "intercept": model.intercept_.tolist(),
        "card": msgspec.to_builtins(model.card_),
        "node_card": msgspec.to_builtins(model.node_card_),
        "iv": model.iv_.to_dict(),
    }
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump(body, file, ensure_ascii=False)


def load_half(model: JointScorecard, path: str | Path) -> JointScorecard:
    """Fill an empty estimator with what `save_half` wrote; raises ValueError for any other file."""
    import pandas as pd

    try:
        body: dict[str, Any] = json.loads(Path(path).read_text(encoding="utf-8"))
        if body["format"] != FORMAT:
            raise ValueError(f"{Path(path).name} has another format than {FORMAT}")
        model.set_params(**body["parameters"])
        cohort = body["cohort"]
        model.cohort_ = AlignedCohort(
            model.project, cohort["id"], bytes.fromhex(cohort["root"]), tuple(cohort["subjects"]), len(cohort["subjects"])
        )
        model.model_id_, model.job_, model.encoding_ = body["model"], body["job"], body["encoding"]
        model.bands_ = np.array(body["bands"], dtype=np.uint8)
        model.columns_ = [_load_column(column) for column in body["columns"]]
        model.card_ = msgspec.convert(body["card"], ModelCard)
        model.node_card_ = msgspec.convert(body["node_card"], Signed)
        model.iv_ = pd.Series(body["iv"], name="iv", dtype=float)
        half = LogisticRegression(C=model.C, max_iter=1000)
        half.coef_, half.intercept_ = np.array(body["coef"]), np.array(body["intercept"])
    except (KeyError, TypeError, json.JSONDecodeError, msgspec.ValidationError) as error:
        raise ValueError(f"{Path(path).name} is not a model that was saved here: {type(error).__name__}") from None
    card = model.card_
    model.band_means_, model.leakage_, model.metrics_ = card.node.band_means, card.node.leakage, card.metrics
    model.set_half(half, Design(tuple(model.columns_), tuple(model.band_means_), model.encoding_))
    return model


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
