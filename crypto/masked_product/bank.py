"""The bank's side of a masked product: encrypt vectors, answer once. Deterministic in (vectors, seed) and the reply."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from crypto import kernels, lwe_params, noise
from crypto.errors import ParameterError, ReuseRefused
from crypto.masked_product.shape import ProductShape, VectorSpec, expect_input, expect_words
from crypto.xof import MatrixLabel, MatrixStream, check_seed, derive_key


def commit_vectors(vectors: Sequence[VectorSpec], alphas: NDArray[np.int64], seed: bytes) -> list[bytes]:
    """Hiding and binding commitments to each (α_v, seed_v), to be filed before the session's seed is known.

    SHA-256 over bound, scale, length, seed_v and α_v as little-endian int64; seed_v is secret until opened to the office.
    """
    rows = alphas.shape[-1] if isinstance(alphas, np.ndarray) and alphas.ndim else 0
    expect_input(alphas, (len(vectors), rows), np.int64, "alphas")
    check_seed(seed, "the bank's seed")
    return [
        _commit(spec, np.ascontiguousarray(alpha), vector_seed(seed, v))
        for v, (spec, alpha) in enumerate(zip(vectors, alphas, strict=True))
    ]


def vector_seed(seed: bytes, v: int) -> bytes:
    """seed_v: what vector v's secret, noise and commitment come from."""
    return noise.prf(seed, b"xinqiao/masked-product/vector" + struct.pack(">I", v))


def _commit(spec: VectorSpec, alpha: NDArray[np.int64], seed_v: bytes) -> bytes:
    state = hashlib.sha256(b"xinqiao/masked-product/commitment")
    state.update(struct.pack(">QQQ", spec.bound, spec.scale, alpha.size) + seed_v)
    state.update(alpha.astype("<i8", copy=False).data)
    return state.digest()


class BankProduct:
    """One bank, one session. ``alphas`` int64[V, N] within the bounds of ``shape``; ``seed`` 32 secret bytes.

    Vector v's key is HKDF(seed_v; session seed, shape, commitment): the same seed with another session, shape or vector
    has another secret s_v and other noise.
    """

    def __init__(self, shape: ProductShape, session_seed: bytes, alphas: NDArray[np.int64], seed: bytes) -> None:
        shape.check()
        check_seed(session_seed, "the session's seed")
        expect_input(alphas, (len(shape.vectors), shape.rows), np.int64, "alphas")
        for v, spec in enumerate(shape.vectors):
            if max(int(alphas[v].max()), -int(alphas[v].min())) > spec.integer_bound:
                raise ParameterError(f"vector {v} exceeds its declared bound; clip it or declare a larger one")
        self._shape, self._session_seed = shape, session_seed
        self._alphas = alphas.copy()
        self._commitments = commit_vectors(shape.vectors, self._alphas, seed)
        context = b"xinqiao/masked-product/bank" + session_seed + shape.digest()
        self._keys = [derive_key(vector_seed(seed, v), context + commitment) for v, commitment in enumerate(self._commitments)]
        n = lwe_params.PRODUCT.dimension
        self._secrets = np.stack([noise.ternary(key, b"s", n) for key in self._keys])
        self._encrypted: tuple[NDArray[np.uint64], NDArray[np.uint64]] | None = None
        self._answered: bytes | None = None

    def __repr__(self) -> str:
        return f"BankProduct({self._shape}, vectors and secrets redacted)"

    def commitments(self) -> list[bytes]:
        """Same as ``commit_vectors`` for this bank's vectors and seed: 32 bytes each."""
        return list(self._commitments)

    def encrypt(self) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
        """The ciphertexts b = A s + e + Δ α, uint64[V, N], and p = P s + e', uint64[V, n]; the same bytes every time."""
        if self._encrypted is None:
            n = lwe_params.PRODUCT.dimension
            b = self._times_secrets(MatrixLabel.PRODUCT_A, self._shape.rows)
            p = self._times_secrets(MatrixLabel.PRODUCT_P, n)

            def add(v: int, _: int) -> None:
                key = self._keys[v]
                b[v] += _lwe_noise(key, b"e", self._shape.rows)
                b[v] += self._alphas[v].view(np.uint64) * np.uint64(self._shape.delta(v))
                p[v] += _lwe_noise(key, b"e'", n)

            kernels.for_ranges(len(self._keys), 1, add)
            self._encrypted = b, p
        b, p = self._encrypted
        return b.copy(), p.copy()

    def answer(self, h: NDArray[np.uint64], c: NDArray[np.uint64]) -> NDArray[np.uint64]:
        """w = c − ⟨h, s⟩ + noise: uint64[J, V] from h uint64[J, n] and c uint64[J, V].

        Raises ``InvalidCiphertext`` for other shapes and ``ReuseRefused`` for a second, different (h, c): a second answer
        under the same secrets would be more hints about them than the noise was chosen for.
        """
        shape = self._shape
        expect_words(h, (shape.columns, lwe_params.PRODUCT.dimension), "h")
        expect_words(c, (shape.columns, len(shape.vectors)), "c")
        h, c = np.ascontiguousarray(h, "<u8"), np.ascontiguousarray(c, "<u8")
        asked = hashlib.sha256(h.data).digest() + hashlib.sha256(c.data).digest()
        if self._answered not in (None, asked):
            raise ReuseRefused("this session has been answered already; start a new session with a new seed")
        self._answered = asked
        w = c - kernels.dot(h, self._secrets)
        w += _answer_noise(self._keys, h, c, [0 if s.withheld else shape.answer_sd(v) for v, s in enumerate(shape.vectors)])
        return w

    def _times_secrets(self, label: MatrixLabel, rows: int) -> NDArray[np.uint64]:
        n = lwe_params.PRODUCT.dimension
        return kernels.multiply_rows(MatrixStream(self._session_seed, label, rows, n, np.uint64), self._secrets)


def _lwe_noise(key: bytes, context: bytes, count: int) -> NDArray[np.uint64]:
    return noise.gaussian(key, context, count, lwe_params.PRODUCT.sigma).view(np.uint64)


def _answer_noise(keys: list[bytes], h: NDArray[np.uint64], c: NDArray[np.uint64], sds: list[int]) -> NDArray[np.uint64]:
    """Noise on w, uint64[J, V], from PRF(key_v, 'w' ‖ j ‖ SHA-256(h_j ‖ c_jv)): other words meet other noise.

    It is rounded to ring integers. Multiples of Δ would leave w modulo Δ noiseless. A standard deviation of 0 stands for a
    vector whose products are withheld: uniform words.
    """
    started = [hashlib.sha256(h_j.data) for h_j in h]
    columns = []
    for v, (key, sd) in enumerate(zip(keys, sds, strict=True)):
        blocks = bytearray()
        for j, state in enumerate(started):
            asked = state.copy()
            asked.update(c[j, v].tobytes())
            blocks += noise.prf(key, b"w" + struct.pack(">I", j) + asked.digest())
        words = np.frombuffer(blocks, "<u8").astype(np.uint64).reshape(len(h), -1)
        drawn = noise.gaussian_from_words(words[:, : noise.WORDS_PER_SAMPLE], sd).view(np.uint64) if sd else words[:, 0]
        columns.append(drawn)
    return np.stack(columns, axis=1)
