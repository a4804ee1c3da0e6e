"""Checks a consent receipt without any service: the office's statement key and its log's key are all that is needed."""

from __future__ import annotations

import hmac
import json
from collections.abc import Sequence
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from audit.verifier.errors import FormatError, ProofError
from audit.verifier.merkle import leaf_hash, verify_inclusion
from audit.verifier.note import VerifierKey
from audit.verifier.proof import verify_receipt
from models.consent_receipts import (
    ConsentReceipt,
    ConsentStatement,
    LeafProof,
    consent_commitment,
    withdrawal_commitment,
)
from models.wire import open_signed

OFFICE = "office"
FILED, DRIVE, REVOKED = "consent.file", "consent.drive", "consent.revoke"


def open_consent_receipt(
    receipt: ConsentReceipt,
    office_key: Ed25519PublicKey,
    log_keys: Sequence[VerifierKey],
    witness_keys: Sequence[VerifierKey] = (),
    quorum: int = 0,
) -> ConsentStatement:
    """What the office states, once everything holds.

    Raises:
        BadSignature, BadMessage: the statement is not the office's.
        LogError: a leaf is not in the log, or says something else than the statement.
    """
    # (1) the office's statement
    statement = open_signed(receipt.statement, ConsentStatement, OFFICE, office_key)
    # (2) the leaf of the filing, (3) the root that it names stands for this very consent
    filing = _entry(receipt.filing, log_keys, witness_keys, quorum)
    facts = _facts(filing, {FILED, DRIVE}, statement.filed_at)
    commitment = leaf_hash(consent_commitment(statement.salt, statement.consent))
    if facts.get("count") != receipt.filing.count:
        raise ProofError("the filing's leaf is of another number of consents than the receipt says")
    root = _bytes(facts.get("root"))
    verify_inclusion(receipt.filing.place, receipt.filing.count, commitment, receipt.filing.path, root)
    # (4) the leaf of the withdrawal, where there was one
    if (receipt.withdrawal is None) != (statement.withdrawn_at == 0):
        raise ProofError("the receipt shows a withdrawal that is not stated, or states one that it does not show")
    if receipt.withdrawal is not None:
        revoked = _entry(receipt.withdrawal, log_keys, witness_keys, quorum)
        said = _bytes(_facts(revoked, {REVOKED}, statement.withdrawn_at).get("withdrawal"))
        if not hmac.compare_digest(said, withdrawal_commitment(statement.salt, statement.consent.id)):
            raise ProofError("the withdrawal's leaf is about another consent")
    return statement


def _entry(
    proof: LeafProof, log_keys: Sequence[VerifierKey], witness_keys: Sequence[VerifierKey], quorum: int
) -> dict[str, Any]:
    verify_receipt(proof.receipt, proof.entry, log_keys, witness_keys, quorum)
    try:
        entry = json.loads(proof.entry)
    except ValueError:
        raise FormatError("the receipt's leaf is not JSON") from None
    if not isinstance(entry, dict):
        raise FormatError("the receipt's leaf is not a JSON object")
    return entry


def _facts(entry: dict[str, Any], actions: set[str], at: int) -> dict[str, Any]:
    if entry.get("action") not in actions or entry.get("outcome") != "done" or entry.get("institution") is None:
        raise ProofError("the receipt's leaf is about something else")
    if entry.get("at") != at:
        raise ProofError("the receipt's leaf is of another moment than is stated")
    facts = entry.get("facts")
    return facts if isinstance(facts, dict) else {}


def _bytes(text: object) -> bytes:
    try:
        return bytes.fromhex(text) if isinstance(text, str) else b""
    except ValueError:
        raise FormatError("the receipt's leaf names no hash") from None
