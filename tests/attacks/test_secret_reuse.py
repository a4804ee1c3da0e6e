"""Attack: wait for a secret, a mask or a matrix to be used twice.

Each naive build below drops one of the rules that make reuse impossible, and the attack then reads labels, rows or the
bank's whole secret:

- A and P come from one stream: b − p is the plaintext.
- The bank's key does not depend on the vector: the same seed with two vectors gives their difference.
- The bank's key does not depend on the session: two sessions give noiseless equations for s.
- The node's masks do not depend on the request: after a restart, two requests give a row away.
- The bank answers twice under one secret: the second question reads s out of h.
- The noise on w does not depend on the question, so that a question with an offset cancels it.

In the sound build a second answer is refused, and every other attack is left with R² ≤ 0.05.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest
from numpy.typing import NDArray

from crypto import noise
from crypto.errors import ReuseRefused
from crypto.lwe_params import PRODUCT
from crypto.masked_product import BankProduct, NodeProduct, OneHot, ProductShape, VectorSpec, bank
from crypto.masked_product.node import _Masks
from crypto.xof import MatrixLabel, MatrixStream, derive_key
from tests.attacks.toy import DIMENSION, r_squared, solve, toy_dimension

pytestmark = pytest.mark.attack

NAME = "secret-reuse"
FULL_COUNT = 60  # times 20 where a trial reads few cells
SMALL_COUNT = 3
LARGEST = 0.05

Words = NDArray[np.uint64]
Pairs = tuple[NDArray[np.float64], NDArray[np.float64]]
LABELS = VectorSpec(1, 1)


def nearest_label(difference: Words, delta: int) -> NDArray[np.float64]:
    return np.clip(np.rint(difference.view(np.int64) / delta), -1, 1)


# --- one stream for both matrices ---------------------------------------------------------------------------------------


class OneStream(BankProduct):
    """The naive build: P is the beginning of A."""

    def _times_secrets(self, label: MatrixLabel, rows: int) -> Words:
        return super()._times_secrets(MatrixLabel.PRODUCT_A, rows)


def labels_from_one_stream(build: type[BankProduct], rng: np.random.Generator) -> Pairs:
    shape = ProductShape(PRODUCT.dimension, 4, 1, 1, (LABELS,))
    labels = rng.integers(0, 2, (1, shape.rows))
    b, p = build(shape, rng.bytes(32), labels, rng.bytes(32)).encrypt()
    return nearest_label(b[0] - p[0], shape.delta(0)), labels[0].astype(np.float64)


# --- the bank's seed used for two vectors, or in two sessions ---------------------------------------------------------


def key_without_vector(seed: bytes, info: bytes) -> bytes:
    return derive_key(seed, info[:-32])


def key_without_session(seed: bytes, info: bytes) -> bytes:
    return derive_key(seed, b"xinqiao/masked-product/bank")


Mutation = Callable[[bytes, bytes], bytes]


@contextmanager
def mutated(change: Mutation) -> Iterator[None]:
    with patch.object(bank, "derive_key", change):
        yield


def label_changes_from_one_seed(change: Mutation | None, rng: np.random.Generator) -> Pairs:
    shape = ProductShape(500, 4, 1, 1, (LABELS,))
    first, second = rng.integers(0, 2, (2, 1, shape.rows))
    session, seed = rng.bytes(32), rng.bytes(32)
    with mutated(change) if change else nullcontext():
        b1, _ = BankProduct(shape, session, first, seed).encrypt()
        b2, _ = BankProduct(shape, session, second, seed).encrypt()
    return nearest_label(b1[0] - b2[0], shape.delta(0)), (first - second)[0].astype(np.float64)


def secret_from_two_sessions(change: Mutation | None, rng: np.random.Generator) -> Pairs:
    shape = ProductShape(DIMENSION + 40, 4, 1, 1, (LABELS,))
    labels, seed = rng.integers(0, 2, (1, shape.rows)), rng.bytes(32)
    sessions = [rng.bytes(32), rng.bytes(32)]
    with toy_dimension(), mutated(change) if change else nullcontext():
        pair = [BankProduct(shape, session, labels, seed) for session in sessions]
        (b1, _), (b2, _) = (one.encrypt() for one in pair)
    A1, A2 = (
        MatrixStream(session, MatrixLabel.PRODUCT_A, shape.rows, DIMENSION, np.uint64).block(0, shape.rows)
        for session in sessions
    )
    return np.clip(solve(A1 - A2, (b1 - b2)[0]), -1, 1), pair[0]._secrets[0].astype(np.float64)


# --- the node's masks used for two requests ---------------------------------------------------------------------------


class SameMasks(NodeProduct):
    """The naive build: masks come from the seed alone, and after a restart the same seed serves another request."""

    def _draw(self, request: bytes) -> _Masks:
        return super()._draw(bytes(32))


def row_from_two_requests(build: type[NodeProduct], rng: np.random.Generator) -> Pairs:
    shape, bins = ProductShape(200, 10, 1, 1, (LABELS,)), (5, 5)
    session, secret, order_seed = rng.bytes(32), rng.bytes(32), rng.bytes(32)
    columns = OneHot(rng.integers(0, 5, (2, shape.rows)).astype(np.uint8), bins)
    b, p = BankProduct(shape, session, rng.integers(0, 2, (1, shape.rows)), rng.bytes(32)).encrypt()
    row = int(rng.integers(shape.rows))
    _, before = build(shape, session, columns, secret, order_seed).respond(b, p)
    b[0, row] += np.array(shape.delta(0), np.uint64)
    _, after = build(shape, session, columns, secret, order_seed).respond(b, p)
    x = np.array([columns.codes[f, row] == k for f in range(2) for k in range(5)], np.float64)
    order = noise.permutation(order_seed, b"order", shape.columns)
    return nearest_label((after - before)[:, 0], shape.delta(0)), x[order]


# --- two answers under one secret -------------------------------------------------------------------------------------


class AnswersAgain(BankProduct):
    """The naive build: it answers every question."""

    def answer(self, h: Words, c: Words) -> Words:
        self._answered = None
        return super().answer(h, c)


TWICE = ProductShape(64, DIMENSION, 1, 1, (VectorSpec(8, 1 << 10),))


def secret_from_a_second_answer(build: type[BankProduct], rng: np.random.Generator) -> Pairs:
    """An honest first question, then h = 2^60 times the unit matrix, which reads s behind any noise of sd 2^56."""
    with toy_dimension():
        one = build(TWICE, rng.bytes(32), rng.integers(-8192, 8193, (1, 64)), rng.bytes(32))
        one.encrypt()
        one.answer(rng.integers(0, 2**64, (DIMENSION, DIMENSION), dtype=np.uint64), np.zeros((DIMENSION, 1), np.uint64))
        w = one.answer(np.eye(DIMENSION, dtype=np.uint64) << np.uint64(60), np.zeros((DIMENSION, 1), np.uint64))
    return -np.rint(w[:, 0].view(np.int64) / 2.0**60), one._secrets[0].astype(np.float64)


def noise_of_the_place_alone(keys: list[bytes], h: Words, c: Words, sds: list[int]) -> Words:
    """The naive noise: a function of j, not of the question."""
    return SOUND_NOISE(keys, np.zeros_like(h), np.zeros_like(c), sds)


SOUND_NOISE = bank._answer_noise


def secret_from_cancelled_noise(answer_noise: Any, rng: np.random.Generator) -> Pairs:
    """Two replicas of one bank, restored from one backup, are asked two questions whose difference is h = unit matrix."""
    session, seed, alphas = rng.bytes(32), rng.bytes(32), rng.integers(-8192, 8193, (1, 64))
    c = np.zeros((DIMENSION, 1), np.uint64)
    h = rng.integers(0, 2**64, (DIMENSION, DIMENSION), dtype=np.uint64)
    with toy_dimension(), patch.object(bank, "_answer_noise", answer_noise):
        pair = [BankProduct(TWICE, session, alphas, seed) for _ in range(2)]
        w = pair[0].answer(h, c) - pair[1].answer(h + np.eye(DIMENSION, dtype=np.uint64), c)
    return np.clip(w[:, 0].view(np.int64).astype(np.float64), -1, 1), pair[0]._secrets[0].astype(np.float64)


# --- all of them ------------------------------------------------------------------------------------------------------

ATTACKS: dict[str, tuple[Callable[[Any, np.random.Generator], Pairs], Any, Any]] = {
    "one stream for A and P": (labels_from_one_stream, BankProduct, OneStream),
    "one seed, two vectors": (label_changes_from_one_seed, None, key_without_vector),
    "one seed, two sessions": (secret_from_two_sessions, None, key_without_session),
    "one mask, two requests": (row_from_two_requests, NodeProduct, SameMasks),
    "one noise, two questions": (secret_from_cancelled_noise, SOUND_NOISE, noise_of_the_place_alone),
}


def succeed(attack: Callable[[Any, np.random.Generator], Pairs], build: Any, count: int, seed: int) -> float:
    rng = np.random.default_rng(seed)
    guesses, truths = zip(*(attack(build, rng) for _ in range(count)), strict=True)
    return r_squared(np.stack(guesses), np.stack(truths))


def campaign(count: int, seed: int) -> dict[str, Any]:
    """Every attack on the sound build; raises AssertionError where one reads anything."""
    found = {}
    for name, (attack, sound, _) in ATTACKS.items():
        # An attack that reads few cells a trial needs more trials for a criterion of 0.05.
        found[name] = succeed(attack, sound, count * 20 if attack is not labels_from_one_stream else count, seed)
        assert found[name] <= LARGEST, f"{name}: R² {found[name]:.3f}"
    return {"r2": found, "second answer": "refused"}


def test_nothing_is_used_twice() -> None:
    campaign(SMALL_COUNT, 1)


@pytest.mark.parametrize("name", ATTACKS)
def test_each_mutated_build_is_caught(name: str) -> None:
    attack, _, naive = ATTACKS[name]
    assert succeed(attack, naive, 2, 1) == pytest.approx(1)


def test_a_second_answer_gives_the_secret_away_and_is_refused() -> None:
    guess, truth = secret_from_a_second_answer(AnswersAgain, np.random.default_rng(1))
    assert np.array_equal(guess, truth)
    with pytest.raises(ReuseRefused, match="start a new session"):
        secret_from_a_second_answer(BankProduct, np.random.default_rng(1))


def test_a_second_request_is_refused_by_a_running_node() -> None:
    shape = ProductShape(200, 2, 1, 1, (LABELS,))
    node = NodeProduct(shape, bytes(32), OneHot(np.zeros((1, 200), np.uint8), (2,)), bytes(32))
    b, p = np.zeros((1, 200), np.uint64), np.zeros((1, PRODUCT.dimension), np.uint64)
    node.respond(b, p)
    b[0, 0] = 1
    with pytest.raises(ReuseRefused, match="start a new session"):
        node.respond(b, p)
