"""What a model is worth on rows that it was not trained on, in all and by period: the out-of-time test.

::

    report = model.evaluate(X, y, period=X.pop("quarter"))
    report.metrics          AUC, Gini, KS, Brier with 95 % intervals, PSI, calibration: a row for all and for each period
    report.reliability      points of the reliability curve
    report.lift             lift and gain by tenth, the riskiest first
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from models.scorecard.calibration import calibration_line, hosmer_lemeshow, lift_table, reliability
from models.scorecard.drift import Reference
from models.scorecard.intervals import Interval, auc_interval, brier_interval, gini_interval, ks_interval

Floats = NDArray[np.float64]
ALL = "all"
INTERVALS: dict[str, Callable[[ArrayLike, ArrayLike], Interval]] = {
    "auc": auc_interval,
    "gini": gini_interval,
    "ks": ks_interval,
    "brier": brier_interval,
}


@dataclass(frozen=True, eq=False)
class Evaluation:
    """Figures of one model on labelled rows.

    Attributes:
        metrics: a row for `"all"` and one for each period, in order: rows, bads, rate; auc, gini, ks, brier, each with
            `_low` and `_high`; psi against the training rows; slope and intercept of the calibration line; hl, hl_p
            (Hosmer-Lemeshow). Where a period has only goods or only bads, what cannot be told is NaN.
        reliability: rows, probability, rate, low, high by tenth of rising probability.
        lift: rows, bads, rate, gain, lift, lift_so_far by tenth of falling risk.
        left_out: rows that could not be scored.
        labels, probabilities: of the rows that count, for plots.
    """

    metrics: pd.DataFrame
    reliability: pd.DataFrame
    lift: pd.DataFrame
    left_out: int
    labels: NDArray[np.uint8] = field(repr=False)
    probabilities: Floats = field(repr=False)

    def draw(self, folder: Path, note: str = "") -> list[Path]:
        """ROC, reliability, gain and, with periods, AUC over time as PNG files in `folder`."""
        from bank_client.evaluation_plots import draw_evaluation

        return draw_evaluation(self, folder, note)


def evaluate(
    labels: ArrayLike,
    probabilities: ArrayLike,
    period: ArrayLike | None = None,
    reference: Reference | None = None,
    scores: ArrayLike | None = None,
) -> Evaluation:
    """Evaluate probabilities of bad.

    Args:
        labels: 0 or 1, [N].
        probabilities: [N]; NaN where a row could not be scored, which is then left out.
        period: of each row, [N], in any type that can be sorted; None for no periods.
        reference: of the training rows, for the PSI.
        scores: what the reference was made of, [N]; the probabilities unless given.

    Raises:
        ValueError: lengths differ, or only one class can be scored.
    """
    y, p = np.asarray(labels, dtype=np.uint8).ravel(), np.asarray(probabilities, dtype=np.float64).ravel()
    if y.size != p.size:
        raise ValueError(f"there are {y.size} labels for {p.size} rows")
    s = p if scores is None else np.asarray(scores, dtype=np.float64).ravel()
    scored = np.isfinite(p)
    rows: dict[Any, dict[str, float]] = {ALL: figures(y[scored], p[scored], reference, s[scored])}
    if period is not None:
        periods = _periods(period, y.size)
        for one in periods.unique().sort_values():
            inside = scored & np.asarray(periods == one)
            rows[one] = figures(y[inside], p[inside], reference, s[inside])
    return Evaluation(
        metrics=pd.DataFrame(rows).T.rename_axis("period"),
        reliability=_table(reliability(y[scored], p[scored])),
        lift=_table(lift_table(y[scored], p[scored])),
        left_out=int((~scored).sum()),
        labels=y[scored],
        probabilities=p[scored],
    )


def figures(labels: NDArray[np.uint8], probabilities: Floats, reference: Reference | None, scores: Floats) -> dict[str, float]:
    """One row of `Evaluation.metrics`."""
    bads = int(labels.sum())
    row: dict[str, float] = {"rows": labels.size, "bads": bads, "rate": bads / labels.size if labels.size else np.nan}
    both = 0 < bads < labels.size
    for name, interval in INTERVALS.items():
        found = interval(labels, probabilities) if both else Interval(np.nan, np.nan, np.nan)
        row |= {name: found.value, f"{name}_low": found.low, f"{name}_high": found.high}
    row["psi"] = reference.psi(scores) if reference and labels.size else np.nan
    line = calibration_line(labels, probabilities) if both else None
    test = hosmer_lemeshow(labels, probabilities) if both else None
    return row | {
        "slope": line.slope if line else np.nan,
        "intercept": line.intercept if line else np.nan,
        "hl": test.statistic if test else np.nan,
        "hl_p": test.p if test else np.nan,
    }


def _periods(period: ArrayLike, rows: int) -> pd.Index[Any]:
    periods: pd.Index[Any] = pd.Index(np.asarray(period).ravel())
    if periods.size != rows:
        raise ValueError(f"there are {periods.size} periods for {rows} rows")
    if periods.hasnans:
        raise ValueError("a row has no period; give one for each row, or leave the row out")
    return periods


def _table(entries: Sequence[Any]) -> pd.DataFrame:
    return pd.DataFrame([asdict(entry) for entry in entries], index=pd.RangeIndex(1, len(entries) + 1, name="tenth"))
