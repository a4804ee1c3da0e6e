"""Checkpoints (tlog-checkpoint): a signed note that says how many entries a log has, and their root.

<origin>
<number of entries>
<base64 root>
"""

from __future__ import annotations

import base64
from collections.abc import Iterable
from dataclasses import dataclass

from audit.verifier.errors import FormatError, SignatureError
from audit.verifier.merkle import EMPTY_ROOT, HASH_BYTES
from audit.verifier.note import (
    COSIGNATURE_V1,
    ED25519,
    Note,
    NoteSigner,
    VerifiedSignature,
    VerifierKey,
    decode_base64,
    sign_note,
)

MAX_SIZE = 2**63 - 1


@dataclass(frozen=True)
class Checkpoint:
    """A tree head: `origin` names the log, `size` counts its entries, `root` has 32 bytes."""

    origin: str
    size: int
    root: bytes
    extensions: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """The note text that is signed."""
        lines = [self.origin, str(self.size), base64.b64encode(self.root).decode(), *self.extensions]
        return "".join(f"{line}\n" for line in lines)

    @classmethod
    def parse(cls, text: str) -> Checkpoint:
        """Read a note text strictly; FormatError names the line."""
        if not text.endswith("\n"):
            raise FormatError("a checkpoint ends in a newline")
        lines = text[:-1].split("\n")
        if len(lines) < 3:
            raise FormatError("a checkpoint has three lines: origin, size, root")
        for number, line in enumerate(lines, 1):
            if not line:
                raise FormatError(f"line {number} of the checkpoint is empty")
        origin, size, root, *extensions = lines
        return cls(
            origin,
            parse_decimal(size, "line 2 of the checkpoint (the number of entries)"),
            parse_hash(root, "line 3 of the checkpoint (the root)"),
            tuple(extensions),
        )


@dataclass(frozen=True)
class SignedCheckpoint:
    """A checkpoint whose log signature and cosignatures were verified."""

    checkpoint: Checkpoint
    cosignatures: tuple[VerifiedSignature, ...]
    note: str


def sign_checkpoint(checkpoint: Checkpoint, signer: NoteSigner) -> str:
    """The checkpoint as a note, signed by the log."""
    return sign_note(checkpoint.text, signer)


def open_checkpoint(
    note: str | bytes,
    log_keys: Iterable[VerifierKey],
    witness_keys: Iterable[VerifierKey] = (),
    quorum: int = 0,
) -> SignedCheckpoint:
    """Verify a checkpoint note: signed by the log whose origin it carries, cosigned by at least `quorum` witnesses.

    A log key's name is the origin that it may sign (tlog-checkpoint, "Signatures"). Witnesses are counted by public key,
    so that one key under two names counts once, and a log's key never counts. FormatError, SignatureError.
    """
    log_keys, witness_keys = tuple(log_keys), tuple(witness_keys)
    if any(key.algorithm != ED25519 for key in log_keys) or any(key.algorithm != COSIGNATURE_V1 for key in witness_keys):
        raise SignatureError("a log's verifier key has type 0x01 and a witness's type 0x04: two keys were mixed up")
    parsed = Note.parse(note)
    checkpoint = Checkpoint.parse(parsed.text)
    signatures = parsed.verified([*log_keys, *witness_keys])
    if not any(s.key in log_keys and s.key.name == checkpoint.origin for s in signatures):
        raise SignatureError(
            f"line 1 of the checkpoint names the log {checkpoint.origin!r}, but no key known for that log has signed it"
        )
    if checkpoint.size == 0 and checkpoint.root != EMPTY_ROOT:
        raise FormatError("line 3 of the checkpoint is not the root of the empty log")
    cosignatures = tuple(s for s in signatures if s.key in witness_keys)
    distinct = {s.key.public_key for s in cosignatures} - {key.public_key for key in log_keys}
    if len(distinct) < quorum:
        raise SignatureError(f"{quorum} witnesses must have cosigned the checkpoint; {len(distinct)} of the known ones did")
    return SignedCheckpoint(checkpoint, cosignatures, note.decode() if isinstance(note, bytes) else note)


def parse_decimal(text: str, what: str) -> int:
    """An ASCII decimal without leading zeroes, at most 2^63 - 1; FormatError."""
    valid = text.isascii() and text.isdigit() and len(text) <= 19 and (text == "0" or text[0] != "0")
    if not valid or int(text) > MAX_SIZE:
        raise FormatError(f"{what} is not a decimal number without leading zeroes")
    return int(text)


def parse_hash(text: str, what: str) -> bytes:
    """A base64 SHA-256 hash, 32 bytes; FormatError."""
    raw = decode_base64(text, what)
    if len(raw) != HASH_BYTES:
        raise FormatError(f"{what} is not a hash of {HASH_BYTES} bytes")
    return raw
