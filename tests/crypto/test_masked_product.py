"""The masked product: right to the predicted noise, replayable to the byte, used once, and strict about its input."""

from __future__ import annotations

import hashlib
import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from crypto import lwe_params
from crypto.errors import InvalidCiphertext, ParameterError, ReuseRefused
from crypto.masked_product import (
    BankProduct,
    Dense,
    NodeProduct,
    OneHot,
    ProductShape,
    VectorSpec,
    commit_vectors,
    digest_bp,
    digest_hc,
    digest_w,
    fixed_point,
    recover_sum,
    replay,
)
from crypto.xof import MatrixLabel, MatrixStream

LABELS, WOE = VectorSpec(1, 1), VectorSpec(8, 1 << 10)
SESSION, BANK_SEED, NODE_SEED = b"\x01" * 32, b"\x02" * 32, b"\x03" * 32
ROWS, BINS = 1500, (4, 3, 5)
ONE_HOT = ProductShape(ROWS, sum(BINS), 1, 1, (LABELS, WOE, WOE))
DENSE = ProductShape(ROWS, 9, 1 << 10, 8 << 10, (LABELS, WOE, WOE))


def alphas_for(shape: ProductShape, seed: int = 1) -> NDArray[np.int64]:
    rng = np.random.default_rng(seed)
    return np.stack([rng.integers(-s.integer_bound, s.integer_bound + 1, shape.rows) for s in shape.vectors])


def columns_for(shape: ProductShape, seed: int = 2) -> OneHot | Dense:
    rng = np.random.default_rng(seed)
    if shape.column_bound == 1:
        return OneHot(np.stack([rng.integers(0, count, shape.rows) for count in BINS]).astype(np.uint8), BINS)
    return Dense(fixed_point(rng.standard_normal((shape.columns, shape.rows)), 1 << 10, 8 << 10))


def natural(columns: OneHot | Dense) -> NDArray[np.float64]:
    if isinstance(columns, Dense):
        return columns.values / 1024
    return np.stack([columns.codes[f] == k for f, n in enumerate(columns.bins) for k in range(n)]).astype(np.float64)


def exact(shape: ProductShape, columns: OneHot | Dense, alphas: NDArray[np.int64]) -> NDArray[np.float64]:
    scales = np.array([spec.scale for spec in shape.vectors])
    return natural(columns) @ (alphas / scales[:, np.newaxis]).T


def session(shape: ProductShape, salt: int = 0) -> tuple[BankProduct, NodeProduct, OneHot | Dense, NDArray[np.int64]]:
    alphas, columns = alphas_for(shape, 10 + salt), columns_for(shape, 50 + salt)
    seed = hashlib.sha256(b"%d" % salt).digest()
    return (
        BankProduct(shape, seed, alphas, BANK_SEED),
        NodeProduct(shape, seed, columns, NODE_SEED),
        columns,
        alphas,
    )


@pytest.mark.parametrize("shape", [ONE_HOT, DENSE], ids=["one-hot", "dense"])
def test_products_are_right_to_the_predicted_noise(shape: ProductShape) -> None:
    errors = []
    for salt in range(12):
        bank, node, columns, alphas = session(shape, salt)
        got = node.recover(bank.answer(*node.respond(*bank.encrypt())))
        errors.append(got - exact(shape, columns, alphas))
    for v in range(len(shape.vectors)):
        error = np.stack(errors)[:, :, v].ravel() / shape.predicted_noise(v)
        assert abs(error.mean()) < 5 / math.sqrt(error.size)
        assert abs(error.std() - 1) < 5 / math.sqrt(2 * error.size)


def test_messages_are_those_of_a_slow_reference() -> None:
    """Whole matrices, plain wrap-around products; the secrets are read out of both roles."""
    bank, node, columns, alphas = session(DENSE)
    b, p = bank.encrypt()
    h, c = node.respond(b, p)
    n = lwe_params.PRODUCT.dimension
    seed = hashlib.sha256(b"0").digest()
    A = MatrixStream(seed, MatrixLabel.PRODUCT_A, ROWS, n, np.uint64).block(0, ROWS)
    P = MatrixStream(seed, MatrixLabel.PRODUCT_P, n, n, np.uint64).block(0, n)
    s = bank._secrets.view(np.uint64)
    deltas = np.array([DENSE.delta(v) for v in range(3)], np.uint64)
    for error in (b - s @ A.T - alphas.view(np.uint64) * deltas[:, np.newaxis], p - s @ P.T):
        assert abs(error.view(np.int64).std() / 2**16 - 1) < 0.05
    masks = node._masks
    assert masks is not None
    assert isinstance(columns, Dense)
    x, u = columns.values.view(np.uint64), masks.u.view(np.uint64)
    assert np.array_equal(h, (x @ A + u @ P + masks.f.view(np.uint64))[masks.order])
    assert np.array_equal(c, (x @ b.T + u @ p.T + masks.M)[masks.order])
    w = bank.answer(h, c)
    smudge = (w - c + h @ s.T).view(np.int64)
    sds = np.array([DENSE.answer_sd(v) for v in range(3)], np.float64)
    assert 0.6 < (smudge / sds).std() < 1.5
    assert (smudge % deltas.view(np.int64) != 0).all()  # ring integers, not multiples of delta
    assert set(np.unique(s.view(np.int64))) == {-1, 0, 1}


@pytest.mark.parametrize("rows", [1_000, 24_000, 1_000_000])
@pytest.mark.parametrize(("columns", "scale", "bound"), [(200, 1, 1), (10, 1 << 10, 8 << 10)], ids=["one-hot", "dense"])
def test_noise_in_all_is_4_units_for_labels_and_33_for_weights_of_evidence(
    rows: int, columns: int, scale: int, bound: int
) -> None:
    shape = ProductShape(rows, columns, scale, bound, (LABELS, WOE))
    shape.check()
    for v, total in ((0, 4.12), (1, 33.0)):
        own = 4 * shape.vectors[v].bound
        assert math.hypot(own, shape.predicted_noise(v)) == pytest.approx(total, rel=0.01)


@pytest.mark.parametrize(("banks", "rows"), [(1, 1_000), (1, 24_000), (1, 1_000_000), (3, 1_000), (10, 120_001)])
def test_delta_is_the_largest_power_of_two_that_leaves_the_signal_62_bits(banks: int, rows: int) -> None:
    for columns in ((1, 1), (1 << 10, 8 << 10)):
        shape = ProductShape(rows, 5, *columns, (LABELS, WOE), banks)
        for v in range(2):
            most = rows * columns[1] * shape.vectors[v].integer_bound * banks
            assert most * shape.delta(v) <= 2**62 < 2 * most * shape.delta(v)


def test_the_fixed_figures_of_the_formulas() -> None:
    dense = ProductShape(1_000_000, 10, 1 << 10, 8 << 10, (LABELS, WOE))
    assert [dense.delta(v).bit_length() - 1 for v in range(2)] == [29, 16]
    one_hot = ProductShape(24_000, 200, 1, 1, (LABELS, WOE))
    assert [one_hot.delta(v).bit_length() - 1 for v in range(2)] == [47, 34]
    assert dense.hint_sd == math.ceil(2**16 * math.sqrt(10 * 1_000_000) * 1024)
    assert dense.answer_sd(0) == 2**39  # one natural unit
    assert dense.answer_sd(1) == 8 * 2**10 * 2**10 * 2**16  # eight


@pytest.mark.parametrize(
    ("shape", "why"),
    [
        (ProductShape(1_000_000, 10, 1 << 10, 8 << 10, (VectorSpec(8, 1 << 10),), 1 << 12), "exceed 2 %"),
        (ProductShape(1_000_000, 10, 1 << 10, 8 << 10, (VectorSpec(64, 1 << 30),)), "exceed 2 %"),
        (ProductShape(1_000_000, 60_000, 1 << 10, 8 << 10, (VectorSpec(64, 1 << 10),)), "exceed 10 %"),
        (ProductShape(4, 2, 1, 1, (LABELS,)), "wrap around"),
        (ProductShape((1 << 20) + 1, 2, 1, 1, (LABELS,)), "split the table or the cohort"),
        (ProductShape(1000, 2, 1, 1, (LABELS,), 3, 900), "largest_rows"),
        (ProductShape(1000, 2, 1 << 10, 1 << 10, (LABELS,)), "standardised"),
        (ProductShape(1000, 2, 1, 8, (LABELS,)), "standardised"),
        (ProductShape(1000, 0, 1, 1, (LABELS,)), "at least one column"),
        (ProductShape(1000, 2, 1, 1, ()), "at least one column"),
        (ProductShape(1000, 2, 1, 1, (VectorSpec(0, 1),)), "must be positive"),
        (ProductShape(1000, 2, 1, 1, (VectorSpec(1, 0),)), "must be positive"),
    ],
)
def test_shapes_without_margin_are_refused(shape: ProductShape, why: str) -> None:
    with pytest.raises(ParameterError, match=why):
        shape.check()


@pytest.fixture(scope="module")
def done() -> dict[str, Any]:
    bank, node, _, alphas = session(ONE_HOT)
    b, p = bank.encrypt()
    h, c = node.respond(b, p)
    return {"bank": bank, "node": node, "alphas": alphas, "b": b, "p": p, "h": h, "c": c, "w": bank.answer(h, c)}


def replayed(done: dict[str, Any], **other: Any) -> tuple[bool, bool]:
    given = done | other
    seed = other.get("session", hashlib.sha256(b"0").digest())
    got = replay(given.get("shape", ONE_HOT), seed, given["alphas"], given.get("seed", BANK_SEED), given["h"], given["c"])
    return got.b_p == digest_bp(done["b"], done["p"]), got.w == digest_w(done["w"])


def test_replay_repeats_every_byte(done: dict[str, Any]) -> None:
    assert replayed(done) == (True, True)


def test_replay_names_what_was_not_made_from_the_committed_input(done: dict[str, Any]) -> None:
    alphas = done["alphas"].copy()
    alphas[0, 77] = 1 - abs(alphas[0, 77])
    assert replayed(done, alphas=alphas) == (False, False)
    assert replayed(done, seed=b"\x04" * 32) == (False, False)
    assert replayed(done, session=b"\x05" * 32) == (False, False)
    assert replayed(done, shape=replace(ONE_HOT, banks=2)) == (False, False)
    for name in ("h", "c"):
        changed = done[name].copy()
        changed[-1, -1] ^= np.uint64(1)
        assert replayed(done, **{name: changed}) == (True, False)


def test_every_tampered_byte_changes_a_digest(done: dict[str, Any]) -> None:
    digests = {"bp": (digest_bp, ("b", "p")), "hc": (digest_hc, ("h", "c")), "w": (digest_w, ("w",))}
    rng = np.random.default_rng(3)
    for digest, names in digests.values():
        arrays = [done[name].copy() for name in names]
        honest = digest(*arrays)
        for array in arrays:
            flat = array.reshape(-1).view(np.uint8)
            for at in [0, flat.size - 1, *rng.integers(0, flat.size, 20).tolist()]:
                flat[at] ^= 1 << int(rng.integers(8))
                assert digest(*arrays) != honest
                flat[at] = done[names[[a is array for a in arrays].index(True)]].reshape(-1).view(np.uint8)[at]
        assert digest(*arrays) == honest


def test_digests_tell_shapes_apart() -> None:
    assert digest_w(np.zeros((2, 3), np.uint64)) != digest_w(np.zeros((3, 2), np.uint64))


def test_commitments_stand_before_the_session_and_bind(done: dict[str, Any]) -> None:
    alphas = done["alphas"]
    committed = commit_vectors(ONE_HOT.vectors, alphas, BANK_SEED)
    assert committed == done["bank"].commitments()
    assert len(set(committed)) == 3
    other = alphas.copy()
    other[1, 0] ^= 1
    assert [a == b for a, b in zip(committed, commit_vectors(ONE_HOT.vectors, other, BANK_SEED), strict=True)] == [
        True,
        False,
        True,
    ]
    assert not set(committed) & set(commit_vectors(ONE_HOT.vectors, alphas, b"\x09" * 32))


def test_the_node_can_be_replayed(done: dict[str, Any]) -> None:
    again = NodeProduct(ONE_HOT, hashlib.sha256(b"0").digest(), columns_for(ONE_HOT, 50), NODE_SEED)
    assert digest_hc(*again.respond(done["b"], done["p"])) == digest_hc(done["h"], done["c"])
    assert again.commitments() == done["node"].commitments()
    changed = columns_for(ONE_HOT, 50)
    assert isinstance(changed, OneHot)
    changed.codes[0, 0] ^= 1
    other = NodeProduct(ONE_HOT, hashlib.sha256(b"0").digest(), changed, NODE_SEED)
    other.respond(done["b"], done["p"])
    ours, theirs = other.commitments(), again.commitments()
    assert ours.columns != theirs.columns
    assert ours.u != theirs.u
    assert ours.f != theirs.f
    assert ours.masks != theirs.masks


def test_everything_is_used_once(done: dict[str, Any]) -> None:
    bank, node = done["bank"], done["node"]
    assert all(np.array_equal(x, done[k]) for x, k in zip(bank.encrypt(), "bp", strict=True))
    assert all(np.array_equal(x, done[k]) for x, k in zip(node.respond(done["b"], done["p"]), "hc", strict=True))
    assert np.array_equal(bank.answer(done["h"], done["c"]), done["w"])
    for name in ("h", "c"):
        changed = {k: done[k].copy() for k in "hc"}
        changed[name][0, 0] ^= np.uint64(1)
        with pytest.raises(ReuseRefused, match="start a new session"):
            bank.answer(**changed)
    for name in ("b", "p"):
        changed = {k: done[k].copy() for k in "bp"}
        changed[name][0, 0] ^= np.uint64(1)
        with pytest.raises(ReuseRefused, match="start a new session"):
            node.respond(**changed)


@pytest.mark.parametrize("shape", [ONE_HOT, DENSE], ids=["one-hot", "dense"])
def test_a_product_that_has_answered_goes_on_elsewhere_and_never_answers_again(shape: ProductShape) -> None:
    bank, node, _, _ = session(shape)
    with pytest.raises(ParameterError, match="call respond"):
        node.snapshot()
    b, p = bank.encrypt()
    h, c = node.respond(b, p)
    w = bank.answer(h, c)
    answered = node.snapshot()
    assert "b'" not in repr(answered)
    _, elsewhere, _, _ = session(shape)
    elsewhere.restore(answered)
    assert np.array_equal(elsewhere.recover(w), node.recover(w))
    assert elsewhere.commitments() == node.commitments()
    assert elsewhere.snapshot() == answered
    for request in (b, b + np.uint64(1)):
        with pytest.raises(ReuseRefused, match="has answered"):
            elsewhere.respond(request, p)
    _, other, _, _ = session(DENSE if shape is ONE_HOT else ONE_HOT)
    for product in (other, node):
        with pytest.raises(ParameterError, match="another product"):
            product.restore(answered)


def test_what_is_handed_out_can_be_changed_without_harm() -> None:
    bank, node, columns, alphas = session(ONE_HOT)
    b, p = bank.encrypt()
    b += np.uint64(1)
    b, p = bank.encrypt()
    h, _ = node.respond(b, p)
    h += np.uint64(1)
    got = node.recover(bank.answer(*node.respond(b, p)))
    assert np.abs(got - exact(ONE_HOT, columns, alphas)).max() < 8 * 8


def test_columns_travel_in_an_order_of_their_own() -> None:
    orders = []
    for salt in range(3):
        bank, node, *_ = session(ONE_HOT, salt)
        node.respond(*bank.encrypt())
        assert node._masks is not None
        orders.append(tuple(node._masks.order.tolist()))
    assert len(set(orders)) == 3
    assert all(sorted(order) == list(range(12)) for order in orders)


def test_answers_of_several_banks_are_added_before_recovery() -> None:
    rows = (900, 1500, 1100)
    order_seed, total, expected, nodes = b"\x08" * 32, np.zeros((12, 3), np.uint64), np.zeros((12, 3)), []
    for k, count in enumerate(rows):
        shape = replace(ONE_HOT, rows=count, banks=3, largest_rows=max(rows))
        bank, _, columns, alphas = session(shape, k)
        node = NodeProduct(shape, hashlib.sha256(b"%d" % k).digest(), columns, NODE_SEED, order_seed)
        total += bank.answer(*node.respond(*bank.encrypt()))
        expected += exact(shape, columns, alphas)
        nodes.append(node)
    error = (recover_sum(nodes, total) - expected) / [shape.predicted_noise(v) for v in range(3)]
    assert 0.6 < error.std() < 1.4
    nodes[1]._order_seed = None
    with pytest.raises(ParameterError, match="one order seed"):
        recover_sum(nodes, total)
    with pytest.raises(ParameterError, match="under one shape"):
        recover_sum([nodes[0], *nodes], total)


WORDS = np.zeros((12, 3), np.uint64)


@pytest.mark.parametrize(
    "bad",
    [
        np.zeros((3, ROWS - 1), np.uint64),
        np.zeros((2, ROWS), np.uint64),
        np.zeros((3, ROWS), np.int64),
        np.zeros((3, ROWS), np.uint32),
        np.full((3, ROWS), np.nan),
        np.zeros(3 * ROWS, np.uint64),
        [[0] * ROWS] * 3,
        None,
    ],
)
def test_the_node_refuses_other_words(bad: Any, done: dict[str, Any]) -> None:
    fresh = NodeProduct(ONE_HOT, SESSION, columns_for(ONE_HOT), NODE_SEED)
    with pytest.raises(InvalidCiphertext, match="b: expected uint64"):
        fresh.respond(bad, done["p"])
    with pytest.raises(InvalidCiphertext, match="p: expected uint64"):
        fresh.respond(done["b"], bad)
    with pytest.raises(InvalidCiphertext, match="w: expected uint64"):
        done["node"].recover(bad)


@pytest.mark.parametrize("bad", [WORDS[:11], WORDS[:, :2], WORDS.astype(np.int64), WORDS * np.nan, None])
def test_the_bank_refuses_other_words(bad: Any, done: dict[str, Any]) -> None:
    fresh = BankProduct(ONE_HOT, SESSION, done["alphas"], BANK_SEED)
    with pytest.raises(InvalidCiphertext, match="h: expected uint64"):
        fresh.answer(bad, WORDS)
    with pytest.raises(InvalidCiphertext, match="c: expected uint64"):
        fresh.answer(done["h"], bad)


def test_own_input_outside_its_bounds_is_refused() -> None:
    good = alphas_for(ONE_HOT)
    for v, value in ((0, 2), (0, -2), (1, 8193), (2, -(2**63))):
        alphas = good.copy()
        alphas[v, 5] = value
        with pytest.raises(ParameterError, match=f"vector {v} exceeds its declared bound"):
            BankProduct(ONE_HOT, SESSION, alphas, BANK_SEED)
    for bad in (good.astype(np.float64), good[:2], good[:, :-1], good.astype(np.int32)):
        with pytest.raises(ParameterError, match="alphas: expected int64"):
            BankProduct(ONE_HOT, SESSION, bad, BANK_SEED)
    for other in (None, good[0], good[:2], good.astype(np.float64)):
        with pytest.raises(ParameterError, match="alphas: expected int64"):
            commit_vectors(ONE_HOT.vectors, other, BANK_SEED)  # type: ignore[arg-type]
    for seed in (b"", b"x" * 31, "x" * 32):
        with pytest.raises(ParameterError, match="must be 32 bytes"):
            BankProduct(ONE_HOT, SESSION, good, seed)  # type: ignore[arg-type]
        with pytest.raises(ParameterError, match="must be 32 bytes"):
            NodeProduct(ONE_HOT, SESSION, columns_for(ONE_HOT), seed)  # type: ignore[arg-type]


def test_columns_outside_their_bounds_are_refused() -> None:
    codes = columns_for(ONE_HOT)
    dense = columns_for(DENSE)
    assert isinstance(codes, OneHot)
    assert isinstance(dense, Dense)
    high, least = codes.codes.copy(), dense.values.copy()
    high[1, 9] = 3
    least[0, 0] = -(2**63)
    cases: list[tuple[ProductShape, OneHot | Dense, str]] = [
        (ONE_HOT, OneHot(high, BINS), "outside its field's bins"),
        (ONE_HOT, OneHot(codes.codes, (4, 3, 6)), "as many columns as bins"),
        (ONE_HOT, OneHot(codes.codes, (12, 0, 0)), "1 to 256 bins"),
        (ONE_HOT, OneHot(codes.codes.astype(np.int64), BINS), "codes: expected uint8"),  # type: ignore[arg-type]
        (ONE_HOT, OneHot(codes.codes[:2], BINS), "codes: expected uint8"),
        (replace(DENSE, columns=12), codes, "scale 1"),
        (DENSE, Dense(dense.values * 20), "clip the columns"),
        (DENSE, Dense(least), "clip the columns"),
        (DENSE, Dense(dense.values[:, 1:]), "values: expected int64"),
        (DENSE, Dense(dense.values * 1.0), "values: expected int64"),  # type: ignore[arg-type]
    ]
    for shape, columns, why in cases:
        with pytest.raises(ParameterError, match=why):
            NodeProduct(shape, SESSION, columns, NODE_SEED)


def test_fixed_point_rounds_clips_and_refuses_missing_values() -> None:
    assert fixed_point(np.array([0.5, -9.0, 1 / 3, 100.0]), 1024, 8192).tolist() == [512, -8192, 341, 8192]
    for bad in (np.nan, np.inf):
        with pytest.raises(ParameterError, match="missing or infinite"):
            fixed_point(np.array([0.0, bad]), 1024, 8192)


def test_steps_out_of_order_are_refused() -> None:
    node = NodeProduct(ONE_HOT, SESSION, columns_for(ONE_HOT), NODE_SEED)
    for step in (node.commitments, lambda: node.recover(WORDS)):
        with pytest.raises(ParameterError, match=r"respond\(\)"):
            step()


def test_nothing_secret_prints(done: dict[str, Any]) -> None:
    for part in (done["bank"], done["node"], columns_for(ONE_HOT), columns_for(DENSE), done["node"]._masks):
        text = f"{part!r} {part}"
        assert "[" not in text
        assert "\\x" not in text
        assert "array" not in text
