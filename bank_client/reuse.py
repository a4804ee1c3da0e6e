"""Copies of a model under scikit-learn's `clone`, which cross-validation and grid search make many of.

A joint training is one of the few that a project has, so a copy never starts one: a copy of a released model fits the bank's
half again on rows of the cohort, with the bands that were released; a copy of any other model refuses, and says what to do.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd
from numpy.typing import ArrayLike
from sklearn.base import clone

from bank_client.frames import check_frame, check_labels

if TYPE_CHECKING:
    from bank_client.joint_scorecard import JointScorecard

OF_THE_HALF = frozenset(
    ("encoding", "C", "reject_inference", "pdo", "base_score", "base_odds", "point_decimals", "purpose", "progress")
)
"""Parameters that may differ from those of the training. All others are what it was trained with."""
LEARNED = (
    *("cohort_", "columns_", "job_", "plan_", "figures_", "notes_", "iv_", "vif_", "correlation_", "phases_"),
    *("node_card_", "bands_"),
)


def copy_of(model: JointScorecard) -> JointScorecard:
    """An unfitted model with equal parameters that remembers the release it was copied from, if there was one."""
    made = type(model)(**{name: clone(value, safe=False) for name, value in model.get_params(deep=False).items()})
    made.__dict__["_copied_from"] = model if hasattr(model, "card_") else getattr(model, "_copied_from", None)
    return made


def is_copy(model: JointScorecard) -> bool:
    """Whether `clone` made it."""
    return "_copied_from" in model.__dict__


def fit_copy(model: JointScorecard, X: pd.DataFrame, y: ArrayLike) -> JointScorecard:
    """Fit the bank's half of a copy on rows of the cohort.

    Raises:
        ValueError: nothing was released, rows are not in the cohort, or a parameter is not one of the bank's half.
    """
    origin: JointScorecard | None = model.__dict__["_copied_from"]
    if origin is None:
        raise ValueError(
            "a copy starts no training: a search or cross-validation would use up the project's trainings, one for each fold "
            "and value. Fit and release a model first, then search with that; or call fit on a model of your own making, "
            "JointScorecard(**model.get_params(deep=False)), if a new training is meant"
        )
    changed = [name for name in model.get_params(deep=False) if name not in OF_THE_HALF and _differs(name, model, origin)]
    if changed:
        raise ValueError(
            f"a new value of {', '.join(changed)} needs a new training; search over {', '.join(sorted(OF_THE_HALF))}"
        )
    check_frame(X, fitted=[column.bins.field for column in origin.columns_])
    labels = check_labels(X, y)
    outside = set(origin._canonical(X.index)).difference(origin.cohort_.subjects)
    if outside:
        raise ValueError(f"{len(outside)} rows are not in the cohort of the release, so that the node gave no band of them")
    for name in LEARNED:
        if hasattr(origin, name):
            setattr(model, name, getattr(origin, name))
    model._looked_up = origin._applicants  # who was asked about once is not asked about again
    model._unfinished = None
    model._rows, model.labels_ = X, labels
    model._fit_half(origin.card_.node)
    model._make_card(origin.card_.node, origin.card_.parent)
    return model


def _differs(name: str, model: JointScorecard, origin: JointScorecard) -> bool:
    one, other = getattr(model, name), getattr(origin, name)
    if hasattr(one, "get_params") and type(one) is type(other):
        one, other = one.get_params(), other.get_params()  # an estimator's copy is another object
    same: Any = one is other or one == other
    return not same
