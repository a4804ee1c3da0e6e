"""Checking offline what a subject took home: the archive that the node signed, the cohorts and alignments it proves."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from audit.verifier.cohorts import verify_alignment_use, verify_cohort_row
from audit.verifier.errors import FormatError, ProofError
from models.archives import Archive, ModelUses
from models.disputes import Dispute, Letter
from models.rights import AlignmentUse
from models.wire import Signed, open_signed


class _SignedParts(msgspec.Struct):
    archive: Signed
    uses: Signed


class _File(msgspec.Struct):
    """What is read of the file; the readable copy beside it is for people and counts for nothing here."""

    alignments: tuple[AlignmentUse, ...]
    objections: tuple[Dispute, ...]
    signed: _SignedParts


@dataclass(frozen=True, repr=False)
class CheckedArchive:
    """What a file proves. `cohorts` and `alignments` count proofs that hold; `unproven` cohorts have none any more."""

    archive: Archive
    letters: tuple[Letter, ...]
    cohorts: int
    alignments: int
    unproven: int


def verify_archive_file(data: bytes, office: Ed25519PublicKey, node: Ed25519PublicKey) -> CheckedArchive:
    """Check a downloaded file against the two public keys.

    Raises:
        FormatError: it is no such file.
        BadSignature: a part is not signed by whom it must be.
        InvalidProof, ProofError: a proof does not hold, or belongs to another subject or model.
    """
    try:
        file = msgspec.json.decode(data, type=_File)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise FormatError(f"this is not a credit file as the window gives it out: {_place(error)}") from None
    archive = open_signed(file.signed.archive, Archive, "node", node)
    uses = open_signed(file.signed.uses, ModelUses, "node", node)
    if uses.subject != archive.subject or {u.model for u in uses.models} != {u.model for u in archive.models}:
        raise ProofError("the list of models belongs to another archive")
    proven = [cohort for cohort in archive.cohorts if cohort.tag]
    for cohort in proven:
        verify_cohort_row(cohort)
    roots = {cohort.root.hex() for cohort in archive.cohorts}
    if any(use.cohort_root not in roots for use in archive.models):
        raise ProofError("a model of this archive was trained on no cohort of it")
    for alignment in file.alignments:
        verify_alignment_use(archive.subject, alignment)
    letters = tuple(open_signed(one.letter, Letter, "office", office) for one in file.objections if one.letter is not None)
    if any(letter.subject != archive.subject for letter in letters):
        raise ProofError("a letter in this file was written to another person")
    return CheckedArchive(archive, letters, len(proven), len(file.alignments), len(archive.cohorts) - len(proven))


def _place(error: Any) -> str:
    # msgspec may quote a value; where it stands is enough.
    text = str(error)
    return text[text.rfind("at `") :] if "at `" in text else "it is not JSON, or cut off"
