"""Secrets and noise of the LWE schemes: integers only, and a pure function of a key.

One sampler makes every Gaussian. For a standard deviation sd ≤ 2^12 it inverts a table of the cumulative distribution
(CDT); above, with the step g = ⌈sd / 2^12⌉, it returns g · CDT(sd 2^12) + uniform[0, g). Floating point differs between
builds, and an auditor who replays a protocol would then accuse an honest side; here all words are exact.

Sample i takes three words w0, w1, w2 of the stream: magnitude = number of table entries ≤ w0 >> 1, sign = w0 & 1,
uniform part = ⌊(2^64·w1 + w2) · g / 2^128⌋. Nothing is rejected, so a sample's position in the stream is fixed. The
table search is not constant time: each side runs it on its own secrets, in its own memory.

Keys come from the operating system or from ``derive_key``; ``context`` separates the uses of one key.
"""

from __future__ import annotations

import hmac
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from crypto.errors import ParameterError
from crypto.xof import keystream_words

TABLE_SD = 1 << 12
LARGEST_SD = 1 << 60
WORDS_PER_SAMPLE = 3

_TABLE_BITS = 63  # a word's other bit is the sign
_WORKING_BITS = 256  # each of the 40,000 steps of the recurrence loses less than one unit of 2^-256
_LOW = np.uint64(0xFFFFFFFF)
_HALF = np.uint64(32)


@lru_cache(maxsize=8)
def cumulative_table(sd: int) -> NDArray[np.int64]:
    """⌊2^63 · P(|X| ≤ i)⌋ for i = 0, 1, … until the tail is below 2^-63, X the discrete Gaussian of ``sd`` ≤ 2^12.

    P(X = i) is proportional to ρ(i) = exp(−i²/(2 sd²)), computed in fixed point by ρ(i+1) = ρ(i)·r^(2i+1) with
    r = exp(−1/(2 sd²)) from its Taylor series.
    """
    if not 1 <= sd <= TABLE_SD:
        raise ParameterError(f"a table serves standard deviations from 1 to {TABLE_SD}")
    one = 1 << _WORKING_BITS
    r, term, order = one, one, 0
    while term:
        order += 1
        term = term // (2 * sd * sd * order)
        r += -term if order % 2 else term
    square = r * r >> _WORKING_BITS
    weights, rho, ratio = [one], one, r
    while True:
        rho = rho * ratio >> _WORKING_BITS
        ratio = ratio * square >> _WORKING_BITS
        if rho >> (_WORKING_BITS - 2 * _TABLE_BITS) == 0:
            break
        weights.append(2 * rho)
    total = sum(weights)
    table, reached = [], 0
    for weight in weights:
        reached += weight
        entry = (reached << _TABLE_BITS) // total
        if (1 << _TABLE_BITS) - entry <= 1:
            break
        table.append(entry)
    return np.array(table, dtype=np.int64)


def _multiply_high(words: NDArray[np.uint64], factor: int) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
    """High and low 64 bits of ``words`` · ``factor`` (below 2^64), by halves."""
    f_low, f_high = np.uint64(factor & 0xFFFFFFFF), np.uint64(factor >> 32)
    w_low, w_high = words & _LOW, words >> _HALF
    low = w_low * f_low
    middle = w_high * f_low + (low >> _HALF)
    other = w_low * f_high + (middle & _LOW)
    high = w_high * f_high + (middle >> _HALF) + (other >> _HALF)
    return high, (other << _HALF) | (low & _LOW)


def _uniform_below(bound: int, first: NDArray[np.uint64], second: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """⌊(2^64·first + second) · bound / 2^128⌋: within 2^-64 of uniform on [0, bound), without rejection."""
    if bound & (bound - 1) == 0:  # a power of two: the same value, by a shift
        shift = 65 - bound.bit_length()
        return first >> np.uint64(shift) if shift < 64 else np.zeros_like(first)
    high, low = _multiply_high(first, bound)
    carry, _ = _multiply_high(second, bound)
    return high + (low + carry < low).astype(np.uint64)


def gaussian_from_words(words: NDArray[np.uint64], sd: int) -> NDArray[np.int64]:
    """One sample of standard deviation ``sd`` (1 to 2^60) from each row of uniform ``words`` uint64[count, 3].

    Above 2^12 the standard deviation is g·2^12 ≥ sd, exact for powers of two and at most 2^12/sd above otherwise, and
    the mean (g − 1)/2, which is below sd/2^13.
    """
    if not 1 <= sd <= LARGEST_SD:
        raise ParameterError("a standard deviation must be an integer from 1 to 2^60")
    step = max(1, -(-sd // TABLE_SD))
    table = cumulative_table(min(sd, TABLE_SD))
    magnitude = np.searchsorted(table, (words[:, 0] >> np.uint64(1)).view(np.int64), side="right")
    value = np.where(words[:, 0] & np.uint64(1), -magnitude, magnitude) * np.int64(step)
    if step > 1:
        value += _uniform_below(step, words[:, 1], words[:, 2]).view(np.int64)
    return value.astype(np.int64, copy=False)


def prf(key: bytes, context: bytes) -> bytes:
    """HMAC-SHA-256 of ``context`` under ``key``: 32 bytes."""
    return hmac.digest(key, context, "sha256")


def words(key: bytes, context: bytes, count: int) -> NDArray[np.uint64]:
    """``count`` words uniform in Z_2^64, the AES-256-CTR stream under ``prf(key, context)``: uint64[count]."""
    return keystream_words(prf(key, context), count)


def words32(key: bytes, context: bytes, count: int) -> NDArray[np.uint32]:
    """``count`` words uniform in Z_2^32: uint32[count]."""
    return (words(key, context, count) >> _HALF).astype(np.uint32)


def gaussian(key: bytes, context: bytes, count: int, sd: int) -> NDArray[np.int64]:
    """``count`` Gaussian samples of standard deviation ``sd``: int64[count]."""
    stream = words(key, context, WORDS_PER_SAMPLE * count)
    return gaussian_from_words(stream.reshape(count, WORDS_PER_SAMPLE), sd)


def uniform(key: bytes, context: bytes, count: int, bound: int) -> NDArray[np.uint64]:
    """``count`` values uniform in [0, ``bound``) within 2^-64, bound below 2^64: uint64[count]."""
    stream = words(key, context, 2 * count)
    return _uniform_below(bound, stream[:count], stream[count:])


def ternary(key: bytes, context: bytes, count: int) -> NDArray[np.int64]:
    """``count`` values, each −1, 0 or 1 with probability 1/3 (within 2^-64): int64[count]."""
    high, _ = _multiply_high(words(key, context, count), 3)
    return high.view(np.int64) - 1


def permutation(key: bytes, context: bytes, count: int) -> NDArray[np.int64]:
    """A random order of ``count`` items by sorting random words: int64[count]."""
    return np.argsort(words(key, context, count), kind="stable").astype(np.int64)


def prf_gaussian(key: bytes, context: bytes, sd: float) -> float:
    """One Gaussian value of standard deviation ``sd``, always the same for the same ``key`` and ``context``.

    For noise on a figure in natural units that an equal question must receive again: an integer sample at 2^52,
    scaled by the exact power of two and one multiplication.
    """
    if not sd >= 0 or sd == float("inf"):
        raise ParameterError("a standard deviation must be finite and not negative")
    block = np.frombuffer(prf(key, context)[: 8 * WORDS_PER_SAMPLE], "<u8").astype(np.uint64)
    sample = gaussian_from_words(block.reshape(1, WORDS_PER_SAMPLE), 1 << 52)
    return int(sample[0]) / 2.0**52 * sd
