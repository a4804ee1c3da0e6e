"""The half of a model that the bank fits by itself, on its own columns and the node's band: a plain scikit-learn classifier.

It costs no training and no release, so that grids over `C` or `encoding` may be searched as for any other classifier. Bins and
WOE of the columns are those of the training, also within folds.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, Self

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold
from sklearn.utils.validation import check_is_fitted

from bank_client.frames import check_frame, check_labels, columns_of
from bank_client.reject_inference import RejectInference
from models.scorecard.bank import BankColumn
from models.scorecard.design import BAND, ENCODINGS, Design, Encoding
from models.scorecard.drift import shares_of_codes
from models.scorecard.metrics import auc

Floats = NDArray[np.float64]
Labels = NDArray[np.uint8]
Rejects = tuple[list[NDArray[np.int64]], RejectInference]
FOLDS = 5


class OwnHalf(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """Logistic regression on [own columns, mean of the node's band].

    Args:
        columns: the bank's own, from a training.
        means: of the released bands, by band.
        encoding: of the own columns: "woe", "one_hot", or "auto" for the one that is better out of fold.
        C: inverse strength of the L2 penalty.
        reject_inference: how `rejects` take part in `fit`; see `bank_client.reject_inference`.

    Attributes (learned by `fit`):
        design_, encoding_, regression_, coef_, intercept_, classes_, feature_names_in_, n_features_in_.
        out_of_fold_: probability of bad of each row by a half that was fitted without it, float64[N].
        shares_: of the rows by bin, for each column and then for the bands.
    """

    def __init__(
        self,
        columns: Sequence[BankColumn] = (),
        means: Sequence[float] = (),
        *,
        encoding: Encoding | Literal["auto"] = "auto",
        C: float = 0.3,
        reject_inference: RejectInference | None = None,
    ) -> None:
        self.columns = columns
        self.means = means
        self.encoding = encoding
        self.C = C
        self.reject_inference = reject_inference

    def fit(self, X: pd.DataFrame, y: ArrayLike, rejects: pd.DataFrame | None = None) -> Self:
        """Fit on rows with outcomes, and on rejected ones without where there is a method for them.

        Args:
            X: own columns, and `"node band"` with the band of each row, below 0 where the node has no record.
            y: labels, 1 for bad.
            rejects: rows like those of `X` that were turned down.

        Raises:
            ValueError: rows or labels cannot be used; says why.
        """
        check_frame(X, fitted=self._names)
        labels = check_labels(X, y)
        if self.encoding != "auto" and self.encoding not in ENCODINGS:
            raise ValueError("encoding must be woe, one_hot or auto")
        if rejects is not None and self.reject_inference is None:
            raise ValueError("rejects take part by a method; give reject_inference, e.g. Parcelling(factor=1.5)")
        codes = self._codes(X)
        known = codes[-1][codes[-1] < len(self.means)]
        if not known.size:
            raise ValueError("no row has a band of the node")
        unknown = float(np.asarray(self.means)[known].mean())
        turned_down = None
        if rejects is not None and self.reject_inference is not None and len(rejects):
            turned_down = self._codes(rejects), self.reject_inference
        tried: list[tuple[float, Design, Floats]] = []
        for encoding in ENCODINGS if self.encoding == "auto" else (self.encoding,):
            design = Design(tuple(self.columns), tuple(self.means), encoding, unknown)
            found = self._out_of_fold(design, codes, labels, turned_down)
            tried.append((auc(labels, found), design, found))
        _, design, self.out_of_fold_ = max(tried, key=lambda one: one[0])
        self._take(design, self._regression(design, codes, labels, turned_down))
        counts = [*(column.bins.count for column in design.columns), len(design.means)]
        self.shares_ = tuple(shares_of_codes(code[code < count], count) for code, count in zip(codes, counts, strict=True))
        return self

    @classmethod
    def restored(
        cls, design: Design, coef: ArrayLike, intercept: ArrayLike, shares: Sequence[Sequence[float]], C: float = 0.3
    ) -> Self:
        """A fitted half from its file."""
        half = cls(design.columns, design.means, encoding=design.encoding, C=C)
        regression = LogisticRegression(C=C)
        regression.classes_ = np.array([0, 1])
        regression.coef_, regression.intercept_ = np.asarray(coef, dtype=float), np.asarray(intercept, dtype=float)
        half._take(design, regression)
        half.shares_ = tuple(tuple(float(share) for share in of_field) for of_field in shares)
        return half

    def decision_function(self, X: pd.DataFrame) -> Floats:
        """Log-odds of bad, float64[M]."""
        check_is_fitted(self, "coef_")
        odds: Floats = self.regression_.decision_function(self.design_.matrix(columns_of(X), self._bands(X)))
        return odds

    def predict_proba(self, X: pd.DataFrame) -> Floats:
        """Probabilities float64[M, 2] of good and bad."""
        bad = 1 / (1 + np.exp(-self.decision_function(X)))
        return np.stack([1 - bad, bad], axis=1)

    def predict(self, X: pd.DataFrame) -> NDArray[np.int64]:
        """1 where bad is likelier than good."""
        return (self.decision_function(X) > 0).astype(np.int64)

    def _take(self, design: Design, regression: LogisticRegression) -> None:
        self.design_, self.encoding_, self.regression_ = design, design.encoding, regression
        self.classes_ = np.array([0, 1])
        self.coef_, self.intercept_ = regression.coef_, regression.intercept_
        self.feature_names_in_ = np.array(self._names, dtype=object)
        self.n_features_in_ = len(self.feature_names_in_)

    def _out_of_fold(self, design: Design, codes: list[NDArray[np.int64]], labels: Labels, rejects: Rejects | None) -> Floats:
        folds = StratifiedKFold(FOLDS, shuffle=True, random_state=0)
        found = np.empty(labels.size)
        for train, test in folds.split(labels, labels):
            fitted = self._regression(design, [code[train] for code in codes], labels[train], rejects)
            found[test] = fitted.predict_proba(design.encoded([code[test] for code in codes]))[:, 1]
        return found

    def _regression(
        self, design: Design, codes: list[NDArray[np.int64]], labels: Labels, rejects: Rejects | None
    ) -> LogisticRegression:
        matrix = design.encoded(codes)
        fitted = self._new().fit(matrix, labels)
        if rejects is None:
            return fitted
        turned_down, method = rejects
        others = design.encoded(turned_down)
        weights = method(fitted.predict_proba(matrix)[:, 1], labels, fitted.predict_proba(others)[:, 1])
        rows = np.concatenate([matrix, others, others])
        outcomes = np.concatenate([labels, np.ones(len(others)), np.zeros(len(others))])
        weight = np.concatenate([weights.accepted, weights.bad, weights.good])
        counts = weight > 0
        return self._new().fit(rows[counts], outcomes[counts], sample_weight=weight[counts])

    def _new(self) -> LogisticRegression:
        return LogisticRegression(C=self.C, solver="newton-cholesky", max_iter=100)

    @property
    def _names(self) -> list[str]:
        return [*(column.bins.field for column in self.columns), BAND]

    def _codes(self, X: pd.DataFrame) -> list[NDArray[np.int64]]:
        return Design(tuple(self.columns), tuple(self.means)).codes(columns_of(X), self._bands(X))

    def _bands(self, X: pd.DataFrame) -> NDArray[np.int64]:
        check_frame(X, fitted=self._names)
        bands = X[BAND].to_numpy(dtype=np.float64, na_value=-1)
        return np.asarray(np.where(np.isnan(bands), -1, bands), dtype=np.int64)

    def __sklearn_tags__(self) -> Any:
        """Rows must be a DataFrame, missing values are bins of their own, and there are two classes."""
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False
        tags.input_tags.allow_nan = True
        tags.classifier_tags.multi_class = False
        return tags


def with_bands(X: pd.DataFrame, bands: NDArray[np.integer]) -> pd.DataFrame:
    """The frame that `OwnHalf` takes."""
    return X.assign(**{BAND: np.asarray(bands, dtype=np.int64)})
