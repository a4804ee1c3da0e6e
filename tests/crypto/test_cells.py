"""Cells open with their own tag and key only; AES-GCM without the tag does not commit, and is broken here."""

from __future__ import annotations

import hmac
from hashlib import sha256

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given, settings
from hypothesis import strategies as st

from crypto.cells import cell_size, derive, dummy_cell, open_cell, published, seal, seal_many
from crypto.errors import InvalidCiphertext, ParameterError

Y = bytes(range(64))
CONTEXT = b"table 1, epoch 9"
TAG, KEY = derive(Y, CONTEXT)
RECORD = "姓名=张三;信用分=712".encode()


# --- derivation -----------------------------------------------------------------------------------


def test_derivation_is_hkdf_sha512_of_one_block() -> None:
    """RFC 5869 by hand."""
    prk = hmac.digest(b"Xinqiao-Cell-v1-Salt", Y, "sha512")
    info = b"Xinqiao-Cell-v1-Tag-Key" + len(CONTEXT).to_bytes(4) + CONTEXT
    block = hmac.digest(prk, info + b"\1", "sha512")
    assert (block[:32], block[32:]) == (TAG, KEY)


def test_outputs_and_contexts_are_separate() -> None:
    derived = [derive(y, context) for y in (Y, Y[::-1]) for context in (b"", CONTEXT, CONTEXT + b"\0")]
    assert len({tag for tag, _ in derived} | {key for _, key in derived}) == 12


@pytest.mark.parametrize("length", [0, 32, 63, 65])
def test_only_a_voprf_output_is_derived_from(length: int) -> None:
    with pytest.raises(ParameterError, match="64 bytes"):
        derive(bytes(length), CONTEXT)


def test_published_is_a_hash_of_the_tag() -> None:
    assert published(TAG) == sha256(TAG).digest() != TAG


# --- sealing and opening --------------------------------------------------------------------------


@settings(max_examples=60)
@given(st.binary(max_size=100), st.integers(0, 50))
def test_records_come_back_and_lengths_do_not_show(record: bytes, slack: int) -> None:
    padded_size = len(record) + 4 + slack
    cell = seal(TAG, KEY, record, padded_size)
    assert len(cell) == cell_size(padded_size) == padded_size + 48
    assert cell.startswith(TAG)
    assert open_cell(TAG, KEY, cell) == record


def test_records_that_end_in_zeros_keep_them() -> None:
    for record in (b"", b"\0", b"a\0\0", bytes(60)):
        assert open_cell(TAG, KEY, seal(TAG, KEY, record, 64)) == record


def test_damage_anywhere_is_noticed() -> None:
    cell = seal(TAG, KEY, RECORD, 64)
    for position in range(len(cell)):
        damaged = cell[:position] + bytes([cell[position] ^ 0x80]) + cell[position + 1 :]
        with pytest.raises(InvalidCiphertext):
            open_cell(TAG, KEY, damaged)
    for length in (0, 31, 32, 51, len(cell) - 1):
        with pytest.raises(InvalidCiphertext):
            open_cell(TAG, KEY, cell[:length])
    with pytest.raises(InvalidCiphertext, match="damaged"):
        open_cell(TAG, KEY, cell + b"\0")


def test_another_subjects_tag_or_key_opens_nothing() -> None:
    other_tag, other_key = derive(Y[::-1], CONTEXT)
    cell = seal(TAG, KEY, RECORD, 64)
    with pytest.raises(InvalidCiphertext, match="another tag"):
        open_cell(other_tag, other_key, cell)
    with pytest.raises(InvalidCiphertext, match="damaged"):
        open_cell(TAG, other_key, cell)
    with pytest.raises(InvalidCiphertext, match="damaged"):
        open_cell(other_tag, KEY, other_tag + cell[32:])


def test_next_epoch_opens_nothing() -> None:
    with pytest.raises(InvalidCiphertext):
        open_cell(*derive(Y, b"table 1, epoch 10"), seal(TAG, KEY, RECORD, 64))


@pytest.mark.parametrize(
    "padded", [b"\0\0\0\5abc" + bytes(5), b"\0\0\0\2abc" + bytes(5), b"\xff" * 12, b"\0\0\0\x09" + bytes(8)]
)
def test_only_one_padding_is_accepted(padded: bytes) -> None:
    """A maker who knows the key could otherwise hide bytes beside the record, or mean another length."""
    cell = TAG + AESGCM(KEY).encrypt(bytes(12), padded, TAG)
    if padded.startswith(b"\0\0\0\5"):
        assert open_cell(TAG, KEY, cell) == b"abc\0\0"
        return
    with pytest.raises(InvalidCiphertext, match="padding"):
        open_cell(TAG, KEY, cell)


def test_sizes_that_do_not_fit_are_refused() -> None:
    assert open_cell(TAG, KEY, seal(TAG, KEY, bytes(60), 64)) == bytes(60)
    with pytest.raises(ParameterError, match="padded size of 65"):
        seal(TAG, KEY, bytes(61), 64)
    with pytest.raises(ParameterError, match="at least 4"):
        seal(TAG, KEY, b"", 3)
    with pytest.raises(ParameterError, match="32 bytes each"):
        seal(TAG[:-1], KEY, b"", 64)
    with pytest.raises(ParameterError, match="32 bytes each"):
        seal(TAG, KEY[:16], b"", 64)


def test_bulk_gives_what_one_by_one_gives() -> None:
    items = [(*derive(bytes([n]) * 64, CONTEXT), bytes([n]) * n) for n in range(50)]
    cells = seal_many(iter(items), 64)
    assert cells == [seal(tag, key, record, 64) for tag, key, record in items]
    assert [open_cell(tag, key, cell) for (tag, key, _), cell in zip(items, cells, strict=True)] == [
        record for _, _, record in items
    ]


def test_one_key_never_seals_two_records() -> None:
    """Two cells under one key and nonce would show the XOR of their records."""
    first, second = seal(TAG, KEY, b"score 712", 64), seal(TAG, KEY, b"score 655", 64)
    leaked = bytes(a ^ b for a, b in zip(first[36:45], second[36:45], strict=True))
    assert leaked == bytes(a ^ b for a, b in zip(b"score 712", b"score 655", strict=True))
    with pytest.raises(ParameterError, match="item 1"):
        seal_many([(TAG, KEY, b"score 712"), (TAG, KEY, b"score 655")], 64)


def test_dummies_look_like_cells_and_open_for_nobody() -> None:
    dummies = [dummy_cell(64) for _ in range(100)]
    assert {len(dummy) for dummy in dummies} == {cell_size(64)}
    assert len({dummy[:32] for dummy in dummies} | {dummy[32:] for dummy in dummies}) == 200
    ones = sum(int.from_bytes(dummy).bit_count() for dummy in dummies)
    bits = 800 * cell_size(64)
    assert abs(ones - bits / 2) < 6 * (bits / 4) ** 0.5  # 6 sigma: fails once in 10^9
    with pytest.raises(InvalidCiphertext):
        open_cell(dummies[0][:32], KEY, dummies[0])


# --- one ciphertext, two keys ---------------------------------------------------------------------


def gf128_multiply(a: int, b: int) -> int:
    """The product in GCM's field GF(2^128), bit-reflected (NIST SP 800-38D §6.3)."""
    product = 0
    for bit in range(127, -1, -1):
        if b >> bit & 1:
            product ^= a
        a = (a >> 1) ^ (0xE1 << 120 if a & 1 else 0)
    return product


def gf128_power(a: int, exponent: int) -> int:
    result = 1 << 127
    while exponent:
        if exponent & 1:
            result = gf128_multiply(result, a)
        a, exponent = gf128_multiply(a, a), exponent >> 1
    return result


def aes_block(key: bytes, block: bytes) -> int:
    return int.from_bytes(Cipher(algorithms.AES(key), modes.ECB()).encryptor().update(block))


def keystream_block(key: bytes, counter: int) -> int:
    return aes_block(key, bytes(12) + counter.to_bytes(4))


def cell_for_two_keys(header: bytes, first: bytes, second: bytes) -> bytes:
    """The header, two chosen blocks, the one block that makes the GCM tags under both keys equal, and that tag.

    Under the first key the chosen blocks read as a record of 44 bytes; under the second as something else.
    """
    chosen = ((44).to_bytes(4) + b"Li Si", b"owes nothing....")
    blocks = [int.from_bytes(header[:16]), int.from_bytes(header[16:])]
    for counter, text in enumerate(chosen, start=2):
        blocks.append(int.from_bytes(text.ljust(16)) ^ keystream_block(first, counter))
    tags, squares = [], []
    for key in (first, second):
        h = aes_block(key, bytes(16))
        tag = keystream_block(key, 1) ^ gf128_multiply(32 * 8 << 64 | 48 * 8, h)
        for power, block in zip((6, 5, 4, 3), blocks, strict=True):
            tag ^= gf128_multiply(block, gf128_power(h, power))
        tags.append(tag)
        squares.append(gf128_power(h, 2))
    free = gf128_multiply(tags[0] ^ tags[1], gf128_power(squares[0] ^ squares[1], 2**128 - 2))
    tag = tags[0] ^ gf128_multiply(free, squares[0])
    return b"".join(block.to_bytes(16) for block in (*blocks, free, tag))


@pytest.mark.attack
def test_attack_one_cell_with_two_meanings() -> None:
    """A node could serve one cell that two subjects' keys open to different records; the tag in the cell forbids it."""
    other_tag, other_key = derive(Y[::-1], CONTEXT)
    forged = cell_for_two_keys(TAG, KEY, other_key)

    def naive_open(key: bytes, cell: bytes) -> bytes:
        """Authenticates the cell's tag, but never asks whether it is the tag that belongs to the key."""
        return AESGCM(key).decrypt(bytes(12), cell[32:], cell[:32])

    assert naive_open(KEY, forged)[4:].startswith(b"Li Si       owes nothing....")
    assert naive_open(other_key, forged) != naive_open(KEY, forged)

    assert open_cell(TAG, KEY, forged).startswith(b"Li Si")
    with pytest.raises(InvalidCiphertext, match="another tag"):
        open_cell(other_tag, other_key, forged)
    with pytest.raises(InvalidCiphertext, match="damaged"):
        open_cell(other_tag, other_key, other_tag + forged[32:])
