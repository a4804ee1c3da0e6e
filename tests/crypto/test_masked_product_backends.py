"""Both backends of the masked product, LWE and Paillier, by the same tests; then what only Paillier has."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from crypto import masked_product as lwe
from crypto import masked_product_paillier as paillier
from crypto.errors import InvalidCiphertext, InvalidProof, ParameterError, ReuseRefused
from crypto.masked_product import Dense, OneHot, ProductShape, VectorSpec, commit_vectors, digest_bp, digest_w, fixed_point
from crypto.masked_product_paillier.packing import pack, unpack
from crypto.paillier.arithmetic import CIPHERTEXT_BYTES, KEY_BYTES, key_from
from crypto.paillier.powers import product_of_powers

LABELS, WOE = VectorSpec(1, 1), VectorSpec(8, 1 << 10)
ROWS, BINS = 150, (3, 2)
DENSE = ProductShape(ROWS, 4, 1 << 10, 8 << 10, (LABELS, WOE, WOE))
ONE_HOT = ProductShape(ROWS, sum(BINS), 1, 1, (LABELS, WOE))
SESSION, BANK_SEED, NODE_SEED = b"\x01" * 32, b"\x02" * 32, b"\x03" * 32


@dataclass
class Done:
    """One session from encryption to recovery."""

    backend: ModuleType
    shape: ProductShape
    alphas: NDArray[np.int64]
    columns: OneHot | Dense
    bank: Any
    node: Any
    request: tuple[NDArray[Any], NDArray[Any]]
    reply: tuple[NDArray[Any], NDArray[Any]]
    w: NDArray[Any]

    @property
    def exact(self) -> NDArray[np.float64]:
        scales = np.array([spec.scale for spec in self.shape.vectors])
        if isinstance(self.columns, Dense):
            natural = self.columns.values / 1024
        else:
            pairs = zip(self.columns.codes, self.columns.bins, strict=True)
            natural = np.stack([codes == k for codes, count in pairs for k in range(count)]).astype(np.float64)
        found: NDArray[np.float64] = natural @ (self.alphas / scales[:, np.newaxis]).T
        return found


def inputs(shape: ProductShape) -> tuple[NDArray[np.int64], OneHot | Dense]:
    rng = np.random.default_rng(1)
    alphas = np.stack([rng.integers(-s.integer_bound, s.integer_bound + 1, shape.rows) for s in shape.vectors])
    if shape.column_bound == 1:
        return alphas, OneHot(np.stack([rng.integers(0, k, shape.rows) for k in BINS]).astype(np.uint8), BINS)
    return alphas, Dense(fixed_point(rng.standard_normal((shape.columns, shape.rows)), 1 << 10, 8 << 10))


@cache
def session(backend: ModuleType, shape: ProductShape) -> Done:
    alphas, columns = inputs(shape)
    bank = backend.BankProduct(shape, SESSION, alphas, BANK_SEED)
    node = backend.NodeProduct(shape, SESSION, columns, NODE_SEED)
    sent = bank.encrypt()
    reply = node.respond(*sent)
    return Done(backend, shape, alphas, columns, bank, node, sent, reply, bank.answer(*reply))


@pytest.fixture(
    params=[(backend, shape) for backend in (lwe, paillier) for shape in (DENSE, ONE_HOT)],
    ids=["lwe-dense", "lwe-one-hot", "paillier-dense", "paillier-one-hot"],
)
def done(request: pytest.FixtureRequest) -> Done:
    return session(*request.param)


def test_products_are_right_to_the_stated_noise(done: Done) -> None:
    error = (done.node.recover(done.w) - done.exact) / np.array([spec.bound for spec in done.shape.vectors])
    assert 0.2 < error.std() < 2.5
    assert np.abs(error).max() < 8


def test_replay_repeats_every_byte_and_names_other_input(done: Done) -> None:
    again = done.backend.replay(done.shape, SESSION, done.alphas, BANK_SEED, *done.reply)
    assert (again.b_p, again.w) == (digest_bp(*done.request), digest_w(done.w))
    other = done.alphas.copy()
    other[0, 0] = 1 - abs(other[0, 0])
    lied = done.backend.replay(done.shape, SESSION, other, BANK_SEED, *done.reply)
    assert lied.b_p != again.b_p
    assert lied.w != again.w


def test_commitments_are_those_of_the_vectors(done: Done) -> None:
    assert done.bank.commitments() == commit_vectors(done.shape.vectors, done.alphas, BANK_SEED)
    assert done.node.commitments() == done.node.commitments()
    fresh = done.backend.NodeProduct(done.shape, SESSION, done.columns, NODE_SEED)
    with pytest.raises(ParameterError):
        fresh.commitments()


def test_everything_is_used_once(done: Done) -> None:
    b, p = done.request
    assert np.array_equal(done.node.respond(b, p)[1], done.reply[1])
    other = b.copy()
    other[0], other[1] = b[1], b[0]
    with pytest.raises(ReuseRefused):
        done.node.respond(other, p)
    assert np.array_equal(done.bank.answer(*done.reply), done.w)
    h, c = done.reply
    if done.shape.columns > 1:
        with pytest.raises(ReuseRefused):
            done.bank.answer(h, c[::-1].copy())


def test_a_product_that_has_answered_goes_on_elsewhere_and_never_answers_again(done: Done) -> None:
    def fresh() -> Any:
        return done.backend.NodeProduct(done.shape, SESSION, done.columns, NODE_SEED)

    with pytest.raises(ParameterError):
        fresh().snapshot()
    kept, again = done.node.snapshot(), fresh()
    again.restore(kept)
    assert np.array_equal(again.recover(done.w), done.node.recover(done.w))
    assert again.commitments() == done.node.commitments()
    assert again.snapshot() == kept
    with pytest.raises(ReuseRefused):
        again.respond(*done.request)
    for spoilt in (replace(kept, masks=kept.masks[:-8]), replace(kept, order=kept.order + bytes(8))):
        with pytest.raises(ParameterError):
            fresh().restore(spoilt)
    with pytest.raises(ParameterError):
        done.node.restore(kept)
    assert "masks" not in repr(kept)


def test_under_one_order_seed_equal_places_are_equal_columns(done: Done) -> None:
    orders = []
    for seed in (NODE_SEED, b"\x05" * 32):
        node = done.backend.NodeProduct(done.shape, SESSION, done.columns, seed, b"\x06" * 32)
        node.respond(*done.request)
        orders.append(node.snapshot().order)
    assert orders[0] == orders[1]


def test_what_is_handed_out_can_be_changed_without_harm(done: Done) -> None:
    b, _ = done.bank.encrypt()
    b[:] = 0
    assert np.array_equal(done.bank.encrypt()[0], done.request[0])
    c = done.node.respond(*done.request)[1]
    c[:] = 0
    assert np.array_equal(done.node.respond(*done.request)[1], done.reply[1])


def test_other_words_are_refused(done: Done) -> None:
    b, p = done.request
    node = done.backend.NodeProduct(done.shape, SESSION, done.columns, NODE_SEED)
    for bad in (b[:-1], b.astype(np.float64), None, b[:, :-1]):
        with pytest.raises(InvalidCiphertext):
            node.respond(bad, p)
    h, c = done.reply
    for bad in (c[:-1], c.astype(np.float64), None):
        with pytest.raises(InvalidCiphertext):
            done.bank.answer(h, bad)
        with pytest.raises(InvalidCiphertext):
            done.node.recover(bad)


def test_own_input_outside_its_bounds_is_refused(done: Done) -> None:
    over = done.alphas.copy()
    over[0, 0] = 2
    for alphas in (over, done.alphas[:-1], done.alphas.astype(np.float64)):
        with pytest.raises(ParameterError):
            done.backend.BankProduct(done.shape, SESSION, alphas, BANK_SEED)
    with pytest.raises(ParameterError):
        done.backend.BankProduct(done.shape, b"short", done.alphas, BANK_SEED)
    with pytest.raises(ParameterError):
        done.backend.NodeProduct(done.shape, SESSION, done.columns, b"short")
    with pytest.raises(ParameterError):
        done.backend.NodeProduct(done.shape, SESSION, done.columns, NODE_SEED).recover(done.w)


def test_nothing_secret_prints(done: Done) -> None:
    assert "redacted" in repr(done.bank)
    assert "redacted" in repr(done.node)


# ------------------------------------------------------------------ Paillier alone


@pytest.fixture
def under_paillier() -> Done:
    return session(paillier, DENSE)


@pytest.mark.attack
@pytest.mark.parametrize("which", ["zero", "n", "n squared", "all ones"])
def test_a_row_that_is_no_ciphertext_meets_no_column(under_paillier: Done, which: str) -> None:
    b, p = under_paillier.request
    n = int.from_bytes(p.tobytes()[:KEY_BYTES])
    bad = {"zero": 0, "n": n, "n squared": n * n, "all ones": (1 << 8 * CIPHERTEXT_BYTES) - 1}[which]
    spoilt = b.copy()
    spoilt[7] = np.frombuffer(bad.to_bytes(CIPHERTEXT_BYTES), np.uint8)
    node = paillier.NodeProduct(under_paillier.shape, SESSION, under_paillier.columns, NODE_SEED)
    with pytest.raises(InvalidCiphertext):
        node.respond(spoilt, p)
    with pytest.raises(ParameterError):
        node.commitments()  # nothing was drawn


@pytest.mark.attack
def test_a_key_without_its_proof_is_refused(under_paillier: Done) -> None:
    b, p = under_paillier.request
    spoilt = p.copy()
    spoilt[0, -1] ^= 1
    with pytest.raises(InvalidProof):
        paillier.NodeProduct(under_paillier.shape, SESSION, under_paillier.columns, NODE_SEED).respond(b, spoilt)


@pytest.mark.attack
def test_what_the_bank_opens_is_uniform_whatever_it_sent(under_paillier: Done) -> None:
    """Rows of zeros under known blinding would show every product, and their blinding every exponent, without the masks."""
    _, p = under_paillier.request
    shape, n = under_paillier.shape, int.from_bytes(p.tobytes()[:KEY_BYTES])
    plain = np.tile(np.frombuffer((1 + n).to_bytes(CIPHERTEXT_BYTES), np.uint8), (shape.rows, 1))  # 1 in clear, never blinded
    opened: dict[type[paillier.NodeProduct], list[int]] = {paillier.NodeProduct: [], NodeWithoutMasks: []}
    for build, found in opened.items():
        for seed in (NODE_SEED, b"\x04" * 32):
            _, c = build(shape, SESSION, under_paillier.columns, seed).respond(plain, p)
            found += [under_paillier.bank._key.decrypt(row.tobytes()) for row in c]
    assert len(set(opened[paillier.NodeProduct])) == 2 * shape.columns
    assert all(value.bit_length() > 8 * KEY_BYTES - 60 for value in opened[paillier.NodeProduct])
    assert isinstance(under_paillier.columns, Dense)
    assert set(opened[NodeWithoutMasks]) == {int(total) % n for total in under_paillier.columns.values.sum(axis=1)}


class NodeWithoutMasks(paillier.NodeProduct):
    """The naive build: encrypted as it is, who would mask it?"""

    def _draw(self, request: bytes, n: int) -> Any:
        drawn = super()._draw(request, n)
        return replace(drawn, U=[0] * len(drawn.U), r=[1] * len(drawn.r))


def test_products_of_powers_are_those_of_one_after_another() -> None:
    rng = np.random.default_rng(4)
    modulus = (1 << 127) - 1
    for count, bound in ((1, 2), (7, 1), (50, 3), (400, 1 << 13), (3, 1 << 60)):
        bases = [int(x) + 2 for x in rng.integers(0, 1 << 62, count)]
        exponents = [int(x) for x in rng.integers(-bound, bound + 1, count)]
        slow = 1
        for base, exponent in zip(bases, exponents, strict=True):
            slow = slow * pow(base, exponent, modulus) % modulus
        assert product_of_powers(bases, exponents, modulus) == slow
    assert product_of_powers([], [], modulus) == 1


def test_packing_keeps_signs_and_neighbours_apart() -> None:
    n = (1 << 3071) + 12345
    for values in ([-1, 1, -(1 << 62), (1 << 62), 0], [0] * 3, [(1 << 63) - 1, -(1 << 63)]):
        assert unpack(pack(values) % n, n, len(values)) == values


def test_shapes_that_do_not_fit_are_refused() -> None:
    for shape in (replace(DENSE, vectors=(LABELS,) * 48), replace(DENSE, banks=3)):
        with pytest.raises(ParameterError):
            paillier.NodeProduct(shape, SESSION, inputs(DENSE)[1], NODE_SEED)


def test_a_key_follows_from_its_random_bytes() -> None:
    drawn = np.random.default_rng(5).bytes(2 * KEY_BYTES)
    first, again = key_from(drawn), key_from(drawn)
    assert first.public.encode() == again.public.encode()
    assert first.public.n.bit_length() == 8 * KEY_BYTES
    with pytest.raises(ParameterError):
        key_from(drawn[:-1])
