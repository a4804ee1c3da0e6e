"""What every check stands on: the keys that a reader holds, leaves under their receipts, and people's keys of then."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from audit.dossier import parts
from audit.verifier.checkpoint import open_checkpoint
from audit.verifier.errors import LogError
from audit.verifier.note import VerifierKey
from audit.verifier.proof import Receipt
from crypto.errors import CryptoError
from models.detail_words import in_chinese
from models.problems import Problem

VERIFIED, FAILED, ABSENT = "verified", "failed", "absent"
OFFICE, NODE = "office", "node/service"


@dataclass(frozen=True)
class LogTrust:
    """A log's key, and the witnesses of whom `quorum` must have cosigned its receipts."""

    key: VerifierKey
    witnesses: tuple[VerifierKey, ...] = ()
    quorum: int = 0


@dataclass(frozen=True)
class Trust:
    """The keys that a reader holds: the office's statement key, and those of both logs (more than one after a key change)."""

    office: Ed25519PublicKey
    logs: tuple[LogTrust, ...]

    def of(self, checkpoint: str) -> LogTrust:
        """What is known of the log that a checkpoint names; raises `Mismatch`."""
        origin = checkpoint.partition("\n")[0]
        known = [log for log in self.logs if log.key.name == origin]
        if not known:
            raise Mismatch(f"no key is known for the log {origin!r}: give its verifier key")
        return known[0] if len(known) == 1 else _signer(known, checkpoint)


@dataclass(frozen=True)
class Check:
    """One check; `name` is one of `NAMES`, `detail` says what was found, or what is wrong; `zh` the same in Chinese."""

    name: str
    state: str
    detail: str
    zh: str


@dataclass(frozen=True)
class LeafFacts:
    """A leaf whose receipt verified: what it says, in which log and where it stands, and who cosigned."""

    said: dict[str, Any]
    origin: str
    index: int
    witnesses: tuple[str, ...]

    @property
    def facts(self) -> dict[str, Any]:
        """The facts in it."""
        found = self.said.get("facts")
        return found if isinstance(found, dict) else {}


Said = tuple[str, str]
"""What was found, in English and in Chinese."""


class Missing(Exception):
    """A piece of evidence is not there; the text says why, `zh` in Chinese."""

    def __init__(self, why: str = "not part of this evidence", zh: str = "证据中没有此项") -> None:
        super().__init__(why)
        self.zh = zh


class Mismatch(Exception):
    """Two pieces of evidence do not say the same."""


def run_check(name: str, check: Callable[[], Said]) -> Check:
    """A check's outcome: `check` gives what it found, or raises what is wrong."""
    try:
        return Check(name, VERIFIED, *check())
    except Missing as missing:
        return Check(name, ABSENT, str(missing), missing.zh)
    except Problem as problem:
        return Check(name, FAILED, problem.detail, f"核对不符：{in_chinese(problem.detail)}")
    except (Mismatch, LogError, CryptoError, ValueError) as error:
        return Check(name, FAILED, str(error), f"核对不符：{in_chinese(str(error))}")


def open_leaf(files: Mapping[str, bytes], stem: str, trust: Trust) -> LeafFacts:
    """A leaf under its receipt; raises `Missing`, `LogError`."""
    entry, receipt = file_of(files, stem + parts.LEAF), file_of(files, stem + parts.RECEIPT)
    parsed = Receipt.parse(receipt.decode())
    log = trust.of(parsed.checkpoint)
    parsed.verify(entry, [log.key], log.witnesses, log.quorum)
    signed = open_checkpoint(parsed.checkpoint, [log.key], log.witnesses, log.quorum)
    said = object_of(entry)
    return LeafFacts(said, log.key.name, parsed.index, tuple(sorted({one.key.name for one in signed.cosignatures})))


def open_opening(files: Mapping[str, bytes], stem: str, leaf: LeafFacts) -> dict[str, Any]:
    """What a leaf commits to; raises `Missing` where it was erased, `Mismatch`."""
    opening = file_of(files, stem + parts.OPENING)
    if hashlib.sha256(opening).hexdigest() != leaf.said.get("opening"):
        raise Mismatch("the opening is not what the leaf commits to")
    return object_of(opening[32:])


def find_person(files: Mapping[str, bytes], person: str, trust: Trust, origin: str = "") -> parts.PersonEvidence:
    """Somebody's key and role as the enrolment leaf in the office's log has them; raises `Missing`, `Mismatch`, `LogError`.

    `origin`: the office's log, where it is known.
    """
    stem = parts.person_name(person)
    found = parts.from_json(file_of(files, stem + "-key.json"), parts.PersonEvidence)
    leaf = open_leaf(files, stem, trust)
    if origin and leaf.origin != origin:
        raise Mismatch("the enrolment stands in another log than the access")
    opening = open_opening(files, stem, leaf)
    said = (opening.get("enrolled"), opening.get("key"), leaf.facts.get("home"), leaf.facts.get("role"))
    if leaf.said.get("action") != "enrol.person" or said != (person, found.key.hex(), found.institution, found.role):
        raise Mismatch("the key or role is not that of the enrolment leaf")
    return found


def _signer(known: Sequence[LogTrust], checkpoint: str) -> LogTrust:
    """Of several keys of one log, the one that signed."""
    for log in known:
        with suppress(LogError):
            open_checkpoint(checkpoint, [log.key])
            return log
    return known[0]


def file_of(files: Mapping[str, bytes], name: str) -> bytes:
    """A file; raises `Missing`."""
    data = files.get(name)
    if data is None:
        raise Missing
    return data


def object_of(data: bytes) -> dict[str, Any]:
    """A JSON object; raises `Mismatch`."""
    try:
        said = msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise Mismatch("this is not JSON as the office writes it") from None
    if not isinstance(said, dict):
        raise Mismatch("this is not a JSON object")
    return said


def check_same(found: object, expected: object, what: str) -> None:
    """Raise `Mismatch` where two pieces of evidence differ."""
    if found != expected:
        raise Mismatch(f"{what}: two pieces of evidence do not say the same")
