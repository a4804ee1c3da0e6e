"""Attack: what the masked product hides from a bank, make the node tell through a figure.

The bank deviates where it can: a vector in clear that singles out one row and offsets that turn it into an information
value (an oracle), columns that are one-hot or rare, values beyond their bounds, labels that are no labels, a response or
moments of its choice. Naive build: the node shows IVs as soon as it has decoded them. One training then reads one bit of
a chosen row, every time.

Criterion: the replay names the malformed input; no figure comes out without the office's signature; and whatever the
target's bit is, the bank sees messages of the same shapes, words that stand in no relation to the row, and the same
sentences. Well-formed labels that are invented get the node's noise: R² of the target's bit at most 0.10.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from models.scorecard.bank import BankColumn
from models.scorecard.binning import NumericBins
from models.scorecard.inputs import BankVector, Opening
from models.scorecard.learner import Learner, NodeColumns, NodeField
from models.scorecard.limits import InputRefused, OutOfOrder
from models.scorecard.noise import NodeNoise, alpha_mac
from models.scorecard.rounds import COUNTS, MOMENTS, Plan
from models.scorecard.woe import woe_table
from tests.attacks.toy import r_squared
from tests.models.scorecard_job import LIMITS, MAC_KEY, Cohort, Job, refusal, sign_verdict

pytestmark = pytest.mark.attack

NAME = "masked-product-output"
FULL_COUNT = 100
SMALL_COUNT = 2
ROWS, ONES, LARGEST = 1_200, 300, 0.10
INVENTED_PER_COUNT = 100

Words = NDArray[np.uint64]
Change = Callable[[str, int, Any, Any], Any]


def _cohort(bit: int, target: int, seed: int) -> Cohort:
    """Two node flags of which the first holds the target's bit, one bank column, labels."""
    random = np.random.default_rng(seed)
    flags = [np.zeros(ROWS), np.zeros(ROWS)]
    others = np.delete(np.arange(ROWS), target)
    for flag in flags:
        flag[random.choice(others, ONES - 1, replace=False)] = 1.0
    flags[0][target] = bit
    bank = {"b0": random.integers(0, 4, ROWS).astype(np.float64)}
    return Cohort({"f0": flags[0], "f1": flags[1]}, bank, (random.random(ROWS) < 0.3).astype(np.uint8))


def _in_clear(plan: Plan, target: int) -> Change:
    """The oracle: b = B·e_target in clear, and a response that adds 30 bads to every bin."""
    unit = plan.shape(COUNTS).unit(0)

    def change(step: str, round_: int, message: Any, answer: Any) -> Any:
        if round_ == COUNTS and step == "b, p":
            b, p = (np.zeros_like(words) for words in message)
            b[0, target] = 1_000 * unit
            return b, p
        if round_ == COUNTS and step == "w":
            return answer[1] + np.uint64(30 * unit)
        return message

    return change


def _added(step: str, round_: int, amount: Callable[[Any], Any]) -> Change:
    return lambda s, r, message, _: amount(message) if (s, r) == (step, round_) else message


def _one_hot_instead(plan: Plan, target: int) -> Change:
    """Commit to a decent column, send one that is one-hot: 8 standard deviations at the target."""
    unit = plan.shape(MOMENTS).delta(1)

    def amount(message: tuple[Words, Words]) -> tuple[Words, Words]:
        b, p = message[0].copy(), message[1]
        b[1, target] += np.uint64(8_192 * unit)
        return b, p

    return _added("b, p", MOMENTS, amount)


def _lie(moments: NDArray[np.int64]) -> NDArray[np.int64]:
    changed = moments.copy()
    changed[1, 1] += 1
    return changed


def _deviations(plan: Plan, target: int) -> dict[str, tuple[Change, str]]:
    """Messages that are not what was committed, and what the replay must say of each."""
    labels = np.uint64(1_000 * plan.shape(COUNTS).delta(0))
    return {
        "clear b with offsets": (_in_clear(plan, target), "encrypted vectors of round 1"),
        "unbounded labels": (_added("b, p", COUNTS, lambda m: (m[0] + labels, m[1])), "encrypted vectors of round 1"),
        "one-hot column": (_one_hot_instead(plan, target), "encrypted vectors of round 2"),
        "offsets on the response": (_added("w", COUNTS, lambda w: w + labels), "response of round 1"),
        "a lie in the moments": (_added("moments", MOMENTS, _lie), "own moments in round 2"),
    }


def _naive_ivs(job: Job) -> tuple[float, float]:
    """What a node without the gate would have shown after round 1."""
    return job.node._learner.ivs_[0], job.node._learner.ivs_[1]


def _oracle_guess(iv: float) -> int:
    """All rows of the target's bin count as bad, the others get 30 bads: the two cases have two IVs."""
    rows = np.array([ROWS - ONES, ONES], dtype=np.float64)
    cases = [woe_table(np.where([bit == 0, bit == 1], rows, 30.0), rows).iv for bit in (0, 1)]
    return int(np.argmin([abs(iv - case) for case in cases]))


def _view(job: Job) -> list[tuple[Any, ...]]:
    """Shapes of all that the bank saw; and no word that stands near zero, as a difference of known words would."""
    for h, c in job.seen_by_bank:
        for words in (h, c):
            assert (np.abs(words.view(np.int64)) < 1 << 40).mean() < 0.001
    return [(h.shape, c.shape) for h, c in job.seen_by_bank]


def _closed(job: Job) -> tuple[str, str, str]:
    """What the bank is told at the end: the office's reason, the node's answer, and the answer to a request for figures."""
    verdict = job.verdict()
    said = []
    for step in (lambda: job.close(verdict), job.node.figures, job.node.learned):
        with pytest.raises((InputRefused, OutOfOrder)) as refused:
            step()
        said.append(str(refused.value))
    return verdict.payload.decode("utf-8", "ignore"), said[0], said[1] + said[2]


def _deviating_bank(seed: int) -> int:
    """Every deviation against a target whose bit is 0 and one whose bit is 1; 1 if the naive oracle read both."""
    target = int(np.random.default_rng(seed).integers(ROWS))
    plan = Job.of(_cohort(0, target, seed)).plan
    right = 0
    for name, (change, reason) in _deviations(plan, target).items():
        views = []
        for bit in (0, 1):
            job = Job.of(_cohort(bit, target, seed), job_seed=bytes([bit + 1]) * 32).rounds(change)
            if name == "clear b with offsets":
                right += _oracle_guess(_naive_ivs(job)[0]) == bit
            forged = sign_verdict(usable=True, job="an honest job")
            with pytest.raises(InputRefused, match="not on this training"):
                job.close(forged)
            views.append((_view(job), _closed(job)))
        assert views[0] == views[1], f"{name}: the bank sees the target's bit"
        assert reason in views[0][1][0], f"{name}: the replay does not name the input"
    return int(right == 2)


def _malformed_openings(random: np.random.Generator) -> dict[str, tuple[BankVector, ...]]:
    """Openings that are truthful about vectors that single out a few rows, or that are no labels."""
    y = BankVector.of_labels((random.random(ROWS) < 0.3).astype(np.uint8))
    few = np.zeros(ROWS, np.uint8)
    few[random.choice(ROWS, int(random.integers(1, 50)), replace=False)] = 1
    one = np.zeros(ROWS, np.uint8)
    one[random.integers(ROWS)] = 1
    twin = y.codes ^ one
    levels = np.array([0, 8_192], dtype=np.int64)
    return {
        "fewer than 50 rows": (y, BankVector.of_column(one, levels)),
        "could single out": (y, BankVector.of_column(few, levels)),
        "beyond ± 8": (y, BankVector.of_column(y.codes, levels * int(random.integers(2, 1_000)))),
        "other than 0 and 1": (BankVector(y.codes, levels, 1, 1),),
        "two label classes": (BankVector.of_labels(few),),
        "say the same of all rows but": (y, BankVector.of_column(twin, levels)),
    }


def _invented_labels(trials: int, seed: int) -> tuple[float, float]:
    """R² of the target's bit from the difference of two shown IVs, labels differing in the target alone: ours, naive."""
    random = np.random.default_rng(seed)
    bits, shown, naive = random.integers(0, 2, trials), np.empty(trials), np.empty(trials)
    bins = NumericBins("f0", (0.5,), 1)
    for trial, bit in enumerate(bits):
        flag = np.zeros(ROWS)
        flag[1 : ONES + 1 - bit] = 1.0
        flag[0] = bit
        columns = NodeColumns((NodeField(bins),), bins.apply(flag)[None])
        first = (random.random(ROWS) < 0.3).astype(np.uint8)
        pair = [first.copy(), first.copy()]
        pair[0][0], pair[1][0] = 0, 1
        ivs, exact = [], []
        for labels in pair:
            noise = NodeNoise(random.bytes(32), b"root", LIMITS)
            learner = Learner(columns, noise, LIMITS)
            bads = np.bincount(columns.codes[0], labels, minlength=2)
            learner.learn_woe(bads, alpha_mac(MAC_KEY, labels.astype(np.int64)))
            ivs.append(float(f"{learner.ivs_[0]:.3g}"))
            exact.append(bads[1])
        shown[trial], naive[trial] = ivs[1] - ivs[0], exact[1] - exact[0]
    return r_squared(shown, bits), r_squared(naive, bits)


def campaign(count: int, seed: int) -> dict[str, Any]:
    read = sum(_deviating_bank(seed + trial) for trial in range(count))
    assert read == count, "the naive build must give the target's bit away"
    random = np.random.default_rng(seed)
    named = 0
    for _ in range(count):
        for reason, vectors in _malformed_openings(random).items():
            refused = refusal(Opening(vectors, b"s" * 32), ROWS, node_fields=2)
            assert refused is not None, f"accepted although: {reason}"
            assert reason in str(refused), f"not named: {reason}"
            named += 1
    ours, naive = _invented_labels(INVENTED_PER_COUNT * count, seed)
    assert naive > 0.99, "without noise, two label vectors must read the row"
    assert ours <= LARGEST, "invented labels read the row through the noise"
    return {
        "naive oracle, bits read": f"{2 * read} of {2 * count}",
        "deviations refused": 10 * count,
        "malformed openings named": named,
        "R², invented labels": round(ours, 4),
        "R², invented labels, no noise": round(naive, 4),
    }


def test_no_figure_comes_out_of_a_deviating_bank() -> None:
    campaign(SMALL_COUNT, 7)


def test_a_rare_level_never_reaches_the_wire() -> None:
    made = _cohort(1, 5, 1)
    codes = (np.arange(ROWS) < 49).astype(np.uint8)
    rare = BankColumn(NumericBins("b0", (0.5,), 1), codes, np.array([0.0, 1.0]), np.array([0, 1_024]), 0.1)
    with pytest.raises(InputRefused, match="single out"):
        Job.of(made, own=[rare])
