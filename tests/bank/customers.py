"""A released scorecard on synthetic customers, without a node: what tests of the bank's half share."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import bank_client
from bank_client import AlignedCohort, Bank, JointScorecard
from bank_client.frames import columns_of
from models.scorecard.bank import bank_columns
from models.scorecard.card import LeakageStatement, NodeCard
from models.scorecard.limits import Limits
from tests.bank.test_config import SETTINGS
from tests.bank.test_config import load as load_config

ROWS = 2400
MEANS = (-1.2, -0.3, 0.4, 1.1)


def session(folder: Path) -> Bank:
    """A session that has its key and never calls anybody."""
    config = load_config(folder, 'identity = "opaque"\n' + SETTINGS)
    bank_client.config.make_key(config.key_file)
    return Bank(config)


def people(rows: int, seed: int = 11, first: int = 0) -> tuple[pd.DataFrame, Any, Any]:
    """Rows indexed by id, labels that depend on them and on the node's band, and that band."""
    rng = np.random.default_rng(seed)
    bands = rng.integers(0, 4, rows).astype(np.uint8)
    frame = pd.DataFrame(
        {
            "deposit": np.where(rng.uniform(size=rows) < 0.1, np.nan, rng.lognormal(8, 1, rows)),
            "overdue": rng.poisson(0.6, rows),
            "crop": rng.choice(["稻", "麦", "茶"], rows),
        },
        index=pd.Index(range(first, first + rows), name="id"),
    )
    wealth = np.log(frame.deposit.fillna(1500)) - 8
    risk = 0.8 * np.array(MEANS)[bands] + 0.6 * frame.overdue - 0.5 * wealth + 0.4 * (frame.crop == "茶") - 1.2
    labels = (rng.uniform(size=rows) < 1 / (1 + np.exp(-risk))).astype(np.uint8)
    return frame, labels, bands


def node_card(rows: int = ROWS) -> NodeCard:
    """What the node signs at release."""
    nothing = LeakageStatement(
        node_learns=("sums",), bank_learns=("bands",), office_learns=("labels",), label_aggregates=10, band_bits=2.0,
        r2_most=0.5, r2_mean=0.2, r2_most_allowed=0.7, r2_mean_allowed=0.45, shrunk_fields=(), releases_counted=1,
    )  # fmt: skip
    return NodeCard(
        model="m1", project="p1", job="j1", cohort_root="00" * 32, rows=rows, fields=(), bands=4, band_means=MEANS,
        budgets=(), leakage=nothing, notes=(),
    )  # fmt: skip


def released(bank: Bank, **parameters: Any) -> JointScorecard:
    """An estimator as `release` leaves it."""
    frame, labels, bands = people(ROWS)
    model = JointScorecard("p1", bank, **parameters)
    model._forget_release()
    model.cohort_ = AlignedCohort("p1", "c1", bytes(32), tuple(f"opaque:{i}" for i in range(ROWS)), ROWS)
    model.job_ = "j1"
    model._take_rows(frame, labels, [f"opaque:{i}" for i in frame.index])
    model.columns_ = bank_columns(columns_of(model._rows), model.labels_, Limits())
    model.iv_ = pd.Series({column.bins.field: column.iv for column in model.columns_})
    model.bands_ = bands
    model._fit_half(node_card())
    model._make_card(node_card(), "")
    model.node_card_ = bank.sign(node_card())
    return model
