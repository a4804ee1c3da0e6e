"""Accounting of differential privacy against published figures, and the integer noise against what it must be."""

from __future__ import annotations

import math
from decimal import Decimal, localcontext

import numpy as np
import pytest
from scipy import stats

from crypto import noise
from models.privacy import (
    SAMPLER_DISTANCE,
    Grid,
    OutsideRange,
    check_range,
    count_sd,
    delta_of,
    epsilon_of,
    noisy_counts,
    rho_of,
    sd_for,
    steps_for,
)

LEAST_P = 1e-6


def gaussian_delta(sd: float, epsilon: float) -> float:
    """δ of the continuous Gaussian on a sum of sensitivity 1, exactly (Balle and Wang, ICML 2018, theorem 8)."""
    a, b = 1 / (2 * sd), epsilon * sd
    return float(stats.norm.cdf(a - b) - math.exp(epsilon) * stats.norm.cdf(-a - b))


def simple_delta(rho: float, epsilon: float) -> float:
    """δ of ρ-zCDP by Bun and Steinke, proposition 1.3: ε = ρ + 2 √(ρ ln(1/δ))."""
    return math.exp(-((epsilon - rho) ** 2) / (4 * rho))


@pytest.mark.parametrize("rho", [0.001, 0.02, 0.1, 0.5, 2.63])
@pytest.mark.parametrize("epsilon", [0.3, 1.0, 4.0, 18.19])
def test_delta_lies_between_the_exact_one_of_the_gaussian_and_the_simple_bound(rho: float, epsilon: float) -> None:
    found = delta_of(rho, epsilon)
    assert found >= gaussian_delta(1 / math.sqrt(2 * rho), epsilon) * (1 - 1e-9)
    if epsilon > rho:
        assert found <= simple_delta(rho, epsilon) * (1 + 1e-9)


def test_delta_is_the_minimum_of_corollary_13() -> None:
    rho, epsilon = 0.1, 2.0
    alphas = np.linspace(1.001, 60, 400_000)
    values = (alphas - 1) * (alphas * rho - epsilon) + alphas * np.log1p(-1 / alphas) - np.log(alphas - 1)
    assert delta_of(rho, epsilon) == pytest.approx(float(np.exp(values.min())), rel=1e-6)


def test_published_budgets_of_the_2020_census() -> None:
    """Persons and housing units together: ρ = 2.63, stated as ε = 18.19 at δ = 1e-10 by proposition 1.3."""
    assert 2.63 + 2 * math.sqrt(2.63 * math.log(1e10)) == pytest.approx(18.19, abs=0.005)
    assert delta_of(2.63, 18.19) < 1e-10
    assert 2.56 + 2 * math.sqrt(2.56 * math.log(1e10)) == pytest.approx(17.91, abs=0.01)


@pytest.mark.parametrize("epsilon", [0.1, 0.5, 1.0, 2.0, 8.0])
def test_rho_and_epsilon_are_inverse_and_hold(epsilon: float) -> None:
    rho = rho_of(epsilon, 1e-6)
    assert epsilon_of(rho, 1e-6) == pytest.approx(epsilon, rel=1e-9)
    assert delta_of(rho, epsilon) < 1e-6 < delta_of(rho * 1.6, epsilon)
    assert gaussian_delta(sd_for(1.0, rho), epsilon) < 1e-6


def test_spendings_add_up_below_the_sum_of_their_epsilons() -> None:
    one = rho_of(0.5, 1e-6)
    assert epsilon_of(4 * one, 1e-6) < 4 * 0.5


@pytest.mark.parametrize(
    ("epsilon", "delta", "rows"),
    [(0.05, 1e-6, 0), (9.0, 1e-6, 0), (1.0, 1e-4, 0), (1.0, 0.0, 0), (1.0, 1e-5, 200_000), (math.nan, 1e-6, 0)],
)
def test_what_protects_nobody_is_refused(epsilon: float, delta: float, rows: int) -> None:
    with pytest.raises(OutsideRange):
        check_range(epsilon, delta, rows)


def test_a_delta_below_the_samplers_own_imperfection_is_refused() -> None:
    with pytest.raises(OutsideRange, match="cannot be kept"):
        rho_of(8.0, 1e-9)


# ---------------------------------------------------------------- the sampler


@pytest.mark.parametrize("sd", [1, 3, 64, 4096])
def test_the_table_is_within_the_stated_distance_of_the_discrete_gaussian(sd: int) -> None:
    table = [int(entry) for entry in noise.cumulative_table(sd)]
    with localcontext() as context:
        context.prec = 50
        ratio = (Decimal(-1) / (2 * sd * sd)).exp()
        square, rho, weights = ratio * ratio, Decimal(1), [Decimal(1)]
        while rho > Decimal(10) ** -40:
            rho *= ratio
            ratio *= square
            weights.append(2 * rho)
        total = sum(weights)
        drawn = [Decimal(b - a) / 2**63 for a, b in zip([0, *table], [*table, 2**63], strict=True)]
        drawn += [Decimal(0)] * (len(weights) - len(drawn))
        distance = sum(abs(weight / total - chance) for weight, chance in zip(weights, drawn, strict=True)) / 2
    assert float(distance) <= SAMPLER_DISTANCE


@pytest.mark.parametrize("sd", [1, 7, 300, 4096])
def test_samples_follow_the_discrete_gaussian(sd: int) -> None:
    drawn = noise.gaussian(b"k" * 32, b"fit", 200_000, sd)
    support = np.arange(-12 * sd, 12 * sd + 1)
    chance = np.exp(-(support.astype(np.float64) ** 2) / (2 * sd * sd))
    edges = support[np.searchsorted(np.cumsum(chance / chance.sum()), np.linspace(0, 1, 41)[1:-1])]
    cells = np.unique(edges)
    expected = np.bincount(np.searchsorted(cells, support, side="right"), chance / chance.sum())
    found = np.bincount(np.searchsorted(cells, drawn, side="right"), minlength=expected.size)
    assert stats.chisquare(found, expected * drawn.size).pvalue > LEAST_P


@pytest.mark.parametrize("value", [0, 1, 123_457, -987_654_321])
def test_above_the_table_the_low_part_tells_nothing_and_the_rest_is_a_discrete_gaussian_on_steps(value: int) -> None:
    """The claim behind `steps_for`: modulo g uniform for any value; given it, the value in steps plus the Gaussian of 2^12."""
    step = 1_000
    drawn = value + noise.gaussian(b"k" * 32, b"steps", 100_000, step * noise.TABLE_SD)
    low = drawn % step
    assert stats.chisquare(np.bincount(low // 10, minlength=100)).pvalue > LEAST_P
    steps = drawn // step - (value - low) // step - ((value - low) % step > 0)  # what is left of it once the value is known
    assert stats.kstest((steps + 0.5) / noise.TABLE_SD, "norm").pvalue > LEAST_P


def test_noise_covers_its_sensitivity_with_every_rounding_counted() -> None:
    sensitivity, changed, rho = math.sqrt(22), 22, 0.01
    grid = Grid.of(sensitivity, changed, rho)
    assert math.frexp(grid.step)[0] == 0.5
    moved = sensitivity / grid.step + math.sqrt(changed)
    assert moved**2 / (2 * grid.sd**2) <= rho * (1 + 1e-9)
    assert sd_for(sensitivity, rho) <= grid.spread <= 1.05 * sd_for(sensitivity, rho)
    step = steps_for(sensitivity * 1e9, changed, rho)
    assert (sensitivity * 1e9 / step + math.sqrt(changed)) ** 2 / (2 * noise.TABLE_SD**2) <= rho * (1 + 1e-9)


def test_noisy_values_are_on_the_grid_and_never_raise() -> None:
    grid = Grid.of(1.0, 1, 0.01)
    values = np.array([0.1, np.nan, np.inf, -1e300, 7.0])
    made = grid.noisy(values, b"k" * 32, b"c")
    assert np.isfinite(made).all()
    assert (made / grid.step == np.rint(made / grid.step)).all()
    assert (made == grid.noisy(values, b"k" * 32, b"c")).all()
    assert (made != grid.noisy(values, b"k" * 32, b"d")).all()


# ---------------------------------------------------------------- an attack


def advantage(one: np.ndarray, other: np.ndarray) -> tuple[float, float]:
    """The best threshold's (false alarms, hits), found on the first half of the samples and measured on the second."""
    half = one.size // 2
    cuts = np.quantile(np.r_[one[:half], other[:half]], np.linspace(0.001, 0.999, 400))
    gains = [(other[:half] > cut).mean() - (one[:half] > cut).mean() for cut in cuts]
    cut = cuts[int(np.argmax(gains))]
    return float((one[half:] > cut).mean()), float((other[half:] > cut).mean())


@pytest.mark.parametrize("epsilon", [0.5, 1.0, 4.0])
def test_a_row_more_or_less_shows_no_more_than_epsilon_allows(epsilon: float) -> None:
    """Counts of 5 fields; one subject's row moves each by one row. The attacker knows all others and sums what it is shown."""
    sensitivity, trials = math.sqrt(10), 20_000
    rho, counts = rho_of(epsilon, 1e-6), np.tile(np.array([50, 50]), 5 * trials)
    other = counts + np.tile(np.array([-1, 1]), 5 * trials)
    direction = np.tile(np.array([-1, 1]), 5)

    def shown(true: np.ndarray, context: bytes, naive: bool) -> np.ndarray:
        drawn = true if naive else noisy_counts(true, sensitivity, rho, b"k" * 32, context)
        return np.asarray(drawn.reshape(trials, 10) @ direction, dtype=np.float64)

    slack = 5 * math.sqrt(0.25 / (trials / 2))  # five standard errors of a share
    alarms, hits = advantage(shown(counts, b"one", False), shown(other, b"other", False))
    assert hits <= math.exp(epsilon) * (alarms + slack) + 1e-6 + slack
    assert 1 - alarms <= math.exp(epsilon) * (1 - hits + slack) + 1e-6 + slack
    spread = sd_for(sensitivity, rho)
    least = stats.norm.cdf(sensitivity / (2 * spread))  # of hits at equal errors, were the noise no larger than it must be
    assert hits - alarms <= 2 * least - 1 + 2 * slack

    naive_alarms, naive_hits = advantage(shown(counts, b"", True), shown(other, b"", True))
    assert naive_hits - naive_alarms == 1.0, "without noise the same attack is always right"


def test_counts_beyond_the_samplers_table_are_refused() -> None:
    with pytest.raises(OutsideRange):
        count_sd(100.0, 1e-5)
