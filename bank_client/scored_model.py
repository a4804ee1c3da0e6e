"""A released model at the bank: probabilities, points and reasons for the cohort's rows and for new applicants.

A cohort row is scored with its released band; everyone else by a private query of the model's score table.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.linear_model import LogisticRegression
from sklearn.utils.validation import check_is_fitted

from bank_client.alignment import AlignedCohort, Progress
from bank_client.applicants import REFUSED, Applicants
from bank_client.calibrators import NONE, Calibrator, Method, fit_calibrator
from bank_client.evaluation import Evaluation, evaluate
from bank_client.export import export_onnx
from bank_client.frames import check_frame, check_labels, columns_of
from bank_client.meanings import Language
from bank_client.own_half import OwnHalf, with_bands
from bank_client.private_query import PrivateQuery
from bank_client.progress import shown
from bank_client.reasons import MOST, Against, Explanation, field_names, lost_points, reasons
from bank_client.report import write_report
from bank_client.session import Bank
from models.scorecard.card import ModelCard
from models.scorecard.design import Design
from models.scorecard.drift import Reference
from models.scorecard.points import FieldPoints, Scaling, field_points, score_of
from models.scorecard.tables import group_labels

Floats = NDArray[np.float64]


class ScoredModel(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """The half of a released model that stays at the bank; `set_card` and `set_half` bring it to life."""

    project: str
    bank: Bank | None
    pdo: float
    base_score: float
    base_odds: float
    point_decimals: int | None
    purpose: str
    progress: Progress | bool | None
    cohort_: AlignedCohort
    bands_: NDArray[np.uint8]
    labels_: NDArray[np.uint8]
    out_of_fold_: Floats
    reference_: Reference
    _looked_up: Applicants | None

    def set_card(self, card: ModelCard) -> None:
        """Take the model's card, from `release` or from a file."""
        self.card_ = card
        self.model_id_, self.band_means_ = card.node.model, card.node.band_means
        self.leakage_, self.metrics_ = card.node.leakage, card.metrics

    def set_half(self, half: OwnHalf, calibrator: Calibrator = NONE) -> None:
        """Take a fitted half, from `release` or from a file."""
        self.half_, self.calibrator_ = half, calibrator
        self.classes_, self.encoding_ = half.classes_, half.encoding_
        self.coef_, self.intercept_ = half.coef_, half.intercept_
        self.feature_names_in_ = half.feature_names_in_[:-1]
        self.n_features_in_ = len(self.feature_names_in_)

    # ---------------------------------------------------------------- scores

    def predict_proba(self, X: pd.DataFrame) -> Floats:
        """Probabilities float64[M, 2] of good and bad, for cohort rows and for new, consented applicants.

        A new applicant costs one private query (a modeller's bulk ticket); it is asked once and then remembered. One of
        whom the node has no record counts with the average contribution; one who may not be asked about gets NaN, with a
        warning that says why.
        """
        log_odds = self._log_odds(X, self._bands(X))
        bad = self.calibrator_(log_odds)
        return np.stack([1 - bad, bad], axis=1)

    def predict(self, X: pd.DataFrame) -> NDArray[np.int64]:
        """1 where bad is likelier than good; raises ValueError where a row could not be scored."""
        bad = self.predict_proba(X)[:, 1]
        if np.isnan(bad).any():
            raise ValueError(f"{int(np.isnan(bad).sum())} rows could not be scored; see predict_proba")
        return (bad > 0.5).astype(np.int64)

    def points(self, X: pd.DataFrame) -> pd.Series[float]:
        """Score of each row by the table `scorecard_`, higher is better; asks and warns as `predict_proba`."""
        bands = self._bands(X)
        scores = score_of(self.points_, self.half_.design_.codes(columns_of(X), bands))
        return pd.Series(np.where(bands == REFUSED, np.nan, scores), index=X.index, name="score")

    def probability_of(self, scores: ArrayLike) -> Floats:
        """Probability of bad, float64[M], of scores [M], rounded ones as well."""
        log_odds = self.scaling_.log_odds(scores)
        slope, intercept = self.calibrator_.line
        return self.calibrator_((log_odds - intercept) / slope)

    def explain(
        self,
        X: pd.DataFrame,
        *,
        language: Language = "zh",
        names: Mapping[str, str] | None = None,
        most: int = MOST,
        against: Against = "best",
    ) -> list[Explanation]:
        """Score, probability and up to `most` reasons of each row; asks and warns as `predict_proba`.

        Args:
            X: rows as for `predict_proba`.
            language: of the sentences, "zh" or "en".
            names: what the bank's fields are called in that language; else the catalogue's label, else the field's name.
            most: the number of reasons at most, 1 to 4.
            against: what points are lost against, the "best" bin of a field or the "average" customer.
        """
        if not 1 <= most <= MOST:
            raise ValueError(f"a score has 1 to {MOST} reasons")
        bands = self._bands(X)
        table, codes = self.points_, self.half_.design_.codes(columns_of(X), bands)
        lost, scores = lost_points(table, codes, against), score_of(table, codes)
        probabilities = self.calibrator_(self._log_odds(X, bands))
        called = field_names(language, names, [entry.field for entry in table[:-1]])
        return [
            Explanation(np.nan, np.nan)
            if bands[row] == REFUSED
            else Explanation(
                float(scores[row]), float(probabilities[row]), reasons(table, lost[:, row], themes, called, language, most)
            )
            for row, themes in enumerate(self.reasons_of(X.index))
        ]

    # ---------------------------------------------------------------- the table of points

    @property
    def scaling_(self) -> Scaling:
        """How odds become points."""
        return Scaling(self.pdo, self.base_score, self.base_odds, self.point_decimals)

    @property
    def points_(self) -> tuple[FieldPoints, ...]:
        """Points by field and bin; the last field is the node's band."""
        check_is_fitted(self, "coef_")
        half = self.half_
        intercept = float(half.intercept_[0])
        return field_points(half.design_, half.coef_, intercept, half.shares_, self.scaling_, self.calibrator_.line)

    @property
    def scorecard_(self) -> pd.DataFrame:
        """The table: side, field, bin, share of the training rows, woe (of a band: its mean), points."""
        design = self.half_.design_
        parts = []
        for i, entry in enumerate(self.points_):
            if i < len(design.columns):
                column = design.columns[i]
                labels, woe = group_labels(column.bins, np.arange(column.bins.count)), column.woe
            else:
                labels = [*(f"band {band}" for band in range(len(design.means))), "no record"]
                woe = np.append(np.asarray(design.means), design.unknown)
            body = {"bin": labels, "share": entry.shares, "woe": woe, "points": entry.points}
            side = "bank" if i < len(design.columns) else "node"
            parts.append(pd.DataFrame({"side": side, "field": entry.field, **body}))
        return pd.concat(parts, ignore_index=True)

    # ---------------------------------------------------------------- what it is worth

    def evaluate(self, X: pd.DataFrame, y: pd.Series[Any] | NDArray[Any], period: ArrayLike | None = None) -> Evaluation:
        """Figures on labelled rows, in all and by period (the out-of-time test); see `bank_client.evaluation`.

        Warns where rows of the training cohort are among them, since figures on these flatter the model.
        """
        labels, bands = check_labels(X, y), self._bands(X)
        if trained := len(self._of_cohort(X)):
            warnings.warn(f"{trained} of {len(X)} rows were trained on; figures on them flatter the model", stacklevel=2)
        log_odds = self._log_odds(X, bands)
        return evaluate(labels, self.calibrator_(log_odds), period, self.reference_, log_odds)

    def calibrate(
        self, X: pd.DataFrame | None = None, y: pd.Series[Any] | NDArray[Any] | None = None, method: Method = "sigmoid"
    ) -> ScoredModel:
        """Make probabilities hold, on rows that the model was not fitted on; kept with the model until it is fitted again.

        Args:
            X: a hold-out, without rows of the cohort; None for the cohort's own rows, out of fold.
            y: its labels, 1 for bad.
            method: "sigmoid" (Platt; points follow it) or "isotonic" (from 1,000 rows; points keep the model's odds).

        Raises:
            ValueError: the rows cannot be used; says why.
        """
        check_is_fitted(self, "coef_")
        if X is None:
            if not hasattr(self, "out_of_fold_"):
                raise ValueError("what the model said out of fold is not in its file: give a hold-out, or attach and refit")
            bad = np.clip(self.out_of_fold_, 1e-12, 1 - 1e-12)
            log_odds, labels = np.log(bad / (1 - bad)), self.labels_
        else:
            if y is None:
                raise ValueError("a hold-out needs its labels y")
            labels = check_labels(X, y)
            if trained := len(self._of_cohort(X)):
                raise ValueError(f"{trained} rows of the hold-out were trained on; leave them out")
            log_odds = self._log_odds(X, self._bands(X))
        scored = np.isfinite(log_odds)
        self.calibrator_ = fit_calibrator(method, log_odds[scored], labels[scored])
        return self

    def report(
        self, path: str | Path, X: pd.DataFrame | None = None, y: pd.Series[Any] | NDArray[Any] | None = None, **options: Any
    ) -> Path:
        """Write one HTML page with everything about the model; opens anywhere, without a network. See `bank_client.report`.

        Args:
            path: of the page.
            X: rows with outcomes; None for what the training counted.
            y: labels of `X`, 1 for bad.
            options: `period` of each row, `title`, `note`, and others of `bank_client.report.content_of`.
        """
        return write_report([self], path, X, y, **options)

    def export(self, path: str | Path) -> Path:
        """Write the bank's half as an ONNX file for a decision engine; see `bank_client.export`."""
        return export_onnx(self, path)

    # ---------------------------------------------------------------- bands

    def bands_of(self, ids: Iterable[object]) -> NDArray[np.int64]:
        """Band of each id, from 0; `applicants.UNKNOWN` where the node has no record, `applicants.REFUSED` where one may
        not ask.
        """
        with shown(self.progress) as progress:
            return self._applicants.bands(self._canonical(ids), self.purpose, progress)

    def reasons_of(self, ids: Iterable[object]) -> list[tuple[str, ...]]:
        """Reason codes of ids that were looked up: themes that speak most against the applicant."""
        return self._applicants.reasons(self._canonical(ids))

    @property
    def table_(self) -> str:
        """The id of this model's score table."""
        check_is_fitted(self, "model_id_")
        return f"score-{self.model_id_}"

    def _bands(self, X: pd.DataFrame) -> NDArray[np.int64]:
        check_is_fitted(self, "coef_")
        check_frame(X, fitted=self.feature_names_in_)
        with shown(self.progress) as progress:
            return self._applicants.bands(self._canonical(X.index), self.purpose, progress, again=True)

    def _log_odds(self, X: pd.DataFrame, bands: NDArray[np.int64]) -> Floats:
        odds = self.half_.decision_function(with_bands(X, bands))
        return np.where(bands == REFUSED, np.nan, odds)

    def of_cohort(self, X: pd.DataFrame) -> int:
        """How many of these rows the model was trained on."""
        return len(self._of_cohort(X))

    def _of_cohort(self, X: pd.DataFrame) -> set[str]:
        return set(self.cohort_.subjects).intersection(self._canonical(X.index))

    @property
    def _applicants(self) -> Applicants:
        if self._looked_up is None:
            known = dict(zip(self.cohort_.subjects, self.bands_.tolist(), strict=True))
            self._looked_up = Applicants(PrivateQuery(self._bank, self.project, self.table_), known)
        return self._looked_up

    def _canonical(self, ids: Iterable[object]) -> list[str]:
        return [self._bank.canonical(subject) for subject in ids]

    def _matrix(self, X: pd.DataFrame, bands: NDArray[np.integer]) -> Floats:
        return self._design.matrix(columns_of(X), bands)

    @property
    def _half(self) -> LogisticRegression:
        return self.half_.regression_

    @property
    def _design(self) -> Design:
        return self.half_.design_

    @property
    def _bank(self) -> Bank:
        if self.bank is None:
            raise ValueError("this estimator has no session: give it bank=Bank('bank.toml')")
        return self.bank
