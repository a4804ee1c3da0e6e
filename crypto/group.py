"""The prime-order group ristretto255 (RFC 9496), computed by libsodium through `rbcl`.

Two kinds of bytes are told apart by type. An `Element` is the canonical 32-byte encoding of a group element other than
the identity; a `Scalar` is a canonical 32-byte little-endian integer in [1, L). Bytes from outside become one or the
other only through `decode_element` and `decode_scalar`; everything below these two trusts its types. This matters more
than it looks: `rbcl` answers `add` and `sub` of invalid points with 32 zero bytes and no error.

All group and scalar arithmetic runs in libsodium's constant time and without the interpreter lock, so that
`map_threads` gains from every core. `rbcl` writes libsodium to the temporary folder on import and loads it from there:
that folder must be writable and must allow execution.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha512
from typing import Final, NewType, TypeVar

import rbcl

from crypto.errors import InvalidElement, InvalidScalar, ParameterError

Element = NewType("Element", bytes)
Scalar = NewType("Scalar", bytes)

ELEMENT_BYTES: Final = 32
SCALAR_BYTES: Final = 32
ORDER: Final = 2**252 + 27742317777372353535851937790883648493  # L, RFC 9496 §4
IDENTITY: Final = bytes(ELEMENT_BYTES)

_FIELD: Final = 2**255 - 19
_SHA512_BLOCK: Final = 128
_CHUNK: Final = 128  # items a thread takes at once: some 10 ms of work

_T = TypeVar("_T")
_R = TypeVar("_R")


# --- bytes from outside ---------------------------------------------------------------------------


def decode_element(data: bytes) -> Element:
    """Take 32 bytes from outside as a group element (RFC 9497 §4.1, DeserializeElement).

    Raises:
        InvalidElement: wrong length, the identity, or no canonical encoding; the message says which.
    """
    if len(data) != ELEMENT_BYTES:
        raise InvalidElement(f"a group element has {ELEMENT_BYTES} bytes, got {len(data)}; send it unpadded")
    if data == IDENTITY:
        raise InvalidElement("the identity element is refused: blind again with a fresh nonzero scalar")
    # The first two conditions are RFC 9496 §4.3.1 step 1. The libsodium 1.0.18 that rbcl bundles ignores bit 255, so
    # without our own look every element would have a second spelling, and a check for elements seen before would fail.
    root = int.from_bytes(data, "little")
    if root >= _FIELD or root % 2 or not rbcl.crypto_core_ristretto255_is_valid_point(data):
        raise InvalidElement("not the canonical encoding of a ristretto255 element (RFC 9496 §4.3.1)")
    return Element(data)


def decode_scalar(data: bytes) -> Scalar:
    """Take 32 bytes from outside as a scalar in [1, L), little-endian.

    Raises:
        InvalidScalar: wrong length, zero, or not reduced modulo L; the message says which.
    """
    if len(data) != SCALAR_BYTES:
        raise InvalidScalar(f"a scalar has {SCALAR_BYTES} bytes, got {len(data)}")
    value = int.from_bytes(data, "little")
    if value == 0:
        raise InvalidScalar("the scalar is zero; draw a fresh one")
    if value >= ORDER:
        raise InvalidScalar("the scalar is not reduced modulo the group order; encode its canonical form")
    return Scalar(data)


# --- the group ------------------------------------------------------------------------------------


def scalar_mult(scalar: Scalar, element: Element) -> Element:
    """Return scalar·element.

    Raises:
        InvalidElement: the product would be the identity, or the element never passed `decode_element`.
    """
    try:
        return Element(rbcl.crypto_scalarmult_ristretto255(scalar, element))
    except RuntimeError:
        raise InvalidElement("the product is the identity, or the element is invalid: decode it first") from None


def base_mult(scalar: Scalar) -> Element:
    """Return scalar·G for the generator G; `InvalidScalar` if that is the identity."""
    try:
        return Element(rbcl.crypto_scalarmult_ristretto255_base(scalar))
    except RuntimeError:
        raise InvalidScalar("the scalar is zero modulo the group order; draw a fresh one") from None


def add(left: Element, right: Element) -> Element:
    """Return left + right. The sum of an element and its inverse is `IDENTITY`, which no other function accepts."""
    return Element(rbcl.crypto_core_ristretto255_add(left, right))


def sub(left: Element, right: Element) -> Element:
    """Return left - right; equal elements give `IDENTITY`, which no other function accepts."""
    return Element(rbcl.crypto_core_ristretto255_sub(left, right))


# --- scalars modulo L -----------------------------------------------------------------------------


def random_scalar() -> Scalar:
    """Draw a uniform scalar in [1, L) from the operating system (64 bytes reduced: bias below 2^-259)."""
    while True:
        scalar = Scalar(rbcl.crypto_core_ristretto255_scalar_reduce(secrets.token_bytes(64)))
        if any(scalar):
            return scalar


def scalar_add(left: Scalar, right: Scalar) -> Scalar:
    """Return left + right modulo L."""
    return Scalar(rbcl.crypto_core_ristretto255_scalar_add(left, right))


def scalar_sub(left: Scalar, right: Scalar) -> Scalar:
    """Return left - right modulo L."""
    return Scalar(rbcl.crypto_core_ristretto255_scalar_sub(left, right))


def scalar_mul(left: Scalar, right: Scalar) -> Scalar:
    """Return left · right modulo L."""
    return Scalar(rbcl.crypto_core_ristretto255_scalar_mul(left, right))


def invert(scalar: Scalar) -> Scalar:
    """Return 1/scalar modulo L; `InvalidScalar` for zero, which has no inverse."""
    if not any(scalar):
        raise InvalidScalar("zero has no inverse; draw a fresh scalar")
    return Scalar(rbcl.crypto_core_ristretto255_scalar_invert(scalar))


# --- hashing --------------------------------------------------------------------------------------


def expand_message_xmd(message: bytes, dst: bytes, length: int) -> bytes:
    """Stretch `message` to `length` uniform bytes with SHA-512 under the domain tag `dst` (RFC 9380 §5.3.1)."""
    blocks = -(-length // 64)
    if not 1 <= blocks <= 255 or length > 65535:
        raise ParameterError(f"expand_message_xmd gives 1 to 16320 bytes with SHA-512, {length} were asked for")
    if not dst:
        raise ParameterError("a domain separation tag must not be empty (RFC 9380 §3.1)")
    if len(dst) > 255:
        dst = sha512(b"H2C-OVERSIZE-DST-" + dst).digest()
    dst_prime = dst + len(dst).to_bytes(1)
    b_0 = sha512(bytes(_SHA512_BLOCK) + message + length.to_bytes(2) + b"\0" + dst_prime).digest()
    block = sha512(b_0 + b"\1" + dst_prime).digest()
    output = block
    for index in range(2, blocks + 1):
        mixed = bytes(a ^ b for a, b in zip(b_0, block, strict=True))
        block = sha512(mixed + index.to_bytes(1) + dst_prime).digest()
        output += block
    return output[:length]


def hash_to_group(message: bytes, dst: bytes) -> Element:
    """Map `message` to an element nobody knows the logarithm of (RFC 9497 §4.1, HashToGroup).

    Raises:
        InvalidElement: the message maps to the identity; nobody can find one that does.
    """
    element = Element(rbcl.crypto_core_ristretto255_from_hash(expand_message_xmd(message, dst, 64)))
    if element == IDENTITY:
        raise InvalidElement("this input maps to the identity and cannot be used")
    return element


def hash_to_scalar(message: bytes, dst: bytes) -> Scalar:
    """Map `message` to a scalar modulo L (RFC 9497 §4.1, HashToScalar); zero only by a chance of 2^-252."""
    return Scalar(rbcl.crypto_core_ristretto255_scalar_reduce(expand_message_xmd(message, dst, 64)))


# --- many at once ---------------------------------------------------------------------------------


def map_threads(function: Callable[[_T], _R], items: Sequence[_T], workers: int | None = None) -> list[_R]:
    """Return [function(item) for item in items], in order, on `workers` threads (None: one a core).

    Worth it for functions that spend their time in libsodium. The first error is raised and work not yet begun is
    dropped.
    """
    workers = (os.cpu_count() or 1) if workers is None else workers
    if workers < 1:
        raise ParameterError(f"workers must be at least 1, got {workers}")
    if workers == 1 or len(items) <= _CHUNK:
        return [function(item) for item in items]
    chunks = [items[start : start + _CHUNK] for start in range(0, len(items), _CHUNK)]
    with ThreadPoolExecutor(workers) as pool:
        parts = pool.map(lambda chunk: [function(item) for item in chunk], chunks)
        return [result for part in parts for result in part]


def decode_elements(encoded: Sequence[bytes]) -> list[Element]:
    """Decode all or none; the error names the position of the first element that is refused."""
    elements = []
    for position, data in enumerate(encoded):
        try:
            elements.append(decode_element(data))
        except InvalidElement as error:
            raise InvalidElement(f"element {position} of {len(encoded)}: {error}") from None
    return elements


def scalar_mult_many(scalar: Scalar, elements: Sequence[Element], workers: int | None = None) -> list[Element]:
    """Return scalar·element for each element, in order, on `workers` threads."""
    return map_threads(lambda element: scalar_mult(scalar, element), elements, workers)


def hash_to_group_many(messages: Sequence[bytes], dst: bytes, workers: int | None = None) -> list[Element]:
    """Return `hash_to_group` of each message, in order, on `workers` threads."""
    return map_threads(lambda message: hash_to_group(message, dst), messages, workers)
