"""How vectors share a plaintext, and what shapes fit."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from crypto import noise
from crypto.errors import InvalidCiphertext, ParameterError
from crypto.masked_product.shape import ProductShape
from crypto.paillier.arithmetic import KEY_BITS

SLOT_BITS = 64
MOST_VECTORS = (KEY_BITS - 2) // SLOT_BITS
_TAIL = 10  # standard deviations beyond which the sampler gives nothing

Bytes = NDArray[np.uint8]


def unit(shape: ProductShape, v: int) -> int:
    """One natural unit in plaintext integers: s · t_v."""
    return shape.column_scale * shape.vectors[v].scale


def answer_sd(shape: ProductShape, v: int) -> int:
    """Standard deviation of the bank's noise in plaintext integers: a_v natural units, or the vector's own where it is more."""
    spec = shape.vectors[v]
    return max(spec.bound * unit(shape, v), -(-spec.noise * unit(shape, v) // 1024))


def check(shape: ProductShape) -> None:
    """Raise `ParameterError` unless every product with its noise fits its 64 bits."""
    shape.check()
    if shape.banks != 1:
        raise ParameterError("under Paillier each bank has a key of its own; products of several banks need the LWE backend")
    if len(shape.vectors) > MOST_VECTORS:
        raise ParameterError(f"under Paillier a plaintext holds {MOST_VECTORS} vectors, labels included; use fewer columns")
    for v in range(len(shape.vectors)):
        most = shape.rows * shape.column_bound * shape.vectors[v].integer_bound + _TAIL * answer_sd(shape, v)
        if most >> (SLOT_BITS - 1):
            raise ParameterError(f"vector {v}: a product may exceed 64 bits; use fewer rows or smaller bounds")


def pack(values: Sequence[int]) -> int:
    """Σ values[v] · 2^(64v), signed."""
    return sum(value << (SLOT_BITS * v) for v, value in enumerate(values))


def unpack(number: int, n: int, count: int) -> list[int]:
    """The signed values of a number modulo n that `pack` made."""
    number = number - n if 2 * number > n else number
    found = []
    for _ in range(count):
        low = number & ((1 << SLOT_BITS) - 1)
        low -= (low >> (SLOT_BITS - 1)) << SLOT_BITS
        found.append(low)
        number = (number - low) >> SLOT_BITS
    return found


def random_bytes(key: bytes, context: bytes, count: int) -> bytes:
    """`count` bytes of the stream under (key, context)."""
    return noise.words(key, context, -(-count // 8)).astype("<u8").tobytes()[:count]


def expect(array: object, shape: tuple[int, ...], what: str) -> Bytes:
    """The array, if it is uint8 of exactly this shape; raises `InvalidCiphertext`."""
    if not isinstance(array, np.ndarray) or array.dtype != np.uint8 or array.shape != shape:
        found = f"{array.dtype} {list(array.shape)}" if isinstance(array, np.ndarray) else type(array).__name__
        raise InvalidCiphertext(f"{what}: expected uint8 {list(shape)}, got {found}")
    return array


def rows_of(numbers: Sequence[int], size: int) -> Bytes:
    """Big-endian numbers as rows uint8[len(numbers), size]."""
    return np.frombuffer(b"".join(number.to_bytes(size) for number in numbers), np.uint8).reshape(-1, size).copy()
