"""The checks of one access, each by itself: a leaf, a signature or a proof holds, does not hold, or is not there.

What is trusted are keys alone: the office's statement key, and the verifier keys of logs and witnesses. Everyone else's keys
come from enrolment leaves in the office's log, so that what was signed years ago is held against the keys of then.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeVar

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from audit.dossier import parts
from audit.verifier.checkpoint import open_checkpoint
from audit.verifier.errors import LogError
from audit.verifier.note import VerifierKey
from audit.verifier.proof import Receipt
from crypto.errors import CryptoError
from crypto.request_proof import verify_request_proof
from models import wire
from models.batches import BatchApproval
from models.consents import ANY, ConsentKind
from models.oversight import FoundAccess
from models.problems import Problem
from models.projects import ProjectApproval
from models.reports import CheckReport
from models.tables import Manifest, Seal
from models.tickets import Ticket, TicketApproval
from models.wire import Signed

VERIFIED, FAILED, ABSENT = "verified", "failed", "absent"
OFFICE, NODE = "office", "node/service"
EVALUATION_TOLERANCE = 120
"""Seconds between a ticket's end and its evaluation's leaf: a request that was under way, and two clocks."""
M = TypeVar("M", bound=wire.Message)


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
    """One check; `name` is one of `NAMES`, `detail` says what was found, or what is wrong."""

    name: str
    state: str
    detail: str


@dataclass(frozen=True)
class LeafFacts:
    """A leaf whose receipt verified: what it says, where it stands, and who cosigned."""

    said: dict[str, Any]
    index: int
    witnesses: tuple[str, ...]

    @property
    def facts(self) -> dict[str, Any]:
        """The facts in it."""
        found = self.said.get("facts")
        return found if isinstance(found, dict) else {}


class Missing(Exception):
    """A piece of evidence is not there; the text says why."""


class Mismatch(Exception):
    """Two pieces of evidence do not say the same."""


def check_access(files: Mapping[str, bytes], trust: Trust) -> list[Check]:
    """Every check of `NAMES` on one access's files, in that order; none raises."""
    return list(_Access(files, trust).checks())


def run_check(name: str, check: Callable[[], str]) -> Check:
    """A check's outcome: `check` gives what it found, or raises what is wrong."""
    try:
        return Check(name, VERIFIED, check())
    except Missing as missing:
        return Check(name, ABSENT, str(missing))
    except Problem as problem:
        return Check(name, FAILED, problem.detail)
    except (Mismatch, LogError, CryptoError, ValueError) as error:
        return Check(name, FAILED, str(error))


def open_leaf(files: Mapping[str, bytes], stem: str, trust: Trust) -> LeafFacts:
    """A leaf under its receipt; raises `Missing`, `LogError`."""
    entry, receipt = _file(files, stem + parts.LEAF), _file(files, stem + parts.RECEIPT)
    parsed = Receipt.parse(receipt.decode())
    log = trust.of(parsed.checkpoint)
    parsed.verify(entry, [log.key], log.witnesses, log.quorum)
    signed = open_checkpoint(parsed.checkpoint, [log.key], log.witnesses, log.quorum)
    said = _json(entry)
    return LeafFacts(said, parsed.index, tuple(sorted({one.key.name for one in signed.cosignatures})))


def open_opening(files: Mapping[str, bytes], stem: str, leaf: LeafFacts) -> dict[str, Any]:
    """What a leaf commits to; raises `Missing` where it was erased, `Mismatch`."""
    opening = _file(files, stem + parts.OPENING)
    if hashlib.sha256(opening).hexdigest() != leaf.said.get("opening"):
        raise Mismatch("the opening is not what the leaf commits to")
    return _json(opening[32:])


def find_person(files: Mapping[str, bytes], person: str, trust: Trust) -> parts.PersonEvidence:
    """Somebody's key and role as the enrolment leaf in the office's log has them; raises `Missing`, `Mismatch`, `LogError`."""
    stem = parts.person_name(person)
    found = parts.from_json(_file(files, stem + "-key.json"), parts.PersonEvidence)
    leaf = open_leaf(files, stem, trust)
    opening = open_opening(files, stem, leaf)
    said = (opening.get("enrolled"), opening.get("key"), leaf.facts.get("home"), leaf.facts.get("role"))
    if leaf.said.get("action") != "enrol.person" or said != (person, found.key.hex(), found.institution, found.role):
        raise Mismatch("the key or role is not that of the enrolment leaf")
    return found


class _Access:
    """One access's evidence; what one check opened the next ones use."""

    def __init__(self, files: Mapping[str, bytes], trust: Trust) -> None:
        self._files = files
        self._trust = trust

    def checks(self) -> Iterator[Check]:
        for name, check in _CHECKS.items():
            outcome = run_check(name, lambda check=check: check(self))  # type: ignore[misc]
            missing = self._missing.get(name)
            if outcome.state == ABSENT and missing:
                outcome = Check(name, ABSENT, missing)
            yield outcome

    # ---------------------------------------------------------------- what the checks use

    @cached_property
    def _missing(self) -> dict[str, Any]:
        return _json(self._files[parts.MISSING]) if parts.MISSING in self._files else {}

    @cached_property
    def _row(self) -> FoundAccess:
        return parts.from_json(_file(self._files, parts.ACCESS), FoundAccess)

    @cached_property
    def _leaf(self) -> LeafFacts:
        return open_leaf(self._files, parts.OFFICE_LEAF, self._trust)

    @cached_property
    def _ticket(self) -> Ticket:
        if not self._row.ticket:
            raise Missing("no ticket was given")
        return wire.open_signed(self._signed(parts.TICKET), Ticket, OFFICE, self._trust.office)

    @cached_property
    def _request(self) -> parts.RequestEvidence:
        if not self._row.ticket:
            raise Missing("no ticket was given")
        return parts.from_json(_file(self._files, parts.REQUEST), parts.RequestEvidence)

    def _signed(self, name: str) -> Signed:
        return wire.decode(_file(self._files, name), Signed)

    def _person(self, person: str) -> parts.PersonEvidence:
        return find_person(self._files, person, self._trust)

    def _open(self, name: str, kind: type[M], roles: Sequence[str]) -> tuple[M, parts.PersonEvidence]:
        """A statement of a person of the bank, under the key of then."""
        signed = self._signed(name)
        person = self._person(signed.signer)
        if person.institution != self._row.bank or person.role not in roles:
            raise Mismatch(f"{person.id} may not sign a {kind.__name__} of this bank")
        return wire.open_signed(signed, kind, person.id, Ed25519PublicKey.from_public_bytes(person.key)), person

    # ---------------------------------------------------------------- the checks

    def office_leaf(self) -> str:
        leaf, row = self._leaf, self._row
        if leaf.said.get("institution") != row.bank or abs(int(leaf.said.get("at", 0)) - row.at) > 60:
            raise Mismatch("the leaf is of another institution or time than the access")
        _same(leaf.facts.get("ticket", ""), row.ticket, "ticket")
        refused = row.outcome not in {"granted", "looked", "looked-in-vain"}
        if refused != (leaf.said.get("outcome") == "refused") or (refused and leaf.said.get("problem") != row.outcome):
            raise Mismatch("the leaf tells another outcome than the access")
        return f"entry {leaf.index} of the office's log, cosigned by {', '.join(leaf.witnesses) or 'no witness asked for'}"

    def opening(self) -> str:
        said = open_opening(self._files, parts.OFFICE_LEAF, self._leaf)
        _same((said.get("person"), said.get("subject")), (self._row.officer, self._row.subject), "officer or subject")
        return f"the leaf commits to officer {self._row.officer} and to this subject"

    def ticket(self) -> str:
        context, row = self._ticket.context, self._row
        _same(self._signed(parts.TICKET).digest(), row.ticket, "digest")
        said = (context.bank, context.officer, context.purpose, context.project, context.table, context.epoch)
        _same(said, (row.bank, row.officer, row.purpose, row.project, row.table, row.epoch), "bank, officer, purpose or table")
        return f"signed by the office for {context.purpose}, table {context.table} epoch {context.epoch}"

    def request_proof(self) -> str:
        ticket, request = self._ticket, self._request
        _same(request.subject, self._row.subject, "subject")
        verify_request_proof(request.subject.encode(), ticket.element, ticket.context.binding(), request.proof)
        return "the bank proved that it blinded this very subject"

    def consents(self) -> str:
        ticket, request, row = self._ticket, self._request, self._row
        committed = hashlib.sha256(request.salt + "\n".join(request.query_consents).encode()).digest()
        _same(committed, ticket.consent, "consent commitment")
        _same(committed.hex(), self._leaf.facts.get("consent"), "consent commitment in the leaf")
        known = {one.id: one for one in parts.from_json(_file(self._files, parts.CONSENTS), parts.ConsentsEvidence).consents}
        relied = [(name, ConsentKind.QUERY) for name in request.query_consents]
        relied += [(name, ConsentKind.COLLECTION) for name in request.collection_consents]
        for name, kind in relied:
            consent = known.get(name)
            if consent is None:
                raise Missing(f"consent {name} is not there any more")
            stood = consent.valid_from <= row.at < consent.valid_to and not 0 < consent.revoked_at <= row.at
            if consent.kind is not kind or not stood or not {ANY, row.purpose} & set(consent.purposes):
                raise Mismatch(f"consent {name} does not cover this question")
        return f"{len(relied)} consents stood, as the ticket commits to: " + ", ".join(name for name, _ in relied)

    def approval(self) -> str:
        ticket = self._ticket
        said, person = self._open(parts.APPROVAL, TicketApproval, ["approver"])
        _same((said.subject, said.context), (self._row.subject, ticket.context.digest()), "subject or context")
        if person.id == self._row.officer:
            raise Mismatch("the approver is the one who asked")
        return f"approved by {person.id}"

    def project(self) -> str:
        if not self._row.project:
            raise Missing("no project is part of a look at consents")
        approval = wire.open_signed(self._signed(parts.PROJECT), ProjectApproval, OFFICE, self._trust.office)
        project, row = approval.project, self._row
        _same(project.id, row.project, "project")
        if row.bank not in project.members or not project.valid_from <= row.at < project.valid_to:
            raise Mismatch("the project is another bank's, or was not in its period")
        if approval.decided_by == project.requested_by:
            raise Mismatch("whoever asked for the project approved it")
        return f"project {project.id}, approved by {approval.decided_by}: {approval.reason}"

    def batch(self) -> str:
        row = self._row
        if not row.batch:
            raise Missing("the question belongs to no batch")
        batch = parts.from_json(_file(self._files, parts.BATCH), parts.BatchEvidence)
        said = (batch.id, batch.bank, batch.officer, batch.project, batch.purpose)
        _same(said, (row.batch, row.bank, row.officer, row.project, row.purpose), "batch")
        if not batch.valid_from <= row.at < batch.valid_to:
            raise Mismatch("the question came outside of the batch's period")
        if parts.BATCH_APPROVAL not in self._files:
            return f"{batch.id}, {batch.place}, {batch.size} subjects, {batch.state}"
        approval, person = self._open(parts.BATCH_APPROVAL, BatchApproval, ["approver"])
        _same((approval.batch, approval.digest), (batch.id, batch.digest), "batch")
        return f"{batch.id}, {batch.place}, {batch.size} subjects, approved by {person.id}"

    def manifest(self) -> str:
        context = self._ticket.context
        node = Ed25519PublicKey.from_public_bytes(self._person(NODE).key)
        signed = self._signed(parts.manifest_name(context.table, context.epoch))
        manifest = wire.open_signed(signed, Manifest, "node", node)
        seal = wire.open_signed(self._signed(parts.seal_name(context.table, context.epoch)), Seal, OFFICE, self._trust.office)
        _same((manifest.table, manifest.epoch), (context.table, context.epoch), "table")
        _same((seal.table, seal.epoch, seal.manifest), (context.table, context.epoch, signed.digest()), "sealed manifest")
        return f"the node's manifest of {', '.join(manifest.fields) or manifest.model}, under the office's seal"

    def node_leaf(self) -> str:
        ticket, row = self._ticket, self._row
        leaf = open_leaf(self._files, parts.NODE_LEAF, self._trust)
        if leaf.said.get("action") != "check.evaluate" or leaf.said.get("outcome") != "done":
            raise Mismatch("the leaf is not an evaluation that was done")
        names = ("ticket", "table", "epoch", "purpose", "project")
        said = (leaf.said.get("institution"), *(leaf.facts.get(name) for name in names))
        _same(said, (row.bank, row.ticket, row.table, row.epoch, row.purpose, row.project), "ticket, table or purpose")
        if int(leaf.said.get("at", 0)) > ticket.context.expires + EVALUATION_TOLERANCE:
            raise Mismatch("the evaluation came after the ticket's end")
        return f"entry {leaf.index} of the node's log, cosigned by {', '.join(leaf.witnesses) or 'no witness asked for'}"

    def reports(self) -> str:
        number, last, before = 0, None, ""
        while parts.report_name(number) in self._files:
            name = parts.report_name(number)
            last, _ = self._open(name, CheckReport, ["loan_officer"])
            _same((last.ticket, last.corrects), (self._row.ticket, before), "ticket, or the report that it corrects")
            before, number = self._signed(name).digest(), number + 1
        if last is None:
            raise Missing("the bank has not reported what became of it")
        _same(str(last.outcome), self._row.report, "outcome")
        return f"signed by the bank: {last.outcome}" + (f", after {number - 1} corrections" if number > 1 else "")


_CHECKS: dict[str, Callable[[_Access], str]] = {
    "office-leaf": _Access.office_leaf,
    "opening": _Access.opening,
    "ticket": _Access.ticket,
    "request-proof": _Access.request_proof,
    "consents": _Access.consents,
    "approval": _Access.approval,
    "project": _Access.project,
    "batch": _Access.batch,
    "manifest": _Access.manifest,
    "node-leaf": _Access.node_leaf,
    "reports": _Access.reports,
}
NAMES = tuple(_CHECKS)


def _signer(known: Sequence[LogTrust], checkpoint: str) -> LogTrust:
    """Of several keys of one log, the one that signed."""
    for log in known:
        with suppress(LogError):
            open_checkpoint(checkpoint, [log.key])
            return log
    return known[0]


def _file(files: Mapping[str, bytes], name: str) -> bytes:
    data = files.get(name)
    if data is None:
        raise Missing("not part of this evidence")
    return data


def _json(data: bytes) -> dict[str, Any]:
    try:
        said = msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise Mismatch("this is not JSON as the office writes it") from None
    if not isinstance(said, dict):
        raise Mismatch("this is not a JSON object")
    return said


def _same(found: object, expected: object, what: str) -> None:
    if found != expected:
        raise Mismatch(f"{what}: two pieces of evidence do not say the same")
