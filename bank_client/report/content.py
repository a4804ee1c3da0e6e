"""What stands in a report, before it is a page: for each model its card, figures, tables and signatures, and the rows behind.

Everything that is said of a model comes from its signed card; curves come from rows with outcomes where they are given, and
otherwise from the counts that its file keeps of the training.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from bank_client.compare import Comparison, compare, compare_scores
from bank_client.evaluation import Evaluation, evaluate
from bank_client.field_tables import level_groups
from bank_client.half_digest import half_digest
from models.scorecard.bank import BankColumn
from models.scorecard.card import ModelCard
from models.scorecard.tables import BinFigure, group_labels
from models.scorecard.woe import pooled_woe, summed
from models.wire import Signed

if TYPE_CHECKING:
    from bank_client.joint_scorecard import JointScorecard
    from bank_client.report.summary import Counts, TrainingSummary
    from models.registry import ModelRecord

Codes = NDArray[np.uint8]
Floats = NDArray[np.float64]
OUT_OF_FOLD = "training rows, each scored by a model that was fitted without it"
GIVEN = "rows with outcomes that were given for this report"


@dataclass(frozen=True)
class Signature:
    """One signed statement: who signed what, and where its digest stands in the logs."""

    what: str
    signer: str
    digest: str
    signature: str
    log: str


@dataclass(frozen=True)
class FieldPage:
    """One field with its table; `side` is ``bank`` or ``node``. A node field's figures carry the node's noise."""

    name: str
    side: str
    iv: float
    bins: int
    table: tuple[BinFigure, ...]
    vif: float | None = None
    r2: float | None = None
    psi: float | None = None


@dataclass(frozen=True, eq=False)
class ModelPage:
    """Everything about one model. `labels` and `probabilities` are of the rows that its curves are drawn from."""

    name: str
    card: ModelCard
    rows: str
    labels: Codes = field(repr=False)
    probabilities: Floats = field(repr=False)
    evaluation: Evaluation
    fields: tuple[FieldPage, ...]
    correlation: pd.DataFrame | None
    bands: Counts | None
    signatures: tuple[Signature, ...]
    half_holds: bool | None
    record: ModelRecord | None = None

    @property
    def by_period(self) -> bool:
        """Whether its rows have periods."""
        return len(self.evaluation.metrics) > 1


@dataclass(frozen=True, eq=False)
class Content:
    """A whole report: one model, or the champion and its challenger on the same rows."""

    title: str
    note: str
    written: str
    models: tuple[ModelPage, ...]
    comparison: Comparison | None


def content_of(
    models: Sequence[JointScorecard],
    X: pd.DataFrame | None = None,
    y: ArrayLike | None = None,
    *,
    period: ArrayLike | None = None,
    names: Sequence[str] = (),
    title: str = "",
    note: str = "",
    records: Sequence[ModelRecord | None] = (),
    approve: float = 0.8,
    now: float | None = None,
) -> Content:
    """Gather what a report of one or two released models shows.

    Args:
        models: the model; or the champion, and then the challenger.
        X: rows with outcomes, indexed by subject id, with the columns of all models; None for the training's own counts.
        y: labels of `X`, 1 for bad.
        period: of each row of `X`, for stability over time.
        names: of the models; by default how they stand to each other.
        title: of the page.
        note: stands under the title, e.g. that data are synthetic.
        records: what the office has on file of each model.
        approve: share of rows that either model would approve, for the swap set.
        now: POSIX seconds of the page; the present by default.

    Raises:
        ValueError: a model is not released, or the rows cannot be used.
    """
    if not 1 <= len(models) <= 2:
        raise ValueError("a report is about one model, or about two that are compared")
    if any(not hasattr(model, "card_") for model in models):
        raise ValueError("a report is about a released model; call release first, or give the file that `release` wrote")
    named = list(names) or (["joint model"] if len(models) == 1 else ["champion", "challenger"])
    if (X is None) != (y is None):
        raise ValueError("rows with outcomes are given with their labels: X and y together, or neither")
    pages = []
    for number, (model, name) in enumerate(zip(models, named, strict=True)):
        judged = None if X is None or y is None else model.evaluate(X, np.asarray(y), period)
        trained = 0 if X is None else model.of_cohort(X)
        pages.append(_page(model, name, judged, trained, records[number] if number < len(records) else None))
    stamp = datetime.fromtimestamp(now, UTC) if now is not None else datetime.now(UTC)
    return Content(
        title=title or ("Joint scorecard" if len(models) == 1 else "Champion and challenger"),
        note=note,
        written=stamp.strftime("%Y-%m-%d %H:%M UTC"),
        models=tuple(pages),
        comparison=_comparison(models, X, y, approve),
    )


def _page(
    model: JointScorecard, name: str, judged: Evaluation | None, trained: int, record: ModelRecord | None
) -> ModelPage:  # fmt: skip
    summary: TrainingSummary | None = getattr(model, "summary_", None)
    rows = GIVEN
    if trained:
        rows += f", {trained:,} of which the model was trained on: figures on these flatter it"
    if judged is None:
        if summary is None:
            raise ValueError("this model's file keeps no counts of its training; give rows with outcomes")
        rows, judged = OUT_OF_FOLD, evaluate(*summary.rows())
    return ModelPage(
        name=name,
        card=model.card_,
        rows=rows,
        labels=judged.labels,
        probabilities=judged.probabilities,
        evaluation=judged,
        fields=_fields(model),
        correlation=getattr(model, "correlation_", None),
        bands=None if summary is None else summary.bands,
        signatures=_signatures(model, record),
        half_holds=half_digest(model.half_) == model.card_.half if model.card_.half else None,
        record=record,
    )


def _comparison(
    models: Sequence[JointScorecard], X: pd.DataFrame | None, y: ArrayLike | None, approve: float
) -> Comparison | None:
    """Row by row, so only on the same rows: those that were given, or those of one cohort while both are in memory."""
    if len(models) != 2:
        return None
    old, new = models
    if X is not None and y is not None:
        return compare(old, new, X, y, approve=approve)
    both = all(hasattr(model, "out_of_fold_") for model in models)
    if both and old.cohort_.subjects == new.cohort_.subjects and np.array_equal(old.labels_, new.labels_):
        return compare_scores(old.labels_, old.out_of_fold_, new.out_of_fold_, approve=approve)
    return None


def _fields(model: JointScorecard) -> tuple[FieldPage, ...]:
    summary, figures = getattr(model, "summary_", None), getattr(model, "figures_", None)
    r2 = {card.name: card.r2 for card in model.card_.node.fields}
    pages = [
        FieldPage(c.bins.field, "bank", c.iv, c.bins.count, own_table(c, summary.bins.get(c.bins.field) if summary else None))
        for c in model.columns_
    ]
    if figures is not None:
        pages += [FieldPage(f.name, "node", f.iv, f.bins, f.table, f.vif, r2.get(f.name), f.psi) for f in figures.fields]
    else:
        pages += [FieldPage(f.name, "node", f.iv, f.bins, (), f.vif, f.r2) for f in model.card_.node.fields]
    return tuple(sorted(pages, key=lambda page: -page.iv))


def own_table(column: BankColumn, counts: Counts | None) -> tuple[BinFigure, ...]:
    """One of the bank's own fields: its merged bins; WOE alone where the training's counts are not known."""
    groups = level_groups(column)
    labels = group_labels(column.bins, groups)
    first = [int(np.flatnonzero(groups == g)[0]) for g in range(len(labels))]
    if counts is None:
        return tuple(
            BinFigure(label=label, rows=None, bad_rate=None, woe=float(column.woe[at]), part=None)
            for label, at in zip(labels, first, strict=True)
        )
    rows, bads = np.array(counts.rows, dtype=np.float64), np.array(counts.bads, dtype=np.float64)
    parts = pooled_woe(bads, rows, groups).parts
    of_rows, of_bads = summed(rows, groups), summed(bads, groups)
    return tuple(
        BinFigure(
            label=label,
            rows=int(of_rows[g]),
            bad_rate=float(of_bads[g] / max(1.0, of_rows[g])),
            woe=float(column.woe[first[g]]),
            part=float(parts[g]),
        )
        for g, label in enumerate(labels)
    )


def _signatures(model: JointScorecard, record: ModelRecord | None) -> tuple[Signature, ...]:
    filed = getattr(model, "registered_", None) or (record.cards if record else None)
    found = [_signature("the node's part of the card, at release", model.node_card_, "node log: job.release, fact card")]
    if filed is not None:
        found.append(_signature("the whole card, by the bank", filed.bank_card, "both logs: model.card, model.register"))
        if filed.countersigned is not None:
            found.append(_signature("the whole card, by the node", filed.countersigned, "the same payload, so the same digest"))
    if record is not None and record.approval is not None:
        found.append(_signature("leave to serve, by the credit office", record.approval, "office log: fact approval"))
    return tuple(found)


def _signature(what: str, signed: Signed, log: str) -> Signature:
    return Signature(what, signed.signer, signed.digest(), signed.signature.hex(), log)


def day(seconds: int) -> str:
    """A POSIX time as a day, UTC; empty for none."""
    return datetime.fromtimestamp(seconds, UTC).date().isoformat() if seconds else ""


def number(value: Any, digits: int = 3) -> str:
    """A figure with so many decimals; a dash where there is none."""
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return "–"
    return f"{round(value, digits) + 0.0:,.{digits}f}"  # and no minus before a zero
