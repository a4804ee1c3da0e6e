"""C2SP signed notes: text, an empty line, and signature lines of which only those of known keys are believed.

    <text, ending in a newline>

    — <key name> base64(key ID ‖ signature)

Two signature types are spoken: 0x01, Ed25519 over the text (signed-note), and 0x04, cosignature/v1, a witness's
Ed25519 over a time and the text (tlog-cosignature). Lines of other keys or types are ignored, so that a note may carry
SM2 or ML-DSA lines beside them.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from audit.verifier.errors import FormatError, SignatureError

ED25519 = 0x01
COSIGNATURE_V1 = 0x04
COSIGNATURE_HEADER = "cosignature/v1\n"

MAX_NOTE_BYTES = 1_000_000
MAX_SIGNATURES = 100
MAX_TIMESTAMP = 2**63 - 1
SIGNATURE_BYTES = 64
DASH = "\u2014 "
_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f]")


@dataclass(frozen=True)
class VerifierKey:
    """A public key by name (signed-note, "Verifier keys"): `<name>+<hex key ID>+<base64(type ‖ 32 bytes)>`."""

    name: str
    algorithm: int
    public_key: bytes

    def __post_init__(self) -> None:
        _check_name(self.name)
        if self.algorithm not in {ED25519, COSIGNATURE_V1}:
            raise FormatError(f"the key of {self.name} has signature type {self.algorithm:#04x}; 0x01 and 0x04 are spoken")
        if len(self.public_key) != 32:
            raise FormatError(f"the key of {self.name} has {len(self.public_key)} bytes; an Ed25519 key has 32")

    @classmethod
    def parse(cls, vkey: str) -> VerifierKey:
        """Read a vkey; FormatError where it is malformed or its key ID is not that of its name and key."""
        parts = vkey.split("+", 2)
        if len(parts) != 3:
            raise FormatError("a verifier key has three parts joined by '+': name, key ID, key")
        name, key_id, material = parts
        raw = decode_base64(material, "the verifier key")
        if not raw:
            raise FormatError(f"the verifier key of {name} is empty")
        key = cls(name, raw[0], raw[1:])
        if key_id != key.key_id.hex():
            raise FormatError(f"the key ID of {name} is {key_id}, but its name and key give {key.key_id.hex()}")
        return key

    @property
    def key_id(self) -> bytes:
        """SHA-256(name ‖ 0x0A ‖ type ‖ public key)[:4]."""
        data = self.name.encode() + b"\n" + bytes([self.algorithm]) + self.public_key
        return hashlib.sha256(data).digest()[:4]

    def verify(self, text: str, signature: bytes) -> int | None:
        """Check a signature (without its key ID) over `text`; the POSIX time of a cosignature, None of a signature.

        Raises SignatureError.
        """
        message, timestamp = text, None
        if self.algorithm == COSIGNATURE_V1:
            timestamp = int.from_bytes(signature[:8], "big")
            if len(signature) != 8 + SIGNATURE_BYTES or timestamp > MAX_TIMESTAMP:
                raise SignatureError(f"the cosignature of {self.name} is malformed")
            message, signature = cosigned_message(text, timestamp), signature[8:]
        try:
            Ed25519PublicKey.from_public_bytes(self.public_key).verify(signature, message.encode())
        except InvalidSignature:
            raise SignatureError(f"the signature of {self.name} does not verify") from None
        return timestamp

    def __str__(self) -> str:
        material = base64.b64encode(bytes([self.algorithm]) + self.public_key).decode()
        return f"{self.name}+{self.key_id.hex()}+{material}"


@dataclass(frozen=True)
class SignatureLine:
    """One signature line as it stands in a note; nothing is known of its truth. `number` counts from 1 in the note."""

    name: str
    key_id: bytes
    signature: bytes
    number: int = 0

    def __str__(self) -> str:
        return f"{DASH}{self.name} {base64.b64encode(self.key_id + self.signature).decode()}\n"


@dataclass(frozen=True)
class VerifiedSignature:
    """A signature that was checked. `timestamp`: POSIX seconds of a cosignature, else None."""

    key: VerifierKey
    line: SignatureLine
    timestamp: int | None


@dataclass(frozen=True)
class Note:
    """A note split into text and lines; **the text must not be believed** before `verified` names a key."""

    text: str
    lines: tuple[SignatureLine, ...]

    @classmethod
    def parse(cls, note: str | bytes) -> Note:
        """Split a note strictly (signed-note, "Format"); FormatError."""
        return cls(*_split_note(note))

    def verified(self, keys: Iterable[VerifierKey]) -> tuple[VerifiedSignature, ...]:
        """The signatures of known keys, one a key. SignatureError where one fails; unknown lines are ignored."""
        known: dict[tuple[str, bytes], VerifierKey] = {}
        for key in keys:
            if known.setdefault((key.name, key.key_id), key) != key:
                raise SignatureError(f"two different keys share the name and key ID of {key.name}; configure only one")
        found: dict[VerifierKey, VerifiedSignature] = {}
        for line in self.lines:
            signer = known.get((line.name, line.key_id))
            if signer is None or signer in found:
                continue
            try:
                timestamp = signer.verify(self.text, line.signature)
            except SignatureError as error:
                raise SignatureError(f"line {line.number} of the note: {error}") from None
            found[signer] = VerifiedSignature(signer, line, timestamp)
        return tuple(found.values())


def open_note(note: str | bytes, keys: Iterable[VerifierKey]) -> tuple[str, tuple[VerifiedSignature, ...]]:
    """The text of a note that at least one of `keys` signed, and the signatures; FormatError, SignatureError."""
    parsed = Note.parse(note)
    signatures = parsed.verified(keys)
    if not signatures:
        raise SignatureError("no known key has signed the note")
    return parsed.text, signatures


class NoteSigner:
    """An Ed25519 key with a name that signs notes (type 0x01)."""

    algorithm = ED25519

    def __init__(self, name: str, private_key: Ed25519PrivateKey) -> None:
        self._private_key = private_key
        self.key = VerifierKey(name, self.algorithm, private_key.public_key().public_bytes_raw())

    @classmethod
    def from_seed(cls, name: str, seed: bytes) -> Self:
        """The signer of a 32-byte Ed25519 seed (RFC 8032 §5.1.5)."""
        return cls(name, Ed25519PrivateKey.from_private_bytes(seed))

    def sign(self, text: str) -> str:
        """The signature line over `text`, with its newline. A text that reads like a cosignature's is refused."""
        check_text(text)
        if text.startswith(COSIGNATURE_HEADER):
            raise FormatError("a log key does not sign what could be taken for a cosignature")
        return self._line(self._private_key.sign(text.encode()))

    def _line(self, signature: bytes) -> str:
        return str(SignatureLine(self.key.name, self.key.key_id, signature))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.key.name!r}, key redacted)"


class CosignatureSigner(NoteSigner):
    """A witness's key: cosignature/v1 (type 0x04). It must not be the key of any log (tlog-cosignature)."""

    algorithm = COSIGNATURE_V1

    def sign(self, text: str) -> str:
        """Use `cosign`: a cosignature needs a time."""
        raise FormatError("a witness key signs checkpoints with a time: use cosign(text, timestamp)")

    def cosign(self, text: str, timestamp: int) -> str:
        """The cosignature line over a checkpoint's text at POSIX second `timestamp`; equal input, equal line."""
        check_text(text)
        if not 0 < timestamp <= MAX_TIMESTAMP:
            raise FormatError("a cosignature's time is a positive POSIX second")
        signature = self._private_key.sign(cosigned_message(text, timestamp).encode())
        return self._line(timestamp.to_bytes(8, "big") + signature)


def sign_note(text: str, *signers: NoteSigner) -> str:
    """The whole note: text, empty line, one line a signer."""
    return text + "\n" + "".join(signer.sign(text) for signer in signers)


def cosigned_message(text: str, timestamp: int) -> str:
    """What a cosignature/v1 signs (tlog-cosignature, "Ed25519 signed message")."""
    return f"{COSIGNATURE_HEADER}time {timestamp}\n{text}"


def parse_signature_lines(block: str, first: int = 1) -> tuple[SignatureLine, ...]:
    """The signature lines of a block such as a witness's answer, numbered from `first`; FormatError."""
    if not block.endswith("\n"):
        raise FormatError("signature lines end in a newline")
    lines = block[:-1].split("\n")
    if len(lines) > MAX_SIGNATURES:
        raise FormatError(f"a note carries at most {MAX_SIGNATURES} signatures")
    return tuple(_parse_line(line, number) for number, line in enumerate(lines, first))


def check_text(text: str) -> None:
    """Refuse what cannot be a note's text: not ending in a newline, or with control characters."""
    if not text.endswith("\n"):
        raise FormatError("a note's text ends in a newline")
    if _CONTROL.search(text):
        raise FormatError("a note holds no control characters")


def decode_base64(text: str, what: str) -> bytes:
    """Standard base64 (RFC 4648 §4) in its only canonical form; FormatError."""
    try:
        raw = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise FormatError(f"{what} is not base64") from None
    if base64.b64encode(raw).decode() != text:
        raise FormatError(f"{what} is not canonical base64")
    return raw


def _split_note(note: str | bytes) -> tuple[str, tuple[SignatureLine, ...]]:
    if len(note) > MAX_NOTE_BYTES:
        raise FormatError("the note is above 1 MB")
    try:
        whole = note.decode() if isinstance(note, bytes) else note
        whole.encode()
    except UnicodeError:
        raise FormatError("the note is not UTF-8") from None
    text, separator, block = whole.rpartition("\n\n")
    if not separator:
        raise FormatError("the note has no signatures")
    text += "\n"
    check_text(text)
    check_text(block)
    return text, parse_signature_lines(block, text.count("\n") + 2)


def _parse_line(line: str, number: int) -> SignatureLine:
    if not line.startswith(DASH):
        raise FormatError(f"line {number} of the note is not a signature line")
    name, separator, encoded = line.removeprefix(DASH).partition(" ")
    if not separator:
        raise FormatError(f"line {number} of the note has no signature")
    _check_name(name)
    raw = decode_base64(encoded, f"the signature on line {number} of the note")
    if len(raw) < 5:
        raise FormatError(f"the signature on line {number} of the note is too short")
    return SignatureLine(name, raw[:4], raw[4:], number)


def _check_name(name: str) -> None:
    if not name or "+" in name or any(c.isspace() or c < " " for c in name):
        raise FormatError("a key name is not empty and holds neither spaces nor '+'")
