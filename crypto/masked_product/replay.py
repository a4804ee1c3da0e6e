"""What the office recomputes from a bank's opened seed, and the digests that both sides log.

The bank's messages are functions of (vectors, seed) and of the node's reply. The office checks the vectors (labels binary,
bounds, levels), repeats the work and compares digests with the log: messages that were not made from these vectors, by
this procedure, have other digests.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crypto.masked_product.bank import BankProduct
from crypto.masked_product.shape import ProductShape


@dataclass(frozen=True)
class ReplayDigests:
    """Digests of what an honest bank sends: ``b_p`` before and ``w`` after the node's reply."""

    b_p: bytes
    w: bytes


def replay(
    shape: ProductShape,
    session_seed: bytes,
    alphas: NDArray[np.int64],
    seed: bytes,
    h: NDArray[np.uint64],
    c: NDArray[np.uint64],
) -> ReplayDigests:
    """Digests of the messages that ``alphas`` int64[V, N] and ``seed`` lead to under the reply (h, c).

    Raises what ``BankProduct`` raises for vectors outside their bounds or a malformed reply.
    """
    bank = BankProduct(shape, session_seed, alphas, seed)
    return ReplayDigests(digest_bp(*bank.encrypt()), digest_w(bank.answer(h, c)))


def digest_bp(b: NDArray[np.unsignedinteger[Any]], p: NDArray[np.unsignedinteger[Any]]) -> bytes:
    """SHA-256 of the bank's first message."""
    return _digest(b"b, p", b, p)


def digest_hc(h: NDArray[np.unsignedinteger[Any]], c: NDArray[np.unsignedinteger[Any]]) -> bytes:
    """SHA-256 of the node's reply."""
    return _digest(b"h, c", h, c)


def digest_w(w: NDArray[np.unsignedinteger[Any]]) -> bytes:
    """SHA-256 of the bank's answer."""
    return _digest(b"w", w)


def _digest(label: bytes, *arrays: NDArray[Any]) -> bytes:
    state = hashlib.sha256(b"xinqiao/masked-product/" + label)
    for array in arrays:
        state.update(f"{array.shape}".encode())
        state.update(np.ascontiguousarray(array, array.dtype.newbyteorder("<")).data)
    return state.digest()
