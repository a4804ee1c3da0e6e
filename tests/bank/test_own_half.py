"""The bank's half keeps scikit-learn's conventions, and reject inference does what the literature says."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils.validation import check_is_fitted

from bank_client.frames import columns_of
from bank_client.own_half import OwnHalf, with_bands
from bank_client.reject_inference import FuzzyAugmentation, Parcelling, Reweighting
from models.scorecard.bank import bank_columns
from models.scorecard.design import BAND
from models.scorecard.limits import Limits
from models.scorecard.metrics import auc
from tests.bank.customers import MEANS, people


def half(rows: int = 1500, **parameters: Any) -> tuple[OwnHalf, pd.DataFrame, Any]:
    frame, labels, bands = people(rows)
    columns = bank_columns(columns_of(frame), labels, Limits())
    return OwnHalf(columns, MEANS, **parameters), with_bands(frame, bands), labels


def test_parameters_are_kept_as_given_and_fit_returns_the_estimator() -> None:
    model, X, y = half(encoding="woe")
    before = dict(model.get_params())
    assert model.fit(X, y) is model
    assert all(model.get_params()[name] is value for name, value in before.items())
    learned = [name for name in vars(model) if name not in before]
    assert all(name.endswith("_") and not name.startswith("_") for name in learned)
    assert clone(model).get_params()["C"] == model.C
    with pytest.raises(NotFittedError):
        check_is_fitted(clone(model))
    with pytest.raises(NotFittedError):
        clone(model).predict_proba(X)
    assert clone(model).set_params(C=9.0).C == 9.0


def test_a_second_fit_gives_the_same_and_rows_are_left_alone() -> None:
    model, X, y = half()
    kept = X.copy(deep=True)
    first = copy.deepcopy(model.fit(X, y)).predict_proba(X)
    assert np.array_equal(model.fit(X, y).predict_proba(X), first)
    pd.testing.assert_frame_equal(X, kept)
    assert np.array_equal(pickle.loads(pickle.dumps(model)).predict_proba(X), first)
    shuffled = X.sample(frac=1, random_state=1)
    assert np.array_equal(model.predict_proba(shuffled), pd.DataFrame(first, X.index).loc[shuffled.index].to_numpy())


def test_what_is_predicted_agrees_with_itself() -> None:
    model, X, y = half()
    model.fit(X, y)
    odds, probabilities = model.decision_function(X), model.predict_proba(X)
    assert probabilities.shape == (len(X), 2)
    assert np.allclose(probabilities.sum(axis=1), 1)
    assert np.array_equal(model.predict(X), (odds > 0).astype(int))
    assert np.array_equal(model.classes_, [0, 1])
    assert model.feature_names_in_.tolist() == [*X.columns[:-1], BAND]
    assert model.n_features_in_ == X.shape[1]
    assert model.score(X, y) > 0.6
    assert 0 < auc(y, probabilities[:, 1]) - auc(y, model.out_of_fold_) < 0.05


def test_it_works_in_pipelines_and_searches() -> None:
    model, X, y = half()
    search = GridSearchCV(
        make_pipeline(FunctionTransformer(), model),
        {"ownhalf__C": [1e-4, 0.3], "ownhalf__encoding": ["woe", "one_hot"]},
        cv=3,
        scoring="roc_auc",
    ).fit(X, y)
    assert search.best_params_["ownhalf__C"] == 0.3
    assert search.best_score_ > 0.7


def test_no_record_counts_as_the_average() -> None:
    model, X, y = half(encoding="woe")
    model.fit(X, y)
    unknown = model.decision_function(X.assign(**{BAND: -1}))
    missing = model.decision_function(X.assign(**{BAND: np.nan}))
    by_band = np.array([model.decision_function(X.assign(**{BAND: band})) for band in range(4)])
    assert np.array_equal(unknown, missing)
    assert (by_band.min(axis=0) < unknown).all()
    assert (unknown < by_band.max(axis=0)).all()


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda X, y: (X.drop(columns=BAND), y), "node band"),
        (lambda X, y: (X.to_numpy(), y), "DataFrame"),
        (lambda X, y: (X, y.to_numpy()[:-1]), "labels for"),
        (lambda X, y: (X, np.zeros(len(X))), "both good and bad"),
        (lambda X, y: (X.assign(**{BAND: 4}), y), "outside the model's bands"),
        (lambda X, y: (X.assign(**{BAND: -1}), y), "no row has a band"),
    ],
)
def test_rows_that_cannot_be_used_are_refused(change: Any, says: str) -> None:
    model, X, y = half(encoding="woe")
    with pytest.raises(ValueError, match=says):
        model.fit(*change(X, y))
    with pytest.raises(ValueError, match="encoding must be"):
        model.set_params(encoding="dummy").fit(X, y)


# -------------------------------------------------------------------- reject inference


def book(seed: int = 3, hidden: float = 0.0) -> tuple[Any, ...]:
    """Accepted and rejected: by an old score and, with `hidden`, by an officer who also sees what no column says."""
    rng = np.random.default_rng(seed)
    frame, _, bands = people(12_000, seed)
    secret = rng.normal(size=len(frame))
    risk = 0.8 * np.array(MEANS)[bands] + 0.7 * frame.overdue - 1.4 + hidden * secret
    labels = (rng.uniform(size=len(frame)) < 1 / (1 + np.exp(-risk))).astype(np.uint8)
    turned_down = 0.7 * frame.overdue + hidden * secret + 0.3 * rng.normal(size=len(frame)) > 0.75
    X = with_bands(frame, bands)
    columns = bank_columns(columns_of(frame[~turned_down]), labels[~turned_down], Limits())
    return columns, X[~turned_down], labels[~turned_down], X[turned_down], labels[turned_down]


def said(columns: Any, X: Any, y: Any, rejects: Any, method: Any) -> tuple[float, float, Any]:
    """Mean probability of all applicants and of the rejects, and the coefficients; with None by accepted rows alone."""
    model = OwnHalf(columns, MEANS, encoding="woe", C=1e3, reject_inference=method)
    model.fit(X, y, rejects=None if method is None else rejects)
    accepted, rejected = model.predict_proba(X)[:, 1], model.predict_proba(rejects)[:, 1]
    return float(np.concatenate([accepted, rejected]).mean()), float(rejected.mean()), model.coef_


def test_own_scores_teach_a_model_nothing_about_rejects() -> None:
    columns, X, y, rejects, _ = book()
    _, alone, coef = said(columns, X, y, rejects, None)
    _, fuzzy, again = said(columns, X, y, rejects, FuzzyAugmentation())
    assert fuzzy == pytest.approx(alone, abs=0.002)
    assert np.allclose(again, coef, atol=0.02)


@pytest.mark.parametrize("method", [FuzzyAugmentation, Parcelling])
def test_knowledge_from_outside_brings_all_applicants_to_their_true_rate(method: Any) -> None:
    columns, X, y, rejects, truth = book(hidden=1.0)
    everyone, alone, _ = said(columns, X, y, rejects, None)
    true = np.concatenate([y, truth]).mean()
    assert true > everyone + 0.1  # whom the officer turned down was worse than the columns tell
    factor = truth.mean() / (1 - truth.mean()) / (alone / (1 - alone))
    inferred, of_rejects, _ = said(columns, X, y, rejects, method(factor=factor))
    assert inferred == pytest.approx(true, abs=0.03)
    assert alone + 0.1 < of_rejects < truth.mean()  # no column tells a reject from an accepted customer of the same values


def test_a_larger_factor_makes_rejects_riskier() -> None:
    columns, X, y, rejects, _ = book()
    for method in (FuzzyAugmentation, Parcelling):
        rates = [said(columns, X, y, rejects, method(factor=factor))[1] for factor in (0.5, 1.0, 2.0)]
        assert rates == sorted(rates)


def test_weights_are_what_the_methods_say() -> None:
    rng = np.random.default_rng(1)
    accepted, rejected = rng.uniform(0, 0.5, 3000), rng.uniform(0.2, 0.9, 2000)
    labels = (rng.uniform(size=3000) < accepted).astype(np.uint8)
    for method in (FuzzyAugmentation(2.0), Parcelling(2.0)):
        weights = method(accepted, labels, rejected)
        assert np.allclose(weights.bad + weights.good, 1)
        assert (weights.accepted == 1).all()
    fuzzy = FuzzyAugmentation()(accepted, labels, rejected)
    assert np.allclose(fuzzy.bad, rejected)
    parcels = Parcelling(ranges=5)(accepted, labels, rejected)
    assert np.unique(parcels.bad).size <= 5
    assert parcels.bad[rejected > 0.8].max() <= labels.mean() * 3  # beyond the accepted, the last known rate
    stands = Reweighting()(accepted, labels, rejected)
    assert stands.bad.sum() == stands.good.sum() == 0
    inside = stands.accepted[accepted < 0.15]
    assert np.allclose(inside, 1)
    assert stands.accepted.max() > 1.5
    assert stands.accepted.sum() == pytest.approx(3000 + (rejected < 0.5).sum(), rel=0.15)


def test_rejects_need_a_method_and_a_method_a_factor() -> None:
    model, X, y = half(encoding="woe")
    with pytest.raises(ValueError, match="reject_inference"):
        model.fit(X, y, rejects=X)
    for method in (FuzzyAugmentation, Parcelling):
        with pytest.raises(ValueError, match="above 0"):
            method(factor=0.0)
