"""Expansion of short seeds: public LWE matrices in blocks, and the key streams behind secrets and noise.

A public matrix is the AES-256-CTR key stream under ``HKDF-SHA-256(seed, label)`` (RFC 5869), read as little-endian
words in row order. Any block of rows is found through the counter, so a matrix of 400 MB is never held. Each matrix has
its own label: two matrices from one stream would give the plaintext away as the difference of two ciphertexts.
"""

from __future__ import annotations

import hashlib
from enum import Enum

import numpy as np
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from numpy.typing import NDArray

from crypto.errors import ParameterError

SEED_BYTES = 32
_AES_BLOCK = 16
_ZEROS = bytes(1 << 16)


class MatrixLabel(Enum):
    """Every public matrix there is; no two share a stream."""

    PRODUCT_A = b"xinqiao/masked-product/A"
    PRODUCT_P = b"xinqiao/masked-product/P"
    PIR_A = b"xinqiao/pir/A"


def check_seed(seed: bytes, what: str) -> None:
    """Raise ``ParameterError`` unless ``seed`` is 32 bytes."""
    if not isinstance(seed, bytes) or len(seed) != SEED_BYTES:
        raise ParameterError(f"{what} must be {SEED_BYTES} bytes")


def session_seed(session: bytes, nonce_node: bytes, nonce_bank: bytes) -> bytes:
    """SHA-256(session ‖ nonce_node ‖ nonce_bank): the seed of the session's matrices, chosen by neither side alone.

    Both nonces are 32 fresh random bytes, exchanged after each side has committed to its own.
    """
    check_seed(nonce_node, "the node's nonce")
    check_seed(nonce_bank, "the bank's nonce")
    return hashlib.sha256(session + nonce_node + nonce_bank).digest()


def derive_key(seed: bytes, info: bytes) -> bytes:
    """HKDF-SHA-256 (RFC 5869) of ``seed`` with an empty salt: 32 bytes for the purpose named by ``info``."""
    return HKDF(algorithm=SHA256(), length=32, salt=None, info=info).derive(seed)


def keystream_into(key: bytes, first_block: int, out: memoryview, size: int) -> None:
    """Write ``size`` bytes of the AES-256-CTR key stream from AES block ``first_block`` on into ``out``.

    ``out`` must be 16 bytes longer than ``size`` (the cipher asks for a spare block).
    """
    encryptor = Cipher(algorithms.AES(key), modes.CTR(first_block.to_bytes(_AES_BLOCK, "big"))).encryptor()
    zeros = memoryview(_ZEROS)
    for start in range(0, size, len(_ZEROS)):
        chunk = min(len(_ZEROS), size - start)
        encryptor.update_into(zeros[:chunk], out[start:])


def keystream_words(key: bytes, count: int) -> NDArray[np.uint64]:
    """The first ``count`` little-endian 64-bit words of the AES-256-CTR key stream under ``key``: uint64[count]."""
    buffer = np.empty(8 * count + _AES_BLOCK, np.uint8)
    keystream_into(key, 0, buffer.data, 8 * count)
    return buffer[: 8 * count].view("<u8").astype(np.uint64, copy=False)


class MatrixStream:
    """A public matrix of ``rows`` × ``columns`` uniform words (uint32 or uint64), generated block by block.

    ``columns`` words must fill whole AES blocks, so that each row starts at a counter value.
    """

    def __init__(self, seed: bytes, label: MatrixLabel, rows: int, columns: int, dtype: type[np.uint32 | np.uint64]) -> None:
        check_seed(seed, "the matrix seed")
        if dtype not in (np.uint32, np.uint64):
            raise ParameterError("a public matrix holds uint32 or uint64 words")
        self.rows, self.columns = rows, columns
        self.dtype = np.dtype(dtype)
        self.row_bytes = columns * self.dtype.itemsize
        if rows < 1 or columns < 1 or self.row_bytes % _AES_BLOCK:
            raise ParameterError("a public matrix needs rows, and columns that fill whole AES blocks")
        self._key = derive_key(seed, label.value)
        self._kept: NDArray[np.uint32] | NDArray[np.uint64] | None = None

    def keep(self) -> None:
        """Hold the whole matrix from now on: for a client that asks again and again under one seed."""
        if self._kept is None:
            self._kept = self.block(0, self.rows)

    def buffer(self, rows: int) -> NDArray[np.uint8]:
        """Scratch space for blocks of up to ``rows`` rows, to be passed to ``block`` again and again."""
        return np.empty(rows * self.row_bytes + _AES_BLOCK, np.uint8)

    def block(self, start: int, stop: int, buffer: NDArray[np.uint8] | None = None) -> NDArray[np.uint32] | NDArray[np.uint64]:
        """Rows ``start`` to ``stop`` (exclusive): dtype[stop − start, columns], living in ``buffer`` if one is given."""
        if not 0 <= start < stop <= self.rows:
            raise ParameterError(f"rows {start} to {stop} are not in a matrix of {self.rows}")
        if self._kept is not None:
            return self._kept[start:stop]
        size = (stop - start) * self.row_bytes
        space = self.buffer(stop - start) if buffer is None else buffer
        keystream_into(self._key, start * self.row_bytes // _AES_BLOCK, space.data, size)
        words: NDArray[np.uint32] | NDArray[np.uint64] = (
            space[:size].view(self.dtype.newbyteorder("<")).astype(self.dtype, copy=False)
        )
        return words.reshape(stop - start, self.columns)
