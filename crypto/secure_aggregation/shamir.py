"""Shamir's secret sharing over the field of p = 2^256 + 297, the smallest prime above 2^256 (Shamir, CACM 1979).

A secret of 32 bytes is the value at 0 of a random polynomial of degree t − 1; the share of the one with index i is its value at
i. Any t shares give the secret by Lagrange's interpolation, fewer are independent of it. A share is 33 bytes, big-endian.

Python's integers are not constant-time. Who deals computes once with a fresh polynomial and then forgets it; who combines is
to know the secret anyway. Indices are public.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Final

from crypto.errors import InvalidShare, ParameterError

PRIME: Final = 2**256 + 297
SECRET_BYTES: Final = 32
SHARE_BYTES: Final = 33
MOST_SHARES: Final = 255


def split(secret: bytes, shares: int, threshold: int) -> dict[int, bytes]:
    """Shares of a 32-byte secret by index 1 to ``shares``; any ``threshold`` of them give it back.

    Raises ``ParameterError`` unless 1 ≤ threshold ≤ shares ≤ 255.
    """
    if len(secret) != SECRET_BYTES:
        raise ParameterError(f"a secret to be shared has {SECRET_BYTES} bytes")
    if not 1 <= threshold <= shares <= MOST_SHARES:
        raise ParameterError(f"a threshold is at least 1 and at most the number of shares, which is at most {MOST_SHARES}")
    polynomial = [int.from_bytes(secret), *(secrets.randbelow(PRIME) for _ in range(threshold - 1))]
    return {index: _value(polynomial, index).to_bytes(SHARE_BYTES) for index in range(1, shares + 1)}


def combine(shares: Mapping[int, bytes], threshold: int) -> bytes:
    """The secret from ``threshold`` shares by index; more are interpolated over and must agree.

    Raises ``InvalidShare`` for too few shares, a share or index out of range, and shares that lie on no one polynomial of
    degree ``threshold`` − 1 or whose value at 0 is no 32-byte secret.
    """
    if threshold < 1 or len(shares) < threshold:
        raise InvalidShare(f"{len(shares)} shares were given where {threshold} are needed")
    points = {index: check_share(index, share) for index, share in sorted(shares.items())}
    used = dict(list(points.items())[:threshold])
    if any(_interpolate(used, index) != value for index, value in points.items() if index not in used):
        raise InvalidShare("the shares do not belong to one secret")
    secret = _interpolate(used, 0)
    if secret >= 1 << (8 * SECRET_BYTES):
        raise InvalidShare("the shares do not belong to a secret of 32 bytes")
    return secret.to_bytes(SECRET_BYTES)


def check_share(index: int, share: bytes) -> int:
    """The share as a number; raises ``InvalidShare`` for a wrong length, value or index."""
    if not isinstance(index, int) or not 1 <= index <= MOST_SHARES:
        raise InvalidShare(f"a share's index is 1 to {MOST_SHARES}")
    if len(share) != SHARE_BYTES or (value := int.from_bytes(share)) >= PRIME:
        raise InvalidShare(f"a share is {SHARE_BYTES} bytes and a number below the prime")
    return value


def _value(polynomial: list[int], at: int) -> int:
    result = 0
    for coefficient in reversed(polynomial):
        result = (result * at + coefficient) % PRIME
    return result


def _interpolate(points: Mapping[int, int], at: int) -> int:
    total = 0
    for i, value in points.items():
        above = below = 1
        for j in points:
            if j != i:
                above = above * (at - j) % PRIME
                below = below * (i - j) % PRIME
        total += value * above * pow(below, -1, PRIME)
    return total % PRIME
