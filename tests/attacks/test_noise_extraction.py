"""Attack: read the other side's secrets out of the noise of a lattice reply.

*By the bank*, which knows its secret s and noise e, and chooses e so that ⟨x, e⟩ spells out rows of x. Naive build: the
reply has no uniform mask M, and "decryption noise" is a message.
*By the node*, which knows h, c and w and solves for the bank's secret. Naive builds: w carries no noise, or noise in
multiples of Δ, which leaves w modulo Δ noiseless. (Solved at dimension 32, see ``toy``.)

Criterion: R² of the recovered cells or secrets at most 0.05.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest
from numpy.typing import NDArray

from crypto import kernels, noise
from crypto.lwe_params import PRODUCT
from crypto.masked_product import BankProduct, NodeProduct, OneHot, ProductShape, VectorSpec, bank
from crypto.masked_product.node import _Masks
from crypto.xof import MatrixLabel, MatrixStream
from tests.attacks.toy import DIMENSION, r_squared, solve, toy_dimension

pytestmark = pytest.mark.attack

NAME = "noise-extraction"
FULL_COUNT = 1_000
SMALL_COUNT = 40
LARGEST = 0.05

ROWS, BINS, TARGETS = 64, (5, 5), 32
SHAPE = ProductShape(ROWS, sum(BINS), 1, 1, (VectorSpec(1, 1),))
SHIFT = 26  # above the reply's own noise <f, s> of about 2^21
Words = NDArray[np.uint64]


class NodeWithoutMask(NodeProduct):
    """The naive build: h is masked, but c leaves as it is, since only its noise would show."""

    def _draw(self, request: bytes) -> _Masks:
        masks = super()._draw(request)
        return replace(masks, M=np.zeros_like(masks.M))


def extract(build: type[NodeProduct], count: int, seed: int) -> float:
    """R² of the 0/1 cells that a bank reads from the noise it chose: row i of the targets adds 2^(26+i)."""
    rng = np.random.default_rng(seed)
    guesses, truths = [], []
    for _ in range(count):
        session, order_seed = rng.bytes(32), rng.bytes(32)
        s = noise.ternary(rng.bytes(32), b"s", PRODUCT.dimension)[np.newaxis]
        e = np.zeros(ROWS, np.uint64)
        e[:TARGETS] = np.uint64(1) << np.arange(SHIFT, SHIFT + TARGETS, dtype=np.uint64)
        n = PRODUCT.dimension
        b = kernels.multiply_rows(MatrixStream(session, MatrixLabel.PRODUCT_A, ROWS, n, np.uint64), s) + e
        p = kernels.multiply_rows(MatrixStream(session, MatrixLabel.PRODUCT_P, n, n, np.uint64), s)
        codes = np.stack([rng.integers(0, k, ROWS) for k in BINS]).astype(np.uint8)
        h, c = build(SHAPE, session, OneHot(codes, BINS), rng.bytes(32), order_seed).respond(b, p)
        spelled = c[:, 0] - kernels.dot(h, s)[:, 0] + np.uint64(1 << (SHIFT - 1))
        bits = (spelled[:, np.newaxis] >> np.arange(SHIFT, SHIFT + TARGETS, dtype=np.uint64)) & np.uint64(1)
        order = noise.permutation(order_seed, b"order", SHAPE.columns)
        x = np.stack([codes[f] == k for f, size in enumerate(BINS) for k in range(size)])[order, :TARGETS]
        guesses.append(bits.astype(np.float64))
        truths.append(x.astype(np.float64))
    return r_squared(np.stack(guesses), np.stack(truths))


def no_noise(keys: list[bytes], h: Words, c: Words, sds: list[int]) -> Words:
    return np.zeros_like(c)


def coarse_noise(keys: list[bytes], h: Words, c: Words, sds: list[int]) -> Words:
    """As much noise as the sound build has, in multiples of Δ."""
    delta = TOY.delta(0)
    fine = SOUND_NOISE(keys, h, c, sds).view(np.int64)
    return (np.rint(fine / delta).astype(np.int64) * delta).view(np.uint64)


SOUND_NOISE = bank._answer_noise
TOY = ProductShape(ROWS, DIMENSION + 40, 1, 1, (VectorSpec(8, 1 << 10),))
TOY_BINS = (DIMENSION, 40)


def solve_for_the_secret(answer_noise: Any, bits: int, count: int, seed: int) -> float:
    """R² of the bank's secret s that a node solves for from w − c = −⟨h, s⟩ modulo 2^bits."""
    rng = np.random.default_rng(seed)
    guesses, truths = [], []
    with toy_dimension(), patch.object(bank, "_answer_noise", answer_noise):
        while len(guesses) < count:
            session = rng.bytes(32)
            alphas = rng.integers(-8192, 8193, (1, ROWS))
            codes = np.stack([rng.integers(0, k, ROWS) for k in TOY_BINS]).astype(np.uint8)
            one = BankProduct(TOY, session, alphas, rng.bytes(32))
            h, c = NodeProduct(TOY, session, OneHot(codes, TOY_BINS), rng.bytes(32)).respond(*one.encrypt())
            w = one.answer(h, c)
            guesses.append(np.clip(solve(h, (c - w)[:, 0], bits), -1, 1))
            truths.append(one._secrets[0].astype(np.float64))
    return r_squared(np.stack(guesses), np.stack(truths))


DELTA_BITS = TOY.delta(0).bit_length() - 1


def campaign(count: int, seed: int) -> dict[str, Any]:
    """Both directions; raises AssertionError where either side reads the other."""
    by_bank = extract(NodeProduct, count, seed)
    assert by_bank <= LARGEST, f"the bank reads rows from noise, R² {by_bank:.3f}"
    by_node = {bits: solve_for_the_secret(SOUND_NOISE, bits, count, seed) for bits in (64, DELTA_BITS)}
    assert max(by_node.values()) <= LARGEST, f"the node solves for the bank's secret, R² {by_node}"
    return {
        "r2_cells_read_by_the_bank": by_bank,
        "r2_secret_solved_by_the_node": by_node[64],
        "r2_secret_solved_by_the_node_modulo_delta": by_node[DELTA_BITS],
        "cells": count * sum(BINS) * TARGETS,
        "secrets": count * DIMENSION,
    }


def test_nothing_is_read_from_noise() -> None:
    outcome = campaign(SMALL_COUNT, 1)
    assert all(value <= LARGEST for name, value in outcome.items() if name.startswith("r2"))


def test_a_bank_reads_chosen_rows_from_a_build_without_mask() -> None:
    assert extract(NodeWithoutMask, 2, 1) == pytest.approx(1)


def test_a_node_solves_for_the_secret_where_the_answer_carries_no_noise() -> None:
    assert solve_for_the_secret(no_noise, 64, 2, 1) == pytest.approx(1)


def test_a_node_solves_for_the_secret_where_noise_comes_in_multiples_of_delta() -> None:
    assert solve_for_the_secret(coarse_noise, 64, 10, 1) < 0.5
    assert solve_for_the_secret(coarse_noise, DELTA_BITS, 2, 1) == pytest.approx(1)
