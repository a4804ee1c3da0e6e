"""Several banks, one model: the node's weights with every pattern of banks lost, and what a lost bank would give away.

The rows of default_credit are split unevenly over three and over ten banks, with different shares of bads. For every set of
banks that may be left after round 1 the node's weights are compared with those of a model on the pooled rows of that set, with
the same bins and WOE codes: with one that is trained without any noise, and with one that is trained by one bank under the same
noise of the node. The largest difference over the node's columns counts, its median over seeds. For every pattern the sums are
computed in clear, with as much noise of each bank as its product has; a few patterns, one for each step at which a bank may
fall silent, are run whole: products, masks, the office's replay.

Attack: the node says that a bank was lost between the rounds. In a build that goes on over the others, round 1's bad counts
weighted with the levels, less round 2's products with the labels, are the lost bank's own products.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from itertools import combinations
from typing import Any

import numpy as np
import pytest
from joblib import Parallel, delayed
from numpy.typing import NDArray

from crypto.errors import AggregationRefused
from models.scorecard.group import GroupPlan, counts_of, pooled_name
from models.scorecard.group_columns import common_columns
from models.scorecard.group_node import pooled_columns
from models.scorecard.learner import Learner
from models.scorecard.limits import LimitRefused
from models.scorecard.moments import SCALE, bank_moments
from models.scorecard.noise import NodeNoise
from models.scorecard.rounds import COUNTS, MOMENTS
from tests.models.default_credit import Quiet, pooled_model, split
from tests.models.group_job import BankRows, GroupJob
from tests.models.scorecard_job import LIMITS

pytestmark = pytest.mark.attack

NAME = "several-banks"
FULL_COUNT = 31  # the median of 11 is uncertain by a tenth, and the worst of 176 such medians by more
SMALL_COUNT = 1
CLOSE = 2e-3
WHOLE_STEPS = ("keys", "shares", "input", "opening")

Floats = NDArray[np.float64]


class _Split:
    """One split of the rows over K banks, and sums over any set of them in clear."""

    def __init__(self, banks: int, seed: int) -> None:
        self.cohorts, self.definitions = split(banks, seed, LIMITS)
        self.plan = GroupJob(self.cohorts, self.definitions).plan
        self.random = np.random.default_rng([seed, banks, 1])
        self.key = seed.to_bytes(32, "big")

    def differences(self, alive: tuple[str, ...]) -> tuple[float, float]:
        """Largest difference of the weights to a model in clear, and to one bank's under the node's same noise."""
        rows = [self.cohorts[bank] for bank in alive]
        columns, labels = pooled_columns([each.node for each in rows]), np.concatenate([each.labels for each in rows])
        codes = [np.concatenate([each.codes[k] for each in rows]) for k in range(len(self.definitions))]
        common = common_columns(self.definitions, counts_of(labels, codes, self.plan.columns), LIMITS)
        Z = np.array([column.levels[c] for column, c in zip(common, codes, strict=True)])
        macs = [pooled_name(b"vector", [(bank, bytes([v])) for bank in alive]) for v in range(len(Z) + 1)]
        noise = NodeNoise(self.key, pooled_name(b"cohort", [(bank, b"") for bank in alive]), LIMITS)
        first = Learner(columns, noise, LIMITS)
        counts = [np.bincount(c, labels, minlength=n) for c, n in zip(columns.codes, columns.bins, strict=True)]
        first.learn_woe(self._with_noise(np.concatenate(counts)[:, None].astype(np.float64), alive, COUNTS)[:, 0], macs[0])
        exact = first.woe_columns() / SCALE @ np.concatenate([labels[None], Z / SCALE]).T
        weights = []
        for kind, decoded in (
            (noise, self._with_noise(exact, alive, MOMENTS)),
            (Quiet(self.key, b"", LIMITS), exact),
            (noise, exact),
        ):
            learner = Learner(columns, kind, LIMITS)
            learner.restore(first.snapshot())
            learner.learn_weights(decoded, macs, bank_moments(labels, Z))
            weights.append(learner.weights_)
        ours, clear, same = (np.asarray(each) for each in weights)
        return float(np.abs(ours - clear).max()), float(np.abs(ours - same).max())

    def _with_noise(self, exact: Floats, alive: tuple[str, ...], round_: int) -> Floats:
        """As the node decodes a sum: each bank's answers bring their own noise."""
        shape = self.plan.plan(alive[0]).shape(round_)
        one = np.array([shape.predicted_noise(v) for v in range(exact.shape[1])]) / np.sqrt(len(self.plan.members))
        made: Floats = exact + self.random.normal(0, one * np.sqrt(len(alive)), exact.shape)
        return made


@cache
def _split(banks: int, seed: int) -> _Split:
    return _Split(banks, seed)


def _left(plan: GroupPlan) -> list[tuple[str, ...]]:
    """Every set of banks that may be left."""
    return [alive for size in range(plan.fewest, len(plan.members) + 1) for alive in combinations(plan.banks, size)]


def _trial(banks: int, seed: int, left: list[tuple[str, ...]]) -> list[tuple[float, float]]:
    """The differences of one seed, for each set of banks."""
    return [_split(banks, seed).differences(alive) for alive in left]


def patterns(banks: int, seeds: range, most: int = 1_000) -> dict[str, Any]:
    """Medians over seeds of the largest difference, for every set of banks that may be left."""
    plan = _split(banks, seeds[0]).plan
    left = _left(plan)[-most:]
    trials = Parallel(n_jobs=-1 if len(seeds) == FULL_COUNT else 1)(delayed(_trial)(banks, seed, left) for seed in seeds)
    medians = np.median(np.array(trials), axis=0)
    found = {alive: (*median, plan.rows(alive)) for alive, median in zip(left, medians, strict=True)}
    clear, same = np.array([entry[0] for entry in found.values()]), np.array([entry[1] for entry in found.values()])
    rows = np.array([entry[2] for entry in found.values()])
    assert clear.max() <= CLOSE, "some set of banks comes out other than a model on all of their rows"
    assert same.max() <= CLOSE, "some set of banks comes out other than one bank with all their rows under the same noise"
    return {
        "sets of banks": len(found),
        "all banks, to a model in clear": round(float(found[plan.banks][0]), 5),
        "all sets, median": round(float(np.median(clear)), 5),
        "worst set, to a model in clear": round(float(clear.max()), 5),
        "rows of the worst set": int(rows[clear.argmax()]),
        "sets within 2e-3 of a model in clear": int((clear <= CLOSE).sum()),
        "fewest rows from which on all sets are": int(rows[clear > CLOSE].max() + 1)
        if (clear > CLOSE).any()
        else int(rows.min()),
        "worst set, to one bank under the same noise": round(float(same.max()), 5),
    }


def whole(banks: int, seed: int, lost: dict[str, tuple[int, str]]) -> tuple[float, float]:
    """A training with all products, masks and replays: differences as above."""
    job = GroupJob(*split(banks, seed, LIMITS), noise_key=seed.to_bytes(32, "big"), lost=lost)
    first, counted = job.counts()
    assert set(first) == set(job.plan.banks) - {bank for bank, (round_, step) in lost.items() if step in WHOLE_STEPS}
    learned, _ = job.moments(first, counted)
    pooled = pooled_model(job, first, counted.learned)
    ours = np.array(learned.weights)
    return float(np.abs(ours - pooled.clear).max()), float(np.abs(ours - pooled.same_noise).max())


def _silences(banks: int) -> Iterator[dict[str, tuple[int, str]]]:
    """One bank silent at each step, and as many as may be missing at once."""
    names = [f"bank-{k}" for k in range(banks)]
    if banks > 3:
        for place, step in enumerate(WHOLE_STEPS):
            yield {names[2 * place]: (COUNTS, step)}
        yield {name: (COUNTS, step) for name, step in zip(names[1:4], WHOLE_STEPS, strict=False)}
        for round_ in (COUNTS, MOMENTS):
            yield dict.fromkeys(names[-3:], (round_, "unmask"))
    yield {}


def one_fewer(seed: int) -> dict[str, float]:
    """R² of the lost bank's own products with the node's columns, from the difference of both rounds; naive build."""
    made, told, truth = _Split(10, seed), [], []  # with noise of its own, so that no other test draws another one
    for lost in made.plan.banks:
        alive = tuple(bank for bank in made.plan.banks if bank != lost)
        everybody = [made.cohorts[bank] for bank in made.plan.banks]
        columns = pooled_columns([each.node for each in everybody])
        labels = np.concatenate([each.labels for each in everybody])
        counts = [np.bincount(c, labels, minlength=n) for c, n in zip(columns.codes, columns.bins, strict=True)]
        decoded = made._with_noise(np.concatenate(counts)[:, None].astype(np.float64), made.plan.banks, COUNTS)[:, 0]
        learner = Learner(columns, NodeNoise(made.key, b"root", LIMITS), LIMITS)
        learner.learn_woe(decoded, bytes(32))
        levels = [each / SCALE for each in learner.levels_]

        def products(rows: list[BankRows], levels: list[Floats] = levels) -> Floats:
            X = [np.concatenate([level[each.node.codes[j]] for each in rows]) for j, level in enumerate(levels)]
            y = np.concatenate([each.labels for each in rows])
            return np.array([x @ y for x in X])

        second = made._with_noise(products([made.cohorts[bank] for bank in alive])[:, None], alive, MOMENTS)[:, 0]
        ends = np.cumsum([level.size for level in levels])
        first = np.array([level @ part for level, part in zip(levels, np.split(decoded, ends[:-1]), strict=True)])
        told.append(first - second)
        truth.append(products([made.cohorts[lost]]))
    return {"R² of the lost bank's products": float(np.corrcoef(np.concatenate(told), np.concatenate(truth))[0, 1] ** 2)}


def campaign(count: int, seed: int) -> dict[str, Any]:
    seeds = range(seed, seed + count)
    result: dict[str, Any] = {f"{banks} banks": patterns(banks, seeds) for banks in (3, 10)}
    runs = [(banks, lost) for banks in (3, 10) for lost in _silences(banks)]
    found = np.array([whole(banks, seed + place, lost) for place, (banks, lost) in enumerate(runs)])
    assert found[:, 1].max() <= CLOSE
    assert np.median(found[:, 0]) <= CLOSE
    told = one_fewer(seed)
    assert told["R² of the lost bank's products"] > 0.9, "without the rule the node must read the lost bank"
    return result | {
        "whole trainings": len(runs),
        "whole trainings, median, to a model in clear": round(float(np.median(found[:, 0])), 5),
        "whole trainings, worst, to one bank under the same noise": round(float(found[:, 1].max()), 5),
        "naive build": {name: round(value, 3) for name, value in told.items()},
    }


def test_all_banks_and_some_of_them_come_out_as_one() -> None:
    assert patterns(10, range(3, 6), most=4)["sets of banks"] == 4
    assert patterns(3, range(3, 6))["sets of banks"] == 1


def test_three_banks_run_whole() -> None:
    assert max(whole(3, 1, {})) <= CLOSE


def test_a_bank_that_is_lost_between_the_rounds_would_be_read_and_so_nothing_comes_out() -> None:
    assert one_fewer(3)["R² of the lost bank's products"] > 0.9
    made = _split(10, 3).plan
    with pytest.raises(LimitRefused, match="difference of both rounds"):
        made.check_same(made.banks, made.banks[1:])


def test_one_bank_fewer_than_the_threshold_and_nothing_comes_out() -> None:
    job = GroupJob(*split(10, 2, LIMITS), lost={f"bank-{k}": (COUNTS, "keys") for k in range(4)})
    with pytest.raises(AggregationRefused, match="nothing comes out"):
        job.counts()
