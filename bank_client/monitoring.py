"""Whether a model still sees the people it was made for: drift of the score, of the bank's fields and of the node's table.

::

    report = watch(model, applicants, bands=bands, period=months, table=table_drift(model))
    report.table       stability index (PSI) of each field and of the score, by period, against the training rows
    report.node        the same for all people of the score table, by quarter, as the node shows it
    report.warnings    what has moved, in words

Bins are those of the training. `watch` asks nobody: bands of applicants are those that scoring gave. An index of few rows is
mostly chance, (B - 1) / rows on average; where twice that reaches the first threshold, the level is "few" and warns of nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from bank_client.evaluation import ALL
from bank_client.frames import check_frame, columns_of
from bank_client.own_half import with_bands
from bank_client.scored_model import ScoredModel
from models.logged import Empty
from models.scorecard.drift import Thresholds, chance_psi, shares_of_codes
from models.scorecard.metrics import psi
from models.scorecard.table_drift import BandShares, TableDrift, drift_of
from models.tables import ModelStatus

SCORE = "score"
FEW = "few"
_WORDS = {"moved": "has moved", "shifted": "has shifted"}


@dataclass(frozen=True, eq=False)
class DriftReport:
    """What moved, and how far.

    Attributes:
        table: period, side, what, rows, psi, chance, level; a row for the score, each field and the node's band in each period.
        node: quarter, people, psi (against the training cohort), since_first (against the first quarter), level.
        thresholds: what the levels were told by: "stable", "moved", "shifted", or "few" where the rows tell nothing.
    """

    table: pd.DataFrame
    node: pd.DataFrame
    thresholds: Thresholds

    @property
    def warnings(self) -> tuple[str, ...]:
        """What has moved in the latest period and quarter, the farthest first."""
        found: list[tuple[float, str]] = []
        latest = self.table[self.table.period == self.table.period.iloc[-1]]
        for row in latest.to_dict("records"):
            if row["level"] in _WORDS:
                when = "" if row["period"] == ALL else f" in {row['period']}"
                found.append((row["psi"], f"{row['what']} {_WORDS[row['level']]}{when}: PSI {row['psi']:.2f}"))
        for row in self.node[-1:].to_dict("records"):
            if row["level"] in _WORDS:
                text = f"the node's table {_WORDS[row['level']]} since its first quarter: PSI {row['since_first']:.2f}"
                found.append((row["since_first"], text))
        return tuple(text for _, text in sorted(found, key=lambda one: -one[0]))

    def draw(self, path: Path, note: str = "") -> Path:
        """PSI over the periods, or side by side where there is one, as a PNG file."""
        from bank_client.evaluation_plots import draw_drift

        return draw_drift(self, path, note)


def watch(
    model: ScoredModel,
    X: pd.DataFrame,
    *,
    bands: ArrayLike | None = None,
    period: ArrayLike | None = None,
    table: TableDrift | None = None,
    thresholds: Thresholds | None = None,
) -> DriftReport:
    """Compare rows with the training rows.

    Args:
        model: released.
        X: rows that were scored, with the bank's fields, indexed by subject id; labels are not needed.
        bands: of the rows as `bands_of` or scoring gave them, [M]: from 0, below 0 (or NaN) where there is none. None where no
            band is known: then fields alone are compared.
        period: of each row, [M]; None for one period.
        table: the node's word on its score table, from `table_drift`.
        thresholds: 0.1 and 0.25 unless given.

    Raises:
        ValueError: rows, bands or periods do not fit; says why.
    """
    check_frame(X, fitted=model.feature_names_in_)
    thresholds = thresholds or Thresholds()
    known = _bands(bands, len(X))
    codes = model.half_.design_.codes(columns_of(X), known)
    odds = model.half_.decision_function(with_bands(X, known))
    rows: list[dict[str, Any]] = []
    for name, inside in _periods(period, len(X)):
        for entry in _compared(model, [code[inside] for code in codes], odds[inside], known[inside] >= 0):
            chance = chance_psi(entry.pop("expected"), entry["rows"])
            level = FEW if 2 * chance >= thresholds.moved else thresholds.level(entry["psi"])
            rows.append({"period": name, **entry, "chance": chance, "level": level})
    node = _node(model.half_.shares_[-1], table, thresholds)
    return DriftReport(pd.DataFrame(rows), node, thresholds)


def table_drift(model: ScoredModel) -> TableDrift:
    """Ask the node how the people of the model's score table are spread over its bands; it counts them once a quarter.

    Raises:
        ReleaseRefused: the table serves too few people for figures about them.
        NotApproved, Suspended: the model is not served.
    """
    answer = model._bank.node.logged(f"/models/{model.model_id_}/drift", Empty(), TableDrift).answer
    if answer.model != model.model_id_ or any(len(one.shares) != len(model.band_means_) for one in answer.quarters):
        raise ValueError("the node answered about another model")
    return answer


def review_day(model: ScoredModel) -> date | None:
    """Until which day the office lets the model serve; None if it was not approved."""
    status = model._bank.office.get(f"/models/{model.model_id_}", ModelStatus)
    return datetime.fromtimestamp(status.review_by, UTC).date() if status.review_by else None


def _compared(
    model: ScoredModel, codes: Sequence[NDArray[np.int64]], odds: NDArray[np.float64], scored: NDArray[np.bool_]
) -> Iterator[dict[str, Any]]:
    *own, band = codes
    shares = model.half_.shares_
    if scored.any():
        index, of = model.reference_.psi(odds[scored]), model.reference_.shares
        yield {"side": "both", "what": SCORE, "rows": int(scored.sum()), "psi": index, "expected": of}
        yield _field("node", "node band", shares[-1], band[scored])
    for column, expected, code in zip(model.half_.design_.columns, shares[:-1], own, strict=True):
        yield _field("bank", column.bins.field, expected, code)


def _field(side: str, what: str, expected: Sequence[float], codes: NDArray[np.int64]) -> dict[str, Any]:
    index = psi(expected, shares_of_codes(codes, len(expected)))
    return {"side": side, "what": what, "rows": codes.size, "psi": index, "expected": expected}


def _node(expected: Sequence[float], table: TableDrift | None, thresholds: Thresholds) -> pd.DataFrame:
    columns = ["quarter", "people", "psi", "since_first", "level"]
    if table is None or not table.quarters:
        return pd.DataFrame(columns=columns)
    first = table.quarters[0]
    rows = []
    for quarter in table.quarters:
        since = _since(first, quarter)
        rows.append((quarter.quarter, quarter.people, drift_of(expected, quarter), since, thresholds.level(since)))
    return pd.DataFrame(rows, columns=columns)


def _since(first: BandShares, now: BandShares) -> float:
    """Against an earlier quarter; what either shows together counts as one."""
    pairs = [(a, b) for a, b in zip(first.shares, now.shares, strict=True) if a is not None and b is not None]
    rest = [max(0.0, 1 - sum(pair[i] for pair in pairs)) for i in (0, 1)]
    both = [*pairs, (rest[0], rest[1])] if len(pairs) < len(first.shares) else pairs
    return psi([a for a, _ in both], [b for _, b in both])


def _bands(bands: ArrayLike | None, rows: int) -> NDArray[np.int64]:
    if bands is None:
        return np.full(rows, -1, dtype=np.int64)
    given = pd.to_numeric(pd.Series(np.asarray(bands).ravel()), errors="coerce").fillna(-1).to_numpy(dtype=np.int64)
    if given.size != rows:
        raise ValueError(f"there are {given.size} bands for {rows} rows")
    return given


def _periods(period: ArrayLike | None, rows: int) -> Iterator[tuple[Any, NDArray[np.bool_]]]:
    if period is None:
        yield ALL, np.ones(rows, dtype=bool)
        return
    periods = pd.Series(np.asarray(period).ravel())
    if len(periods) != rows or periods.isna().any():
        raise ValueError(f"each of the {rows} rows needs a period")
    for one in sorted(periods.unique()):
        yield one, np.asarray(periods == one)
