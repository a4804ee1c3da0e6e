"""What a consent must say before it is filed, and what its filing leaves: rows, and a leaf that stands for each of them.

The leaf of a filing names the root of a Merkle tree (RFC 6962) over salted commitments, one for each consent in the order in
which they were filed; a receipt (`audit.office.consent_receipts`) opens one of them and nothing of the others.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Sequence

from sqlalchemy import Connection

from audit.office.office import Office
from audit.office.standing import SCORE
from audit.office.store import consents, parties
from audit.office.store.consents import NewConsent
from audit.office.subjects import canonical
from audit.service.outcome import Call
from audit.verifier.merkle import leaf_hash, root_of
from models.consent_receipts import consent_commitment
from models.consents import ANY, Capture, Consent, ConsentKind, Purpose
from models.exposure import TABLE as EXPOSURE
from models.parties import Institution, InstitutionKind, Person, Role
from models.problems import Conflict, Forbidden, Unusable
from models.wire import replace

AT_THE_COUNTER = frozenset({ConsentKind.COLLECTION, ConsentKind.QUERY})
SALT_BYTES = 32
LONGEST_WORDS = 200
_HEX = frozenset("0123456789abcdef")


class Filing:
    """Judges consents for one call, with who takes part read once."""

    def __init__(self, office: Office, call: Call) -> None:
        self._catalogue = office.catalogue
        self._call = call
        with call.engine.connect() as connection:
            self._institutions = {one.id: one for one in parties.institutions(connection)}
            self._people = {one.id: one for one in parties.people(connection)}
        self._sensitive = {field.name for field in office.catalogue if field.sensitive}

    def check(self, consent: Consent) -> Consent:
        """The consent as it is stored; raises the `Problem` that stands against it, which names no place and no value."""
        consent = replace(consent, subject=canonical(consent.subject, "the subject"))
        if not consent.id or len(consent.id) > 120 or not consent.id.isprintable():
            raise Unusable("the id has 1 to 120 printable characters")
        if not consent.valid_from < consent.valid_to:
            raise Unusable("it ends before it begins")
        if set(consent.purposes) - {ANY, *Purpose}:
            raise Unusable(f"unknown purpose; there are: {', '.join(Purpose)}, or {ANY} for all")
        if not consent.purposes:
            raise Unusable("it names its purposes")
        self._check_fields(consent)
        if len(consent.evidence_digest) != 64 or not set(consent.evidence_digest) <= _HEX:
            raise Unusable("the evidence digest is the SHA-256 of the signed form, 64 lower-case hex digits")
        self._check_recipient(consent)
        return self._captured(consent)

    def _check_fields(self, consent: Consent) -> None:
        if bool(consent.field_sets) == bool(consent.sensitive_fields):
            raise Unusable(
                "it names its field sets, or sensitive fields and nothing else: "
                "what is sensitive needs a consent of its own, which can be refused and withdrawn by itself"
            )
        # What was written is not repeated: in a table whose columns were mixed up it may be an id.
        if set(consent.field_sets) - {ANY, SCORE, EXPOSURE, *self._catalogue.categories}:
            raise Unusable(f"an unknown field set; there are: {', '.join((ANY, SCORE, EXPOSURE, *self._catalogue.categories))}")
        if set(consent.sensitive_fields) - self._sensitive:
            raise Unusable(f"an unknown sensitive field; there are, one by one: {', '.join(sorted(self._sensitive))}")

    def _check_recipient(self, consent: Consent) -> None:
        call, recipient = self._call, consent.recipient
        if call.person.role is Role.LOAN_OFFICER:
            if consent.kind not in AT_THE_COUNTER:
                raise Forbidden("a modelling consent is filed by the office's clerks")
            if recipient != call.institution.id:
                raise Forbidden("at a bank's counter only consents that name this bank are taken")
        is_class = recipient.startswith("class:") and len(recipient) > len("class:")
        if recipient != ANY and not is_class and recipient not in self._institutions:
            raise Unusable("it names a recipient that is not enrolled; use its id, class:… or *")

    def _captured(self, consent: Consent) -> Consent:
        """With the particulars that its way of capture needs; who files at a window or a counter took it, if not told."""
        call = self._call
        if max(map(len, (consent.captured_by, consent.witness, consent.reference))) > LONGEST_WORDS:
            raise Unusable(f"who took it, the witness and the reference have at most {LONGEST_WORDS} characters each")
        if call.person.role is Role.LOAN_OFFICER:
            if consent.capture is not Capture.OFFICER or consent.captured_by not in {"", call.person.id}:
                raise Forbidden("at a bank's counter the officer who files a consent took it, with a witness")
            consent = replace(consent, captured_by=call.person.id)
            self._check_colleague(consent.witness, call.institution)
        if consent.capture is Capture.ESIGN:
            if not consent.reference:
                raise Unusable("an electronic signature is named by its number at the signing service")
            return consent
        if consent.capture is Capture.WINDOW:
            consent = replace(consent, captured_by=consent.captured_by or call.person.id)
            self._check_taker(consent.captured_by, {Role.CLERK}, "at the window a clerk of the office takes it: name one")
            return consent
        if not consent.captured_by or not consent.witness or consent.witness == consent.captured_by:
            raise Unusable("an officer takes it before a witness: name both, two different people")
        taker = "name an officer of a bank or a clerk, as they are enrolled, who took it"
        self._check_taker(consent.captured_by, {Role.LOAN_OFFICER, Role.CLERK}, taker)
        return consent

    def _check_taker(self, person_id: str, roles: set[Role], advice: str) -> None:
        person: Person | None = self._people.get(person_id)
        if person is None or person.role not in roles:
            raise Unusable(advice)

    def _check_colleague(self, witness: str, home: Institution) -> None:
        person = self._people.get(witness)
        if home.kind is InstitutionKind.BANK and (person is None or person.institution != home.id or person.suspended):
            raise Unusable("at a bank's counter the witness is another person of this bank, as enrolled")


def salted(checked: Iterable[Consent]) -> list[NewConsent]:
    """Checked consents, each with a fresh salt."""
    return [NewConsent(consent, secrets.token_bytes(SALT_BYTES)) for consent in checked]


def facts_of(new: Sequence[NewConsent]) -> dict[str, object]:
    """What the leaf of a filing says: how many, and the root over what stands for them."""
    commitments = (consent_commitment(one.salt, one.consent) for one in new)
    return {"count": len(new), "root": root_of(leaf_hash(commitment) for commitment in commitments).hex()}


def attach_filing(
    call: Call, new: Sequence[NewConsent], drive: str | None = None
) -> Callable[[Connection, Sequence[int]], None]:
    """Stores what was filed, with its leaf; all or nothing."""

    def attach(connection: Connection, queue_ids: Sequence[int]) -> None:
        if consents.any_known(connection, (one.consent.id for one in new)):
            raise Conflict("a consent of this request has an id that was filed before")
        consents.add(connection, new, call.person.id, call.now, queue_ids[0], drive)
        consents.add_filing(connection, queue_ids[0], (consent_commitment(one.salt, one.consent) for one in new))

    return attach
