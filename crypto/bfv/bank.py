"""The bank's side of a private model: encrypt weights once, open what comes back. Deterministic in a seed and the weights."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from crypto import noise
from crypto.bfv.parameters import DROPPED_BITS, LARGEST_WEIGHT, MOST_COLUMNS, PRIVATE_MODEL, BfvParameters
from crypto.bfv.ring import Words, ring
from crypto.errors import InvalidCiphertext, InvalidProof, ParameterError
from crypto.xof import check_seed, derive_key

C0_BYTES, C1_BYTES = 4, 6


@dataclass(frozen=True, repr=False)
class EncryptedModel:
    """What the node gets. `public_seed` (32 bytes, neither side's alone) makes the mask a_j of each ciphertext and of the
    public key; `body` holds the other halves, uint64[1 + J, 2, n] little-endian: the public key's first, then one a weight."""

    public_seed: bytes
    body: bytes

    def __repr__(self) -> str:
        return f"EncryptedModel(columns={self.columns})"

    @property
    def columns(self) -> int:
        """J, the number of weights; raises `InvalidCiphertext` where the body is no whole number of polynomials."""
        count, rest = divmod(len(self.body), 16 * PRIVATE_MODEL.degree)
        if rest or not 2 <= count <= 1 + MOST_COLUMNS:
            raise InvalidCiphertext(f"an encrypted model has a public key and 1 to {MOST_COLUMNS} weights")
        return count - 1

    def digest(self) -> bytes:
        """SHA-256 of all of it: what the office approves and the node evaluates."""
        return hashlib.sha256(b"xinqiao/private-model/encrypted" + self.public_seed + self.body).digest()

    def halves(self) -> Words:
        """uint64[1 + J, 2, n]; raises `InvalidCiphertext` where a residue is not reduced."""
        shape = (1 + self.columns, 2, PRIVATE_MODEL.degree)
        found = np.frombuffer(self.body, "<u8").astype(np.uint64, copy=False).reshape(shape)
        if any((found[:, place] >= prime).any() for place, prime in enumerate(PRIVATE_MODEL.primes[:2])):
            raise InvalidCiphertext("an encrypted weight holds residues that are not reduced: encrypt the model again")
        return found


def mask(parameters: BfvParameters, public_seed: bytes, index: int) -> Words:
    """a_index, uniform modulo q: uint64[2, n]. Index 0 is the public key's, 1 + j that of weight j."""
    key = derive_key(public_seed, b"xinqiao/private-model/masks")
    return np.stack(
        [
            noise.uniform(key, b"a" + bytes([place]) + index.to_bytes(2), parameters.degree, prime)
            for place, prime in enumerate(parameters.primes[:2])
        ]
    )


def reduced(values: NDArray[np.int64], parameters: BfvParameters) -> Words:
    """Residues uint64[2, n] of small integers [n]."""
    return np.stack([np.mod(values, prime).astype(np.uint64) for prime in parameters.primes[:2]])


class ModelKey:
    """The secret of one model: made from 32 secret bytes, bound to the public seed and the weights, and used once.

    Args:
        weights: integers of at most 6 bits, one a column.
        secret_seed: from the operating system; what is opened to the office.
        public_seed: `crypto.xof.session_seed` of both sides' nonces and of what names the columns.

    Raises:
        ParameterError: too many or too large weights.
    """

    def __init__(
        self, weights: Sequence[int], secret_seed: bytes, public_seed: bytes, parameters: BfvParameters = PRIVATE_MODEL
    ) -> None:
        check_seed(secret_seed, "the model's secret seed")
        check_seed(public_seed, "the model's public seed")
        if not 1 <= len(weights) <= MOST_COLUMNS or any(type(w) is not int or abs(w) > LARGEST_WEIGHT for w in weights):
            raise ParameterError(
                f"a private model has 1 to {MOST_COLUMNS} integer weights from -{LARGEST_WEIGHT} to {LARGEST_WEIGHT}"
            )
        self.parameters, self._weights, self._public_seed = parameters, tuple(weights), public_seed
        packed = np.array(weights, dtype="<i1").tobytes()
        self._key = derive_key(secret_seed, b"xinqiao/private-model/bank" + public_seed + packed)
        self._secret = noise.ternary(self._key, b"s", parameters.degree)

    def __repr__(self) -> str:
        return f"ModelKey(columns={len(self._weights)}, secret and weights redacted)"

    def encrypt(self) -> EncryptedModel:
        """The public key and Enc(w_j) of each weight, the same bytes every time."""
        parts = [self._half(0, 0), *(self._half(1 + j, weight) for j, weight in enumerate(self._weights))]
        return EncryptedModel(self._public_seed, np.stack(parts).astype("<u8", copy=False).tobytes())

    def _half(self, index: int, weight: int) -> Words:
        """−a·s + e + Δ·w, w the constant coefficient."""
        p = self.parameters
        error = noise.gaussian(self._key, b"e" + index.to_bytes(2), p.degree, p.sd)
        masked = ring(p).times(mask(p, self._public_seed, index), ring(p).plain(self._secret))
        primes = np.array(p.primes[:2], np.uint64)[:, np.newaxis]
        half = (reduced(error, p) + (primes - masked)) % primes
        delta = p.modulus // p.plain
        for place, prime in enumerate(p.primes[:2]):
            half[place, 0] = (int(half[place, 0]) + delta * weight) % prime
        return half

    def open(self, block: bytes) -> NDArray[np.int64]:
        """Σ x_j w_j + pad modulo t of each row of a block, int64[n]; raises `InvalidCiphertext`."""
        c0, c1 = unpack_block(block, self.parameters)
        return ring(self.parameters).decryptor(self._secret).open(c0, c1)


def unpack_block(block: bytes, parameters: BfvParameters = PRIVATE_MODEL) -> tuple[Words, Words]:
    """(c0, c1), uint64[1, n] each, of a block as the node serves it; raises `InvalidCiphertext`."""
    n, prime = parameters.degree, parameters.primes[0]
    if len(block) != n * (C0_BYTES + C1_BYTES):
        raise InvalidCiphertext(f"a block of scores has {n * (C0_BYTES + C1_BYTES)} bytes, got {len(block)}")
    high = np.frombuffer(block, "<u4", n).astype(np.uint64)
    wide = np.zeros((n, 8), np.uint8)
    wide[:, :C1_BYTES] = np.frombuffer(block, np.uint8, offset=C0_BYTES * n).reshape(n, C1_BYTES)
    c0 = (high << np.uint64(DROPPED_BITS)) + np.uint64(1 << (DROPPED_BITS - 1))
    c1 = wide.view("<u8")[:, 0].astype(np.uint64)
    if int(c0.max()) >= prime + (1 << DROPPED_BITS) or int(c1.max()) >= prime:
        raise InvalidCiphertext("a block of scores holds residues that are not reduced")
    return np.minimum(c0, prime - 1)[np.newaxis], c1[np.newaxis]


def unpad(opened: int, pad: int, parameters: BfvParameters = PRIVATE_MODEL) -> int:
    """The score in an opened coefficient once its pad is known: within ± t/2."""
    value = (opened - pad) % parameters.plain
    return value - parameters.plain if 2 * value >= parameters.plain else value


def verify_opening(weights: Sequence[int], secret_seed: bytes, public_seed: bytes, digest: bytes) -> None:
    """The office's check, by doing it again: a ternary key, noise from the sampler, these weights and no others.

    Raises:
        InvalidProof: the encrypted model of this digest is not the one that the opening makes.
        ParameterError: as `ModelKey`.
    """
    if ModelKey(weights, secret_seed, public_seed).encrypt().digest() != digest:
        raise InvalidProof("the encrypted model is not what these weights and this seed make: encrypt the model again")
