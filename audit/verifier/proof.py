"""Receipts (tlog-proof): that an entry is in a log, to be verified offline with nothing but verifier keys.

c2sp.org/tlog-proof@v1
extra <base64>                     (optional, not authenticated)
index <n>
<base64 hash>                      (inclusion proof, from the leaf's sibling up)

<checkpoint, verbatim, with its cosignatures>
"""

from __future__ import annotations

import base64
from collections.abc import Iterable
from dataclasses import dataclass

from audit.verifier.checkpoint import open_checkpoint, parse_decimal, parse_hash
from audit.verifier.errors import FormatError
from audit.verifier.merkle import leaf_hash, verify_inclusion
from audit.verifier.note import VerifierKey, decode_base64

HEADER = "c2sp.org/tlog-proof@v1"
MAX_PROOF_HASHES = 63


@dataclass(frozen=True)
class Receipt:
    """A receipt as it stands in its file; nothing is known of its truth before `verify`."""

    index: int
    proof: tuple[bytes, ...]
    checkpoint: str
    extra: bytes | None = None

    def __str__(self) -> str:
        extra = [] if self.extra is None else [f"extra {base64.b64encode(self.extra).decode()}"]
        hashes = [base64.b64encode(value).decode() for value in self.proof]
        return "\n".join([HEADER, *extra, f"index {self.index}", *hashes, "", self.checkpoint])

    @classmethod
    def parse(cls, text: str) -> Receipt:
        """Read a receipt strictly (tlog-proof, "Format"); FormatError."""
        head, separator, checkpoint = text.partition("\n\n")
        if not separator:
            raise FormatError("the receipt has no empty line before its checkpoint")
        lines = head.split("\n")
        if lines.pop(0) != HEADER:
            raise FormatError(f"a receipt's first line is {HEADER}")
        extra = None
        if lines and lines[0].startswith("extra "):
            extra = decode_base64(lines.pop(0).removeprefix("extra "), "the receipt's extra data")
        if not lines or not lines[0].startswith("index "):
            raise FormatError("the receipt has no index line")
        index = parse_decimal(lines.pop(0).removeprefix("index "), "the receipt's index")
        if len(lines) > MAX_PROOF_HASHES:
            raise FormatError(f"an inclusion proof has at most {MAX_PROOF_HASHES} hashes")
        proof = tuple(parse_hash(line, f"hash {n} of the receipt's proof") for n, line in enumerate(lines, 1))
        return cls(index, proof, checkpoint, extra)

    def verify(
        self,
        entry: bytes,
        log_keys: Iterable[VerifierKey],
        witness_keys: Iterable[VerifierKey] = (),
        quorum: int = 0,
    ) -> None:
        """Check that `entry` is in the log, in the steps of tlog-proof; FormatError, SignatureError, ProofError."""
        # (1) the leaf's hash
        leaf = leaf_hash(entry)
        # (2) the checkpoint's origin and log signature, (3) its cosignatures
        signed = open_checkpoint(self.checkpoint, log_keys, witness_keys, quorum)
        # (4) the inclusion proof
        head = signed.checkpoint
        verify_inclusion(self.index, head.size, leaf, self.proof, head.root)


def verify_receipt(
    receipt: str,
    entry: bytes,
    log_keys: Iterable[VerifierKey],
    witness_keys: Iterable[VerifierKey] = (),
    quorum: int = 0,
) -> None:
    """Parse and verify a receipt for `entry`, cosigned by at least `quorum` of the witnesses."""
    Receipt.parse(receipt).verify(entry, log_keys, witness_keys, quorum)
