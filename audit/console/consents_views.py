"""What pages about a person's consents show: the list, a withdrawal, the receipt; for the window and for the own account."""

from __future__ import annotations

from dataclasses import dataclass

import segno
from fastapi import Request
from fastapi.responses import Response

from audit.console.consent_form import BESIDE, Choices
from audit.console.seats import Seat
from audit.console.web import Console, language_of, see
from audit.verifier.consents import open_consent_receipt
from audit.verifier.errors import LogError
from models.consent_receipts import AskConsentReceipt, ConsentReceipt, ConsentStatement, qr_texts, receipt_text
from models.consent_words import TITLES, advice, capture_words, lines_of, mask, purpose_words, words_of
from models.consents import ANY, AskConsents, ConsentEntry, ConsentsOf, RevokeConsent, Withdrawer
from models.logged import Empty
from models.problems import Damaged
from models.web.notices import Notice
from models.zones import day_at


@dataclass(repr=False)
class Person:
    """Whose consents are looked at, from which address on; `consents` are as they were seen last, a page names one by place.

    `own`: the person looks themselves.
    """

    base: str
    subject: str
    own: bool = False
    consents: tuple[ConsentEntry, ...] = ()

    @property
    def mask(self) -> str:
        """The id as a page shows it."""
        return mask(self.subject)

    def entry(self, number: int) -> ConsentEntry:
        """One of those that were seen; raises `Notice`."""
        if not 0 <= number < len(self.consents):
            raise Notice("consents-gone", 404)
        return self.consents[number]


def listed(request: Request, console: Console, seat: Seat, person: Person) -> Response:
    """All consents of a person; asking for them is logged."""
    with seat.session() as office:
        person.consents = office.logged("/consents/of", AskConsents(subject=person.subject), ConsentsOf).consents
        names = {one.id: one.name for one in office.directory().people}
    choices, language = choices_of(request, console, seat), language_of(request)
    rows = [
        {
            "number": number,
            "entry": entry,
            "recipient": _recipient(request, console, entry.consent.recipient, choices),
            "purposes": purpose_words(entry.consent.purposes, language),
            "fields": [choices.field_sets.get(name, name) for name in entry.consent.field_sets],
            "sensitive": [choices.sensitive.get(name, name) for name in entry.consent.sensitive_fields],
            "period": _period(console, entry),
            "capture": capture_words(entry.consent, language, names),
        }
        for number, entry in enumerate(person.consents)
    ]
    return console.page(request, "consents_person.html", person=person, rows=rows)


def withdrawing(
    request: Request, console: Console, person: Person, number: int, *, status: int = 200, notice: str = ""
) -> Response:
    """Asked once more, since nothing brings a withdrawn consent back but a new one."""
    entry = person.entry(number)
    return console.page(
        request,
        "consents_withdraw.html",
        status=status,
        notice=notice,
        person=person,
        number=number,
        consent=entry.consent,
        withdrawers=(Withdrawer.SUBJECT,) if person.own else tuple(Withdrawer),
        until=_period(console, entry)[1],
        purposes=purpose_words(entry.consent.purposes, language_of(request)),
        here=f"{person.base}/{number}/withdraw",
    )


def withdrawn(request: Request, console: Console, seat: Seat, person: Person, number: int, by: str, reason: str) -> Response:
    """Withdraw; it counts from the next ticket on."""
    consent = person.entry(number).consent
    if by not in set(Withdrawer) or (by != Withdrawer.SUBJECT and not reason.strip()):
        notice = console.pages.say(request, "consents-need-reason")
        return withdrawing(request, console, person, number, status=422, notice=notice)
    with seat.session() as office:
        asked = RevokeConsent(consent=consent.id, by=Withdrawer(by), reason=reason.strip(), subject=person.subject)
        office.logged("/consents/revoke", asked, Empty)
    return see(person.base)


def receipt_shown(request: Request, console: Console, seat: Seat, person: Person, number: int) -> Response:
    """The receipt in both languages with its codes, to be printed; verified before it is shown."""
    receipt, statement = _receipt(seat, person, number)
    codes = [
        segno.make(text, error="m", micro=False).svg_inline(scale=2, border=4, omitsize=True) for text in qr_texts(receipt)
    ]
    both = ((TITLES[0], lines_of(statement, "zh"), advice("zh")), (TITLES[1], lines_of(statement, "en"), advice("en")))
    services = seat.held.services
    return console.page(
        request,
        "consents_receipt.html",
        person=person,
        number=number,
        both=both,
        codes=codes,
        office_key=services.office.statement_key,
        log_key=services.office.log_key,
        witness_keys=services.witness_keys("office"),
    )


def receipt_file(seat: Seat, person: Person, number: int) -> Response:
    """The receipt as a file."""
    receipt, statement = _receipt(seat, person, number)
    name = {"Content-Disposition": f'attachment; filename="consent-{statement.filed_at}.txt"'}
    return Response(receipt_text(receipt, words_of(statement)), media_type="text/plain; charset=utf-8", headers=name)


def choices_of(request: Request, console: Console, seat: Seat) -> Choices:
    """What there is to consent to, and whom."""
    words = (console.pages.say(request, key) for key in ("consents-every", "consents-score", "consents-exposure"))
    names = dict(zip(BESIDE, words, strict=True))
    with seat.session() as office:
        return Choices.of(office.directory(), console.catalogue, language_of(request), names)


def _receipt(seat: Seat, person: Person, number: int) -> tuple[ConsentReceipt, ConsentStatement]:
    ask = AskConsentReceipt(consent=person.entry(number).consent.id, subject=person.subject)
    with seat.session() as office:
        receipt = office.logged("/consents/receipt", ask, ConsentReceipt)
        services = office.services
    log, witnesses = services.log_key("office"), services.witness_keys("office")
    try:
        statement = open_consent_receipt(receipt, services.statement_key(), [log], witnesses, len(witnesses))
    except LogError as error:
        raise Damaged(f"the consent's receipt does not verify: {error}") from None
    return receipt, statement


def _period(console: Console, entry: ConsentEntry) -> tuple[str, str]:
    zone, consent = console.config.zone, entry.consent
    first, last = (day_at(at, zone).isoformat() for at in (consent.valid_from, consent.valid_to - 1))
    return first, last


def _recipient(request: Request, console: Console, recipient: str, choices: Choices) -> str:
    return console.pages.say(request, "consents-anybody") if recipient == ANY else choices.recipients.get(recipient, recipient)
