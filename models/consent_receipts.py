"""Receipts of consents: what a person takes home, reads, and has checked by anybody who holds the office's public keys.

A receipt is the office's signed statement of the consent and, for its filing and for a withdrawal, the leaf of the office's
log with its proof. A leaf names nobody: that of a filing holds the root of a Merkle tree over salted commitments, one for
each consent that was filed at once, and the receipt brings the salt and the path.

It travels as a text file (plain words first, then the receipt between two marks) or as the texts of a few QR codes on a
printed page; `parse_receipt` reads either. Who checks it: `audit.verifier.consents`, ``xinqiao verify-consent``.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
import zlib
from typing import Literal

from models.consents import Consent
from models.problems import BadMessage
from models.wire import Message, Signed, decode, encode

Language = Literal["zh", "en"]
BEGIN = "-----BEGIN XINQIAO CONSENT RECEIPT-----"
END = "-----END XINQIAO CONSENT RECEIPT-----"
LARGEST_RECEIPT = 1 << 18
QR_CHARACTERS = 900
"""Of one code: it is scanned from paper, by an ordinary camera."""
_LINE = 64
_QR = re.compile(r"XQC1:([0-9]{1,2})/([0-9]{1,2}):([A-Z2-7]+)")
_CONSENT = b"xinqiao/consent/v1\0"
_WITHDRAWAL = b"xinqiao/consent-withdrawal/v1\0"


def consent_commitment(salt: bytes, consent: Consent) -> bytes:
    """What stands for a consent in the tree of its filing: SHA-256 (32 bytes) of the salt and all that it says."""
    return hashlib.sha256(_CONSENT + salt + encode(consent)).digest()


def withdrawal_commitment(salt: bytes, consent_id: str) -> bytes:
    """What stands for a withdrawal in its leaf; nobody without the salt can tell of which consent."""
    return hashlib.sha256(_WITHDRAWAL + salt + consent_id.encode()).digest()


class Named(Message):
    """A recipient, a category or a field, and what it is called."""

    id: str
    zh: str
    en: str


class ConsentStatement(Message):
    """What the office states of one consent. Times are POSIX seconds; days are told `utc_offset` minutes east of UTC.

    `recipient`, `fields` and `people` are what the consent names, in words; times are those of the leaves, `withdrawn_at`
    is 0 while it was not withdrawn.
    """

    consent: Consent
    recipient: Named
    fields: tuple[Named, ...]
    people: tuple[Named, ...]
    filed_at: int
    issued_at: int
    utc_offset: int
    salt: bytes
    withdrawn_at: int = 0
    withdrawn_by: str = ""


class LeafProof(Message):
    """A leaf of the office's log and its place there; `receipt` is a tlog-proof.

    Of a filing: the consent's `place` among `count`, and the RFC 6962 path from there to the root that the leaf names.
    """

    entry: bytes
    receipt: str
    place: int = 0
    count: int = 1
    path: tuple[bytes, ...] = ()


class ConsentReceipt(Message):
    """A statement (kind `ConsentStatement`, signed by the office) with what proves that the log has it."""

    statement: Signed
    filing: LeafProof
    withdrawal: LeafProof | None = None


class AskConsentReceipt(Message):
    """A clerk, the officer who filed it, or the self-service window for its `subject` asks for the receipt of a consent."""

    consent: str
    subject: str = ""


# -------------------------------------------------------------------- as a file, as QR codes


def receipt_text(receipt: ConsentReceipt, words: str) -> str:
    """The file that a person keeps; `words` come first, for whoever opens it, and prove nothing."""
    data = base64.b64encode(zlib.compress(encode(receipt), 9)).decode()
    lines = [data[start : start + _LINE] for start in range(0, len(data), _LINE)]
    return "\n".join([words.strip(), "", BEGIN, *lines, END, ""])


def qr_texts(receipt: ConsentReceipt) -> list[str]:
    """The texts of the QR codes of a printed receipt, in capitals and digits alone; read together, in any order."""
    data = base64.b32encode(zlib.compress(encode(receipt), 9)).decode().rstrip("=")
    pieces = [data[start : start + QR_CHARACTERS] for start in range(0, len(data), QR_CHARACTERS)]
    return [f"XQC1:{number}/{len(pieces)}:{piece}" for number, piece in enumerate(pieces, 1)]


def parse_receipt(text: str) -> ConsentReceipt:
    """Read a receipt's file, or the texts of its QR codes, one a line; raises `BadMessage`. Nothing is verified yet."""
    is_file = BEGIN in text and END in text
    armour = "".join(text.partition(BEGIN)[2].partition(END)[0].split()) if is_file else ""
    try:
        packed = base64.b64decode(armour, validate=True) if armour else _from_qr(text)
        inflate = zlib.decompressobj()
        data = inflate.decompress(packed, LARGEST_RECEIPT)
    except (binascii.Error, zlib.error):
        raise BadMessage("the receipt's data is damaged; copy the whole file, or scan every code once more") from None
    if not inflate.eof or inflate.unused_data:
        raise BadMessage("the receipt's data is not complete, or too long for a receipt")
    return decode(data, ConsentReceipt)


def _from_qr(text: str) -> bytes:
    pieces: dict[int, str] = {}
    total = 0
    for number, of, piece in _QR.findall(text):
        total = total or int(of)
        if int(of) != total or pieces.setdefault(int(number), piece) != piece:
            raise BadMessage("these codes are of several receipts; check one receipt at a time")
    if not pieces:
        raise BadMessage("this is no consent receipt: neither its marked block nor the text of its codes is in it")
    if missing := [str(number) for number in range(1, total + 1) if number not in pieces]:
        raise BadMessage(f"of the {total} codes of this receipt the numbers {', '.join(missing)} are missing")
    data = "".join(pieces[number] for number in range(1, total + 1))
    return base64.b32decode(data + "=" * (-len(data) % 8))
