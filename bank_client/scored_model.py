"""A released model at the bank: probabilities for the cohort's rows and for new applicants, and reason codes.

A cohort row is scored with its released band; everyone else by a private query of the model's score table.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.linear_model import LogisticRegression
from sklearn.utils.validation import check_is_fitted

from bank_client.alignment import AlignedCohort, Progress
from bank_client.applicants import REFUSED, UNKNOWN, Applicants
from bank_client.frames import check_frame, columns_of
from bank_client.private_query import PrivateQuery
from bank_client.progress import shown
from bank_client.session import Bank
from models.scorecard.card import ModelCard
from models.scorecard.design import Design

Floats = NDArray[np.float64]


class ScoredModel(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """The half of a released model that stays at the bank; `set_card` and `set_half` bring it to life."""

    project: str
    bank: Bank | None
    purpose: str
    progress: Progress | bool | None
    cohort_: AlignedCohort
    bands_: NDArray[np.uint8]
    _looked_up: Applicants | None

    def set_card(self, card: ModelCard) -> None:
        """Take the model's card, from `release` or from a file."""
        self.card_ = card
        self.model_id_, self.band_means_ = card.node.model, card.node.band_means
        self.leakage_, self.metrics_ = card.node.leakage, card.metrics

    def set_half(self, half: LogisticRegression, design: Design) -> None:
        """Take a fitted half, from `release` or from a file."""
        self.classes_ = half.classes_ = np.array([0, 1])
        self._half, self._design = half, design
        self.coef_, self.intercept_ = half.coef_, half.intercept_
        self.feature_names_in_ = np.array([column.bins.field for column in design.columns], dtype=object)
        self.n_features_in_ = len(design.columns)

    def predict_proba(self, X: pd.DataFrame) -> Floats:
        """Probabilities float64[M, 2] of good and bad, for cohort rows and for new, consented applicants.

        A new applicant costs one private query (a modeller's bulk ticket); it is asked once and then remembered. One of
        whom the node has no record counts with the average contribution; one who may not be asked about gets NaN, with a
        warning that says why.
        """
        check_is_fitted(self, "coef_")
        check_frame(X, fitted=self.feature_names_in_)
        with shown(self.progress) as progress:
            bands = self._applicants.bands(self._canonical(X.index), self.purpose, progress, again=True)
        matrix = self._matrix(X, np.maximum(bands, 0).astype(np.uint8))
        matrix[bands == UNKNOWN, -1] = np.asarray(self.band_means_)[self.bands_].mean()
        probabilities: Floats = self._half.predict_proba(matrix)
        probabilities[bands == REFUSED] = np.nan
        return probabilities

    def predict(self, X: pd.DataFrame) -> NDArray[np.int64]:
        """1 where bad is likelier than good; raises ValueError where a row could not be scored."""
        bad = self.predict_proba(X)[:, 1]
        if np.isnan(bad).any():
            raise ValueError(f"{int(np.isnan(bad).sum())} rows could not be scored; see predict_proba")
        return (bad > 0.5).astype(np.int64)

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

    @property
    def _applicants(self) -> Applicants:
        if self._looked_up is None:
            known = dict(zip(self.cohort_.subjects, self.bands_.tolist(), strict=True))
            self._looked_up = Applicants(PrivateQuery(self._bank, self.project, self.table_), known)
        return self._looked_up

    def _canonical(self, ids: Iterable[object]) -> list[str]:
        return [self._bank.canonical(subject) for subject in ids]

    def _matrix(self, X: pd.DataFrame, bands: NDArray[np.uint8]) -> Floats:
        return self._design.matrix(columns_of(X), bands)

    @property
    def _bank(self) -> Bank:
        if self.bank is None:
            raise ValueError("this estimator has no session: give it bank=Bank('bank.toml')")
        return self.bank
