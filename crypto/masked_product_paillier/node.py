"""The node's side under Paillier: multiply under fresh uniform masks, once, and take the masks off the bank's answer."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from crypto import noise
from crypto.errors import ParameterError, ReuseRefused
from crypto.masked_product.node import Answered, NodeCommitments
from crypto.masked_product.replay import digest_bp
from crypto.masked_product.shape import Dense, OneHot, ProductShape
from crypto.masked_product_paillier.packing import Bytes, check, expect, random_bytes, rows_of, unit, unpack
from crypto.paillier.arithmetic import CIPHERTEXT_BYTES, KEY_BYTES, PUBLIC_KEY_BYTES, PublicKey, power
from crypto.paillier.key_proof import PROOF_BYTES, verify_key
from crypto.paillier.powers import product_of_powers
from crypto.xof import check_seed, derive_key

P_BYTES = PUBLIC_KEY_BYTES + PROOF_BYTES
_MASK_BYTES = KEY_BYTES + 16  # beyond the size of n, so that the residue modulo n is uniform but for 2^-128


@dataclass(frozen=True, repr=False)
class _Masks:
    order: NDArray[np.int64]  # the k-th ciphertext sent belongs to column order[k]
    U: list[int]
    r: list[int]


class NodeProduct:
    """The node, one session. ``columns`` fit ``shape``; ``secret_seed`` 32 secret bytes.

    The key of U, r and the order is HKDF(secret seed; session seed, shape, digest of b and p, digest of the columns): after a
    crash the same request is answered by the same bytes, another request meets other masks. ``order_seed``, ``snapshot`` and
    ``restore`` are as under LWE.
    """

    def __init__(
        self,
        shape: ProductShape,
        session_seed: bytes,
        columns: OneHot | Dense,
        secret_seed: bytes,
        order_seed: bytes | None = None,
    ) -> None:
        check(shape)
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
        self._request, self._n = b"", 0
        self._reply: Bytes | None = None

    def __repr__(self) -> str:
        return f"NodeProduct({self.shape}, columns and masks redacted)"

    def respond(self, b: Bytes, p: Bytes) -> tuple[Bytes, Bytes]:
        """h uint8[J, 0] and c uint8[J, 768], columns in an order that only the node knows.

        Raises:
            InvalidCiphertext: other shapes than b uint8[N, 768] and p uint8[1, …], or a row that is no ciphertext.
            InvalidProof, ParameterError: the key is malformed or its proof does not hold.
            ReuseRefused: a second, different request; an equal one gets the stored reply.
        """
        expect(b, (self.shape.rows, CIPHERTEXT_BYTES), "b")
        expect(p, (1, P_BYTES), "p")
        request = digest_bp(b, p)
        if self._masks is None:
            encoded = p.tobytes()
            key = PublicKey.decode(encoded[:PUBLIC_KEY_BYTES])
            verify_key(key, encoded[PUBLIC_KEY_BYTES:])
            ciphertexts = [int(key.ciphertext(row.tobytes())) for row in b]
            masks = self._draw(request, key.n)
            products = self._multiply(key, ciphertexts, masks)
            self._reply = rows_of([products[j] for j in masks.order.tolist()], CIPHERTEXT_BYTES)
            self._masks, self._request, self._n = masks, request, key.n
        if self._reply is None:
            raise ReuseRefused("this session has answered; send the stored reply again, or start a new session")
        if request != self._request:
            raise ReuseRefused("this session has served another request; start a new session with a new seed")
        return np.zeros((self.shape.columns, 0), np.uint8), self._reply.copy()

    def snapshot(self) -> Answered:
        """What ``restore`` goes on from; raises ``ParameterError`` before ``respond``, when there is nothing to keep."""
        made = self.commitments()
        assert self._masks is not None
        numbers = rows_of([self._n, *self._masks.U], KEY_BYTES)
        return Answered(self._masks.order.astype("<i8").tobytes(), numbers.tobytes(), self._request, made)

    def restore(self, answered: Answered) -> None:
        """Become the product that has answered: ``recover`` works, ``respond`` is refused. r has done its work."""
        J = self.shape.columns
        if self._masks is not None or (len(answered.order), len(answered.masks)) != (8 * J, KEY_BYTES * (1 + J)):
            raise ParameterError("this state is of another product, or this product has answered by itself")
        n, *U = (int.from_bytes(answered.masks[at : at + KEY_BYTES]) for at in range(0, len(answered.masks), KEY_BYTES))
        self._masks = _Masks(np.frombuffer(answered.order, "<i8").astype(np.int64), U, [])
        self._n, self._request, self._commitments = n, answered.request, answered.commitments

    def commitments(self) -> NodeCommitments:
        """Commitments to the columns and the masks of this reply; log them before the reply leaves."""
        if self._commitments is None:
            raise ParameterError("masks are drawn for a request; call respond() first")
        return self._commitments

    def recover(self, w: Bytes) -> NDArray[np.float64]:
        """⟨x_j, α_v⟩ in natural units, float64[J, V] in the original order, before the node's own noise on figures."""
        units = np.array([unit(self.shape, v) for v in range(len(self.shape.vectors))], np.float64)
        recovered: NDArray[np.float64] = self.unmask(w).view(np.int64) / units
        return recovered

    def unmask(self, w: Bytes) -> NDArray[np.uint64]:
        """w − U in the original order, cut into ring integers uint64[J, V]: what ``recover`` scales to natural units."""
        expect(w, (self.shape.columns, KEY_BYTES), "w")
        if self._masks is None:
            raise ParameterError("there is nothing to recover before respond()")
        out = np.empty((self.shape.columns, len(self.shape.vectors)), np.int64)
        for row, j in zip(w, self._masks.order.tolist(), strict=True):
            value = (int.from_bytes(row.tobytes()) - self._masks.U[j]) % self._n
            out[j] = unpack(value, self._n, out.shape[1])
        return out.view(np.uint64)

    def _draw(self, request: bytes, n: int) -> _Masks:
        """Fresh U, r and order for this request, committed to."""
        J = self.shape.columns
        data = hashlib.sha256(self._columns.data()).digest()
        context = b"xinqiao/masked-product-paillier/node" + self._session_seed + self.shape.digest()
        key = derive_key(self._secret_seed, context + request + data)
        U, r = (self._residues(key, label, n) for label in (b"U", b"r"))
        opening = noise.prf(key, b"commitment")
        hidden = [
            noise.prf(opening, label + b"".join(x.to_bytes(KEY_BYTES) for x in one)) for label, one in ((b"U", U), (b"r", r))
        ]
        self._commitments = NodeCommitments(noise.prf(opening, b"x" + data), hidden[1], b"", hidden[0])
        return _Masks(noise.permutation(self._order_seed or key, b"order", J), U, r)

    def _residues(self, key: bytes, label: bytes, n: int) -> list[int]:
        stream = random_bytes(key, label, self.shape.columns * _MASK_BYTES)
        found = [int.from_bytes(stream[start : start + _MASK_BYTES]) % n for start in range(0, len(stream), _MASK_BYTES)]
        if any(math.gcd(value, n) != 1 for value in found):
            raise ParameterError("this key shares a factor with a random number: it is no key; make another")
        return found

    def _multiply(self, key: PublicKey, ciphertexts: list[int], masks: _Masks) -> list[int]:
        """c_j of each column, in their own order."""
        found = []
        for j, exponents in enumerate(self._exponents()):
            product = product_of_powers(ciphertexts, exponents, key.n_squared)
            masked = key.combine(masks.U[j], power(masks.r[j], key.n, key.n_squared))
            found.append(product * masked % key.n_squared)
        return found

    def _exponents(self) -> list[list[int]]:
        if isinstance(self._columns, Dense):
            return [column.tolist() for column in self._columns.values]
        columns = zip(self._columns.codes, self._columns.bins, strict=True)
        return [(codes == k).astype(np.int64).tolist() for codes, size in columns for k in range(size)]
