"""Exposure checks at the office: tags, and the leave to ask one question. Messages and leakage: `models.exposure`.

The office alone holds the OPRF key of an epoch's tags. It evaluates it for banks on blinded ids, so that it does not learn
their borrowers, and itself on the subject that a question is about, so that no bank addresses a question to anybody but whom
the office looked at. In the question the tag is sealed under a key of the epoch that banks have and the node does not: two
questions about one person look unlike each other.

A question is judged like any other (`audit.office.tickets`), by the same budgets and watched by the same patterns. Both of the
subject's consents must name ``exposure``: one to everything that departments know is none to what other banks know.
"""

from __future__ import annotations

import hashlib
import math
import secrets
from collections.abc import Sequence

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from sqlalchemy import Connection

from audit.office import patterns
from audit.office.approvals import second_approval
from audit.office.budgets import Purse
from audit.office.office import Office
from audit.office.standing import DoubleConsent, Wanted
from audit.office.store import consents, counts, exposures, projects
from audit.office.store.exposures import Asked
from audit.office.store.projects import APPROVED, StoredProject
from audit.office.store.questions import GRANTED, Attempt
from audit.office.subjects import canonical
from audit.service.leaves import LeafDraft
from audit.service.outcome import Call, Outcome, Refused
from crypto.errors import CryptoError, ParameterError
from crypto.voprf import VoprfServer, derive_key_pair
from crypto.xof import derive_key
from models.consents import Consent, ConsentKind
from models.exposure import (
    TABLE,
    AskExposure,
    BorrowerTags,
    ExposureEpoch,
    ExposureLeave,
    ExposureQuestion,
    ExposureTicket,
    TagBorrowers,
    tag_of,
)
from models.identity import region_of
from models.problems import BadElement, BadTicket, Conflict, NoConsent, NotApproved, OverBudget, Problem, Suspended, TooLarge
from models.projects import ProjectKind
from models.tickets import TicketApproval, TicketContext
from models.wire import Signed, encode, split

MOST_ELEMENTS = 20_000
TAGS_PER_CUSTOMER = 1.2
DAY = 24 * 3600
_TAG_KEY_LABEL = b"xinqiao/office/exposure/oprf/"
_ADDRESS_KEY_LABEL = b"xinqiao/office/exposure/address/"
_NONCE_BYTES = 12


class Exposure:
    """Handlers of the tags and the questions."""

    def __init__(self, office: Office) -> None:
        self._office = office

    def epoch(self, call: Call) -> Signed:
        """GET /exposures/epoch: the present epoch of the tags."""
        return self._office.sign(self._epoch(call.now))

    def tag(self, call: Call) -> Outcome:
        """POST /exposures/tags: k·B of a bank's blinded borrowers; at most 1.2 times its declared customers an epoch."""
        body: TagBorrowers = call.body
        elements = split(body.elements, 32, "elements")
        if not 1 <= len(elements) <= MOST_ELEMENTS:
            raise TooLarge(f"1 to {MOST_ELEMENTS} borrowers are tagged in one request")
        epoch = self._epoch(call.now).epoch
        if body.epoch != epoch:
            raise Conflict("this is not the present epoch of the tags; ask for it, and tag anew")
        most = math.floor(TAGS_PER_CUSTOMER * call.institution.declared_customers)
        key = ("exposure-tags", call.institution.id, epoch)
        evaluated = _server(self._office, epoch).blind_evaluate_many(elements, self._office.settings.proof_threads)

        def record(connection: Connection) -> None:
            if counts.add(connection, {key: len(elements)})[key] > most:
                raise OverBudget(
                    f"a bank tags at most {most} borrowers an epoch, {TAGS_PER_CUSTOMER} times its declared customers",
                    advice="Wait for the next epoch, or have the office correct the number of customers.",
                )

        answer = BorrowerTags(
            epoch=epoch,
            evaluated=b"".join(one.element for one in evaluated),
            proofs=b"".join(one.proof for one in evaluated),
            address_key=_address_key(self._office, epoch),
        )
        return Outcome(answer, [LeafDraft("exposure.tag", {"epoch": epoch, "count": len(elements)})], record)

    def ask(self, call: Call) -> Outcome:
        """POST /exposures: leave to ask one question about one consented subject."""
        return _Asking(self._office, call, self._epoch(call.now)).outcome()

    def _epoch(self, now: int) -> ExposureEpoch:
        seconds = self._office.settings.exposure_days * DAY
        epoch = now // seconds
        return ExposureEpoch(
            epoch=epoch,
            opened_at=epoch * seconds,
            expires_at=(epoch + 1) * seconds,
            public_key=_server(self._office, epoch).public_key,
        )


class _Asking:
    """One question, from the first look to the transaction."""

    def __init__(self, office: Office, call: Call, epoch: ExposureEpoch) -> None:
        self._office, self._call, self._epoch = office, call, epoch
        body: AskExposure = call.body
        self._body, self._context = body, body.context
        self._subject = canonical(body.subject, "the subject")

    def outcome(self) -> Outcome:
        with self._call.engine.connect() as connection:
            self._purse = Purse(self._office.settings, connection, self._call, in_batch=False)
            try:
                both = self._judge(connection)
            except Problem as problem:
                raise self._refused(problem) from None
        try:
            self._check_key()
        except CryptoError as error:
            raise self._refused(BadElement(str(error))) from None
        return self._grant(*both)

    def _judge(self, connection: Connection) -> tuple[Consent, Consent]:
        """Context, project, second approval, both consents, budgets; the first fault is named."""
        context, call = self._context, self._call
        longest = self._office.settings.ticket_minutes * 60
        if (context.bank, context.officer) != (call.institution.id, call.person.id):
            raise BadTicket("the context names another bank or officer than the one who asks")
        if not call.now < context.expires <= min(call.now + longest, self._epoch.expires_at):
            raise BadTicket(f"leave to ask ends within {longest} seconds from now and with the epoch of the tags")
        if (context.table, context.epoch) != (TABLE, self._epoch.epoch) or len(context.nonce) != 16:
            raise BadTicket("the context is not of the present epoch of the tags, or its nonce has not 16 bytes")
        stored = self._project(connection, context)
        if call.institution.second_approval:
            approval = second_approval(connection, call, self._body.approval, TicketApproval, "question")
            if (approval.subject, approval.context) != (self._body.subject, context.digest()):
                raise NotApproved("the second approval is for another subject or context")
        both = self._consents(connection)
        self._purse.take(context, stored.project.checks, stored.checks_left)
        return both

    def _project(self, connection: Connection, context: TicketContext) -> StoredProject:
        stored, call = projects.get_project(connection, context.project), self._call
        if stored is None or stored.project.bank != call.institution.id or stored.project.kind is not ProjectKind.EXPOSURE:
            raise NotApproved("this bank has no such project of exposure checks")
        if stored.state != APPROVED:
            raise NotApproved(f"this project is {stored.state}, not approved")
        if stored.suspended:
            raise Suspended("this project is suspended by the credit office")
        if not stored.project.valid_from <= call.now < stored.project.valid_to:
            raise NotApproved("this project's period has not begun or is over")
        if context.purpose != stored.project.purpose:
            raise NotApproved("this project is not approved for this purpose")
        return stored

    def _consents(self, connection: Connection) -> tuple[Consent, Consent]:
        context, call, what = self._context, self._call, Wanted((TABLE,))
        standing = DoubleConsent(connection, [self._subject], ConsentKind.QUERY, call.institution, call.now)

        def named(consent: Consent) -> tuple[int, ...]:
            return (TABLE in consent.field_sets,)

        collection = standing.to_collect(self._subject, what, context.expires, named).consents
        query = standing.to_use(self._subject, context.purpose, what, context.expires, named).consents
        for kind, found in ((ConsentKind.COLLECTION, collection), (ConsentKind.QUERY, query)):
            if not any(TABLE in consent.field_sets for consent in found):
                raise NoConsent(f"no {kind} consent of this subject names {TABLE} for this bank and purpose")
        return collection[0], query[0]

    def _check_key(self) -> None:
        # Imported here: an office that serves no exposure checks needs no Paillier.
        from crypto.paillier.arithmetic import PublicKey
        from crypto.paillier.key_proof import verify_key

        try:
            verify_key(PublicKey.decode(self._body.key), self._body.key_proof)
        except ParameterError as error:
            raise BadElement(str(error)) from None

    def _grant(self, collection: Consent, query: Consent) -> Outcome:
        call, context, epoch = self._call, self._context, self._epoch.epoch
        question_id, salt = secrets.token_hex(16), secrets.token_bytes(32)
        tag = tag_of(_server(self._office, epoch).evaluate(self._subject.encode()), epoch)
        nonce = secrets.token_bytes(_NONCE_BYTES)
        sealed = nonce + AESGCM(_address_key(self._office, epoch)).encrypt(nonce, tag, question_id.encode())
        question = ExposureQuestion(id=question_id, epoch=epoch, key=self._body.key, address=sealed, expires=context.expires)
        signed = self._office.sign(question)
        commitment = hashlib.sha256(salt + query.id.encode()).digest()
        ticket = self._office.sign(ExposureTicket(context=context, question=signed.digest(), consent=commitment))
        asked = Asked(
            id=question_id,
            subject=self._subject,
            bank=call.institution.id,
            project=context.project,
            context=context.binding(),
            question=encode(question),
            digest=signed.digest(),
            ticket=ticket.digest(),
            query_consent=query.id,
            collection_consent=collection.id,
            salt=salt,
            approval=None if self._body.approval is None else encode(self._body.approval),
            issued_at=call.now,
        )

        def record(connection: Connection) -> None:
            try:
                self._purse.spend(connection, [context])
                if consents.count_unrevoked(connection, {query.id, collection.id}) != len({query.id, collection.id}):
                    raise NoConsent("a consent was revoked while this was looked at; ask again")
            except (OverBudget, NoConsent) as problem:
                raise self._refused(problem) from None
            # A second approval is for one question, and its context for one leave.
            if exposures.asked_under(connection, asked.subject, asked.bank, asked.context):
                raise self._refused(BadTicket("leave was given under this context before; make a new one")) from None
            exposures.add(connection, asked)

        def attach(connection: Connection, queue_ids: Sequence[int]) -> None:
            patterns.note(connection, self._office.settings, call, [(self._attempt(GRANTED), queue_ids[0])])

        facts = {"project": context.project, "purpose": context.purpose, "table": TABLE, "epoch": epoch}
        opening = {"subject": self._subject, "question": question_id, "query_consent": query.id}
        leaf = LeafDraft("exposure.ticket", {**facts, "ticket": ticket.digest(), "consent": commitment.hex()}, opening)
        return Outcome(ExposureLeave(ticket=ticket, question=signed), [leaf], record, attach=attach)

    def _refused(self, problem: Problem) -> Refused:
        def attach(connection: Connection, queue_id: int) -> None:
            patterns.note(connection, self._office.settings, self._call, [(self._attempt(problem.slug()), queue_id)])
            self._purse.alarm(connection)

        return Refused(problem, opening={"subject": self._subject}, attach=attach)

    def _attempt(self, outcome: str) -> Attempt:
        return Attempt(
            subject=self._subject,
            at=self._call.now,
            bank=self._call.institution.id,
            officer=self._call.person.id,
            purpose=self._context.purpose[:32],
            table_name=TABLE,
            outcome=outcome,
            region=region_of(self._subject),
            project=self._context.project[:128],
            epoch=self._epoch.epoch,
        )


def _server(office: Office, epoch: int) -> VoprfServer:
    secret, _ = derive_key_pair(derive_key(office.keys.inputs, _TAG_KEY_LABEL + epoch.to_bytes(8)), b"exposure")
    return VoprfServer(secret)


def _address_key(office: Office, epoch: int) -> bytes:
    return derive_key(office.keys.inputs, _ADDRESS_KEY_LABEL + epoch.to_bytes(8))
