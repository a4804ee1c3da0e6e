"""A challenger against the champion, on the same rows: figures with intervals, who would be decided on otherwise, stability.

::

    found = compare(champion, challenger, X, y, approve=0.8)
    found.table        AUC, Gini, KS, Brier of both, and the difference with its interval and p
    found.swap_set     who only one of the two would approve, and how they turned out
    found.psi          how far the challenger's probabilities lie from the champion's
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from bank_client.evaluation import INTERVALS
from bank_client.frames import check_labels
from models.scorecard.drift import Reference
from models.scorecard.intervals import Difference, auc_difference, brier_difference, ks_difference

Floats = NDArray[np.float64]
APPROVED = 0.8


class Classifier(Protocol):
    """Anything with scikit-learn's `predict_proba`; NaN where a row cannot be scored."""

    def predict_proba(self, X: pd.DataFrame, /) -> Floats:
        """Probabilities float64[M, 2] of good and bad."""
        ...  # pragma: no cover


@dataclass(frozen=True, eq=False)
class Comparison:
    """Two models on the same rows.

    Attributes:
        table: a row each for auc, gini, ks, brier; columns champion, champion_low, champion_high, challenger,
            challenger_low, challenger_high, difference (challenger less champion), difference_low, difference_high, p.
        swap_set: rows, share, bads, rate of the four groups by who approves: both, champion, challenger, neither.
        psi: of the challenger's probabilities over tenths of the champion's.
        approve: share of rows that either approves.
        left_out: rows that one of the two could not score.
        labels, champion, challenger: labels and probabilities of the rows that count, for plots.
    """

    table: pd.DataFrame
    swap_set: pd.DataFrame
    psi: float
    approve: float
    left_out: int
    labels: NDArray[np.uint8] = field(repr=False)
    champion: Floats = field(repr=False)
    challenger: Floats = field(repr=False)

    def draw(self, folder: Path, note: str = "") -> list[Path]:
        """ROC and reliability of both as PNG files in `folder`."""
        from bank_client.evaluation_plots import draw_comparison

        return draw_comparison(self, folder, note)


def compare(
    champion: Classifier, challenger: Classifier, X: pd.DataFrame, y: ArrayLike, *, approve: float = APPROVED
) -> Comparison:
    """Compare two models on rows of `X` that neither was trained on, indexed by subject id.

    Args:
        champion: the model in use.
        challenger: the model that might replace it.
        X: with the columns of both.
        y: labels, 1 for bad.
        approve: share of rows that is approved, the safest first; equal for both.

    Raises:
        ValueError: labels or share cannot be used, or only one class can be scored by both.
    """
    labels = check_labels(X, y)
    return compare_scores(labels, champion.predict_proba(X)[:, 1], challenger.predict_proba(X)[:, 1], approve=approve)


def compare_scores(labels: ArrayLike, champion: ArrayLike, challenger: ArrayLike, *, approve: float = APPROVED) -> Comparison:
    """The same from probabilities of bad, [N] each."""
    if not 0 < approve < 1:
        raise ValueError("approve is the share of rows that is approved, between 0 and 1")
    old, new = np.asarray(champion, dtype=np.float64), np.asarray(challenger, dtype=np.float64)
    both = np.isfinite(old) & np.isfinite(new)
    y, old, new = np.asarray(labels, dtype=np.uint8)[both], old[both], new[both]
    return Comparison(
        table=pd.DataFrame({name: _row(name, y, old, new) for name in INTERVALS}).T.rename_axis("figure"),
        swap_set=_swap_set(y, old, new, approve),
        psi=Reference.of(old).psi(new),
        approve=approve,
        left_out=int((~both).sum()),
        labels=y,
        champion=old,
        challenger=new,
    )


def _row(name: str, y: NDArray[np.uint8], old: Floats, new: Floats) -> dict[str, float]:
    row: dict[str, float] = {}
    for who, scores in (("champion", old), ("challenger", new)):
        found = INTERVALS[name](y, scores)
        row |= {who: found.value, f"{who}_low": found.low, f"{who}_high": found.high}
    change = DIFFERENCES[name](y, old, new)
    return row | {
        "difference": change.value,
        "difference_low": change.low,
        "difference_high": change.high,
        "p": change.p,
    }


def _gini_difference(labels: ArrayLike, first: ArrayLike, second: ArrayLike) -> Difference:
    area = auc_difference(labels, first, second)
    return Difference(2 * area.value, 2 * area.low, 2 * area.high, area.p)


DIFFERENCES: dict[str, Callable[[ArrayLike, ArrayLike, ArrayLike], Difference]] = {
    "auc": auc_difference,
    "gini": _gini_difference,
    "ks": ks_difference,
    "brier": brier_difference,
}


def _swap_set(y: NDArray[np.uint8], old: Floats, new: Floats, approve: float) -> pd.DataFrame:
    by_old, by_new = _approved(old, approve), _approved(new, approve)
    groups: dict[str, Any] = {
        "both": by_old & by_new,
        "champion": by_old & ~by_new,
        "challenger": ~by_old & by_new,
        "neither": ~by_old & ~by_new,
    }
    rows = {
        name: {
            "rows": int(inside.sum()),
            "share": float(inside.mean()),
            "bads": int(y[inside].sum()),
            "rate": float(y[inside].mean()) if inside.any() else np.nan,
        }
        for name, inside in groups.items()
    }
    return pd.DataFrame(rows).T.rename_axis("approved_by")


def _approved(probabilities: Floats, share: float) -> NDArray[np.bool_]:
    """Exactly the safest share, so that both models approve equally many; among equals the first rows."""
    chosen = np.zeros(probabilities.size, dtype=bool)
    chosen[np.argsort(probabilities, kind="stable")[: round(share * probabilities.size)]] = True
    return chosen
