"""The accuracy that banded releases reach with all noise and all release limits in force, on held-out rows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score

from models.scorecard import metrics
from models.scorecard.bank import BankTraining, bank_columns
from models.scorecard.binning import bin_columns
from models.scorecard.design import ENCODINGS, Design
from models.scorecard.inputs import Opening
from models.scorecard.learner import Learner, NodeColumns, NodeField
from models.scorecard.limits import Limits
from models.scorecard.moments import SCALE
from models.scorecard.noise import NodeNoise
from models.scorecard.release import release
from models.scorecard.rounds import COUNTS, MOMENTS, Plan, moments_of
from models.scorecard.score import NodeModel
from tests.conftest import shared_path

Table = Mapping[str, NDArray[np.float64]]


def _table(frame: pd.DataFrame, names: list[str]) -> dict[str, NDArray[np.float64]]:
    return {name: frame[name].to_numpy(np.float64) for name in names}


def default_credit() -> tuple[Any, ...]:
    guest = pd.read_csv(shared_path("data/default_credit/default_credit_hetero_guest.csv"))
    host = pd.read_csv(shared_path("data/default_credit/default_credit_hetero_host.csv"))
    joined = guest.merge(host, on="id", suffixes=("_bank", "_node")).sort_values("id")
    node = [name for name in joined if name.endswith("_node")]
    bank = [name for name in joined if name not in ("id", "y", *node)]
    return joined[:24_000], joined[24_000:], bank, node


def give_credit() -> tuple[Any, ...]:
    guest, host, test = (
        pd.read_csv(shared_path(f"data/give_credit/give_credit_hetero_{name}.csv")) for name in ("guest", "host", "test")
    )
    train, held = (frame.merge(host, on="id", suffixes=("_bank", "_node")) for frame in (guest, test))
    return (train, held, *([n for n in train if n.endswith(end)] for end in ("_bank", "_node")))


@pytest.mark.parametrize(
    ("load", "bands", "least"), [(default_credit, 20, 0.780), (give_credit, 10, 0.853)], ids=["default", "give"]
)
def test_banded_scorecard_reaches_its_accuracy_under_all_limits(load: Any, bands: int, least: float) -> None:
    train, held, bank_names, node_names = load()
    y, limits = train.y.to_numpy(np.uint8), Limits()
    node_train, bank_train = _table(train, node_names), _table(train, bank_names)

    bins, notes = bin_columns(node_train, limits)
    assert notes == []
    columns = NodeColumns(
        tuple(NodeField(b) for b in bins),
        np.stack([b.apply(node_train[b.field]) for b in bins]),
        np.stack([node_train[b.field] for b in bins]),
    )
    own = bank_columns(bank_train, y, limits)
    plan = Plan(y.size, columns.bins, len(own))
    bank = BankTraining(plan, y, own, limits, seeds=[bytes([1]) * 32, bytes([2]) * 32])
    learner = Learner(columns, NodeNoise(b"n" * 32, b"cohort", limits), limits)
    random = np.random.default_rng(7)
    macs = [bytes([v]) * 32 for v in range(len(own) + 1)]
    learner.learn_woe(_decoded(plan, COUNTS, columns, bank.opening(COUNTS), learner, random)[:, 0], macs[0])
    decoded = _decoded(plan, MOMENTS, columns, bank.opening(MOMENTS), learner, random)
    learner.learn_weights(decoded, macs, moments_of(bank.opening(MOMENTS), MOMENTS))

    made = release(columns, learner.levels_, learner.weights_, [], limits)
    assert len(made.bands.means) <= bands
    assert made.leakage.most <= 0.70
    assert made.leakage.mean <= 0.45

    model = NodeModel.of(columns, learner.levels_, made)
    held_bands = model.bands_for_new_rows(_table(held, node_names))
    designs = [Design(tuple(own), made.bands.means, encoding) for encoding in ENCODINGS]
    fit = LogisticRegression(C=0.3, max_iter=500)
    scores = [cross_val_score(fit, d.matrix(bank_train, made.codes), y, cv=3, scoring="roc_auc").mean() for d in designs]
    best = designs[int(np.argmax(scores))]
    fit.fit(best.matrix(bank_train, made.codes), y)
    reached = metrics.auc(held.y, fit.decision_function(best.matrix(_table(held, bank_names), held_bands)))
    print(f"AUC {reached:.4f} ({best.encoding}; R² {made.leakage.most:.3f}, mean {made.leakage.mean:.3f})")
    assert reached >= least


def _decoded(
    plan: Plan, round_: int, columns: NodeColumns, opening: Opening, learner: Learner, random: np.random.Generator
) -> NDArray[np.float64]:
    """What the node decodes: the products in clear, and noise as large as the masked product's."""
    shape = plan.shape(round_)
    scales = np.array([vector.scale for vector in opening.vectors])
    alphas = opening.alphas / scales[:, None]
    if round_ == COUNTS:
        exact = np.concatenate(
            [np.bincount(c, alphas[0], minlength=b)[:b] for c, b in zip(columns.codes, columns.bins, strict=True)]
        )[:, None]
    else:
        exact = learner.woe_columns() / SCALE @ alphas.T
    return exact + random.normal(0, [shape.predicted_noise(v) for v in range(scales.size)], exact.shape)
