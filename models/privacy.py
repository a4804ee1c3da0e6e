"""Differential privacy: what a stated (ε, δ) allows, and integer noise that keeps to it.

A release is (ε, δ)-differentially private where replacing one unit (here one subject's label, or one subject's row) changes
the chance of any outcome by at most a factor e^ε, but for δ. What is spent is counted in ρ of zero-concentrated
differential privacy, in which releases simply add up (Bun and Steinke, TCC 2016):

    discrete Gaussian of standard deviation σ on a sum of L2 sensitivity d:   ρ = d² / (2 σ²)
        (Canonne, Kamath and Steinke, NeurIPS 2020, theorem 4 and its product form)
    ρ → (ε, δ):   δ = min over α > 1 of exp((α − 1)(αρ − ε)) / (α − 1) · (1 − 1/α)^α        (the same, corollary 13)

Noise is drawn in integers only (`crypto.noise`): a floating point Gaussian tells more than it should in its last bits. Two
properties of that sampler are accounted for, not assumed away:

- Its table ends at 2^-63, so a sample's distribution is within `SAMPLER_DISTANCE` of the discrete Gaussian's (a test computes
  it). `MOST_SAMPLES` of them are charged to δ before ρ is computed.
- Above 2^12 it returns g·(discrete Gaussian of 2^12) + uniform[0, g). What comes out modulo g is uniform whatever the value
  was, and given it the rest is the value in steps of g, rounded, plus the discrete Gaussian: as private as that, with a
  sensitivity of d/g and at most one step more in each coordinate that changes (`steps_for`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from crypto import noise
from models.wire import Message

Side = Literal["labels", "rows"]

LEAST_EPSILON, MOST_EPSILON = 0.1, 8.0  # below, a scorecard is noise; above, e^ε protects nobody
LEAST_DELTA, MOST_DELTA = 1e-9, 1e-5
SAMPLER_DISTANCE = 2.0**-50  # total variation between one sample and the discrete Gaussian
MOST_SAMPLES = 1 << 17  # in all releases under one budget

Floats = NDArray[np.float64]


class OutsideRange(ValueError):
    """An (ε, δ) that cannot be kept or is not worth keeping; the message says what would be accepted."""


class PrivacyWish(Message):
    """What a bank asks of a training: (ε, δ) for each of the sides that are protected.

    `protects`: "labels", each subject's label against the node; "rows", each subject's row against the bank.
    """

    epsilon: float
    delta: float = 1e-6
    protects: tuple[Side, ...] = ("labels",)


class Spending(Message):
    """What one protected side of a project has spent, this training included, of its budget, in ρ and as ε at `delta`."""

    side: Side
    rho: float
    rho_allowed: float
    epsilon: float
    epsilon_allowed: float
    delta: float


class PlannedPrivacy(Message):
    """The privacy of one training, in its plan: what was wished, the bank's noise that keeps to it, and the ledger after it.

    `answer_noise`: standard deviation of the bank's noise on label sums, in 2^-10 rows. `own_noise`: the same on the bad counts
    behind its own moments, in rows. Both are 0 where labels are not protected. Whole numbers, so that all sides draw alike.
    """

    epsilon: float
    delta: float
    protects: tuple[Side, ...]
    answer_noise: int = 0
    own_noise: int = 0
    spendings: tuple[Spending, ...] = ()

    @property
    def labels(self) -> bool:
        """Whether each label is protected against the node."""
        return "labels" in self.protects

    @property
    def rows(self) -> bool:
        """Whether each row is protected against the bank."""
        return "rows" in self.protects


def grants(planned: PlannedPrivacy | None, wish: PrivacyWish | None) -> bool:
    """Whether a plan's privacy is the one that was wished."""
    if planned is None or wish is None:
        return planned is None and wish is None
    said = (planned.epsilon, planned.delta, set(planned.protects))
    return said == (wish.epsilon, wish.delta, set(wish.protects))


def check_range(epsilon: float, delta: float, rows: int = 0) -> None:
    """Raise `OutsideRange` for an (ε, δ) outside the sane ranges, or a δ that could mean one whole row of `rows`."""
    if not LEAST_EPSILON <= epsilon <= MOST_EPSILON:
        raise OutsideRange(
            f"epsilon is {LEAST_EPSILON} to {MOST_EPSILON}: below nothing is learned, above nothing is protected"
        )
    if not LEAST_DELTA <= delta <= MOST_DELTA:
        raise OutsideRange(f"delta is {LEAST_DELTA} to {MOST_DELTA}")
    if rows and delta * rows > 1:
        raise OutsideRange(
            f"delta is at most one in the cohort's rows, {1 / rows:.1g}: a larger one would allow a row to be shown"
        )


def delta_of(rho: float, epsilon: float) -> float:
    """The smallest δ that corollary 13 gives for ρ-zCDP at this ε."""
    if rho <= 0:
        return 0.0
    # The logarithm's derivative in α is (2α − 1)ρ − ε + ln(1 − 1/α), which increases: bisect for its root.
    low, high = 1.0 + 1e-12, (epsilon + 1.0) / (2.0 * rho) + 2.0
    for _ in range(200):
        alpha = (low + high) / 2
        if (2 * alpha - 1) * rho - epsilon + math.log1p(-1 / alpha) < 0:
            low = alpha
        else:
            high = alpha
    alpha = high
    exponent = (alpha - 1) * (alpha * rho - epsilon) + alpha * math.log1p(-1 / alpha) - math.log(alpha - 1)
    return min(1.0, math.exp(exponent)) if exponent < 0 else 1.0


def epsilon_of(rho: float, delta: float) -> float:
    """The smallest ε at which ρ-zCDP, drawn with our sampler, is (ε, δ)-differentially private; infinite where none is."""
    low, high = 0.0, 64.0
    if not _holds(rho, high, delta):
        # Larger ε charge the sampler more; only the range up to the most that is ever granted matters.
        high = MOST_EPSILON
        if not _holds(rho, high, delta):
            return math.inf
    for _ in range(100):
        middle = (low + high) / 2
        low, high = (low, middle) if _holds(rho, middle, delta) else (middle, high)
    return high


def rho_of(epsilon: float, delta: float) -> float:
    """The largest ρ that keeps to (ε, δ), the sampler's imperfection included; raises `OutsideRange`."""
    check_range(epsilon, delta)
    low, high = 0.0, epsilon
    if not _holds(0.0, epsilon, delta):
        raise OutsideRange(
            f"delta = {delta:g} cannot be kept at epsilon = {epsilon:g}; use a larger delta or a smaller epsilon"
        )
    for _ in range(100):
        middle = (low + high) / 2
        low, high = (middle, high) if _holds(middle, epsilon, delta) else (low, middle)
    return low


def _holds(rho: float, epsilon: float, delta: float) -> bool:
    sampler = MOST_SAMPLES * SAMPLER_DISTANCE * (1.0 + math.exp(epsilon))
    return delta_of(rho, epsilon) + sampler <= delta


def sd_for(sensitivity: float, rho: float) -> float:
    """Standard deviation of a discrete Gaussian that makes a sum of this L2 sensitivity ρ-zCDP."""
    if not (sensitivity > 0 and rho > 0):
        raise ValueError("sensitivity and rho are positive")
    return sensitivity / math.sqrt(2.0 * rho)


def steps_for(sensitivity: float, changed: int, rho: float) -> float:
    """The sampler's step g for sums of large integers: its noise is g·(discrete Gaussian of 2^12) + uniform[0, g).

    Args:
        sensitivity: L2, in the integers' own unit.
        changed: coordinates that one unit changes at most; each may move by one step more.
        rho: to be spent.

    Raises:
        OutsideRange: so many coordinates cannot be released at so small a ρ.
    """
    room = noise.TABLE_SD * math.sqrt(2.0 * rho) - math.sqrt(changed)
    if room <= 0:
        raise OutsideRange("so many figures cannot be released at so small an epsilon; use fewer fields or a larger epsilon")
    return sensitivity / room


@dataclass(frozen=True)
class Grid:
    """Noise on real values: they are rounded to multiples of `step`, a power of two, and get `sd` steps of noise."""

    step: float
    sd: int

    @classmethod
    def of(cls, sensitivity: float, changed: int, rho: float) -> Grid:
        """For values of which one unit changes at most `changed`, by at most `sensitivity` in L2.

        Rounding moves each changed value by at most one step more, which the noise covers.
        """
        step = 2.0 ** math.ceil(math.log2(steps_for(sensitivity, changed, rho)))
        sd = math.ceil(sd_for(sensitivity / step + math.sqrt(changed), rho))
        return cls(step, min(sd, noise.TABLE_SD))

    @property
    def spread(self) -> float:
        """The noise's standard deviation in the values' own unit."""
        return self.step * self.sd

    def noisy(self, values: Floats, key: bytes, context: bytes) -> Floats:
        """`values` float64[...] on the grid with noise from PRF(key, context): one key and context for one release only.

        What is no number is treated as zero: nothing may be raised on a value.
        """
        most = 2.0**51 * self.step
        bounded = np.clip(np.nan_to_num(values), -most, most) / self.step
        drawn = noise.gaussian(key, context, bounded.size, self.sd).reshape(bounded.shape)
        return np.asarray((np.rint(bounded) + drawn) * self.step, dtype=np.float64)


def noisy_counts(counts: NDArray[np.integer], sensitivity: float, rho: float, key: bytes, context: bytes) -> NDArray[np.int64]:
    """Counts int64[...] with a discrete Gaussian, ρ-zCDP for this L2 sensitivity; may be negative, round afterwards.

    For counts of people: one who is in one cell is replaced by one in another, a sensitivity of √2 for each table released.
    """
    sd = count_sd(sensitivity, rho)
    return np.asarray(counts, np.int64) + noise.gaussian(key, context, np.size(counts), sd).reshape(np.shape(counts))


def count_sd(sensitivity: float, rho: float) -> int:
    """The whole standard deviation of noise on counts, 1 to 2^12.

    Raises:
        OutsideRange: more would be needed.
    """
    sd = math.ceil(sd_for(sensitivity, rho))
    if sd > noise.TABLE_SD:
        raise OutsideRange("so many counts cannot be released at so small an epsilon; ask for fewer, or a larger epsilon")
    return max(1, sd)
