"""Public matrices: the same words as a slow expansion by the book, in any order of blocks, and never twice."""

from __future__ import annotations

import hashlib
import hmac

import numpy as np
import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from crypto.errors import ParameterError
from crypto.xof import MatrixLabel, MatrixStream, keystream_words, session_seed

SEED = bytes(range(32))


def by_the_book(seed: bytes, label: bytes, words: int, size: int) -> list[int]:
    """RFC 5869 with an empty salt, then AES-256 of the counters 0, 1, 2 … one block at a time."""
    extracted = hmac.digest(bytes(32), seed, "sha256")
    key = hmac.digest(extracted, label + b"\x01", "sha256")
    block = Cipher(algorithms.AES(key), modes.ECB()).encryptor()
    stream = b"".join(block.update(i.to_bytes(16, "big")) for i in range(words * size // 16 + 1))
    return [int.from_bytes(stream[i * size : (i + 1) * size], "little") for i in range(words)]


@pytest.mark.parametrize("label", list(MatrixLabel))
@pytest.mark.parametrize("dtype", [np.uint32, np.uint64])
def test_words_are_those_of_the_slow_expansion(label: MatrixLabel, dtype: type[np.uint32 | np.uint64]) -> None:
    matrix = MatrixStream(SEED, label, 5, 8, dtype).block(0, 5)
    assert matrix.dtype == dtype
    assert matrix.ravel().tolist() == by_the_book(SEED, label.value, 40, np.dtype(dtype).itemsize)


def test_blocks_agree_in_any_order_and_in_one_buffer() -> None:
    stream = MatrixStream(SEED, MatrixLabel.PRODUCT_A, 5000, 32, np.uint64)
    whole = stream.block(0, 5000)
    buffer = stream.buffer(700)
    for start in (4300, 0, 699, 1, 2048):
        assert np.array_equal(stream.block(start, start + 700, buffer), whole[start : start + 700])
    stream.keep()
    assert np.array_equal(stream.block(17, 19), whole[17:19])


def test_fixed_words() -> None:
    row = MatrixStream(SEED, MatrixLabel.PRODUCT_A, 4, 2048, np.uint64).block(2, 3)[0]
    assert [int(word) for word in row[:2]] == FIRST_WORDS
    assert keystream_words(SEED, 3).tolist() == by_the_book_plain(SEED)


def by_the_book_plain(key: bytes) -> list[int]:
    stream = Cipher(algorithms.AES(key), modes.CTR(bytes(16))).encryptor().update(bytes(24))
    return [int.from_bytes(stream[i : i + 8], "little") for i in (0, 8, 16)]


FIRST_WORDS = [0xB290BB0495F4930F, 0xE808D7F5FFA3A5D5]


def test_labels_and_seeds_give_unrelated_streams() -> None:
    blocks = [MatrixStream(SEED, label, 64, 64, np.uint64).block(0, 64) for label in MatrixLabel]
    blocks.append(MatrixStream(bytes(32), MatrixLabel.PRODUCT_A, 64, 64, np.uint64).block(0, 64))
    words = np.concatenate([block.ravel() for block in blocks])
    assert len(np.unique(words)) == words.size


def test_session_seed_depends_on_every_part() -> None:
    node, bank = b"n" * 32, b"b" * 32
    seed = session_seed(b"session", node, bank)
    assert seed == hashlib.sha256(b"session" + node + bank).digest()
    assert len({seed, session_seed(b"sessiom", node, bank), session_seed(b"session", bank, node)}) == 3


@pytest.mark.parametrize("nonce", [b"", b"n" * 31, b"n" * 33, "n" * 32])
def test_nonces_are_32_bytes(nonce: bytes) -> None:
    with pytest.raises(ParameterError, match="nonce must be 32 bytes"):
        session_seed(b"session", nonce, b"b" * 32)


def test_impossible_matrices_are_refused() -> None:
    for rows, columns in ((0, 8), (8, 0), (8, 3)):
        with pytest.raises(ParameterError, match="whole AES blocks"):
            MatrixStream(SEED, MatrixLabel.PIR_A, rows, columns, np.uint32)
    with pytest.raises(ParameterError, match="uint32 or uint64"):
        MatrixStream(SEED, MatrixLabel.PIR_A, 8, 8, np.int64)  # type: ignore[arg-type]
    with pytest.raises(ParameterError, match="not in a matrix"):
        MatrixStream(SEED, MatrixLabel.PIR_A, 8, 8, np.uint32).block(4, 9)
