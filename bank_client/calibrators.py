"""Calibration of a finished model: from its log-odds to probabilities that hold. No map turns the order of two scores round."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.isotonic import IsotonicRegression

from models.scorecard.calibration import calibration_line

Floats = NDArray[np.float64]
Method = Literal["sigmoid", "isotonic"]
LEAST_ISOTONIC = 1000


@dataclass(frozen=True)
class Sigmoid:
    """Platt's line: log-odds become `slope · log-odds + intercept`. Points follow it."""

    slope: float = 1.0
    intercept: float = 0.0

    def __call__(self, log_odds: Floats) -> Floats:
        """Probabilities of bad."""
        return _expit(self.slope * log_odds + self.intercept)

    @property
    def line(self) -> tuple[float, float]:
        """What points are made with."""
        return self.slope, self.intercept

    def to_json(self) -> dict[str, Any]:
        """For the model's file."""
        return {"method": "sigmoid", "slope": self.slope, "intercept": self.intercept}


@dataclass(frozen=True)
class Isotonic:
    """Steps that only rise, joined by straight lines. Points cannot follow them: they keep the model's own log-odds."""

    log_odds: tuple[float, ...]
    rates: tuple[float, ...]

    def __call__(self, log_odds: Floats) -> Floats:
        """Probabilities of bad."""
        return np.asarray(np.interp(log_odds, self.log_odds, self.rates), dtype=np.float64)

    @property
    def line(self) -> tuple[float, float]:
        """What points are made with."""
        return 1.0, 0.0

    def to_json(self) -> dict[str, Any]:
        """For the model's file."""
        return {"method": "isotonic", "log_odds": list(self.log_odds), "rates": list(self.rates)}


Calibrator = Sigmoid | Isotonic
NONE = Sigmoid()


def fit_calibrator(method: Method, log_odds: Floats, labels: ArrayLike) -> Calibrator:
    """Fit on rows that the model was not fitted on.

    Raises:
        ValueError: unknown method, fewer than 1,000 rows for isotonic steps, or scores that do not rise with risk.
    """
    y = np.asarray(labels, dtype=np.float64)
    if method == "sigmoid":
        line = calibration_line(y, _expit(log_odds))
        if line.slope <= 0:
            raise ValueError("on these rows risk does not rise with the model's odds; a calibration would turn it round")
        return Sigmoid(line.slope, line.intercept)
    if method != "isotonic":
        raise ValueError("method must be sigmoid or isotonic")
    if y.size < LEAST_ISOTONIC:
        raise ValueError(f"isotonic steps need {LEAST_ISOTONIC:,} rows and there are {y.size}; use sigmoid")
    fitted = IsotonicRegression(y_min=0, y_max=1, out_of_bounds="clip").fit(log_odds, y)
    return Isotonic(tuple(fitted.X_thresholds_.tolist()), tuple(fitted.y_thresholds_.tolist()))


def load_calibrator(body: dict[str, Any] | None) -> Calibrator:
    """What `to_json` wrote; none for None. Raises KeyError or ValueError for anything else."""
    if body is None:
        return NONE
    if body["method"] == "sigmoid":
        return Sigmoid(float(body["slope"]), float(body["intercept"]))
    return Isotonic(tuple(map(float, body["log_odds"])), tuple(map(float, body["rates"])))


def _expit(log_odds: Floats) -> Floats:
    return np.asarray(1 / (1 + np.exp(-np.clip(log_odds, -700, 700))), dtype=np.float64)
