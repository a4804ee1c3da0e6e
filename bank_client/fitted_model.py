"""A released model whose training rows are at hand: it fits the bank's half on them, at release and whenever it is asked to.

Nothing here trains or releases, and nothing but bands of rejected applicants is asked of the node.
"""

from __future__ import annotations

from typing import Literal, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.utils.validation import check_is_fitted

from bank_client.applicants import REFUSED
from bank_client.frames import check_frame, columns_of
from bank_client.half_digest import half_digest
from bank_client.own_half import OwnHalf, with_bands
from bank_client.reject_inference import RejectInference
from bank_client.report.summary import TrainingSummary
from bank_client.scored_model import ScoredModel
from models import wire
from models.scorecard.bank import BankColumn
from models.scorecard.card import ModelCard, NodeCard, PointsScale, metrics
from models.scorecard.design import Encoding
from models.scorecard.drift import Reference
from models.tables import RegisterModel


class FittedModel(ScoredModel):
    """Keeps the training rows and labels, in step with each other, and fits the bank's half."""

    encoding: Encoding | Literal["auto"]
    C: float
    reject_inference: RejectInference | None
    columns_: list[BankColumn]
    _rows: pd.DataFrame

    def refit(self, rejects: pd.DataFrame | None = None) -> Self:
        """Fit the bank's half anew with the present parameters; no training, no release, and the node's half stays as it is.

        The card changes with it, so refit before `register`: a card that the office has is not replaced. With rejects, whose
        bands take a served model, the new half is a challenger of the registered one.

        Args:
            rejects: rows of applicants that were turned down, indexed by subject id, for `reject_inference`. None of them may
                be in the cohort. Their bands are asked for like those of new applicants, at a private query each; who may not
                be asked about is left out.

        Raises:
            ValueError: the training rows are not there (`attach` brings them back), or the rejects cannot be used.
        """
        check_is_fitted(self, "card_")
        if not hasattr(self, "_rows"):
            raise ValueError("a model from a file needs its training rows for this: call attach(X, y) first")
        turned_down = None if rejects is None else self._turned_down(rejects)
        self._fit_half(self.card_.node, turned_down)
        self._make_card(self.card_.node, self.card_.parent)
        return self

    @property
    def refitted_since_registration(self) -> bool:
        """Whether the half is another one than that of the card at the office."""
        registered: RegisterModel | None = getattr(self, "registered_", None)
        return registered is not None and wire.decode(registered.bank_card.payload, ModelCard).half != self.card_.half

    def _turned_down(self, rejects: pd.DataFrame) -> pd.DataFrame:
        check_frame(rejects, fitted=[column.bins.field for column in self.columns_])
        if self.reject_inference is None:
            raise ValueError("rejects take part by a method; set reject_inference, e.g. Parcelling(factor=1.5)")
        known = set(self.cohort_.subjects).intersection(self._canonical(rejects.index))
        if known:
            raise ValueError(f"{len(known)} of the rejects are in the cohort, with an outcome; leave them out")
        bands = self.bands_of(rejects.index)
        asked = bands != REFUSED
        return with_bands(rejects[asked], bands[asked])

    def _fit_half(self, card: NodeCard, rejects: pd.DataFrame | None = None) -> None:
        """Fit the bank's half on [own columns, band mean]; the encoding is the one that is better out of fold."""
        half = OwnHalf(
            tuple(self.columns_),
            card.band_means,
            encoding=self.encoding,
            C=self.C,
            reject_inference=self.reject_inference,
        )
        training = with_bands(self._rows, self._bands_of_training())
        self.set_half(half.fit(training, self.labels_, rejects))
        self.out_of_fold_ = half.out_of_fold_
        self.reference_ = Reference.of(half.decision_function(training))

    def _make_card(self, card: NodeCard, parent: str) -> None:
        """The card of the half that was just fitted: its figures are those of rows that it did not see, out of fold."""
        fitted = self.half_.predict_proba(with_bands(self._rows, self._bands_of_training()))[:, 1]
        self.set_card(
            ModelCard(
                node=card,
                bank=self._bank.config.institution,
                bank_columns=tuple(column.bins.field for column in self.columns_),
                encoding=self.encoding_,
                metrics=metrics(self.labels_, self.out_of_fold_, fitted),
                parent=parent,
                bank_bins=tuple(column.bins.count for column in self.columns_),
                points=PointsScale(pdo=self.pdo, base_points=self.base_score, base_odds=self.base_odds),
                half=half_digest(self.half_),
            )
        )
        self.summary_ = TrainingSummary.of(self)

    def training_codes(self) -> list[NDArray[np.int64]]:
        """Bin of each row that the half was fitted on, for each own column and then the band, in the order of `labels_`."""
        return self.half_.design_.codes(columns_of(self._rows), self._bands_of_training())

    def _bands_of_training(self) -> NDArray[np.uint8]:
        """Of the rows in `_rows`, whatever their order, which may be a part of the cohort."""
        place = {subject: row for row, subject in enumerate(self.cohort_.subjects)}
        return self.bands_[[place[subject] for subject in self._canonical(self._rows.index)]]
