"""ristretto255 against RFC 9496 A.1-A.3, hashing against RFC 9380 K.3, scalars against Python's integers."""

from __future__ import annotations

import json
from hashlib import sha512

import pytest
import rbcl
from hypothesis import given, settings
from hypothesis import strategies as st

from crypto import group
from crypto.errors import CryptoError, InvalidElement, InvalidScalar, ParameterError
from crypto.group import ELEMENT_BYTES, IDENTITY, ORDER, Element, Scalar
from tests.conftest import shared_path

# RFC 9496 A.1: 1·G to 4·G
MULTIPLES = [
    "e2f2ae0a6abc4e71a884a961c500515f58e30b6aa582dd8db6a65945e08d2d76",
    "6a493210f7499cd17fecb510ae0cea23a110e8d5b901f8acadd3095c73a3b919",
    "94741f5d5d52755ece4f23f044ee27d5d1ea1e2bd196b462166b16152a9d0259",
    "da80862773358b466ffadfe0b3293ab3d9fd53c5ea6c955358f568322daf6a57",
]
# RFC 9496 A.2, one of each kind
NON_CANONICAL = {
    "field element not reduced": "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "negative field element": "ed57ffd8c914fb201471d1c3d245ce3c746fcbe63a3679d51b6a516ebebe0e20",
    "x squared is no square": "26948d35ca62e643e26a83177332e6b6afeb9d08e4268b650f1f5bbd8d81d371",
    "negative xy": "3eb858e78f5a7254d8c9731174a94f76755fd3941c0ac93735c07ba14579630e",
    "y is zero": "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
}

scalars = st.integers(1, ORDER - 1)


def scalar(value: int) -> Scalar:
    return group.decode_scalar((value % ORDER).to_bytes(32, "little"))


def integer(encoded: bytes) -> int:
    return int.from_bytes(encoded, "little")


def test_small_multiples_of_the_generator() -> None:
    assert [group.base_mult(scalar(n)).hex() for n in (1, 2, 3, 4)] == MULTIPLES
    generator = group.decode_element(bytes.fromhex(MULTIPLES[0]))
    assert group.add(generator, generator).hex() == MULTIPLES[1]
    assert group.sub(group.scalar_mult(scalar(4), generator), generator).hex() == MULTIPLES[2]


def test_published_multiples_bad_encodings_and_hashes() -> None:
    vectors = json.loads(shared_path("vectors/ristretto255/ristretto255.json").read_text())
    for n, expected in enumerate(vectors["small_multiples_of_basepoint"][1:], start=1):
        assert group.base_mult(scalar(n)).hex() == expected
        assert group.decode_element(bytes.fromhex(expected)) == bytes.fromhex(expected)
    assert len(vectors["bad_encodings"]) == 29
    for bad in vectors["bad_encodings"]:
        with pytest.raises(InvalidElement, match="canonical"):
            group.decode_element(bytes.fromhex(bad["hex"]))
    for case in vectors["from_uniform_bytes_of_sha512"]:
        uniform = sha512(case["label"].encode()).digest()
        assert rbcl.crypto_core_ristretto255_from_hash(uniform).hex() == case["element"]


@pytest.mark.parametrize("encoded", NON_CANONICAL.values(), ids=NON_CANONICAL.keys())
def test_non_canonical_elements_are_refused(encoded: str) -> None:
    with pytest.raises(InvalidElement, match="canonical"):
        group.decode_element(bytes.fromhex(encoded))


@pytest.mark.parametrize("length", [0, 31, 33, 64])
def test_elements_of_another_length_are_refused(length: int) -> None:
    with pytest.raises(InvalidElement, match="32 bytes"):
        group.decode_element((bytes.fromhex(MULTIPLES[0]) * 3)[:length])


def test_identity_is_refused_and_named() -> None:
    with pytest.raises(InvalidElement, match="identity"):
        group.decode_element(IDENTITY)


def test_a_list_is_decoded_whole_or_not_at_all() -> None:
    good = bytes.fromhex(MULTIPLES[0])
    assert group.decode_elements([good, good]) == [good, good]
    with pytest.raises(InvalidElement, match=r"element 1 of 3: .*identity"):
        group.decode_elements([good, IDENTITY, good])


@pytest.mark.parametrize(
    ("encoded", "reason"),
    [
        (bytes(32), "zero"),
        (ORDER.to_bytes(32, "little"), "not reduced"),
        ((2**256 - 1).to_bytes(32, "little"), "not reduced"),
        (bytes(31) + b"\1" + b"\0", "32 bytes"),
        (b"\1", "32 bytes"),
    ],
)
def test_bad_scalars_are_refused_and_the_reason_named(encoded: bytes, reason: str) -> None:
    with pytest.raises(InvalidScalar, match=reason):
        group.decode_scalar(encoded)


def test_the_largest_scalar_is_minus_one() -> None:
    generator = group.base_mult(scalar(1))
    assert group.add(group.base_mult(scalar(ORDER - 1)), generator) == IDENTITY


def test_products_that_are_the_identity_are_errors() -> None:
    zero = Scalar(bytes(32))
    with pytest.raises(InvalidElement, match="identity"):
        group.scalar_mult(zero, Element(bytes.fromhex(MULTIPLES[0])))
    with pytest.raises(InvalidScalar, match="zero"):
        group.base_mult(zero)
    with pytest.raises(InvalidScalar, match="zero"):
        group.invert(zero)


@settings(max_examples=50)
@given(scalars, scalars)
def test_scalars_agree_with_integers(a: int, b: int) -> None:
    left, right = scalar(a), scalar(b)
    assert integer(group.scalar_add(left, right)) == (a + b) % ORDER
    assert integer(group.scalar_sub(left, right)) == (a - b) % ORDER
    assert integer(group.scalar_mul(left, right)) == a * b % ORDER
    assert integer(group.invert(left)) == pow(a, -1, ORDER)


@settings(max_examples=30)
@given(scalars, scalars)
def test_multiplication_distributes_and_commutes(a: int, b: int) -> None:
    left, right = group.base_mult(scalar(a)), group.base_mult(scalar(b))
    if (a + b) % ORDER:
        assert group.add(left, right) == group.base_mult(scalar(a + b))
    assert group.scalar_mult(scalar(b), left) == group.scalar_mult(scalar(a), right) == group.base_mult(scalar(a * b))
    assert group.scalar_mult(group.invert(scalar(a)), left) == group.base_mult(scalar(1))


def test_random_scalars_are_canonical_and_differ() -> None:
    drawn = [group.random_scalar() for _ in range(200)]
    assert len({group.decode_scalar(one) for one in drawn}) == 200
    assert any(integer(one) >= 2**251 for one in drawn)
    assert any(integer(one) < 2**251 for one in drawn)


# --- hashing --------------------------------------------------------------------------------------

EXPANDER_DST = b"QUUX-V01-CS02-with-expander-SHA512-256"


def test_expand_message_literal() -> None:
    """RFC 9380 K.3, message "abc"."""
    expected = "0da749f12fbe5483eb066a5f595055679b976e93abe9be6f0f6318bce7aca8dc"
    assert group.expand_message_xmd(b"abc", EXPANDER_DST, 32).hex() == expected


def test_expand_message_vectors() -> None:
    vectors = json.loads(shared_path("vectors/rfc9380_h2c/expand_message_xmd_SHA512_38.json").read_text())
    assert vectors["tests"]
    for case in vectors["tests"]:
        length = int(case["len_in_bytes"], 16)
        output = group.expand_message_xmd(case["msg"].encode(), vectors["DST"].encode(), length)
        assert output.hex() == case["uniform_bytes"]


def test_oversized_tags_are_hashed_first() -> None:
    """RFC 9380 §5.3.3."""
    long_tag = b"t" * 300
    short_tag = sha512(b"H2C-OVERSIZE-DST-" + long_tag).digest()
    assert group.expand_message_xmd(b"m", long_tag, 64) == group.expand_message_xmd(b"m", short_tag, 64)


@pytest.mark.parametrize(("dst", "length"), [(b"", 64), (b"t", 0), (b"t", 255 * 64 + 1)])
def test_expand_message_limits(dst: bytes, length: int) -> None:
    with pytest.raises(ParameterError):
        group.expand_message_xmd(b"m", dst, length)


def test_hashes_depend_on_message_and_tag() -> None:
    elements = {group.hash_to_group(m, d) for m in (b"a", b"b") for d in (b"x", b"y")}
    numbers = {group.hash_to_scalar(m, d) for m in (b"a", b"b") for d in (b"x", b"y")}
    assert len(elements) == len(numbers) == 4
    assert all(group.decode_element(one) == one for one in elements)
    uniform = integer(group.expand_message_xmd(b"a", b"x", 64))
    assert integer(group.hash_to_scalar(b"a", b"x")) == uniform % ORDER


# --- many at once ---------------------------------------------------------------------------------


@pytest.mark.parametrize("workers", [1, 3, None])
def test_many_gives_what_one_by_one_gives(workers: int | None) -> None:
    k, messages = scalar(7), [n.to_bytes(2) for n in range(300)]
    elements = group.hash_to_group_many(messages, b"t", workers)
    assert elements == [group.hash_to_group(message, b"t") for message in messages]
    assert group.scalar_mult_many(k, elements, workers) == [group.scalar_mult(k, one) for one in elements]
    assert all(len(one) == ELEMENT_BYTES for one in elements)


def test_an_error_in_a_thread_reaches_the_caller() -> None:
    with pytest.raises(ZeroDivisionError):
        group.map_threads(lambda n: 1 // (n - 290), range(300), 2)
    with pytest.raises(ParameterError, match="workers"):
        group.map_threads(lambda n: n, range(3), 0)


def test_every_error_is_a_crypto_error() -> None:
    assert issubclass(CryptoError, ValueError)
    assert all(issubclass(kind, CryptoError) for kind in (InvalidElement, InvalidScalar, ParameterError))
