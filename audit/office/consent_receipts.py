"""A subject's consents as the office has them in its books, and the receipt of each, for its owner to keep."""

from __future__ import annotations

from datetime import datetime

import msgspec
from sqlalchemy import Connection

from audit.log.log import LogUnavailable
from audit.office.acting import acting_for
from audit.office.office import Office
from audit.office.standing import SCORE
from audit.office.store import consents, parties
from audit.office.store.consents import StoredConsent
from audit.service.leaves import LeafDraft
from audit.service.outcome import Call, Outcome
from audit.verifier.merkle import leaf_hashes, prove_inclusion, root_of
from models.catalogue import Catalogue
from models.consent_receipts import AskConsentReceipt, ConsentReceipt, ConsentStatement, LeafProof, Named
from models.consents import ANY, AskConsents, Consent, ConsentEntry, ConsentsOf, ConsentState
from models.exposure import TABLE as EXPOSURE
from models.parties import Role
from models.problems import NotFound, Unavailable
from models.wire import replace

COSIGN_SECONDS = 10.0
LEAF_SECONDS = 10.0
DAY = 24 * 3600


class ConsentReceipts:
    """Handlers for whoever stands at the window: which consents there are, and a receipt of one."""

    def __init__(self, office: Office) -> None:
        self._office = office

    def of_subject(self, call: Call) -> Outcome:
        """POST /consents/of: all consents of a subject, whatever became of them; it is logged who asked."""
        body: AskConsents = call.body
        with call.engine.connect() as connection:
            subject, opening = acting_for(connection, call, body.subject)
            found = consents.of_subject(connection, subject)
        entries = tuple(self._entry(stored, call.now) for stored in found)
        leaf = LeafDraft("consent.list", {}, {**opening, "count": len(entries)})
        return Outcome(ConsentsOf(subject=subject, consents=entries), [leaf])

    def receipt(self, call: Call) -> Outcome:
        """POST /consents/receipt: the office's statement of a consent and the proof of its leaf."""
        body: AskConsentReceipt = call.body
        with call.engine.connect() as connection:
            stored = consents.get(connection, body.consent)
            subject = "" if stored is None else stored.consent.subject
            asked = body.subject or ("" if call.person.role is Role.WINDOW else subject)
            if stored is None or not asked or not _may_have(call, stored):
                raise NotFound("there is no such consent, or it is not yours to ask for")
            asked, opening = acting_for(connection, call, asked)
            if asked != subject:
                raise NotFound("there is no such consent, or it is not yours to ask for")
            if stored.filing is None or stored.place is None or stored.salt is None:
                raise NotFound("this consent was filed before receipts were given; have it filed anew to get one")
            leaves = leaf_hashes(consents.commitments(connection, stored.filing))
        path = prove_inclusion(stored.place, len(leaves), lambda level, index: _node(leaves, level, index))
        filing = replace(self._proof(stored.filing), place=stored.place, count=len(leaves), path=tuple(path))
        withdrawal = None if stored.revoked_queue_id is None else self._proof(stored.revoked_queue_id)
        statement = self._statement(call, stored, stored.salt, filing, withdrawal)
        answer = ConsentReceipt(statement=self._office.sign(statement), filing=filing, withdrawal=withdrawal)
        return Outcome(answer, [LeafDraft("consent.receipt", {}, {**opening, "consent": stored.consent.id})])

    def _entry(self, stored: StoredConsent, now: int) -> ConsentEntry:
        consent = stored.consent
        state = _state(consent, stored.revoked_at, now)
        days = self._office.settings.notice_days
        return ConsentEntry(
            consent=consent,
            state=state,
            filed_by=stored.filed_by,
            filed_at=stored.filed_at,
            ends_soon=state is ConsentState.STANDING and consent.valid_to - now <= days * DAY,
            withdrawn_at=stored.revoked_at or 0,
            withdrawn_by=stored.revoked_by or "",
            reason=stored.revoked_why or "",
            has_receipt=stored.filing is not None,
        )

    def _statement(
        self, call: Call, stored: StoredConsent, salt: bytes, filing: LeafProof, withdrawal: LeafProof | None
    ) -> ConsentStatement:
        consent = stored.consent
        offset = datetime.fromtimestamp(call.now, self._office.settings.zone).utcoffset()
        assert offset is not None, "a moment in a time zone has an offset"
        with call.engine.connect() as connection:
            recipient = _recipient(connection, consent.recipient)
            # A consent is shown as it was filed: names stand beside it, since what was committed to is its own words.
            people = tuple(
                _named(connection, person) for person in dict.fromkeys((consent.captured_by, consent.witness)) if person
            )
        return ConsentStatement(
            consent=consent,
            recipient=recipient,
            fields=_fields(self._office.catalogue, consent),
            people=people,
            filed_at=_at(filing),
            issued_at=call.now,
            utc_offset=int(offset.total_seconds()) // 60,
            salt=salt,
            withdrawn_at=0 if withdrawal is None else _at(withdrawal),
            withdrawn_by="" if withdrawal is None else stored.revoked_by or "",
        )

    def _proof(self, queue_id: int) -> LeafProof:
        log = self._office.log
        try:
            index = log.place(queue_id, LEAF_SECONDS).index
            receipt = log.receipt(index, COSIGN_SECONDS)
        except LogUnavailable as error:
            raise Unavailable(f"the log cannot prove this filing yet: {error}", retry_after=5) from None
        with self._office.engine.connect() as connection:
            [entry] = log.store.entries(connection, index, 1)
        return LeafProof(entry=entry, receipt=receipt)


def _may_have(call: Call, stored: StoredConsent) -> bool:
    """An officer has what they filed themselves; whom the window acts for is looked at besides."""
    return call.person.role is not Role.LOAN_OFFICER or stored.filed_by == call.person.id


def _state(consent: Consent, revoked_at: int | None, now: int) -> ConsentState:
    if revoked_at is not None:
        return ConsentState.WITHDRAWN
    if now < consent.valid_from:
        return ConsentState.AHEAD
    return ConsentState.STANDING if now < consent.valid_to else ConsentState.ENDED


def _at(proof: LeafProof) -> int:
    at: int = msgspec.json.decode(proof.entry)["at"]
    return at


def _node(leaves: list[bytes], level: int, index: int) -> bytes:
    return root_of(leaves[index << level : (index + 1) << level])


def _named(connection: Connection, person: str) -> Named:
    found = parties.get_person(connection, person)
    name = person if found is None else found.name
    return Named(id=person, zh=name, en=name)


def _recipient(connection: Connection, recipient: str) -> Named:
    if recipient == ANY:
        return Named(id=recipient, zh="所有参加的机构", en="every institution that takes part")
    if recipient.startswith("class:"):
        kind = recipient.removeprefix("class:")
        return Named(id=recipient, zh=f"“{kind}”类银行", en=f"banks of the class “{kind}”")
    found = parties.get_institution(connection, recipient)
    name = recipient if found is None else found.name
    return Named(id=recipient, zh=name, en=name)


def _fields(catalogue: Catalogue, consent: Consent) -> tuple[Named, ...]:
    named = [_category(catalogue, name) for name in consent.field_sets if name != ANY]
    known = (catalogue[name] for name in consent.sensitive_fields if name in catalogue)
    return (*named, *(Named(id=field.name, zh=field.label_zh, en=field.label_en) for field in known))


def _category(catalogue: Catalogue, name: str) -> Named:
    if name == SCORE:
        return Named(id=name, zh="联合评分结果", en="scores of joint models")
    if name == EXPOSURE:
        return Named(id=name, zh="在其他银行的借款（多头借贷）", en="what is owed at other banks")
    theme = next((field.theme for field in catalogue if field.category == name), "") or name
    zh, _, en = theme.partition(" / ")
    return Named(id=name, zh=zh, en=en or zh)
