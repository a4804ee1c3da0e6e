"""The model card and the leakage statement: what a model is, what it was allowed, and what it gave away.

Both are wire messages, so that `models.wire.sign` signs their canonical bytes; the node's part stands on its own because
the node signs it at release, before the bank has fitted its half.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from models.wire import Message, encode

from .intervals import auc_interval, ks_interval
from .learner import Figures
from .limits import Limits
from .metrics import brier, score_psi
from .private import sentences
from .release import Leakage, Release
from .rounds import Plan
from .schemes import rest


class Budget(Message):
    """One budget: how much of it this model and everything before it used."""

    name: str
    used: int
    allowed: int


class FieldCard(Message):
    """A node field in the model: information value, row-count bins, VIF, and R² on all bands ever released."""

    name: str
    iv: float
    bins: int
    vif: float
    r2: float


class Metrics(Message):
    """Figures of the bank's finished model on rows that it was not fitted on, three digits.

    `_low` and `_high` are the ends of 95 % intervals (`models.scorecard.intervals`); both 0 in cards that have none.
    """

    rows: int
    auc: float
    gini: float
    ks: float
    brier: float
    psi: float
    auc_low: float = 0.0
    auc_high: float = 0.0
    ks_low: float = 0.0
    ks_high: float = 0.0


class DataSource(Message):
    """What the node's columns of a training were made from: all deliveries of one field set that it had by then.

    `as_of` is the day that the newest of them speaks of; `digest` is SHA-256 over the sorted digests of their files, in hex.
    """

    field_set: str
    departments: tuple[str, ...]
    as_of: str
    deliveries: int
    digest: str


class PointsScale(Message):
    """How the bank turns odds into points: at `base_odds` goods to one bad a score is `base_points`; `pdo` points double it."""

    pdo: float
    base_points: float
    base_odds: float


class LeakageStatement(Message):
    """What each side learned from a training and its release: sentences for people, figures for machines.

    `band_bits` is log2(bands) a subject; `r2_most` and `r2_mean` stand beside the limits that were enforced.
    """

    node_learns: tuple[str, ...]
    bank_learns: tuple[str, ...]
    office_learns: tuple[str, ...]
    label_aggregates: int
    band_bits: float
    r2_most: float
    r2_mean: float
    r2_most_allowed: float
    r2_mean_allowed: float
    shrunk_fields: tuple[str, ...]
    releases_counted: int

    def text(self) -> str:
        """The statement in plain words."""
        sides = (("The node", self.node_learns), ("The bank", self.bank_learns), ("The credit office", self.office_learns))
        return "\n".join(f"{name} learns {sentence}" for name, sentences in sides for sentence in sentences)


class NodeCard(Message):
    """The node's part of the card, signed by the node at release.

    `data_day` is the day (UTC, ISO 8601) for which records were read and expiry was reckoned, `sources` what they came from.
    `group` names a training of several banks, all of whose cards hold the same name, and `banks` those that took part.
    """

    model: str
    project: str
    job: str
    cohort_root: str
    rows: int
    fields: tuple[FieldCard, ...]
    bands: int
    band_means: tuple[float, ...]
    budgets: tuple[Budget, ...]
    leakage: LeakageStatement
    notes: tuple[str, ...]
    data_day: str = ""
    sources: tuple[DataSource, ...] = ()
    group: str = ""
    banks: tuple[str, ...] = ()


class ModelCard(Message):
    """The whole card: the node's part and the bank's; `parent` is the model that this one replaces, or empty.

    `half` is the SHA-256 of the bank's half (bins, WOE, coefficients) in hex: what is scored with can be held against the card,
    and nobody reads the half out of it. `bank_bins` counts the bins of each bank column.
    """

    node: NodeCard
    bank: str
    bank_columns: tuple[str, ...]
    encoding: str
    metrics: Metrics
    parent: str
    half: str = ""
    bank_bins: tuple[int, ...] = ()
    points: PointsScale | None = None

    def canonical(self) -> bytes:
        """The bytes that both sides sign: equal cards give equal bytes."""
        return encode(self)


@dataclass(frozen=True)
class Several:
    """A training of several banks: how many took part, how many are in its sums, and how many may conspire with the node."""

    banks: int
    summed: int
    colluding: int

    def sentences(self) -> tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]:
        """What node, bank and office learn of it beside what they learn of a bank that trains alone."""
        who = f"{self.summed} of {self.banks} banks"
        return (
            (
                f"all that follows over the rows of {who} together, and of one bank its cohort, its number of rows and that it "
                f"took part; if up to {self.colluding} of the banks tell it what they know, a sum is one over the others, at "
                "least two.",
                f"the rows and bad rows of the common bins of the banks' columns, over {who} together.",
            ),
            (
                f"the rows and bad rows of the common bins of the banks' columns over {who} together, each of about 50 rows "
                "or more and with noise, noisy correlations of these columns, and how many rows the largest cohort has.",
            ),
            ("of each bank by itself what stands here of one bank, and the masks that its sums were sent under.",),
        )


def statement(
    plan: Plan, made: Release, limits: Limits, releases_counted: int, several: Several | None = None
) -> LeakageStatement:
    """The leakage statement of a training and its release; `releases_counted` includes this one.

    `several` says of how many banks the training was, where it was of more than one.
    """
    bands = len(made.bands.means)
    bits = math.log2(bands)
    counted = "1 release" if releases_counted == 1 else f"{releases_counted} releases"
    private_labels, private_rows = sentences(plan.privacy)
    moments = "products, with noise where labels take part," if private_labels else "exact products"
    node_of_group, bank_of_group, office_of_group = several.sentences() if several is not None else ((), (), ())
    return LeakageStatement(
        node_learns=(
            *node_of_group,
            f"{plan.label_aggregates} sums of labels over its own columns, each with noise, and no label of one person.",
            f"noisy correlations of its columns with the bank's {plan.bank_columns} columns, and {moments} of the bank's "
            "columns with each other and with the labels, summed over all rows.",
            rest(plan.scheme),
            "which of its subjects are in the cohort, from the alignment before.",
            *private_labels,
        ),
        bank_learns=(
            f"for each subject of the cohort one of {bands} bands of the node's contribution ({bits:.1f} bits).",
            f"from all bands of these subjects, counting {counted}, an R² of at most "
            f"{made.leakage.most:.2f} about any node column, {made.leakage.mean:.2f} on average.",
            "information values, variance inflation and correlations of the node's fields over all rows, with noise; and, for "
            f"at most {limits.field_tables} different questions a subject and year, tables of their merged bins: rows and bad "
            "rates with the same noise, and how far the rows have moved since an earlier training.",
            "once a quarter, how many people of the score table are in each band, with noise, small bands together.",
            *private_rows,
            *bank_of_group,
        ),
        office_learns=(
            *office_of_group,
            "the bank's labels and columns at positions that mean nothing to it, during the replay; it keeps the verdict and "
            "an HMAC of each vector.",
        ),
        label_aggregates=plan.label_aggregates,
        band_bits=round(bits, 2),
        r2_most=_three(made.leakage.most),
        r2_mean=_three(made.leakage.mean),
        r2_most_allowed=limits.r2_column,
        r2_mean_allowed=limits.r2_mean,
        shrunk_fields=made.shrunk,
        releases_counted=releases_counted,
    )


def field_cards(figures: Figures, leakage: Leakage) -> tuple[FieldCard, ...]:
    """One entry for each node field."""
    return tuple(
        FieldCard(name=f.name, iv=f.iv, bins=f.bins, vif=f.vif, r2=_three(leak.most))
        for f, leak in zip(figures.fields, leakage.columns, strict=True)
    )


def metrics(labels: ArrayLike, probabilities: ArrayLike, training: ArrayLike) -> Metrics:
    """Figures of a finished model.

    Args:
        labels: of rows that the model was not fitted on.
        probabilities: the model's, on these rows.
        training: the model's probabilities on its training rows, for stability.
    """
    area, distance = auc_interval(labels, probabilities), ks_interval(labels, probabilities)
    return Metrics(
        rows=int(np.asarray(labels).size),
        auc=_three(area.value),
        gini=_three(2 * area.value - 1),
        ks=_three(distance.value),
        brier=_three(brier(labels, probabilities)),
        psi=_three(score_psi(training, probabilities)),
        auc_low=_three(area.low),
        auc_high=_three(area.high),
        ks_low=_three(distance.low),
        ks_high=_three(distance.high),
    )


def _three(value: float) -> float:
    return float(f"{value:.3g}")
