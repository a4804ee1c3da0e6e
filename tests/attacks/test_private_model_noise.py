"""Attack: a bank reads the node's rows out of the noise of a private model's blocks, which it can compute exactly.

The bank has the secret key, so it knows the noise of every coefficient, and noise of a product holds the plaintext: with
e_j chosen as a constant, row i of column j adds e_j · x_ij. It is given more than the protocol sends, namely blocks before the
modulus is switched and the pads' scores.

Naive builds: (1) a block that is padded and not flooded; (2) an office that approves encryptions without making them again, so
that e_j is larger than the flooding. And (3), of noise that the bank did not choose but knows: it deconvolves one column when
it knows the others.

Criterion: R² of a column's cells at most 0.05 over guessing its mean.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from crypto.bfv import PRIVATE_MODEL, ROWS, EncryptedModel, ModelEvaluation, ModelKey, verify_opening
from crypto.errors import InvalidProof
from crypto.noise import gaussian
from tests.attacks.toy import r_squared
from tests.bfv import Unflooded, read_noise

pytestmark = pytest.mark.attack

NAME = "private-model-noise"
FULL_COUNT = 24
SMALL_COUNT = 1
LARGEST = 0.05

WEIGHTS = [3, -1, 4, 1, -5, 9, 2, 6]
BELOW, ABOVE = 1 << 40, 1 << (PRIVATE_MODEL.flood_bits + 8)
"""Chosen noise: far above anything of the sampler's and below the flooding, and above that as well."""


def chosen(encrypted: EncryptedModel, noise: int) -> EncryptedModel:
    """The same encryption with so much more noise, a constant, on the first weight."""
    words = np.frombuffer(encrypted.body, "<u8").astype(np.uint64).reshape(-1, 2, ROWS)
    for place, prime in enumerate(PRIVATE_MODEL.primes[:2]):
        words[1, place, 0] = (int(words[1, place, 0]) + noise) % prime
    return EncryptedModel(encrypted.public_seed, words.astype("<u8").tobytes())


def read_column(build: type[ModelEvaluation], count: int, seed: int, noise: int) -> float:
    """R² of the first column's cells read from the noise of so many blocks, each of a model of its own."""
    rng = np.random.default_rng(seed)
    guesses, truths = [], []
    for _ in range(count):
        key = ModelKey(WEIGHTS, rng.bytes(32), rng.bytes(32))
        codes = rng.integers(0, 32, (len(WEIGHTS), ROWS), dtype=np.uint8)
        found = read_noise(build(chosen(key.encrypt(), noise), rng.bytes(32)), key, codes)
        guesses.append([value / noise for value in found])
        truths.append(codes[0])
    return r_squared(np.array(guesses), np.array(truths, dtype=np.float64))


def deconvolve(build: type[ModelEvaluation], count: int, seed: int) -> float:
    """R² of the first column's cells where the noise is the sampler's and the bank knows all other columns."""
    rng = np.random.default_rng(seed)
    guesses, truths = [], []
    for _ in range(count):
        key = ModelKey(WEIGHTS, rng.bytes(32), rng.bytes(32))
        codes = rng.integers(0, 32, (len(WEIGHTS), ROWS), dtype=np.uint8)
        found = np.array(read_noise(build(key.encrypt(), rng.bytes(32)), key, codes), dtype=np.float64)
        errors = [_turned(gaussian(key._key, b"e" + (1 + j).to_bytes(2), ROWS, PRIVATE_MODEL.sd)) for j in range(len(WEIGHTS))]
        rest = _turned(found) - sum(errors[j] * _turned(codes[j]) for j in range(1, len(WEIGHTS)))
        # Wiener's filter: where the known noise has little weight, the node's own part would be blown up.
        filtered = np.conj(errors[0]) * rest / (np.abs(errors[0]) ** 2 + ROWS * 4)
        guesses.append((np.fft.ifft(filtered) * np.conj(_TWIST)).real)
        truths.append(codes[0])
    return r_squared(np.array(guesses), np.array(truths, dtype=np.float64))


_TWIST = np.exp(1j * np.pi * np.arange(ROWS) / ROWS)


def _turned(polynomial: Any) -> Any:
    """Modulo X^n + 1 a product is one of these, place by place."""
    return np.fft.fft(np.asarray(polynomial, dtype=np.float64) * _TWIST)


def campaign(count: int, seed: int) -> dict[str, Any]:
    """Chosen noise below the flooding, and the sampler's; raises AssertionError where the bank reads rows."""
    read = read_column(ModelEvaluation, count, seed, BELOW)
    known = deconvolve(ModelEvaluation, count, seed)
    assert max(read, known) <= LARGEST, f"the bank reads rows from noise, R² {read:.3f} chosen and {known:.3f} known"
    return {"r2_chosen_noise": read, "r2_known_noise": known, "cells": count * ROWS}


def test_nothing_is_read_from_the_noise_of_a_private_model() -> None:
    campaign(SMALL_COUNT, 1)


def test_a_bank_reads_a_column_where_blocks_are_not_flooded() -> None:
    assert read_column(Unflooded, 1, 1, BELOW) == pytest.approx(1)
    assert deconvolve(Unflooded, 1, 1) > 0.8


def test_noise_above_the_flooding_reads_a_column_and_only_the_office_s_check_refuses_it() -> None:
    assert read_column(ModelEvaluation, 1, 1, ABOVE) > 0.99
    rng = np.random.default_rng(1)
    seed, public = rng.bytes(32), rng.bytes(32)
    malformed = chosen(ModelKey(WEIGHTS, seed, public).encrypt(), ABOVE)
    with pytest.raises(InvalidProof):
        verify_opening(WEIGHTS, seed, public, malformed.digest())
