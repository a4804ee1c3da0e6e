"""The integer sampler: its table against decimals, its values against fixed vectors, its shape against the formula.

The vectors below were made by this sampler; ``slow_sample`` derives the same values one by one from the definition.
"""

from __future__ import annotations

import hashlib
from decimal import Decimal, localcontext

import numpy as np
import pytest
from scipy import stats

from crypto import noise
from crypto.errors import ParameterError
from crypto.xof import keystream_words

KEY = bytes(range(32))


def slow_table(sd: int, entries: int) -> list[int]:
    with localcontext(prec=60):
        weights = [Decimal(1)] + [2 * (-Decimal(i * i) / (2 * sd * sd)).exp() for i in range(1, 10 * sd)]
        total, reached, table = sum(weights), Decimal(0), []
        for weight in weights[:entries]:
            reached += weight
            table.append(int(reached / total * 2**63))
        return table


@pytest.mark.parametrize("sd", [1, 11, 100])
def test_the_table_is_the_gaussian_to_the_last_bit(sd: int) -> None:
    table = noise.cumulative_table(sd).tolist()
    assert table == slow_table(sd, len(table))
    assert 8.5 * sd < len(table) < 9.5 * sd + 2


def test_the_large_table() -> None:
    table = noise.cumulative_table(noise.TABLE_SD)
    assert (np.diff(table) >= 0).all()
    with localcontext(prec=60):
        sd = Decimal(noise.TABLE_SD)
        # Beyond sd 2^12 the sum over integers is the integral to far more than 60 digits: sqrt(2 pi) sd.
        total = sd * Decimal("2.5066282746310005024157652848110452530069867406099383166299")
        reached = Decimal(1) + 2 * sum((-Decimal(i * i) / (2 * sd * sd)).exp() for i in range(1, 1001))
        assert int(table[1000]) == int(reached / total * 2**63)
    assert hashlib.sha256(table.astype("<i8").tobytes()).hexdigest() == TABLE_HASH


def slow_sample(words: list[int], sd: int) -> int:
    step = max(1, -(-sd // 4096))
    table = noise.cumulative_table(min(sd, 4096)).tolist()
    magnitude = sum(entry <= words[0] >> 1 for entry in table)
    uniform = ((words[1] << 64) + words[2]) * step >> 128 if step > 1 else 0
    return (-magnitude if words[0] & 1 else magnitude) * step + uniform


@pytest.mark.parametrize("sd", [1, 11, 4096, 4097, 2**16, 99_999, 2**39, 2**52 + 12345, 2**60])
def test_samples_are_those_of_the_definition(sd: int) -> None:
    words = keystream_words(noise.prf(KEY, b"slow"), 3 * 20).reshape(20, 3)
    assert noise.gaussian(KEY, b"slow", 20, sd).tolist() == [slow_sample(row, sd) for row in words.tolist()]


TABLE_HASH = "214d1297922f791446635e97e825fe6331788294de0d2f98651774c515488f39"
VECTORS: dict[int, tuple[list[int], str]] = {
    11: (
        [5, 4, -2, 5, 4, 1],
        "ded77869867f6a83b6b02c55ac1a83b253343b5cc1db1781f84113b17a4ab00e",
    ),
    2**16: (
        [32108, 23920, -9425, 29028, 20968, 8256],
        "dec0af9b8b56828d47219886fe65cac5d937a8e8a685ec47b6fe398d3a4d3198",
    ),
    2**39: (
        [269346593206, 200663246195, -79060936493, 243508238373, 175896084878, 69263296710],
        "e62313b6c420f704afbb48fbd91f43c8de48692d616ae91a198967dde0be7327",
    ),
}


@pytest.mark.parametrize("sd", [11, 2**16, 2**39])
def test_vectors(sd: int) -> None:
    values = noise.gaussian(KEY, b"vector", 100_000, sd)
    first, digest = VECTORS[sd]
    assert values[:6].tolist() == first
    assert hashlib.sha256(values.astype("<i8").tobytes()).hexdigest() == digest


@pytest.mark.parametrize("sd", [11, 4096, 2**16, 2**30 + 1, 2**52])
def test_mean_deviation_and_shape(sd: int) -> None:
    values = noise.gaussian(KEY, b"shape", 200_000, sd) / sd
    assert abs(values.mean()) < 5 / 200_000**0.5
    assert abs(values.std() - 1) < 5 / 400_000**0.5
    edges = np.linspace(-3.05, 3.05, 42) if sd > 100 else (np.arange(-33, 35) - 0.5) / sd
    counts = np.histogram(values, [-np.inf, *edges, np.inf])[0]
    if sd > 100:
        cumulative = stats.norm.cdf([-np.inf, *edges, np.inf])
    else:
        lattice = np.arange(-200, 201)
        weights = np.exp(-(lattice**2) / (2 * sd**2))
        inner = [weights[lattice < edge * sd].sum() / weights.sum() for edge in edges]
        cumulative = np.array([0, *inner, 1])
    assert stats.chisquare(counts, np.diff(cumulative) * values.size).pvalue > 1e-6


def test_ternary_and_uniform() -> None:
    ternary = noise.ternary(KEY, b"t", 300_000)
    assert set(np.unique(ternary)) == {-1, 0, 1}
    assert stats.chisquare(np.bincount(ternary + 1)).pvalue > 1e-6
    for words, bits in ((noise.words(KEY, b"u", 300_000), 64), (noise.words32(KEY, b"u", 300_000), 32)):
        top = (words >> np.array(bits - 8, words.dtype)).astype(np.int64)
        low = (words & np.array(255, words.dtype)).astype(np.int64)
        assert stats.chisquare(np.bincount(top, minlength=256)).pvalue > 1e-6
        assert stats.chisquare(np.bincount(low, minlength=256)).pvalue > 1e-6


def test_uniform_below_is_exact() -> None:
    words = keystream_words(KEY, 200).reshape(2, 100)
    words[:, :2] = [[0, 2**64 - 1], [0, 2**64 - 1]]
    for bound in (1, 2, 3, 4096, 10**9 + 7, 2**48, 2**48 + 1, 2**63 + 5):
        expected = [((a << 64) + b) * bound >> 128 for a, b in zip(*words.tolist(), strict=True)]
        assert noise._uniform_below(bound, words[0], words[1]).tolist() == expected


def test_permutation_is_one_and_depends_on_its_key() -> None:
    order = noise.permutation(KEY, b"p", 1000)
    assert sorted(order.tolist()) == list(range(1000))
    assert not np.array_equal(order, noise.permutation(bytes(32), b"p", 1000))
    assert not np.array_equal(order, noise.permutation(KEY, b"q", 1000))


def test_prf_gaussian_repeats_and_scales() -> None:
    values = np.array([noise.prf_gaussian(KEY, b"%d" % i, 4.0) for i in range(20_000)])
    assert noise.prf_gaussian(KEY, b"7", 4.0) == values[7]
    assert noise.prf_gaussian(KEY, b"7", 8.0) == 2 * values[7]
    assert noise.prf_gaussian(KEY, b"7", 0.0) == 0.0
    assert stats.kstest(values / 4, "norm").pvalue > 1e-6


@pytest.mark.parametrize("sd", [0, -1, 2**60 + 1])
def test_impossible_deviations_are_refused(sd: int) -> None:
    with pytest.raises(ParameterError, match="standard deviation"):
        noise.gaussian(KEY, b"", 1, sd)


@pytest.mark.parametrize("sd", [float("nan"), float("inf"), -1.0])
def test_impossible_real_deviations_are_refused(sd: float) -> None:
    with pytest.raises(ParameterError, match="finite"):
        noise.prf_gaussian(KEY, b"", sd)
