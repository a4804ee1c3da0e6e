"""The log's signed promise of inclusion: handed out with an answer, before a witness has cosigned.

    xinqiao/promise-of-inclusion/v1
    <origin>
    <index>
    <base64 leaf hash>
    <POSIX second>

It is a signed note under the log's key. Its second line is no number, so it can never be read as a checkpoint. Whoever
holds a promise and gets no receipt with that leaf at that index holds the proof that the log broke its word.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable
from dataclasses import dataclass

from audit.verifier.checkpoint import parse_decimal, parse_hash
from audit.verifier.errors import FormatError, ProofError, SignatureError
from audit.verifier.merkle import leaf_hash
from audit.verifier.note import Note, NoteSigner, VerifierKey, sign_note

HEADER = "xinqiao/promise-of-inclusion/v1"


@dataclass(frozen=True)
class Promise:
    """Log `origin` has the leaf hash `leaf` (32 bytes) at `index` since POSIX second `time`."""

    origin: str
    index: int
    leaf: bytes
    time: int

    @property
    def text(self) -> str:
        """The note text that is signed."""
        leaf = base64.b64encode(self.leaf).decode()
        return f"{HEADER}\n{self.origin}\n{self.index}\n{leaf}\n{self.time}\n"

    @classmethod
    def parse(cls, text: str) -> Promise:
        """Read a note text strictly; FormatError."""
        lines = text.split("\n")
        if len(lines) != 6 or lines[0] != HEADER or lines[5]:
            raise FormatError("this is not a promise of inclusion")
        _, origin, index, leaf, time, _ = lines
        return cls(
            origin,
            parse_decimal(index, "the promise's index"),
            parse_hash(leaf, "the promise's leaf hash"),
            parse_decimal(time, "the promise's time"),
        )


def sign_promise(promise: Promise, signer: NoteSigner) -> bytes:
    """The promise as a note."""
    return sign_note(promise.text, signer).encode()


def open_promise(note: str | bytes, log_keys: Iterable[VerifierKey]) -> Promise:
    """The promise in a note that the log it names has signed; FormatError, SignatureError."""
    parsed = Note.parse(note)
    promise = Promise.parse(parsed.text)
    if not any(s.key.name == promise.origin for s in parsed.verified(log_keys)):
        raise SignatureError("the promise is not signed by a key known for the log that it names")
    return promise


def verify_promise(note: str | bytes, index: int, entry: bytes, log_keys: Iterable[VerifierKey]) -> None:
    """Check that the log promised `entry` at `index`; FormatError, SignatureError, ProofError."""
    promise = open_promise(note, log_keys)
    if promise.index != index or promise.leaf != leaf_hash(entry):
        raise ProofError("the promise is for another entry or another index")
