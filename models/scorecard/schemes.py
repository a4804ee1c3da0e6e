"""The encryption that a training's masked products are under, and all that the rest of the code has to know of it.

::

    scheme      crypto                     b          p            h         c          w           words
    lwe         masked_product             [V, N]     [V, n]       [J, n]    [J, V]     [J, V]      uint64, little-endian
    paillier    masked_product_paillier    [N, 768]   [1, 12288]   [J, 0]    [J, 768]   [J, 384]    bytes

The node's operator decides, the plan that the node signs says it, and both roles and the office's replay go by the plan.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from typing import Any, Final, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from crypto import masked_product as lwe
from crypto.lwe_params import PRODUCT
from crypto.masked_product import Answered, Dense, NodeCommitments, OneHot, ProductShape, ReplayDigests
from models import wire

from .limits import LimitRefused

Scheme = Literal["lwe", "paillier"]
SCHEMES: Final[tuple[Scheme, ...]] = ("lwe", "paillier")

Words = NDArray[Any]
"""A message of a product: uint64 under LWE, bytes under Paillier."""
Integers = NDArray[np.int64]
Floats = NDArray[np.float64]
Size = tuple[int, int]

MOST_PAILLIER_ROWS = 1 << 16
"""Rows of a training under Paillier: the office repeats both of its rounds within the ten minutes that a client waits."""

_REST: dict[Scheme, str] = {
    "lwe": "of the labels and columns behind these sums nothing more, as long as LWE holds at 138 bits of security.",
    "paillier": "of the labels and columns behind these sums nothing more, as long as Paillier's encryption (ISO/IEC 18033-6) "
    "of 3072 bits holds.",
}


class BankSide(Protocol):
    """The bank's side of one product; see `crypto.masked_product.BankProduct`."""

    def encrypt(self) -> tuple[Words, Words]:
        """(b, p)."""

    def answer(self, h: Words, c: Words) -> Words:
        """(h, c) → w."""


class NodeSide(Protocol):
    """The node's side of one product; see `crypto.masked_product.NodeProduct`."""

    def respond(self, b: Words, p: Words) -> tuple[Words, Words]:
        """(b, p) → (h, c)."""

    def recover(self, w: Words) -> Floats:
        """The products, float64[J, V]."""

    def commitments(self) -> NodeCommitments:
        """To columns and masks."""

    def snapshot(self) -> Answered:
        """A product that has answered, for a store."""

    def restore(self, answered: Answered) -> None:
        """Become that product."""


@dataclass(frozen=True)
class Sizes:
    """Shapes of a product's messages."""

    b: Size
    p: Size
    h: Size
    c: Size
    w: Size


@dataclass(frozen=True)
class Backend:
    """One scheme: both roles, the office's replay, and what its messages look like.

    Attributes:
        bank: of (shape, session seed, alphas int64[V, N], seed).
        node: of (shape, session seed, columns, secret seed, order seed or None).
        replay: digests of the bank's messages of (shape, session seed, alphas, seed, h, c).
        check: refuses a shape that the scheme cannot serve, by `crypto.errors.ParameterError`.
        sizes: of the messages of a shape.
        dtype: of all messages on the wire.
    """

    bank: Callable[[ProductShape, bytes, Integers, bytes], BankSide]
    node: Callable[[ProductShape, bytes, OneHot | Dense, bytes, bytes | None], NodeSide]
    replay: Callable[[ProductShape, bytes, Integers, bytes, Words, Words], ReplayDigests]
    check: Callable[[ProductShape], None]
    sizes: Callable[[ProductShape], Sizes]
    dtype: str

    def unpack(self, shape: ProductShape, name: str, data: bytes) -> Words:
        """One message, b, p, h, c or w, from the wire; raises `models.problems.BadMessage` for any other length."""
        size: Size = getattr(self.sizes(shape), name)
        found = wire.unpack(data, self.dtype, size, name)
        return found.astype(found.dtype.newbyteorder("="), copy=False)


def installed(scheme: Scheme) -> bool:
    """Whether this program was installed with what a scheme needs."""
    return scheme == "lwe" or all(find_spec(name) is not None for name in ("phe", "gmpy2"))


@cache
def backend(scheme: Scheme) -> Backend:
    """A scheme by name; raises `LimitRefused` where the extra that it needs is not installed."""
    if scheme == "lwe":
        return Backend(lwe.BankProduct, lwe.NodeProduct, lwe.replay, ProductShape.check, _lwe_sizes, "<u8")
    if not installed(scheme):
        raise LimitRefused(
            "scheme-not-installed",
            "This training is under Paillier, which this program was installed without",
            "Install it with the extra `paillier`: xinqiao[paillier].",
        )
    # Here, since `phe` is under the GPL and comes with that extra alone.
    from crypto import masked_product_paillier as paillier
    from crypto.masked_product_paillier.node import P_BYTES
    from crypto.paillier.arithmetic import CIPHERTEXT_BYTES, KEY_BYTES

    def sizes(shape: ProductShape) -> Sizes:
        rows, columns = shape.rows, shape.columns
        c, w = (columns, CIPHERTEXT_BYTES), (columns, KEY_BYTES)
        return Sizes(b=(rows, CIPHERTEXT_BYTES), p=(1, P_BYTES), h=(columns, 0), c=c, w=w)

    return Backend(paillier.BankProduct, paillier.NodeProduct, paillier.replay, paillier.check, sizes, "|u1")


def check_scheme(scheme: Scheme, rows: int, banks: int, private: bool) -> None:
    """Refuse what only LWE serves.

    Args:
        scheme: of the training.
        rows: of the cohort.
        banks: whose masked answers are added.
        private: whether it is under differential privacy.

    Raises:
        LimitRefused: naming what the scheme does not serve.
    """
    if scheme == "lwe":
        return
    if banks > 1:
        raise LimitRefused(
            "scheme-alone",
            "This data node trains under Paillier, and only LWE adds masked answers of several banks",
            "Train alone, or ask the node's operator for LWE.",
        )
    if private:
        raise LimitRefused(
            "scheme-without-privacy",
            "Differential privacy is accounted for with the errors of LWE, and this data node trains under Paillier",
            "Train in a project without a privacy budget, or ask the node's operator for LWE.",
        )
    if rows > MOST_PAILLIER_ROWS:
        raise LimitRefused(
            "scheme-too-slow",
            f"The cohort has {rows} rows; under Paillier a training has at most {MOST_PAILLIER_ROWS}",
            "Align fewer customers, or ask the node's operator for LWE.",
        )


def rest(scheme: Scheme) -> str:
    """What the leakage statement says the node learns beyond the sums."""
    return _REST[scheme]


def _lwe_sizes(shape: ProductShape) -> Sizes:
    rows, columns, vectors, n = shape.rows, shape.columns, len(shape.vectors), PRODUCT.dimension
    return Sizes(b=(vectors, rows), p=(vectors, n), h=(columns, n), c=(columns, vectors), w=(columns, vectors))
