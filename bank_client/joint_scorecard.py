"""`JointScorecard`: a scikit-learn classifier whose second half stays at the data node.

::

    fit(X, y)        align (once), own bins and WOE, two proven rounds        -> iv_, figures_, cohort_
    release()        bands of the cohort's rows, within the release limit     -> bands_, coef_, metrics_, card_
    register()       card signed by both sides, filed with the office
    serve()          after the office's approval: the node may build the score table
    predict_proba(X) cohort rows by their released band, others by a private query each

`fit` ends at figures that name no row; `release` spends budget and is never called by itself.
"""

from __future__ import annotations

import warnings
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, Self

import msgspec
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.utils.validation import check_is_fitted

from bank_client.alignment import AlignedCohort, Progress, align, silent
from bank_client.frames import check_frame, check_labels, columns_of
from bank_client.joint_training import JointTraining
from bank_client.model_file import load_half, save_half
from bank_client.private_query import CheckResult, PrivateQuery
from bank_client.session import Bank
from models import wire
from models.consents import Purpose
from models.logged import Empty
from models.problems import NotApproved
from models.projects import ProjectOpened
from models.scorecard.bank import bank_columns
from models.scorecard.card import LeakageStatement, ModelCard, NodeCard, metrics
from models.scorecard.design import ENCODINGS, Design, Encoding
from models.scorecard.limits import Limits, Refused
from models.scorecard.metrics import auc
from models.tables import ModelStatus, RegisterModel, ScoreRecord, ServeModel
from models.training import Released
from models.wire import Signed

Floats = NDArray[np.float64]
FOLDS = 5


class JointScorecard(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """A scorecard on the bank's own fields and the node's.

    Args:
        project: id of an approved joint project.
        bank: the modeller's session; shared by clones.
        cohort: an alignment to use instead of aligning the rows of `X`.
        max_bins: of a column on either side, 2 to 20.
        encoding: of the bank's own columns in its half: "woe", "one_hot", or "auto" to choose by cross-validation.
        C: inverse strength of the L2 penalty of the bank's half.
        purpose: under which new applicants are looked up.
        progress: called with (what, done, of).

    Attributes (learned by `fit`):
        cohort_: the aligned rows. columns_: the bank's own, with bins and WOE. plan_, figures_: as the node gave them.
        iv_: information value by field, both sides, strongest first. vif_: of the node's fields.
        correlation_: DataFrame of both sides' columns. notes_: what the node reduced, and why.
        phases_: seconds and bytes by phase.

    Attributes (learned by `release`):
        model_id_, bands_ (uint8 in row order), band_means_, coef_, intercept_, encoding_, leakage_, metrics_ (out of
        fold), card_, node_card_.
    """

    def __init__(
        self,
        project: str = "",
        bank: Bank | None = None,
        cohort: AlignedCohort | None = None,
        *,
        max_bins: int = 20,
        encoding: Encoding | Literal["auto"] = "auto",
        C: float = 0.3,
        purpose: str = Purpose.LOAN_APPROVAL,
        progress: Progress | None = None,
    ) -> None:
        self.project = project
        self.bank = bank
        self.cohort = cohort
        self.max_bins = max_bins
        self.encoding = encoding
        self.C = C
        self.purpose = purpose
        self.progress = progress

    # ---------------------------------------------------------------- fit

    def fit(self, X: pd.DataFrame, y: pd.Series[Any] | NDArray[Any]) -> Self:
        """Train on the rows of `X` (DataFrame indexed by subject id) that both sides know.

        Calling it again with the same ids reuses the alignment and starts a new training.

        Raises:
            ValueError: X or y cannot be used; says why.
            Problem: node or office refused; `detail` and `next_step` say what to do.
        """
        bank = self._bank
        check_frame(X)
        labels = check_labels(X, y)
        subjects = [bank.canonical(subject) for subject in X.index]
        self.cohort_: AlignedCohort = self._aligned(bank, subjects)
        place = {subject: row for row, subject in enumerate(subjects)}
        missing = sum(subject not in place for subject in self.cohort_.subjects)
        if missing:
            raise ValueError(f"{missing} rows of the cohort have no row in X; give X for all of them, or align these rows anew")
        order = [place[subject] for subject in self.cohort_.subjects]
        rows, target = X.iloc[order], labels[order]
        limits = replace(Limits(), levels=self.max_bins)
        with bank.phase("fit"):
            try:
                self.columns_ = bank_columns(columns_of(rows), target, limits)
            except Refused as refused:
                raise ValueError(str(refused)) from None
            trained = JointTraining(
                bank, self.cohort_, target, self.columns_, max_bins=self.max_bins, progress=self.progress or silent
            ).run()
        self._rows, self._labels = rows, target
        self.plan_, self.figures_, self.job_ = trained.plan, trained.figures, trained.plan.job
        self.notes_ = trained.plan.notes
        self._set_figures()
        self.phases_ = dict(bank.phases)
        return self

    def _aligned(self, bank: Bank, subjects: list[str]) -> AlignedCohort:
        if self.cohort is not None:
            if self.cohort.project != self.project:
                raise ValueError(f"this cohort was aligned for the project {self.cohort.project}, not for {self.project}")
            return self.cohort
        kept: tuple[frozenset[str], AlignedCohort] | None = getattr(self, "_alignment", None)
        if kept is None or kept[1].project != self.project or kept[0] != frozenset(subjects):
            kept = frozenset(subjects), align(bank, self.project, subjects, progress=self.progress or silent)
            self._alignment = kept
        return kept[1]

    def _set_figures(self) -> None:
        own = [column.bins.field for column in self.columns_]
        node = self.figures_.fields
        values = {entry.name: entry.iv for entry in node} | {column.bins.field: column.iv for column in self.columns_}
        self.iv_ = pd.Series(values, name="iv").sort_values(ascending=False)
        self.vif_ = pd.Series({entry.name: entry.vif for entry in node}, name="vif", dtype=float)
        names = [*(entry.name for entry in node), *own]
        matrix = wire.unpack(self.figures_.correlation, "<f8", (len(names), len(names)), "correlation")
        self.correlation_ = pd.DataFrame(matrix, index=names, columns=names)

    # ---------------------------------------------------------------- release

    def release(self, parent: str = "") -> Self:
        """Have the node release the bands of the cohort's rows, and fit the bank's own half on them.

        Spends one of the releases that each subject has in a year. `parent` names the model that this one replaces.

        Raises:
            ReleaseRefused: the bands would say too much about one of the node's columns, or the budget is used up.
        """
        check_is_fitted(self, "figures_")
        bank = self._bank
        with bank.phase("release"):
            released = bank.node.logged(f"/jobs/{self.job_}/release", Empty(), Released).answer
            card = bank.from_node(released.card, NodeCard)
            self._check_release(released, card)
        self.model_id_, self.node_card_ = released.model, released.card
        self.bands_ = np.frombuffer(released.bands, dtype=np.uint8)
        self.band_means_ = released.means
        self.leakage_: LeakageStatement = card.leakage
        with bank.phase("own half"):
            probabilities = self._fit_half()
        fitted = self._half.predict_proba(self._matrix(self._rows, self.bands_))[:, 1]
        self.metrics_ = metrics(self._labels, probabilities, fitted)
        self.card_ = ModelCard(
            node=card,
            bank=bank.config.institution,
            bank_columns=tuple(column.bins.field for column in self.columns_),
            encoding=self.encoding_,
            metrics=self.metrics_,
            parent=parent,
        )
        self.phases_ = dict(bank.phases)
        return self

    def _check_release(self, released: Released, card: NodeCard) -> None:
        cohort, bands = self.cohort_, np.frombuffer(released.bands, dtype=np.uint8)
        said = (card.model, card.job, card.project, card.cohort_root, card.rows, card.band_means)
        known = (released.model, self.job_, cohort.project, cohort.root.hex(), cohort.rows, released.means)
        if said != known or bands.size != cohort.rows or int(bands.max()) >= len(released.means):
            self._bank.damaged("release", "the node's card is on another release", artefacts=(wire.encode(released.card),))

    def _fit_half(self) -> Floats:
        """Fit the bank's half; its probabilities of the cohort's rows, out of fold."""
        folds = StratifiedKFold(FOLDS, shuffle=True, random_state=0)
        best: Floats = np.zeros(0)
        wanted: tuple[Encoding, ...] = ENCODINGS if self.encoding == "auto" else (self.encoding,)
        for encoding in wanted:
            design = Design(tuple(self.columns_), tuple(self.band_means_), encoding)
            matrix = design.matrix(columns_of(self._rows), self.bands_)
            found = cross_val_predict(self._new_half(), matrix, self._labels, cv=folds, method="predict_proba")[:, 1]
            if not best.size or auc(self._labels, found) > auc(self._labels, best):
                best, self._design, self.encoding_ = found, design, encoding
        half = self._new_half().fit(self._matrix(self._rows, self.bands_), self._labels)
        self.set_half(half, self._design)
        return best

    def set_half(self, half: LogisticRegression, design: Design) -> None:
        """Take a fitted half, from `release` or from a file."""
        self.classes_ = half.classes_ = np.array([0, 1])
        self._half, self._design = half, design
        self.coef_, self.intercept_ = half.coef_, half.intercept_
        self.feature_names_in_ = np.array([column.bins.field for column in design.columns], dtype=object)
        self.n_features_in_ = len(design.columns)

    def _new_half(self) -> LogisticRegression:
        return LogisticRegression(C=self.C, max_iter=1000)

    def save(self, path: str | Path) -> None:
        """Write the bank's half as JSON, mode 0600: the file holds customers' ids and their bands."""
        check_is_fitted(self, "coef_")
        save_half(self, path)

    @classmethod
    def load(cls, path: str | Path, bank: Bank | None = None) -> JointScorecard:
        """A released model as `save` wrote it, ready for `serve`, `predict_proba` and `card_`."""
        return load_half(cls(bank=bank), path)

    # ---------------------------------------------------------------- from model to score table

    def register(self) -> Self:
        """Sign the card, have the node sign it, and file it with the office, which then decides on it."""
        check_is_fitted(self, "card_")
        bank = self._bank
        signed = bank.sign(self.card_)
        countersigned = bank.node.logged("/models", signed, Signed).answer
        if bank.from_node(countersigned, ModelCard) != self.card_:
            bank.damaged("card", "the node signed another card", artefacts=(wire.encode(countersigned),))
        self.signed_card_ = signed
        bank.office.logged("/models", RegisterModel(bank_card=signed, node_card=self.node_card_), Empty)
        return self

    def serve(self) -> str:
        """Hand the office's approval to the node; the id of the score table, of which an operator then opens epochs.

        Raises:
            NotApproved: the office has not approved the model (yet).
        """
        check_is_fitted(self, "model_id_")
        bank = self._bank
        status = bank.office.get(f"/models/{self.model_id_}", ModelStatus)
        if status.approval is None:
            because = f": {status.reason}" if status.reason else ""
            raise NotApproved(f"the model is {status.state} at the credit office{because}")
        return bank.node.logged(
            f"/models/{self.model_id_}/serve", ServeModel(approval=status.approval), ProjectOpened
        ).answer.table

    @property
    def table_(self) -> str:
        """The id of this model's score table."""
        check_is_fitted(self, "model_id_")
        return f"score-{self.model_id_}"

    # ---------------------------------------------------------------- scoring

    def predict_proba(self, X: pd.DataFrame) -> Floats:
        """Probabilities float64[M, 2] of good and bad, for cohort rows and for new, consented applicants.

        A new applicant costs one private query (a modeller's bulk ticket); it is asked once and then remembered. One of
        whom the node has no record counts with the average contribution; one who may not be asked about gets NaN, with a
        warning that says why.
        """
        check_is_fitted(self, "coef_")
        check_frame(X, fitted=self.feature_names_in_)
        bands = self.bands_of(X.index)
        matrix = self._matrix(X, np.maximum(bands, 0).astype(np.uint8))
        matrix[bands == UNKNOWN, -1] = self._average
        probabilities: Floats = self._half.predict_proba(matrix)
        probabilities[bands == REFUSED] = np.nan
        return probabilities

    def predict(self, X: pd.DataFrame) -> NDArray[np.int64]:
        """1 where bad is likelier than good; raises ValueError where a row could not be scored."""
        bad = self.predict_proba(X)[:, 1]
        if np.isnan(bad).any():
            raise ValueError(f"{int(np.isnan(bad).sum())} rows could not be scored; see predict_proba")
        return (bad > 0.5).astype(np.int64)

    def bands_of(self, ids: Any) -> NDArray[np.int64]:
        """Band of each id, from 0; `UNKNOWN` (-1) where the node has no record, `REFUSED` (-2) where one may not ask."""
        subjects = [self._bank.canonical(subject) for subject in ids]
        known = self._known_bands()
        asked = [subject for subject in dict.fromkeys(subjects) if subject not in known]
        if asked:
            self._look_up(asked)
        return np.array([known[s] if s in known else self._band(self.answers_[s]) for s in subjects], dtype=np.int64)

    def reasons_of(self, ids: Any) -> list[tuple[str, ...]]:
        """Reason codes of ids that were looked up: themes that speak against the applicant most; empty for cohort rows."""
        answers: dict[str, CheckResult] = getattr(self, "answers_", {})
        found = [answers.get(self._bank.canonical(subject)) for subject in ids]
        return [_score(answer.record).reasons if answer is not None and answer.record is not None else () for answer in found]

    def _look_up(self, subjects: list[str]) -> None:
        answers: dict[str, CheckResult] = self.__dict__.setdefault("answers_", {})
        wanted = [subject for subject in subjects if subject not in answers]
        if not wanted:
            return
        query = PrivateQuery(self._bank, self.project, self.table_)
        results = query.ask_many(wanted, self.purpose, progress=self.progress or silent)
        answers |= dict(zip(wanted, results, strict=True))
        self.phases_ = dict(self._bank.phases)
        refused = Counter(result.refused.detail for result in results if result.refused is not None)
        if refused:
            reasons = "; ".join(f"{count} × {reason}" for reason, count in refused.most_common(3))
            warnings.warn(f"{refused.total()} of {len(wanted)} applicants could not be scored: {reasons}", stacklevel=4)

    def _known_bands(self) -> dict[str, int]:
        if not hasattr(self, "_band_by_subject"):
            self._band_by_subject = dict(zip(self.cohort_.subjects, self.bands_.tolist(), strict=True))
        return self._band_by_subject

    @staticmethod
    def _band(result: CheckResult) -> int:
        if result.refused is not None:
            return REFUSED
        return UNKNOWN if result.record is None else _score(result.record).band

    @property
    def _average(self) -> float:
        return float(np.asarray(self.band_means_)[self.bands_].mean())

    def _matrix(self, X: pd.DataFrame, bands: NDArray[np.uint8]) -> Floats:
        return self._design.matrix(columns_of(X), bands)

    @property
    def _bank(self) -> Bank:
        if self.bank is None:
            raise ValueError("this estimator has no session: give it bank=Bank('bank.toml')")
        return self.bank


UNKNOWN = -1
REFUSED = -2


def _score(record: bytes) -> ScoreRecord:
    return msgspec.json.decode(record, type=ScoreRecord)
