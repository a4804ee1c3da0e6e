"""Cells: one subject's record, sealed so that only one VOPRF output finds and opens it.

    node, building a table                                 bank, after one evaluation
    ---------------------------------------------------------------------------------
    y = F(k, id)                                           y = F(k, id)
    tag, key = derive(y, context)                          tag, key = derive(y, context)
    cell = seal(tag, key, record, size)
               cells sorted by tag, fetched by private retrieval
             ----------------------------------------------------->
                                                           record = open_cell(tag, key, cell)

    cell = tag (32) ‖ AES-256-GCM(key, nonce 0, record padded to `size`, tag as associated data) (size + 16)

The nonce is constant because a key seals one cell in its life: the VOPRF key lives for one table and epoch, y names one
subject under it, and a subject has one cell. Sealing two records under one key would show their XOR, so a table that must
be built anew takes a new VOPRF key; `seal_many` refuses two cells with one tag.

The tag commits to the key. AES-GCM alone does not: one ciphertext can be made to open under two keys. Here tag and key
are the two halves of one HKDF-SHA-512 output over y and the context, and `open_cell` insists that the cell starts with
the caller's tag. Whoever wants one cell to open for two different y needs two inputs with equal tags: a collision in
256 bits of HMAC-SHA-512, 2^128 work. So a cell has one y, hence one key and one record. This holds as long as tag and
key come from one call of `derive`.

Leakage statement. A cell shows its size, which is one for the whole table. Without y, tags are uniform and a dummy
cannot be told from a subject; the table shows the number of cells, dummies included. With y, the holder gets this one
record.
"""

from __future__ import annotations

import hmac
import os
from collections.abc import Iterable
from hashlib import sha256
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA512
from cryptography.hazmat.primitives.hmac import HMAC

from crypto.errors import InvalidCiphertext, ParameterError

OUTPUT_BYTES: Final = 64  # of the VOPRF
TAG_BYTES: Final = 32
KEY_BYTES: Final = 32

_SALT: Final = b"Xinqiao-Cell-v1-Salt"
_EXTRACT: Final = HMAC(_SALT, SHA512())
_INFO: Final = b"Xinqiao-Cell-v1-Tag-Key"
_NONCE: Final = bytes(12)
_GCM_TAG_BYTES: Final = 16
_LENGTH_BYTES: Final = 4


def derive(y: bytes, context: bytes) -> tuple[bytes, bytes]:
    """Return (tag, key), 32 bytes each, by HKDF-SHA-512 (RFC 5869) from a VOPRF output of 64 bytes.

    `context` names the table and epoch; the same y under another context gives unrelated tag and key.
    """
    if len(y) != OUTPUT_BYTES:
        raise ParameterError(f"a VOPRF output has {OUTPUT_BYTES} bytes, got {len(y)}")
    extract = _EXTRACT.copy()  # HKDF-Extract, of which the salt's part is done
    extract.update(y)
    # 64 bytes are one block of HKDF-Expand: tag and key are halves of a single HMAC output.
    okm = hmac.digest(extract.finalize(), _INFO + len(context).to_bytes(4) + context + b"\1", "sha512")
    return okm[:TAG_BYTES], okm[TAG_BYTES:]


def published(tag: bytes) -> bytes:
    """Return SHA-256(tag), which alignment publishes: it is matched without a tag being shown."""
    return sha256(tag).digest()


def cell_size(padded_size: int) -> int:
    """Return the bytes of a cell whose padded record has `padded_size` bytes (record plus 4, or more)."""
    if not _LENGTH_BYTES <= padded_size < 2**31:
        raise ParameterError(f"a padded record has at least {_LENGTH_BYTES} bytes, got {padded_size}")
    return TAG_BYTES + padded_size + _GCM_TAG_BYTES


def seal(tag: bytes, key: bytes, record: bytes, padded_size: int) -> bytes:
    """Seal `record` into a cell of `cell_size(padded_size)` bytes. Call once for each key, ever.

    Raises:
        ParameterError: the record is longer than padded_size - 4, or tag or key are not from `derive`.
    """
    size = cell_size(padded_size) - TAG_BYTES - _GCM_TAG_BYTES
    if len(tag) != TAG_BYTES or len(key) != KEY_BYTES:
        raise ParameterError("tag and key are 32 bytes each: take both from one call of derive")
    if len(record) > size - _LENGTH_BYTES:
        raise ParameterError(f"a record of {len(record)} bytes needs a padded size of {len(record) + _LENGTH_BYTES}")
    padded = (len(record).to_bytes(_LENGTH_BYTES) + record).ljust(size, b"\0")
    return tag + AESGCM(key).encrypt(_NONCE, padded, tag)


def seal_many(items: Iterable[tuple[bytes, bytes, bytes]], padded_size: int) -> list[bytes]:
    """`seal` each (tag, key, record), in order: some 200,000 a second on one core, and threads gain nothing.

    Raises:
        ParameterError: as `seal`, or two items share a tag: one subject twice, and one key would seal two records.
    """
    seen: set[bytes] = set()
    cells = []
    for position, (tag, key, record) in enumerate(items):
        if tag in seen:
            raise ParameterError(f"item {position} has the tag of an earlier one: give each subject one record")
        seen.add(tag)
        cells.append(seal(tag, key, record, padded_size))
    return cells


def dummy_cell(padded_size: int) -> bytes:
    """Return a cell that nobody can open: uniform bytes, which AES-GCM under an unknown key cannot be told from."""
    return os.urandom(cell_size(padded_size))


def open_cell(tag: bytes, key: bytes, cell: bytes) -> bytes:
    """Open a cell of any padded size and return the record.

    Raises:
        InvalidCiphertext: the cell is too short, carries another tag, fails authentication, or is padded wrongly.
    """
    if len(cell) < cell_size(_LENGTH_BYTES):
        raise InvalidCiphertext(f"a cell has at least {cell_size(_LENGTH_BYTES)} bytes, got {len(cell)}")
    if not hmac.compare_digest(cell[:TAG_BYTES], tag):
        raise InvalidCiphertext("this cell carries another tag: look up the cell by the tag derived from this output")
    try:
        padded = AESGCM(key).decrypt(_NONCE, cell[TAG_BYTES:], tag)
    except InvalidTag:
        raise InvalidCiphertext("the cell is damaged: do not retry, hand it to the credit office as evidence") from None
    length = int.from_bytes(padded[:_LENGTH_BYTES])
    record, padding = padded[_LENGTH_BYTES : _LENGTH_BYTES + length], padded[_LENGTH_BYTES + length :]
    if len(record) != length or any(padding):
        raise InvalidCiphertext("the cell was sealed with a wrong padding: hand it to the credit office as evidence")
    return record
