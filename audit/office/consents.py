"""Consents, objections and repairs: filed by a clerk, or consents at a bank's counter for it alone; what the node learns."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import Connection

from audit.office.office import Office
from audit.office.store import consents, disputes, parties
from audit.service.leaves import LeafDraft
from audit.service.outcome import Call, Outcome
from models.consents import (
    ANY,
    Consent,
    ConsentKind,
    Eligibility,
    FileConsents,
    Filed,
    FileObjections,
    FileRepairs,
    Purpose,
    RevokeConsent,
)
from models.identity import IdentityError, parse_id
from models.logged import Empty
from models.parties import Role
from models.problems import BadIdentity, Conflict, Forbidden, NotFound, TooLarge, Unusable
from models.wire import Signed, replace

MOST_CONSENTS = 50_000
SUBJECTS_A_PAGE = 20_000
MOST_REFERENCE = 200
AT_THE_COUNTER = frozenset({ConsentKind.COLLECTION, ConsentKind.QUERY})
SCORE = "score"


class Consents:
    """Handlers about consents."""

    def __init__(self, office: Office) -> None:
        self._office = office

    def file(self, call: Call) -> Outcome:
        """POST /consents: all of them are stored, or none."""
        body: FileConsents = call.body
        if not 1 <= len(body.consents) <= MOST_CONSENTS:
            raise TooLarge(f"1 to {MOST_CONSENTS} consents are taken in one request")
        checked = [self._checked(place, consent, call) for place, consent in enumerate(body.consents, 1)]
        if len({consent.id for consent in checked}) != len(checked):
            raise Conflict("two consents of this request have one id")
        self._check_recipients(call, checked)

        def record(connection: Connection) -> None:
            if consents.any_known(connection, (consent.id for consent in checked)):
                raise Conflict("a consent of this request has an id that was filed before")
            consents.add(connection, checked, call.person.id, call.now)

        facts = {"count": len(checked)}
        return Outcome(Filed(count=len(checked)), [LeafDraft("consent.file", facts)], record)

    def revoke(self, call: Call) -> Outcome:
        """POST /consents/revoke: counts from the next ticket and the node's next epoch."""
        body: RevokeConsent = call.body

        def record(connection: Connection) -> None:
            if not consents.revoke(connection, body.consent, call.now):
                raise NotFound("there is no such consent that stands")

        return Outcome(Empty(), [LeafDraft("consent.revoke", {}, {"consent": body.consent})], record)

    def object(self, call: Call) -> Outcome:
        """POST /objections: open or settle disputes about fields of a subject."""
        body: FileObjections = call.body
        if not 1 <= len(body.objections) <= MOST_CONSENTS:
            raise TooLarge(f"1 to {MOST_CONSENTS} objections are taken in one request")
        checked = []
        for place, objection in enumerate(body.objections, 1):
            if objection.field != ANY and objection.field not in self._office.catalogue:
                raise Unusable(f"objection {place}: the catalogue has no such field; {ANY} means the whole record")
            if objection.withheld and not objection.open:
                raise Unusable(f"objection {place}: a settled objection withholds nothing")
            checked.append(replace(objection, subject=canonical(objection.subject, f"objection {place}")))

        def record(connection: Connection) -> None:
            for objection in checked:
                if not objection.open and disputes.standing(connection, objection.subject, objection.field):
                    raise Conflict("an objection to a field that is to be settled waits for its answer in writing")
                consents.set_objection(connection, objection, call.now)

        return Outcome(Filed(count=len(checked)), [LeafDraft("objection.file", {"count": len(checked)})], record)

    def repair(self, call: Call) -> Outcome:
        """POST /repairs: fields that were repaired (信用修复), or repairs that are taken back; counts from the next epoch."""
        body: FileRepairs = call.body
        if not 1 <= len(body.repairs) <= MOST_CONSENTS:
            raise TooLarge(f"1 to {MOST_CONSENTS} repairs are taken in one request")
        if not 1 <= len(body.decision) <= MOST_REFERENCE:
            raise Unusable(f"name the decision on these repairs in 1 to {MOST_REFERENCE} characters")
        checked = []
        for place, repaired in enumerate(body.repairs, 1):
            if repaired.field not in self._office.catalogue:
                raise Unusable(f"repair {place}: the catalogue has no such field; a repair names one field")
            checked.append(replace(repaired, subject=canonical(repaired.subject, f"repair {place}")))

        def record(connection: Connection) -> None:
            for repaired in checked:
                consents.set_repair(connection, repaired, body.decision, call.person.id, call.now)

        leaf = LeafDraft("repair.file", {"count": len(checked)}, {"decision": body.decision})
        return Outcome(Filed(count=len(checked)), [leaf], record)

    def eligibility(self, call: Call) -> Signed:
        """GET /eligibility?after=…: a page of what the node may know of consents. Query consents are not in it."""
        after = call.query.get("after", "")
        with call.engine.connect() as connection:
            collection = consents.collection_subjects(connection, call.now, after, SUBJECTS_A_PAGE)
            upto = collection[-1] if len(collection) == SUBJECTS_A_PAGE else ""
            return self._office.sign(
                Eligibility(
                    version=call.now,
                    issued_at=call.now,
                    collection=collection,
                    modelling=consents.modelling(connection, call.now, after, upto),
                    objections=consents.objections(connection, after, upto),
                    repairs=consents.repairs(connection, after, upto),
                    after=after,
                    upto=upto,
                )
            )

    def _checked(self, place: int, consent: Consent, call: Call) -> Consent:
        what = f"consent {place}"
        subject = canonical(consent.subject, what)
        if not consent.id or len(consent.id) > 120:
            raise Unusable(f"{what}: the id has 1 to 120 characters")
        if not consent.valid_from < consent.valid_to:
            raise Unusable(f"{what}: it ends before it begins")
        if unknown := set(consent.purposes) - {ANY, *Purpose}:
            raise Unusable(f"{what}: unknown purpose {', '.join(sorted(unknown))}; there are: {', '.join(Purpose)}")
        if unknown := set(consent.field_sets) - {ANY, SCORE, *self._office.catalogue.categories}:
            raise Unusable(f"{what}: the catalogue has no field set {', '.join(sorted(unknown))}")
        if not consent.purposes or not consent.field_sets or not consent.capture:
            raise Unusable(f"{what}: it names its purposes, its field sets and how it was captured")
        if len(consent.evidence_digest) != 64 or not set(consent.evidence_digest) <= set("0123456789abcdef"):
            raise Unusable(f"{what}: the evidence digest is the SHA-256 of the signed form, 64 lower-case hex digits")
        if call.person.role is Role.LOAN_OFFICER:
            if consent.kind not in AT_THE_COUNTER:
                raise Forbidden(f"{what}: a modelling consent is filed by the office's clerks")
            if consent.recipient != call.institution.id:
                raise Forbidden(f"{what}: at a bank's counter only consents that name this bank are taken")
        return replace(consent, subject=subject)

    def _check_recipients(self, call: Call, filed: Iterable[Consent]) -> None:
        with call.engine.connect() as connection:
            known = {institution.id for institution in parties.institutions(connection)}
        for recipient in {consent.recipient for consent in filed}:
            is_class = recipient.startswith("class:") and len(recipient) > len("class:")
            if recipient != ANY and not is_class and recipient not in known:
                raise Unusable("a consent names a recipient that is not enrolled; use its id, class:… or *")


def canonical(subject: str, what: str) -> str:
    """The canonical identity of a subject; raises `BadIdentity` naming the place, never the value."""
    try:
        return parse_id(subject)
    except IdentityError as error:
        raise BadIdentity(f"{what}: {error}") from None
