"""Telling two kinds of transcripts apart: classifiers on held-out transcripts, and what is left to chance."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

Floats = NDArray[np.float64]

FULL = 10_000  # held-out transcripts from which on the plain limit holds
LIMIT = 0.52
_Z = 4.75  # one in a million, one-sided


def held_out_auc(features: Floats, label: NDArray[np.bool_], seed: int) -> float:
    """The better of two classifiers' AUC, each half of the transcripts judged by what was learnt on the other half.

    ``features`` float64[T, k], ``label`` bool[T]. Logistic regression finds shifts of single features, boosted trees find
    thresholds and pairs.
    """
    order = np.random.default_rng(seed).permutation(len(label))
    order = np.concatenate([order[label[order]], order[~label[order]]])  # each half has as many of either kind
    halves = order[::2], order[1::2]
    learners = [
        make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=200)),
        HistGradientBoostingClassifier(max_iter=40, max_depth=3, max_bins=63, early_stopping=False, random_state=seed),
    ]
    aucs = []
    with threadpool_limits(1):
        for learner in learners:
            found = []
            for train, test in (halves, halves[::-1]):
                learner.fit(features[train], label[train])
                found.append(roc_auc_score(label[test], learner.predict_proba(features[test])[:, 1]))
            aucs.append(float(np.mean(found)))
    return max(aucs)


def limit(transcripts: int) -> float:
    """The AUC that chance does not reach: 0.52 at the full count, else what guessing exceeds one time in a million."""
    if transcripts >= FULL:
        return LIMIT
    half = transcripts / 2
    return 0.5 + _Z * math.sqrt((transcripts + 1) / (12 * half * half))
