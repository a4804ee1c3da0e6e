"""Consents at the window: a person's consents, filing one, withdrawing one, the receipt to take home.

A subject's id stands in no address: who was found is remembered in the seat, under a handle.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any

import segno
from fastapi import APIRouter, File, Form, Request, UploadFile
from fastapi.responses import Response

from audit.console.consent_form import Choices, ConsentForm, check_scan
from audit.console.registry import Entry, Topic
from audit.console.seats import Seat
from audit.console.texts_consents import DETAILS, TEXTS
from audit.console.web import Clerk, Console, ConsoleOf, Genuine, SignedIn, language_of, see
from audit.verifier.consents import open_consent_receipt
from audit.verifier.errors import LogError
from models.consent_receipts import AskConsentReceipt, ConsentReceipt, ConsentStatement, qr_texts, receipt_text
from models.consent_words import TITLES, advice, capture_words, lines_of, mask, purpose_words, words_of
from models.consents import (
    ANY,
    AskConsents,
    Capture,
    ConsentEntry,
    ConsentKind,
    ConsentsOf,
    FileConsents,
    Filed,
    Purpose,
    RevokeConsent,
    Withdrawer,
)
from models.identity import IdentityError
from models.logged import Empty
from models.parties import Role
from models.problems import Damaged, Problem
from models.scans import LARGEST_SCAN, keep_scan
from models.web.notices import Notice

router = APIRouter(prefix="/consents")
TOPIC = Topic(
    router,
    texts=TEXTS,
    entries=(Entry("/consents", "consents-title", frozenset({Role.CLERK}), order=20),),
    details=DETAILS,
)
Text = Annotated[str, Form()]
Words = Annotated[list[str] | None, Form()]
KEPT = "consents"


@dataclass(repr=False)
class Person:
    """Whom a clerk found; `consents` are as they were seen last, and a page names one by its place."""

    handle: str
    subject: str
    consents: tuple[ConsentEntry, ...] = ()

    @property
    def mask(self) -> str:
        """The id as a page shows it."""
        return mask(self.subject)


@router.get("")
def find_page(request: Request, console: ConsoleOf, _seat: Clerk) -> Response:
    """Whose consents?"""
    return console.page(request, "consents_find.html", subject="")


@router.post("/find", dependencies=[Genuine])
def find(request: Request, console: ConsoleOf, seat: Clerk, subject: Text = "") -> Response:
    """Open a person."""
    try:
        canonical = console.config.canonical(subject)
    except IdentityError as error:
        notice = console.pages.say(request, "consents-id-wrong", reason=str(error))
        return console.page(request, "consents_find.html", status=422, notice=notice, subject=subject, here="/consents")
    person = Person(secrets.token_urlsafe(9), canonical)
    seat.kept.setdefault(KEPT, {})[person.handle] = person
    return see(f"/consents/people/{person.handle}")


@router.get("/people/{handle}")
def of_person(request: Request, console: ConsoleOf, seat: Clerk, handle: str) -> Response:
    """All consents of a person; asking for them is logged."""
    person = _person(seat, handle)
    with seat.session() as office:
        person.consents = office.logged("/consents/of", AskConsents(subject=person.subject), ConsentsOf).consents
        choices = _choices(request, console, seat)
        names = {one.id: one.name for one in office.directory().people}
    language = language_of(request)
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


# -------------------------------------------------------------------- filing


@router.get("/people/{handle}/new")
def new_page(request: Request, console: ConsoleOf, seat: Clerk, handle: str) -> Response:
    """The form of a consent."""
    return _form(request, console, seat, _person(seat, handle), ConsentForm(captured_by=seat.person.id))


@router.post("/people/{handle}/new", dependencies=[Genuine])
def new(
    request: Request,
    console: ConsoleOf,
    seat: Clerk,
    handle: str,
    kinds: Words = None,
    recipient: Text = "",
    purposes: Words = None,
    field_sets: Words = None,
    sensitive_fields: Words = None,
    until: Text = "",
    capture: Text = "",
    captured_by: Text = "",
    witness: Text = "",
    reference: Text = "",
    scan: Annotated[UploadFile | None, File()] = None,
) -> Response:
    """File what was signed; the scan stays with the console, the office gets its digest."""
    person, now = _person(seat, handle), int(console.clock())
    lists = [chosen or [] for chosen in (kinds, purposes, field_sets, sensitive_fields)]
    form = ConsentForm(
        lists[0], recipient, lists[1], lists[2], lists[3], until, capture, captured_by, witness.strip(), reference.strip()
    )
    try:
        choices = _choices(request, console, seat)
        form.consents(person.subject, "", choices, now, console.config.zone)
        data = check_scan(b"" if scan is None else scan.file.read(LARGEST_SCAN + 1))
        digest = keep_scan(data, console.config.data_dir / "forms")
        made = form.consents(person.subject, digest, choices, now, console.config.zone)
        with seat.session() as office:
            office.logged("/consents", FileConsents(consents=made), Filed)
    except Notice as notice:
        return _form(request, console, seat, person, form, status=notice.status, notice=console.pages.said(request, notice))
    except Problem as problem:
        return _form(request, console, seat, person, form, status=409, refusal=console.pages.refusal(request, problem))
    return see(f"/consents/people/{handle}")


def _form(
    request: Request, console: Console, seat: Seat, person: Person, form: ConsentForm, *, status: int = 200, **shown: Any
) -> Response:
    today = datetime.fromtimestamp(console.clock(), console.config.zone).date()
    return console.page(
        request,
        "consents_new.html",
        status=status,
        person=person,
        form=form,
        kinds=tuple(ConsentKind),
        purposes=tuple(Purpose),
        captures=tuple(Capture),
        any=ANY,
        choices=_choices(request, console, seat),
        until=form.until or today.replace(year=today.year + 3, day=min(today.day, 28)).isoformat(),
        here=f"/consents/people/{person.handle}/new",
        **({"refusal": None} | shown),
    )


# -------------------------------------------------------------------- withdrawing


@router.get("/people/{handle}/{number}/withdraw")
def withdraw_page(request: Request, console: ConsoleOf, seat: Clerk, handle: str, number: int) -> Response:
    """Asked once more, since nothing brings a withdrawn consent back but a new one."""
    return _withdrawing(request, console, _person(seat, handle), number)


@router.post("/people/{handle}/{number}/withdraw", dependencies=[Genuine])
def withdraw(
    request: Request, console: ConsoleOf, seat: Clerk, handle: str, number: int, by: Text = "", reason: Text = ""
) -> Response:
    """Withdraw; it counts from the next ticket on."""
    person = _person(seat, handle)
    consent = _entry(person, number).consent
    if by not in set(Withdrawer) or (by != Withdrawer.SUBJECT and not reason.strip()):
        notice = console.pages.say(request, "consents-need-reason")
        return _withdrawing(request, console, person, number, status=422, notice=notice)
    with seat.session() as office:
        asked = RevokeConsent(consent=consent.id, by=Withdrawer(by), reason=reason.strip(), subject=person.subject)
        office.logged("/consents/revoke", asked, Empty)
    return see(f"/consents/people/{handle}")


def _withdrawing(
    request: Request, console: Console, person: Person, number: int, *, status: int = 200, notice: str = ""
) -> Response:
    return console.page(
        request,
        "consents_withdraw.html",
        status=status,
        notice=notice,
        person=person,
        number=number,
        consent=_entry(person, number).consent,
        withdrawers=tuple(Withdrawer),
        until=_period(console, _entry(person, number))[1],
        purposes=purpose_words(_entry(person, number).consent.purposes, language_of(request)),
        here=f"/consents/people/{person.handle}/{number}/withdraw",
    )


# -------------------------------------------------------------------- the receipt


@router.get("/people/{handle}/{number}/receipt")
def receipt_page(request: Request, console: ConsoleOf, seat: SignedIn, handle: str, number: int) -> Response:
    """The receipt in both languages with its codes, to be printed; verified before it is shown."""
    person = _person(seat, handle)
    receipt, statement = _receipt(seat, person, number)
    codes = [
        segno.make(text, error="m", micro=False).svg_inline(scale=2, border=4, omitsize=True) for text in qr_texts(receipt)
    ]
    both = [(TITLES[place], lines_of(statement, name), advice(name)) for place, name in ((0, "zh"), (1, "en"))]  # type: ignore[arg-type]
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


@router.get("/people/{handle}/{number}/receipt.txt")
def receipt_file(_console: ConsoleOf, seat: SignedIn, handle: str, number: int) -> Response:
    """The receipt as a file."""
    receipt, statement = _receipt(seat, _person(seat, handle), number)
    name = {"Content-Disposition": f'attachment; filename="consent-{statement.filed_at}.txt"'}
    return Response(receipt_text(receipt, words_of(statement)), media_type="text/plain; charset=utf-8", headers=name)


def _receipt(seat: Seat, person: Person, number: int) -> tuple[ConsentReceipt, ConsentStatement]:
    ask = AskConsentReceipt(consent=_entry(person, number).consent.id, subject=person.subject)
    with seat.session() as office:
        receipt = office.logged("/consents/receipt", ask, ConsentReceipt)
        services = office.services
        witnesses = services.witness_keys("office")
        log = services.log_key("office")
    try:
        statement = open_consent_receipt(receipt, services.statement_key(), [log], witnesses, len(witnesses))
    except LogError as error:
        raise Damaged(f"the consent's receipt does not verify: {error}") from None
    return receipt, statement


# -------------------------------------------------------------------- within


def _person(seat: Seat, handle: str) -> Person:
    known: dict[str, Person] = seat.kept.get(KEPT, {})
    if handle not in known:
        raise Notice("consents-gone", 404)
    return known[handle]


def _entry(person: Person, number: int) -> ConsentEntry:
    if not 0 <= number < len(person.consents):
        raise Notice("consents-gone", 404)
    return person.consents[number]


def _choices(request: Request, console: Console, seat: Seat) -> Choices:
    every, score = (console.pages.say(request, key) for key in ("consents-every", "consents-score"))
    with seat.session() as office:
        return Choices.of(office.directory(), console.catalogue, language_of(request), every, score)


def _period(console: Console, entry: ConsentEntry) -> tuple[str, str]:
    zone, consent = console.config.zone, entry.consent
    first, last = (datetime.fromtimestamp(at, zone).date().isoformat() for at in (consent.valid_from, consent.valid_to - 1))
    return first, last


def _recipient(request: Request, console: Console, recipient: str, choices: Choices) -> str:
    return console.pages.say(request, "consents-anybody") if recipient == ANY else choices.recipients.get(recipient, recipient)
