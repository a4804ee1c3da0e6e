"""The files of one access's evidence. Plain facts are JSON, statements are MessagePack as they were signed.

::

    access.json                     the row that the office keeps (`FoundAccess`)
    office-leaf.*                   the leaf in the office's log: .json the entry, .receipt its tlog-proof, and the .opening
    ticket.signed                   the ticket as the office gave it
    request.json                    whose element it is, with the proof and the commitment's salt (`RequestEvidence`)
    consents.json                   the consents that were relied on, as evidence digests (`ConsentsEvidence`)
    approval.signed                 the second person's leave at the bank, where the bank requires one
    batch.json, batch.signed        the batch it belongs to (without its other subjects), and its second approval
    project.signed                  the office's approval of the project
    node-leaf.*                     the evaluation in the node's log
    report-N.signed                 what the bank says became of it, corrections last
    shared/manifest-….signed, shared/seal-….signed     the table's manifest under the node's signature and the office's seal
    shared/person-….json, shared/person-….*            who signed: key and role, with the leaf of the enrolment
    missing.json                    what could not be had, and why

The names under ``shared/`` are the same for all accesses that speak of the same thing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import TypeVar

import msgspec

from models.consents import ConsentKind
from models.problems import BadMessage
from models.wire import Message

M = TypeVar("M", bound=Message)

ACCESS, REQUEST, CONSENTS, BATCH, MISSING = "access.json", "request.json", "consents.json", "batch.json", "missing.json"
TICKET, APPROVAL, BATCH_APPROVAL, PROJECT = "ticket.signed", "approval.signed", "batch.signed", "project.signed"
OFFICE_LEAF, NODE_LEAF = "office-leaf", "node-leaf"
LEAF, RECEIPT, OPENING = ".json", ".receipt", ".opening"
SHARED = "shared/"
_encoder = msgspec.json.Encoder(order="deterministic")


class RequestEvidence(Message):
    """What a bank sent for a ticket, and what its commitment opens to: consents' ids, one a line, after the salt."""

    subject: str
    proof: bytes
    salt: bytes
    query_consents: tuple[str, ...]
    collection_consents: tuple[str, ...]


class ConsentEvidence(Message):
    """A consent without its subject's name; `evidence_digest` is that of the form or recording, which stays where it is."""

    id: str
    kind: ConsentKind
    recipient: str
    purposes: tuple[str, ...]
    field_sets: tuple[str, ...]
    valid_from: int
    valid_to: int
    capture: str
    evidence_digest: str
    filed_by: str
    filed_at: int
    revoked_at: int = 0


class ConsentsEvidence(Message):
    """The consents that a ticket relied on."""

    consents: tuple[ConsentEvidence, ...]


class BatchEvidence(Message):
    """A batch as it was decided; `digest` is what its second approval names."""

    id: str
    bank: str
    officer: str
    project: str
    purpose: str
    place: str
    digest: str
    size: int
    valid_from: int
    valid_to: int
    state: str
    reason: str


class PersonEvidence(Message):
    """Somebody who signed, with the key of then; an enrolment leaf beside it says the same."""

    id: str
    institution: str
    name: str
    role: str
    key: bytes


def report_name(number: int) -> str:
    """The file of a report."""
    return f"report-{number}.signed"


def person_name(person: str) -> str:
    """The stem of a person's files: an id may hold any letters, a file's name may not."""
    return f"{SHARED}person-{_short(person)}"


def manifest_name(table: str, epoch: int) -> str:
    """The file of a table's manifest."""
    return f"{SHARED}manifest-{_short(f'{table}/{epoch}')}.signed"


def seal_name(table: str, epoch: int) -> str:
    """The file of the office's seal."""
    return f"{SHARED}seal-{_short(f'{table}/{epoch}')}.signed"


def to_json(message: Message) -> bytes:
    """Deterministic JSON of a message; bytes as base64."""
    return _encoder.encode(message)


def from_json(data: bytes, kind: type[M]) -> M:
    """Read what `to_json` wrote; raises `BadMessage`."""
    try:
        return msgspec.json.decode(data, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise BadMessage(f"{kind.__name__}: this file is not written as it should be") from None


def encode_json(said: Mapping[str, object]) -> bytes:
    """Deterministic JSON of plain facts."""
    return _encoder.encode(said)


def commitment_of(entry: bytes) -> bytes:
    """The commitment that a leaf's entry names; empty where it names none."""
    try:
        said = msgspec.json.decode(entry)
        return bytes.fromhex(said["opening"])
    except (msgspec.DecodeError, UnicodeDecodeError, ValueError, KeyError, TypeError):
        return b""


def _short(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]
