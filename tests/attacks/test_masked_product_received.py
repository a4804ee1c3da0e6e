"""Attack: a bank sends whatever it likes in the masked product, and looks for the node's rows in what it receives.

It sends one-hot, packed, scaled, malformed and clear vectors and, generously, is told the order in which the columns
travel and shown the rows that it wants to confirm. Statistic: the fraction of words with |h − Aᵀ Z| < 2^20 for the true rows
Z = X, which must be that for other rows Z; the same for c − ⟨x, b⟩ and for the differences of two replies to one message.
The naive build leaves out u and M, and there the fractions are 1 and 0.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from crypto import noise
from crypto.lwe_params import PRODUCT
from crypto.masked_product import NodeProduct, OneHot, ProductShape, VectorSpec
from crypto.masked_product.node import _Masks
from crypto.xof import MatrixLabel, MatrixStream

pytestmark = pytest.mark.attack

NAME = "masked-product-received"
FULL_COUNT = 300  # sessions a strategy, each with 2 × 8 columns
SMALL_COUNT = 3

ROWS, BINS = 62, (4, 4)
SHAPE = ProductShape(ROWS, sum(BINS), 1, 1, (VectorSpec(1, 1), VectorSpec(8, 1 << 10)))
NEAR = 1 << 20
Words = NDArray[np.uint64]
Message = tuple[Words, Words]


class UnmaskedNode(NodeProduct):
    """The naive build: a plain product on ciphertexts, h = Aᵀ x + f and c = ⟨x, b⟩."""

    def _draw(self, request: bytes) -> _Masks:
        masks = super()._draw(request)
        return replace(masks, u=np.zeros_like(masks.u), M=np.zeros_like(masks.M))


def words(rng: np.random.Generator, *shape: int) -> Words:
    return rng.integers(0, 2**64, shape, dtype=np.uint64)


def clear(b: Words) -> Message:
    return b, np.zeros((len(b), PRODUCT.dimension), np.uint64)


def one_hot(rng: np.random.Generator) -> Message:
    b = np.zeros((2, ROWS), np.uint64)
    b[0, rng.integers(ROWS)] = b[1, rng.integers(ROWS)] = 1 << 40
    return clear(b)


def packed(rng: np.random.Generator) -> Message:
    return clear(np.stack([np.uint64(1) << np.arange(ROWS, dtype=np.uint64)] * 2))


def scaled(rng: np.random.Generator) -> Message:
    return clear(words(rng, 2, ROWS) << np.uint64(56))


def malformed(rng: np.random.Generator) -> Message:
    return words(rng, 2, ROWS), words(rng, 2, PRODUCT.dimension)


def in_clear(rng: np.random.Generator) -> Message:
    return clear(rng.integers(0, 2, (2, ROWS)).astype(np.uint64) << np.uint64(SHAPE.delta(0).bit_length() - 1))


STRATEGIES: dict[str, Callable[[np.random.Generator], Message]] = {
    "one-hot": one_hot,
    "packed": packed,
    "scaled": scaled,
    "malformed": malformed,
    "clear": in_clear,
}


def rows_of(codes: NDArray[np.uint8], order: NDArray[np.int64]) -> Words:
    dummies = [codes[f] == k for f, count in enumerate(BINS) for k in range(count)]
    return np.stack(dummies).astype(np.uint64)[order]


def near(difference: Words) -> float:
    return float((np.abs(difference.view(np.int64)) < NEAR).mean())


def listen(build: type[NodeProduct], strategy: str, count: int, seed: int) -> tuple[dict[str, float], Words]:
    """Fractions of near words for the true rows and for others, and all words that should be uniform."""
    rng = np.random.default_rng([seed, sorted(STRATEGIES).index(strategy)])
    found: dict[str, list[float]] = {}
    uniform = []
    for _ in range(count):
        session, order_seed = rng.bytes(32), rng.bytes(32)
        order = noise.permutation(order_seed, b"order", SHAPE.columns)
        A = MatrixStream(session, MatrixLabel.PRODUCT_A, ROWS, PRODUCT.dimension, np.uint64).block(0, ROWS)
        b, p = STRATEGIES[strategy](rng)
        replies = []
        for _ in range(2):
            codes = rng.integers(0, 4, (2, ROWS)).astype(np.uint8)
            other = rng.integers(0, 4, (2, ROWS)).astype(np.uint8)
            h, c = build(SHAPE, session, OneHot(codes, BINS), rng.bytes(32), order_seed).respond(b, p)
            replies.append((h, c, rows_of(codes, order), rows_of(other, order)))
            uniform += [(h - rows_of(codes, order) @ A).ravel(), (c - rows_of(codes, order) @ b.T).ravel()]
        first, second = replies
        for which, at in (("true", 2), ("other", 3)):
            Z = first[at]
            found.setdefault(f"h, {which}", []).append(near(first[0] - Z @ A))
            found.setdefault(f"c, {which}", []).append(near(first[1] - Z @ b.T))
            dZ = first[at] - second[at]
            found.setdefault(f"difference of h, {which}", []).append(near(first[0] - second[0] - dZ @ A))
            found.setdefault(f"difference of c, {which}", []).append(near(first[1] - second[1] - dZ @ b.T))
    return {what: float(np.mean(values)) for what, values in found.items()}, np.concatenate(uniform)


def campaign(count: int, seed: int) -> dict[str, Any]:
    """Every strategy, ``count`` sessions each; raises AssertionError where a fraction tells the true rows apart."""
    outcome: dict[str, Any] = {}
    for strategy in STRATEGIES:
        fractions, received = listen(NodeProduct, strategy, count, seed)
        for what in ("h", "c", "difference of h", "difference of c"):
            assert fractions[f"{what}, true"] == fractions[f"{what}, other"], (strategy, what, fractions)
        bins = np.bincount((received >> np.uint64(56)).astype(np.int64), minlength=256)
        p_value = float(stats.chisquare(bins).pvalue)
        assert p_value > 1e-6, (strategy, "received words are not uniform", p_value)
        outcome[strategy] = {"fractions": fractions, "words": int(received.size), "uniform_p": p_value}
    return outcome


def test_what_a_bank_receives_is_independent_of_the_rows() -> None:
    outcome = campaign(SMALL_COUNT, 1)
    assert set(outcome) == set(STRATEGIES)
    assert all(set(result["fractions"].values()) == {0.0} for result in outcome.values())


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_build_without_masks_confirms_every_row(strategy: str) -> None:
    fractions, _ = listen(UnmaskedNode, strategy, 1, 1)
    for what in ("h", "c", "difference of h", "difference of c"):
        assert fractions[f"{what}, true"] == 1
        assert fractions[f"{what}, other"] < 0.9
    assert fractions["h, other"] == fractions["difference of h, other"] == 0


def test_a_packed_vector_reads_whole_columns_from_a_build_without_masks() -> None:
    rng = np.random.default_rng(2)
    codes = rng.integers(0, 4, (2, ROWS)).astype(np.uint8)
    order_seed = sha256(b"order").digest()
    order = noise.permutation(order_seed, b"order", SHAPE.columns)
    for build, expected in ((UnmaskedNode, 1.0), (NodeProduct, 0.5)):
        _, c = build(SHAPE, bytes(32), OneHot(codes, BINS), bytes(32), order_seed).respond(*packed(rng))
        bits = (c[:, :1] >> np.arange(ROWS, dtype=np.uint64)) & np.uint64(1)
        agreed = float((bits == rows_of(codes, order)).mean())
        assert abs(agreed - expected) <= (0 if expected == 1 else 0.12)
