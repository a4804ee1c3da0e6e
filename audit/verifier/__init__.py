"""The offline verifier of a transparency log. It needs only the standard library and `cryptography`."""

from audit.verifier.checkpoint import Checkpoint, SignedCheckpoint, open_checkpoint
from audit.verifier.errors import (
    DamagedLog,
    EntryTooLarge,
    FormatError,
    LogError,
    LogRefusal,
    LogUnavailable,
    ProofError,
    SignatureError,
)
from audit.verifier.log_check import LogReport, check_log, directory_fetch, http_fetch
from audit.verifier.note import CosignatureSigner, NoteSigner, VerifierKey
from audit.verifier.promise import Promise, open_promise, verify_promise
from audit.verifier.proof import Receipt, verify_receipt

__all__ = [
    "Checkpoint",
    "CosignatureSigner",
    "DamagedLog",
    "EntryTooLarge",
    "FormatError",
    "LogError",
    "LogRefusal",
    "LogReport",
    "LogUnavailable",
    "NoteSigner",
    "Promise",
    "ProofError",
    "Receipt",
    "SignatureError",
    "SignedCheckpoint",
    "VerifierKey",
    "check_log",
    "directory_fetch",
    "http_fetch",
    "open_checkpoint",
    "open_promise",
    "verify_promise",
    "verify_receipt",
]
