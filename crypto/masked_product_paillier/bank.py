"""The bank's side under Paillier: one ciphertext a row, one answer. Deterministic in (vectors, seed) and the reply."""

from __future__ import annotations

import hashlib
import struct

import numpy as np
from numpy.typing import NDArray

from crypto import noise
from crypto.errors import ParameterError, ReuseRefused
from crypto.masked_product.bank import commit_vectors, vector_seed
from crypto.masked_product.shape import ProductShape, expect_input
from crypto.masked_product_paillier.packing import Bytes, answer_sd, check, expect, pack, random_bytes, rows_of
from crypto.paillier.arithmetic import CIPHERTEXT_BYTES, EXPONENT_BITS, KEY_BYTES, key_from
from crypto.paillier.key_proof import prove_key
from crypto.xof import check_seed, derive_key

_EXPONENT_BYTES = EXPONENT_BITS // 8


class BankProduct:
    """One bank, one session. ``alphas`` int64[V, N] within the bounds of ``shape``; ``seed`` 32 secret bytes.

    Key, blinding and noise are functions of the seed, the session, the shape and the commitments to the vectors: another
    input meets another key. A vector that is ``withheld`` is encrypted as zero. Some seconds for thousands of rows.
    """

    def __init__(self, shape: ProductShape, session_seed: bytes, alphas: NDArray[np.int64], seed: bytes) -> None:
        check(shape)
        check_seed(session_seed, "the session's seed")
        expect_input(alphas, (len(shape.vectors), shape.rows), np.int64, "alphas")
        for v, spec in enumerate(shape.vectors):
            if max(int(alphas[v].max()), -int(alphas[v].min())) > spec.integer_bound:
                raise ParameterError(f"vector {v} exceeds its declared bound; clip it or declare a larger one")
        self._shape, self._alphas = shape, alphas.copy()
        self._commitments = commit_vectors(shape.vectors, self._alphas, seed)
        context = b"xinqiao/masked-product-paillier/bank" + session_seed + shape.digest() + b"".join(self._commitments)
        self._noise_keys = [derive_key(vector_seed(seed, v), context) for v in range(len(shape.vectors))]
        self._secret = derive_key(seed, context)
        self._key = key_from(random_bytes(self._secret, b"key", 2 * KEY_BYTES))
        self._encrypted: tuple[Bytes, Bytes] | None = None
        self._answered: bytes | None = None

    def __repr__(self) -> str:
        return f"BankProduct({self._shape}, vectors and secrets redacted)"

    def commitments(self) -> list[bytes]:
        """Same as ``crypto.masked_product.commit_vectors`` for these vectors and seed: 32 bytes each."""
        return list(self._commitments)

    def encrypt(self) -> tuple[Bytes, Bytes]:
        """The ciphertexts b, uint8[N, 768], and p, uint8[1, …]: the public key and its proof. The same bytes every time."""
        if self._encrypted is None:
            public = self._key.public
            given = [vector * (not spec.withheld) for vector, spec in zip(self._alphas, self._shape.vectors, strict=True)]
            drawn = random_bytes(self._secret, b"blinding", self._shape.rows * _EXPONENT_BYTES)
            numbers = []
            for i, row in enumerate(np.stack(given, axis=1).tolist()):
                exponent = int.from_bytes(drawn[i * _EXPONENT_BYTES : (i + 1) * _EXPONENT_BYTES]) | 1 << EXPONENT_BITS
                numbers.append(public.encrypt(pack(row) % public.n, exponent))
            proven = public.encode() + prove_key(self._key)
            self._encrypted = rows_of(numbers, CIPHERTEXT_BYTES), np.frombuffer(proven, np.uint8)[np.newaxis]
        b, p = self._encrypted
        return b.copy(), p.copy()

    def answer(self, h: Bytes, c: Bytes) -> Bytes:
        """w, uint8[J, 384], from h uint8[J, 0], which Paillier has no use for, and c uint8[J, 768].

        Raises ``InvalidCiphertext`` for other shapes and for what is no ciphertext, and ``ReuseRefused`` for a second,
        different reply.
        """
        J, n = self._shape.columns, self._key.public.n
        expect(h, (J, 0), "h")
        expect(c, (J, CIPHERTEXT_BYTES), "c")
        asked = hashlib.sha256(np.ascontiguousarray(c).data).digest()
        if self._answered not in (None, asked):
            raise ReuseRefused("this session has been answered already; start a new session with a new seed")
        opened = [self._key.decrypt(one.tobytes()) for one in c]
        self._answered = asked
        noisy = [(m + self._noise(j, one.tobytes())) % n for j, (m, one) in enumerate(zip(opened, c, strict=True))]
        return rows_of(noisy, KEY_BYTES)

    def _noise(self, j: int, c: bytes) -> int:
        """Σ_v g_jv·2^(64v), g_jv from PRF(key_v, 'w' ‖ j ‖ SHA-256(c_j)): another reply meets other noise."""
        context = b"w" + struct.pack(">I", j) + hashlib.sha256(c).digest()
        sds = [answer_sd(self._shape, v) for v in range(len(self._noise_keys))]
        return pack([int(noise.gaussian(key, context, 1, sd)[0]) for key, sd in zip(self._noise_keys, sds, strict=True)])


__all__ = ["BankProduct", "answer_sd"]
