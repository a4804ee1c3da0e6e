"""Consents, objections and repairs: filed by a clerk, or consents at a bank's counter for it alone; what the node learns."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection

from audit.office.acting import acting_for
from audit.office.filing import Filing, attach_filing, facts_of, salted
from audit.office.office import Office
from audit.office.store import consents, disputes
from audit.office.subjects import canonical
from audit.service.leaves import LeafDraft
from audit.service.outcome import Call, Outcome
from models.consent_receipts import withdrawal_commitment
from models.consents import (
    ANY,
    Eligibility,
    FileConsents,
    Filed,
    FileObjections,
    FileRepairs,
    RevokeConsent,
    Withdrawer,
)
from models.logged import Empty
from models.parties import Role
from models.problems import Conflict, Forbidden, NotFound, Problem, TooLarge, Unusable
from models.wire import Signed, replace

MOST_CONSENTS = 50_000
SUBJECTS_A_PAGE = 20_000
MOST_REFERENCE = 200
MOST_REASON = 500
__all__ = ["Consents", "canonical"]


class Consents:
    """Handlers about consents."""

    def __init__(self, office: Office) -> None:
        self._office = office

    def file(self, call: Call) -> Outcome:
        """POST /consents: all of them are stored, or none."""
        body: FileConsents = call.body
        if not 1 <= len(body.consents) <= MOST_CONSENTS:
            raise TooLarge(f"1 to {MOST_CONSENTS} consents are taken in one request")
        filing = Filing(self._office, call)
        checked = []
        for place, consent in enumerate(body.consents, 1):
            try:
                checked.append(filing.check(consent))
            except Problem as problem:
                raise type(problem)(f"consent {place}: {problem.detail}") from None
        if len({consent.id for consent in checked}) != len(checked):
            raise Conflict("two consents of this request have one id")
        new = salted(checked)
        leaf = LeafDraft("consent.file", facts_of(new))
        return Outcome(Filed(count=len(new)), [leaf], attach=attach_filing(call, new))

    def revoke(self, call: Call) -> Outcome:
        """POST /consents/revoke: counts from the next ticket and the node's next epoch."""
        body: RevokeConsent = call.body
        if len(body.reason) > MOST_REASON:
            raise Unusable(f"the reason has at most {MOST_REASON} characters")
        if body.by is not Withdrawer.SUBJECT and not body.reason:
            raise Unusable("say who represents the subject, or why the office withdraws the consent")
        if call.person.role is Role.WINDOW and body.by is not Withdrawer.SUBJECT:
            raise Forbidden("at the self-service window subjects withdraw for themselves")
        with call.engine.connect() as connection:
            stored = consents.get(connection, body.consent)
            subject = "" if stored is None else stored.consent.subject
            asked = body.subject or ("" if call.person.role is Role.WINDOW else subject)
            if stored is None or stored.revoked_at is not None or not asked:
                raise NotFound("there is no such consent that stands")
            asked, opening = acting_for(connection, call, asked)
        if asked != subject:
            raise NotFound("there is no such consent that stands")
        facts = {"by": str(body.by)}
        if stored.salt is not None:
            facts["withdrawal"] = withdrawal_commitment(stored.salt, stored.consent.id).hex()

        def attach(connection: Connection, queue_ids: Sequence[int]) -> None:
            if not consents.revoke(connection, body, call.now, queue_ids[0]):
                raise NotFound("there is no such consent that stands")

        opening |= {"consent": body.consent, "reason": body.reason}
        return Outcome(Empty(), [LeafDraft("consent.revoke", facts, opening)], attach=attach)

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
                if not objection.open and disputes.is_open(connection, objection.subject, objection.field):
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
                    sensitive=consents.sensitive_collection(connection, call.now, after, upto),
                    after=after,
                    upto=upto,
                )
            )
