"""Alignment: which of a bank's customers the node may compare at all. Messages and leakage: `models.alignment`.

The office answers with a signed Merkle root over the accepted blinded elements, in the bank's order; it stores which
subjects a bank has aligned, since it counts the distinct ones of a year.
"""

from __future__ import annotations

from collections import Counter

from sqlalchemy import Connection

from audit.office.consents import canonical
from audit.office.office import Office
from audit.office.parallel import map_threads
from audit.office.projects import Projects
from audit.office.standing import DoubleConsent, Wanted, wanted
from audit.office.store import alarms, alignments, parties
from audit.office.store.projects import APPROVED, StoredProject
from audit.service.leaves import LeafDraft
from audit.service.outcome import Call, Outcome, Refused
from audit.verifier.merkle import leaf_hash, root_of
from crypto.errors import CryptoError
from crypto.request_proof import PROOF_BYTES, verify_request_proof
from models.alignment import AlignmentFiled, AlignmentStatement, FileAlignment
from models.consents import ConsentKind, Purpose
from models.problems import BadIdentity, BadMessage, BadTicket, NoConsent, NotApproved, OverBudget, Suspended, Unusable
from models.projects import ProjectKind
from models.wire import encode, split

ELEMENT_BYTES = 32
MOST_ROWS = 400_000
YEAR = 365 * 24 * 3600

ACCEPTED = ""
REPEATED = "repeated"


class Alignments:
    """The handler of alignments."""

    def __init__(self, office: Office) -> None:
        self._office = office

    def file(self, call: Call) -> Outcome:
        """POST /alignments: accept what a modelling consent covers and sign the root of it."""
        body: FileAlignment = call.body
        elements = split(body.elements, ELEMENT_BYTES, "elements")
        proofs = split(body.proofs, PROOF_BYTES, "proofs")
        if not 1 <= len(body.subjects) <= MOST_ROWS or not len(body.subjects) == len(elements) == len(proofs):
            raise BadMessage(f"an alignment has 1 to {MOST_ROWS} subjects, and one element and one proof for each")
        with call.engine.connect() as connection:
            stored = Projects.get(connection, body.context.project)
            self._check_context(call, stored)
            subjects, verdicts = self._consented(connection, call, stored)
        rows = list(zip(subjects, elements, proofs, verdicts, strict=True))
        binding = body.context.binding()

        def prove(row: tuple[str, bytes, bytes, str]) -> str:
            subject, element, proof, verdict = row
            if verdict != ACCEPTED:
                return verdict
            try:
                verify_request_proof(subject.encode(), element, binding, proof)
            except CryptoError:
                return "bad-element"
            return ACCEPTED

        verdicts = map_threads(prove, rows, self._office.settings.proof_threads)
        return self._outcome(call, subjects, elements, verdicts)

    def _check_context(self, call: Call, stored: StoredProject) -> None:
        body: FileAlignment = call.body
        context, project = body.context, stored.project
        own = (call.institution.id, call.person.id)
        if (context.bank, context.modeller) != own or call.institution.id not in project.members:
            raise BadTicket("the context or its project is another bank's or modeller's")
        if not call.now < context.expires <= call.now + self._office.settings.bulk_hours * 3600:
            raise BadTicket(f"an alignment ends within {self._office.settings.bulk_hours} hours from now, and not before")
        if len(context.nonce) != 16:
            raise BadTicket("the context's nonce has 16 bytes")
        if stored.suspended:
            raise Suspended("this project is suspended by the credit office")
        if stored.state != APPROVED or not project.valid_from <= call.now < project.valid_to:
            raise NotApproved("this project is not approved, or not in its period")
        if project.kind is not ProjectKind.JOINT_SCORECARD:
            raise NotApproved("this project is for checks, not for joint modelling")

    def _consented(self, connection: Connection, call: Call, stored: StoredProject) -> tuple[list[str], list[str]]:
        """Canonical subjects (empty where there is none), and for each the reason against it or nothing."""
        body: FileAlignment = call.body
        subjects = [_canonical_or_empty(subject) for subject in body.subjects]
        book = DoubleConsent(connection, filter(None, subjects), ConsentKind.MODELLING, call.institution, call.now)
        what = wanted(self._office.catalogue, stored.project.fields)
        verdicts: list[str] = []
        seen: set[str] = set()
        for subject in subjects:
            if not subject:
                verdicts.append(BadIdentity.slug())
            elif subject in seen:
                verdicts.append(REPEATED)
            else:
                seen.add(subject)
                verdicts.append(_consent_verdict(book, subject, what, body.context.expires))
        return subjects, verdicts

    def _outcome(self, call: Call, subjects: list[str], elements: list[bytes], verdicts: list[str]) -> Outcome:
        body: FileAlignment = call.body
        accepted = [element for element, verdict in zip(elements, verdicts, strict=True) if verdict == ACCEPTED]
        aligned = [subject for subject, verdict in zip(subjects, verdicts, strict=True) if verdict == ACCEPTED]
        proofs = split(body.proofs, PROOF_BYTES, "proofs")
        proven = [proof for proof, verdict in zip(proofs, verdicts, strict=True) if verdict == ACCEPTED]
        refused = dict(Counter(verdict for verdict in verdicts if verdict != ACCEPTED))
        if not accepted:
            reasons = ", ".join(f"{count} {reason}" for reason, count in sorted(refused.items()))
            raise Unusable(f"none of the {len(verdicts)} subjects was accepted: {reasons}")
        if len(set(accepted)) != len(accepted):
            raise BadMessage("an element stands twice; blind every subject afresh")
        root = root_of(leaf_hash(element) for element in accepted)
        statement = self._office.sign(
            AlignmentStatement(
                project=body.context.project,
                bank=call.institution.id,
                root=root,
                count=len(accepted),
                expires=body.context.expires,
            )
        )

        def record(connection: Connection) -> None:
            # The bank's row is locked, so that two alignments at once cannot both stay below the limit.
            bank = parties.get_institution(connection, call.institution.id, lock=True)
            allowed = int(self._office.settings.aligned_ratio * (bank.declared_customers if bank else 0))
            alignments.add_subjects(connection, call.institution.id, aligned, call.now)
            distinct = alignments.count_subjects(connection, call.institution.id, call.now - YEAR)
            if distinct > allowed:
                raise _over(call, distinct, allowed)
            new = alignments.Filed(
                root, body.context.project, call.institution.id, call.person.id, encode(body.context), len(accepted)
            )
            alignments.add(connection, new, call.now)
            alignments.add_rows(connection, root, aligned, accepted, proven)

        flags = bytes(verdict == ACCEPTED for verdict in verdicts)
        facts = {"project": body.context.project, "filed": len(verdicts), "accepted": len(accepted), "root": root.hex()}
        answer = AlignmentFiled(accepted=flags, refused=refused, statement=statement)
        return Outcome(answer, [LeafDraft("align.file", facts)], record)


def _canonical_or_empty(subject: str) -> str:
    try:
        return canonical(subject, "a subject")
    except BadIdentity:
        return ""


def _consent_verdict(book: DoubleConsent, subject: str, what: Wanted, until: int) -> str:
    try:
        book.find(subject, Purpose.MODELLING, what, until)
    except NoConsent:
        return NoConsent.slug()
    return ACCEPTED


def _over(call: Call, distinct: int, allowed: int) -> Refused:
    detail = f"{distinct} distinct subjects within a year; {allowed} are allowed to a bank of this many declared customers"

    def attach(connection: Connection, _queue_id: int) -> None:
        alarms.raise_alarm(
            connection, at=call.now, kind="budget", institution=call.institution.id, about="alignment", detail=detail
        )

    return Refused(OverBudget(detail), attach=attach)
