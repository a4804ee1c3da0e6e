"""Reject inference: how applicants whom the bank turned down take part in its own half.

They have no outcome, so they are in no joint training; their bands come from private queries of the model's score table. A
method gives weights: each accepted row counts so much, each rejected one so much as bad and so much as good.

A method can only add what it assumes. `FuzzyAugmentation` with factor 1 assumes that rejects are like accepted customers of the
same score, and then changes next to nothing; that is a finding of the literature (Hand and Henley, 1993), not a defect. What
moves a model is knowledge from outside, such as a factor from a bureau, an earlier experiment or a neighbour's book.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from models.scorecard.calibration import grouped

Floats = NDArray[np.float64]
Labels = NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class Weights:
    """Of the accepted rows float64[N], and of the rejected ones float64[M] as bad and as good; 0 leaves a row out."""

    accepted: Floats
    bad: Floats
    good: Floats


class RejectInference(Protocol):
    """A callable that weighs the rows, given the probabilities of a model that knows the accepted ones alone."""

    def __call__(self, accepted: Floats, labels: Labels, rejected: Floats) -> Weights:
        """Weigh the rows.

        Args:
            accepted: probabilities of bad of the accepted rows, float64[N].
            labels: their outcomes, uint8[N].
            rejected: probabilities of bad of the rejected rows, float64[M].
        """
        ...  # pragma: no cover


def _check_factor(factor: float) -> None:
    if not factor > 0:
        raise ValueError("factor says how many times the odds of bad rejects have; it must be above 0")


def _riskier(probabilities: Floats, factor: float) -> Floats:
    """Probabilities after their odds were multiplied."""
    odds = factor * probabilities
    return np.asarray(odds / (odds + 1 - probabilities), dtype=np.float64)


@dataclass(frozen=True)
class FuzzyAugmentation:
    """Each reject counts twice: as bad by its own probability, as good by the rest.

    Attributes:
        factor: by how much the odds of bad of a reject exceed those of an accepted customer of the same score.
    """

    factor: float = 1.0

    def __post_init__(self) -> None:
        _check_factor(self.factor)

    def __call__(self, accepted: Floats, labels: Labels, rejected: Floats) -> Weights:
        """See `RejectInference`."""
        bad = _riskier(rejected, self.factor)
        return Weights(np.ones(labels.size), bad, 1 - bad)


@dataclass(frozen=True)
class Parcelling:
    """Each reject counts as bad by the true rate of the accepted customers in its range of scores, times a factor in odds.

    Ranges are quantiles of all scores; one with fewer than `least` accepted customers takes the rate of the next safer range
    that has them. Weights stand in for the lottery of the textbooks, so that a second fit gives the same model.

    Attributes:
        factor: by how much the odds of bad of a reject exceed those of an accepted customer of the same range.
        ranges: number of ranges.
        least: accepted customers that a range's rate must rest on.
    """

    factor: float = 1.0
    ranges: int = 10
    least: int = 50

    def __post_init__(self) -> None:
        _check_factor(self.factor)

    def __call__(self, accepted: Floats, labels: Labels, rejected: Floats) -> Weights:
        """See `RejectInference`."""
        code = grouped(np.concatenate([accepted, rejected]), self.ranges)
        own, other = code[: accepted.size], code[accepted.size :]
        rows = np.bincount(own, minlength=int(code.max()) + 1)
        bads = np.bincount(own, labels, minlength=rows.size)
        rate = np.empty(rows.size)
        last = float(labels.mean())
        for i in range(rows.size):
            last = float(bads[i] / rows[i]) if rows[i] >= self.least else last
            rate[i] = last
        bad = _riskier(rate, self.factor)[other]
        return Weights(np.ones(labels.size), bad, 1 - bad)


@dataclass(frozen=True)
class Reweighting:
    """Rejects count for nothing, but accepted customers stand for the rejects of their range of scores as well (Hsia, 1978).

    Right where, given the score, rejection has nothing to do with the outcome.

    Attributes:
        ranges: number of ranges, quantiles of all scores.
        most: the most that one accepted customer may weigh.
    """

    ranges: int = 10
    most: float = 20.0

    def __call__(self, accepted: Floats, labels: Labels, rejected: Floats) -> Weights:
        """See `RejectInference`."""
        code = grouped(np.concatenate([accepted, rejected]), self.ranges)
        rows, own = np.bincount(code), np.bincount(code[: accepted.size], minlength=int(code.max()) + 1)
        weight = np.minimum(rows / np.maximum(own, 1), self.most)[code[: accepted.size]]
        return Weights(weight, np.zeros(rejected.size), np.zeros(rejected.size))
