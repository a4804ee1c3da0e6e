"""The node's side of a private model: Σ x_j·ct_j, a pad for each row, and noise that floods whatever the rows did to it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from crypto import noise
from crypto.bfv.bank import C1_BYTES, EncryptedModel, mask, reduced
from crypto.bfv.parameters import DROPPED_BITS, LARGEST_CODE, PRIVATE_MODEL, BfvParameters
from crypto.bfv.ring import Plain, Words, ring
from crypto.errors import ParameterError, ReuseRefused
from crypto.xof import check_seed, keystream_into

ROWS = PRIVATE_MODEL.degree
"""Rows of a block, one a coefficient."""


@dataclass(frozen=True)
class Block:
    """One block of padded scores: `sealed` is for the bank, `pads` uint32[n] stay until a ticket opens one of them."""

    sealed: bytes
    pads: NDArray[np.uint32] = field(repr=False)


def column(codes: NDArray[np.uint8], parameters: BfvParameters = PRIVATE_MODEL) -> Plain | None:
    """A block of a column, uint8[n] of 0 … 31, in NTT form: to be kept for all models; None where all rows are 0.

    Raises:
        ParameterError: a code above 31, or another number of rows.
    """
    if codes.shape != (parameters.degree,) or codes.dtype != np.uint8 or int(codes.max()) > LARGEST_CODE:
        raise ParameterError(f"a block of a column has {parameters.degree} codes from 0 to {LARGEST_CODE}")
    return ring(parameters).plain(codes) if codes.any() else None


def save_column(made: Plain, path: Path) -> None:
    """Write a column as `column` made it, to be loaded by any process."""
    made.save(str(path))


def load_column(path: Path, parameters: BfvParameters = PRIVATE_MODEL) -> Plain:
    """A column that was saved; raises FileNotFoundError, or `MalformedData` where the file is no column of this set."""
    return ring(parameters).load_plain(path)


def block_pads(key: bytes, index: int, parameters: BfvParameters = PRIVATE_MODEL) -> NDArray[np.uint32]:
    """The pads of a block under the epoch's key: uint32[n], uniform modulo t."""
    return noise.words32(_block_key(key, index), b"pad", parameters.degree) & np.uint32(parameters.plain - 1)


def _block_key(key: bytes, index: int) -> bytes:
    return noise.prf(key, b"xinqiao/private-model/block" + index.to_bytes(4))


class ModelEvaluation:
    """One model and one epoch. Each block is flooded once: asked for again, it is refused.

    Args:
        encrypted: as the office approved it.
        key: 32 fresh secret bytes of this epoch; pads and all noise come from it.

    Raises:
        InvalidCiphertext: residues that are not reduced, or a body of another size.
    """

    def __init__(self, encrypted: EncryptedModel, key: bytes, parameters: BfvParameters = PRIVATE_MODEL) -> None:
        check_seed(key, "the epoch's key")
        self.parameters, self._key, self._done = parameters, key, set[int]()
        self._ring = ring(parameters)
        self._ciphertexts = [
            self._ring.to_ntt(self._ring.ciphertext(half, mask(parameters, encrypted.public_seed, index)))
            for index, half in enumerate(encrypted.halves())
        ]

    def __repr__(self) -> str:
        return f"ModelEvaluation(columns={self.columns}, key redacted)"

    @property
    def columns(self) -> int:
        """J."""
        return len(self._ciphertexts) - 1

    def block(self, index: int, columns: Sequence[Plain | None]) -> Block:
        """Evaluate, pad, flood and switch one block.

        Args:
            index: of the block, below 2^32.
            columns: J results of `column`, in the model's order.

        Raises:
            ReuseRefused: this block was evaluated before. Noise drawn twice over one value could be averaged away.
        """
        if len(columns) != self.columns:
            raise ParameterError("a block has one column for each weight")
        if index in self._done:
            raise ReuseRefused("a block of scores is flooded once in an epoch; serve the stored one, or begin another epoch")
        self._done.add(index)
        p, n = self.parameters, self.parameters.degree
        key, pads = _block_key(self._key, index), block_pads(self._key, index, p)
        u = self._ring.plain(noise.ternary(key, b"u", n))
        total = self._ring.combine(self._ciphertexts, [u, *columns])
        added = self._ring.ciphertext(self._padded(pads, self._flood(key)), reduced(noise.gaussian(key, b"e1", n, p.sd), p))
        c0, c1 = self._ring.add_and_switch(total, added)
        return Block(_packed(c0, c1), pads)

    def _padded(self, pads: NDArray[np.uint32], flood: Words) -> Words:
        """Residues of Δ·pad + E: uint64[2, n]."""
        p = self.parameters
        digits = pads.astype("<u4").view(np.uint8).reshape(p.degree, 4)[:, :3]
        for residues, prime in zip(flood, p.primes[:2], strict=True):
            _add_digits(residues, digits, p.modulus // p.plain, prime)
        return flood

    def _flood(self, key: bytes) -> Words:
        """Residues of E, uniform in [−2^f, 2^f): uint64[2, n]."""
        p = self.parameters
        size = p.flood_bits + 1
        wide = (size + 7) // 8
        stream = np.empty(p.degree * wide + 16, np.uint8)
        keystream_into(noise.prf(key, b"E"), 0, stream.data, p.degree * wide)
        digits = stream[: p.degree * wide].reshape(p.degree, wide)
        digits[:, -1] &= (1 << (size - 8 * (wide - 1))) - 1
        rows = []
        for prime in p.primes[:2]:
            found = np.full(p.degree, (-(1 << p.flood_bits)) % prime, np.uint64)
            _add_digits(found, digits, 1, prime)
            rows.append(found)
        return np.stack(rows)


def _add_digits(found: Words, digits: NDArray[np.uint8], factor: int, prime: int) -> None:
    """found += factor · Σ digit_i · 256^i modulo a prime below 2^63, by tables."""
    for place, table in enumerate(_tables(digits.shape[1], factor, prime)):
        found += table[digits[:, place]]
        found -= np.where(found >= prime, np.uint64(prime), np.uint64(0))


@lru_cache(maxsize=16)
def _tables(places: int, factor: int, prime: int) -> Words:
    return np.array(
        [[factor * (digit << (8 * place)) % prime for digit in range(256)] for place in range(places)], dtype=np.uint64
    )


def _packed(c0: Words, c1: Words) -> bytes:
    high = (c0 >> np.uint64(DROPPED_BITS)).astype("<u4")
    return high.tobytes() + c1.astype("<u8").view(np.uint8).reshape(-1, 8)[:, :C1_BYTES].tobytes()
