"""The node's side of a masked product: multiply under fresh masks, once, and take the masks off the bank's answer."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from crypto import kernels, lwe_params, noise
from crypto.errors import ParameterError, ReuseRefused
from crypto.masked_product.replay import digest_bp
from crypto.masked_product.shape import Dense, OneHot, ProductShape, expect_words
from crypto.xof import MatrixLabel, MatrixStream, check_seed, derive_key


@dataclass(frozen=True)
class NodeCommitments:
    """HMAC-SHA-256 of the node's columns, u, f and M under a key from its secret seed: logged before the reply leaves.

    An auditor who is given the seed and the columns repeats ``respond`` and compares all of it.
    """

    columns: bytes
    u: bytes
    f: bytes
    masks: bytes


@dataclass(frozen=True, repr=False)
class Answered:
    """A product that has answered, for a store: all that ``recover`` needs, and as secret as the node's columns.

    ``order``: int64[J], little-endian. ``masks``: M, uint64[J, V], little-endian; under Paillier the bank's n and then U, each
    a number of 384 bytes, big-endian. ``request``: digest of (b, p).
    """

    order: bytes
    masks: bytes
    request: bytes
    commitments: NodeCommitments


@dataclass(frozen=True, repr=False)
class _Masks:
    order: NDArray[np.int64]  # the k-th word sent belongs to column order[k]
    u: NDArray[np.int64]
    f: NDArray[np.int64]
    M: NDArray[np.uint64]


class NodeProduct:
    """The node, one session. ``columns`` fit ``shape``; ``secret_seed`` 32 secret bytes.

    The key of u, f, M and the order is HKDF(secret seed; session seed, shape, digest of b and p, digest of the columns):
    after a crash the same request is answered by the same bytes, another request meets other masks. Where the answers of
    several banks are added, all their products are given one ``order_seed``, so that equal places mean equal columns.
    A product that has answered may go on elsewhere: ``snapshot`` there, ``restore`` here, which never answers again.
    """

    def __init__(
        self,
        shape: ProductShape,
        session_seed: bytes,
        columns: OneHot | Dense,
        secret_seed: bytes,
        order_seed: bytes | None = None,
    ) -> None:
        shape.check()
        check_seed(session_seed, "the session's seed")
        check_seed(secret_seed, "the node's secret seed")
        if order_seed is not None:
            check_seed(order_seed, "the order seed")
        columns.check(shape)
        self.shape = shape
        self._session_seed, self._secret_seed, self._order_seed = session_seed, secret_seed, order_seed
        self._columns = columns
        self._masks: _Masks | None = None
        self._commitments: NodeCommitments | None = None
        self._request = b""
        self._reply: tuple[NDArray[np.uint64], NDArray[np.uint64]] | None = None

    def __repr__(self) -> str:
        return f"NodeProduct({self.shape}, columns and masks redacted)"

    def respond(self, b: NDArray[np.uint64], p: NDArray[np.uint64]) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
        """h uint64[J, n] and c uint64[J, V], columns in an order that only the node knows.

        Raises ``InvalidCiphertext`` for other shapes than b uint64[V, N], p uint64[V, n], and ``ReuseRefused`` for a second,
        different request; an equal one gets the stored reply.
        """
        vectors = len(self.shape.vectors)
        expect_words(b, (vectors, self.shape.rows), "b")
        expect_words(p, (vectors, lwe_params.PRODUCT.dimension), "p")
        request = digest_bp(b, p)
        if self._masks is None:
            self._masks = masks = self._draw(request)
            h, c = self._multiply(masks, b, p)
            self._reply, self._request = (h[masks.order], c[masks.order]), request
        if self._reply is None:
            raise ReuseRefused("this session has answered; send the stored reply again, or start a new session")
        if request != self._request:
            raise ReuseRefused("this session has served another request; start a new session with a new seed")
        h, c = self._reply
        return h.copy(), c.copy()

    def snapshot(self) -> Answered:
        """What ``restore`` goes on from; raises ``ParameterError`` before ``respond``, when there is nothing to keep."""
        made = self.commitments()
        assert self._masks is not None
        order, masks = self._masks.order.astype("<i8").tobytes(), self._masks.M.astype("<u8").tobytes()
        return Answered(order, masks, self._request, made)

    def restore(self, answered: Answered) -> None:
        """Become the product that has answered: ``recover`` works, ``respond`` is refused. u and f have done their work."""
        J, V, n = self.shape.columns, len(self.shape.vectors), lwe_params.PRODUCT.dimension
        if self._masks is not None or (len(answered.order), len(answered.masks)) != (8 * J, 8 * J * V):
            raise ParameterError("this state is of another product, or this product has answered by itself")
        order = np.frombuffer(answered.order, "<i8").astype(np.int64)
        M = np.frombuffer(answered.masks, "<u8").astype(np.uint64).reshape(J, V)
        none = np.zeros((0, n), np.int64)
        self._masks, self._request, self._commitments = _Masks(order, none, none, M), answered.request, answered.commitments

    def commitments(self) -> NodeCommitments:
        """Commitments to the columns and the masks of this reply; log them before the reply leaves."""
        if self._commitments is None:
            raise ParameterError("masks are drawn for a request; call respond() first")
        return self._commitments

    def recover(self, w: NDArray[np.uint64]) -> NDArray[np.float64]:
        """⟨x_j, α_v⟩ in natural units, float64[J, V] in the original order, before the node's own noise on figures."""
        return recover_sum([self], w)

    def unmask(self, w: NDArray[np.uint64]) -> NDArray[np.uint64]:
        """w − M in the original order, ring integers uint64[J, V]: what ``recover`` scales to natural units."""
        expect_words(w, (self.shape.columns, len(self.shape.vectors)), "w")
        if self._masks is None:
            raise ParameterError("there is nothing to recover before respond()")
        out = np.empty_like(self._masks.M)
        out[self._masks.order] = w
        return out - self._masks.M

    def _draw(self, request: bytes) -> _Masks:
        """Fresh u, f, M and order for this request, committed to."""
        J, V, n = self.shape.columns, len(self.shape.vectors), lwe_params.PRODUCT.dimension
        data = hashlib.sha256(self._columns.data()).digest()
        context = b"xinqiao/masked-product/node" + self._session_seed + self.shape.digest()
        key = derive_key(self._secret_seed, context + request + data)
        masks = _Masks(
            order=noise.permutation(self._order_seed or key, b"order", J),
            u=noise.ternary(key, b"u", J * n).reshape(J, n),
            f=noise.gaussian(key, b"f", J * n, lwe_params.PRODUCT.sigma).reshape(J, n),
            M=noise.words(key, b"M", J * V).reshape(J, V),
        )
        opening = noise.prf(key, b"commitment")
        hidden = [
            noise.prf(opening, label + array.tobytes()) for label, array in ((b"u", masks.u), (b"f", masks.f), (b"M", masks.M))
        ]
        self._commitments = NodeCommitments(noise.prf(opening, b"x" + data), *hidden)
        return masks

    def _multiply(
        self, masks: _Masks, b: NDArray[np.uint64], p: NDArray[np.uint64]
    ) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
        """h = Aᵀ x + Pᵀ u + f and c = ⟨x, b⟩ + ⟨u, p⟩ + M, columns in their own order."""
        n = lwe_params.PRODUCT.dimension
        A = MatrixStream(self._session_seed, MatrixLabel.PRODUCT_A, self.shape.rows, n, np.uint64)
        P = MatrixStream(self._session_seed, MatrixLabel.PRODUCT_P, n, n, np.uint64)
        if isinstance(self._columns, OneHot):
            h = kernels.sum_by_bin(A, self._columns.codes, self._columns.bins)
            c = kernels.dot_by_bin(self._columns.codes, self._columns.bins, b)
        else:
            h = kernels.multiply_columns(A, self._columns.values)
            c = kernels.dot(self._columns.values, b)
        h += kernels.multiply_columns(P, masks.u)
        h += masks.f.view(np.uint64)
        c += kernels.dot(masks.u, p)
        c += masks.M
        return h, c


def recover_sum(products: Sequence[NodeProduct], total: NDArray[np.uint64]) -> NDArray[np.float64]:
    """Σ_k ⟨x_j, α_v⟩ over K banks from the sum of their answers: float64[J, V] in natural units, original order.

    ``products`` share the shape's scales and bounds and one ``order_seed``; there is one for each bank in ``total``.
    """
    first, first_seed = products[0].shape, products[0]._order_seed
    V = len(first.vectors)
    resolution = [(other.shape.columns, *(other.shape.unit(v) for v in range(V))) for other in products]
    if len(set(resolution)) > 1 or len(products) > first.banks:
        raise ParameterError("products can be added only under one shape, for at most the banks it was made for")
    if len(products) > 1 and (first_seed is None or any(other._order_seed != first_seed for other in products)):
        raise ParameterError("products can be added only under one order seed")
    ring = products[0].unmask(total)
    for other in products[1:]:
        ring += other.unmask(np.zeros_like(total))
    units = np.array([first.unit(v) for v in range(V)], np.float64)
    recovered: NDArray[np.float64] = ring.view(np.int64) / units
    return recovered
