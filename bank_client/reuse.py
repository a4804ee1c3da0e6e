"""Copies of a model under scikit-learn's `clone`, which cross-validation and grid search make many of.

A joint training is one of the few that a project has, so a copy never starts one: a copy of a released model fits the bank's
half again on rows of the cohort, with the bands that were released; a copy of any other model refuses, and says what to do.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pandas as pd
from numpy.typing import ArrayLike
from sklearn.base import clone

from bank_client.frames import check_frame, check_labels

if TYPE_CHECKING:
    from bank_client.joint_scorecard import JointScorecard

_KEPT = "_copied_from"
OF_THE_HALF = frozenset(
    ("encoding", "C", "reject_inference", "pdo", "base_score", "base_odds", "point_decimals", "purpose", "progress")
)
"""Parameters that may differ from those of the training. All others are what it was trained with."""
LEARNED = (
    *("cohort_", "columns_", "job_", "plan_", "figures_", "notes_", "iv_", "vif_", "correlation_", "phases_"),
    *("node_card_", "bands_", "registered_", "signed_card_"),
)


@dataclass(frozen=True)
class CopiedFrom:
    """What a copy knows of its origin: the released model if there was one, what was copied, and what was changed since."""

    origin: JointScorecard | None
    parameters: dict[str, Any]
    changed: frozenset[str] = frozenset()

    def changed_of(self, model: JointScorecard) -> frozenset[str]:
        """Parameters that the copy, or one between, was given anew."""
        now = model.get_params(deep=False)
        return self.changed | {name for name, value in self.parameters.items() if not _same(value, now[name])}


def copy_of(model: JointScorecard) -> JointScorecard:
    """An unfitted model with equal parameters that remembers the release it was copied from, if there was one."""
    parameters = {name: _copied(value) for name, value in model.get_params(deep=False).items()}
    made = type(model)(**parameters)
    before: CopiedFrom | None = model.__dict__.get(_KEPT)
    if hasattr(model, "card_"):
        made.__dict__[_KEPT] = CopiedFrom(model, parameters)
    else:
        made.__dict__[_KEPT] = CopiedFrom(
            before.origin if before else None, parameters, before.changed_of(model) if before else frozenset()
        )
    return made


def is_copy(model: JointScorecard) -> bool:
    """Whether `clone` made it."""
    return _KEPT in model.__dict__


def fit_copy(model: JointScorecard, X: pd.DataFrame, y: ArrayLike) -> JointScorecard:
    """Fit the bank's half of a copy on rows of the cohort.

    Raises:
        ValueError: nothing was released, rows are not in the cohort, or a parameter is not one of the bank's half.
    """
    copied: CopiedFrom = model.__dict__[_KEPT]
    origin = copied.origin
    if origin is None:
        raise ValueError(
            "a copy starts no training: a search or cross-validation would use up the project's trainings, one for each fold "
            "and value. Fit and release a model first, then search with that; or call fit on a model of your own making, "
            "JointScorecard(**model.get_params(deep=False)), if a new training is meant"
        )
    changed = sorted(copied.changed_of(model) - OF_THE_HALF)
    if changed:
        free = ", ".join(sorted(OF_THE_HALF))
        raise ValueError(f"a new value of {', '.join(changed)} needs a new training; what may be searched over is {free}")
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


def _copied(value: Any) -> Any:
    """Estimators as scikit-learn copies them; sessions, cohorts and settings are shared."""
    return clone(value) if hasattr(value, "get_params") and not isinstance(value, type) else value


def _same(one: Any, other: Any) -> bool:
    return one is other or (isinstance(one, bool | int | float | str) and one == other)
