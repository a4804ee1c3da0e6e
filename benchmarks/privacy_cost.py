"""What differential privacy costs a joint scorecard: held-out AUC on default_credit and give_credit by ε, at δ = 1e-6.

Both roles, the masked product and the release with all limits run in this process as they do in the services; what is left
out are the services themselves and the office's replay. Labels protected against the node, rows against the bank, or both;
each is the median over `SEEDS` trainings (3 unless told otherwise), beside the same training without. Writes
`docs/images/privacy-cost.svg`.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from benchmarks.report import Metric, Result, Settings
from crypto.masked_product import Dense, NodeProduct, OneHot
from models.privacy import PlannedPrivacy, Side
from models.scorecard import metrics
from models.scorecard.bank import BankTraining, bank_columns
from models.scorecard.binning import bin_columns
from models.scorecard.design import Design
from models.scorecard.learner import NodeColumns, NodeField
from models.scorecard.limits import Limits
from models.scorecard.noise import NodeNoise
from models.scorecard.private import label_noise
from models.scorecard.private_learner import learner_of
from models.scorecard.release import release
from models.scorecard.rounds import COUNTS, MOMENTS, ROUNDS, Plan
from models.scorecard.score import NodeModel

ROOT = Path(__file__).resolve().parent.parent
FOLDER = Path(os.environ.get("XINQIAO_SHARED", ROOT.parent / "shared")) / "data"
PLOT = ROOT / "docs" / "images" / "privacy-cost.svg"
EPSILONS = (0.5, 1.0, 2.0, 4.0, 8.0)
DELTA = 1e-6
SIDES: dict[str, tuple[Side, ...]] = {"labels": ("labels",), "rows": ("rows",), "both": ("labels", "rows")}

Table = dict[str, NDArray[np.float64]]
Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Data:
    """A data set cut in two: the node's and the bank's columns of the cohort, and of rows that were held out."""

    name: str
    node: Table
    bank: Table
    labels: NDArray[np.uint8]
    held_node: Table
    held_bank: Table
    held_labels: NDArray[np.uint8]


def run(settings: Settings) -> Result:
    """Median AUC of each setting; the baseline is the same training without privacy."""
    seeds = settings.size("SEEDS", 3)
    result: dict[str, Metric] = {}
    drawn: dict[str, dict[str, list[float]]] = {}
    for data in (default_credit(), give_credit()):
        plain = float(np.median([train(data, None) for _ in range(seeds)]))
        drawn[data.name] = {"without": [plain] * len(EPSILONS)}
        print(f"{data.name}: {plain:.4f} without")
        for name, sides in SIDES.items():
            found = [float(np.median([train(data, wished(e, sides, data)) for _ in range(seeds)])) for e in EPSILONS]
            drawn[data.name][name] = found
            print(f"  {name}: " + "  ".join(f"ε {e:g}: {auc:.4f}" for e, auc in zip(EPSILONS, found, strict=True)))
            for epsilon, auc in zip(EPSILONS, found, strict=True):
                result[f"{data.name}_{name}_{epsilon:g}"] = Metric(auc, "AUC", plain, "the same without privacy")
    plot(drawn)
    return result


def wished(epsilon: float, sides: tuple[Side, ...], data: Data) -> PlannedPrivacy:
    """The privacy of a plan for this data."""
    answers, own = label_noise(epsilon, DELTA, len(data.node), len(data.bank)) if "labels" in sides else (0, 0)
    return PlannedPrivacy(epsilon=epsilon, delta=DELTA, protects=sides, answer_noise=answers, own_noise=own)


def train(data: Data, privacy: PlannedPrivacy | None) -> float:
    """AUC on held-out rows of one whole training and release, with fresh noise."""
    limits = Limits()
    bins, _ = bin_columns(data.node, limits)
    raw = np.stack([data.node[b.field] for b in bins])
    columns = NodeColumns(
        tuple(NodeField(b) for b in bins), np.stack([b.apply(row) for b, row in zip(bins, raw, strict=True)]), raw
    )
    own = bank_columns(data.bank, data.labels, limits)
    plan = Plan(columns.rows, columns.bins, len(own), privacy=privacy)
    bank = BankTraining(plan, data.labels, own, limits)
    noise = NodeNoise(secrets.token_bytes(32), b"cohort", limits)
    learner = learner_of(plan, columns, noise, limits, secrets.token_bytes(32))
    macs = [bytes([v]) * 32 for v in range(len(own) + 1)]
    for round_ in ROUNDS:
        w, moments = play(bank, round_, columns, learner.woe_columns() if round_ == MOMENTS else None, plan)
        if round_ == COUNTS:
            learner.learn_woe(w[:, 0], macs[0])
        else:
            learner.learn_weights(w, macs, moments)
    assert learner.weights_ is not None
    made = release(columns, learner.levels_, learner.weights_, [], limits)
    model = NodeModel.of(columns, learner.levels_, made)
    design = Design(tuple(own), made.bands.means, "one_hot" if columns.rows > 50_000 else "woe")
    half = LogisticRegression(C=0.3, solver="newton-cholesky").fit(design.matrix(data.bank, made.codes), data.labels)
    held = design.matrix(data.held_bank, model.bands_for_new_rows(data.held_node))
    return metrics.auc(data.held_labels, half.decision_function(held))


def play(
    bank: BankTraining, round_: int, columns: NodeColumns, dense: NDArray[np.int64] | None, plan: Plan
) -> tuple[Floats, NDArray[np.int64]]:
    """One round of the masked product: what the node decodes, and the bank's moments."""
    seed = secrets.token_bytes(32)
    shape = plan.shape(round_)
    given = OneHot(columns.codes, columns.bins) if dense is None else Dense(dense)
    node = NodeProduct(shape, seed, given, secrets.token_bytes(32))
    bank.open_round(seed)
    w, moments = bank.answer(*node.respond(*bank.encrypt()))
    return node.recover(w), moments


def plot(drawn: Mapping[str, Mapping[str, list[float]]]) -> None:
    """AUC over ε, a panel a data set."""
    mpl.rcParams["svg.hashsalt"] = "privacy-cost"
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    for place, (name, lines) in enumerate(drawn.items(), 1):
        axes = figure.add_subplot(1, len(drawn), place)
        for label, values in lines.items():
            style = {"color": "black", "linestyle": "--"} if label == "without" else {"marker": "o"}
            axes.plot(EPSILONS, values, label=label, **style)  # type: ignore[arg-type]
        axes.set_xscale("log", base=2)
        axes.set_xticks(EPSILONS, [f"{e:g}" for e in EPSILONS])
        axes.set(title=name, xlabel="ε of one training, δ = 1e-6", ylabel="AUC on held-out rows")
        axes.grid(visible=True, alpha=0.3)
        axes.legend(title="protected")
    PLOT.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(PLOT, metadata={"Date": None})


# ---------------------------------------------------------------- data


def default_credit() -> Data:
    """24,000 rows to train on and 6,000 held out."""
    guest, host = (read(f"default_credit/default_credit_hetero_{side}.csv") for side in ("guest", "host"))
    joined = guest.merge(host, on="id", suffixes=("_bank", "_node")).sort_values("id")
    node = [str(name) for name in joined if str(name).endswith("_node")]
    bank = [str(name) for name in joined if name not in ("id", "y", *node)]
    return cut("default_credit", joined[:24_000], joined[24_000:], bank, node)


def give_credit() -> Data:
    """The set's own cut."""
    guest, host, test = (read(f"give_credit/give_credit_hetero_{part}.csv") for part in ("guest", "host", "test"))
    rows, held = (frame.merge(host, on="id", suffixes=("_bank", "_node")) for frame in (guest, test))
    bank, node = ([str(name) for name in rows if str(name).endswith(end)] for end in ("_bank", "_node"))
    return cut("give_credit", rows, held, bank, node)


def cut(name: str, rows: pd.DataFrame, held: pd.DataFrame, bank: list[str], node: list[str]) -> Data:
    """The columns by side."""

    def table(frame: pd.DataFrame, names: list[str]) -> Table:
        return {column: frame[column].to_numpy(np.float64) for column in names}

    labels, held_labels = (frame["y"].to_numpy(np.uint8) for frame in (rows, held))
    return Data(name, table(rows, node), table(rows, bank), labels, table(held, node), table(held, bank), held_labels)


def read(path: str) -> pd.DataFrame:
    """A file of the shared data."""
    if not (FOLDER / path).exists():
        raise SystemExit(f"the data set {path} is not here; set XINQIAO_SHARED to the folder that holds data/")
    return pd.read_csv(FOLDER / path)
