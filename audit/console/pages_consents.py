"""Consents at the window: a person's consents, filing one, withdrawing one, the receipt to take home.

A subject's id stands in no address: who was found is remembered in the seat, under a handle.
"""

from __future__ import annotations

import secrets
from typing import Annotated, Any

from fastapi import APIRouter, File, Form, Request, UploadFile
from fastapi.responses import Response

from audit.console.consent_form import ConsentForm, check_scan
from audit.console.consents_views import (
    Person,
    choices_of,
    listed,
    receipt_file,
    receipt_shown,
    withdrawing,
    withdrawn,
)
from audit.console.registry import Entry, Topic
from audit.console.seats import Seat
from audit.console.texts_consents import DETAILS, TEXTS
from audit.console.web import Clerk, Console, ConsoleOf, Genuine, Ref, see
from models.consents import (
    ANY,
    Capture,
    ConsentKind,
    FileConsents,
    Filed,
    Purpose,
)
from models.identity import IdentityError
from models.parties import Role
from models.problems import Problem
from models.scans import LARGEST_SCAN, keep_scan
from models.web.notices import Notice
from models.zones import day_at

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
    handle = secrets.token_urlsafe(9)
    person = Person(f"/consents/people/{handle}", canonical)
    seat.kept.setdefault(KEPT, {})[handle] = person
    return see(person.base)


@router.get("/people/{handle}")
def of_person(request: Request, console: ConsoleOf, seat: Clerk, handle: Ref) -> Response:
    """All consents of a person."""
    return listed(request, console, seat, _person(seat, handle))


# -------------------------------------------------------------------- filing


@router.get("/people/{handle}/new")
def new_page(request: Request, console: ConsoleOf, seat: Clerk, handle: Ref) -> Response:
    """The form of a consent."""
    return _form(request, console, seat, _person(seat, handle), ConsentForm(captured_by=seat.person.id))


@router.post("/people/{handle}/new", dependencies=[Genuine])
def new(
    request: Request,
    console: ConsoleOf,
    seat: Clerk,
    handle: Ref,
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
        choices = choices_of(request, console, seat)
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
    return see(person.base)


def _form(
    request: Request, console: Console, seat: Seat, person: Person, form: ConsentForm, *, status: int = 200, **shown: Any
) -> Response:
    today = day_at(console.clock(), console.config.zone)
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
        choices=choices_of(request, console, seat),
        until=form.until or today.replace(year=today.year + 3, day=min(today.day, 28)).isoformat(),
        here=f"{person.base}/new",
        **({"refusal": None} | shown),
    )


# -------------------------------------------------------------------- one consent


@router.get("/people/{handle}/{number}/withdraw")
def withdraw_page(request: Request, console: ConsoleOf, seat: Clerk, handle: Ref, number: int) -> Response:
    """Asked once more."""
    return withdrawing(request, console, _person(seat, handle), number)


@router.post("/people/{handle}/{number}/withdraw", dependencies=[Genuine])
def withdraw(
    request: Request, console: ConsoleOf, seat: Clerk, handle: Ref, number: int, by: Text = "", reason: Text = ""
) -> Response:
    """Withdraw."""
    return withdrawn(request, console, seat, _person(seat, handle), number, by, reason)


@router.get("/people/{handle}/{number}/receipt")
def receipt_page(request: Request, console: ConsoleOf, seat: Clerk, handle: Ref, number: int) -> Response:
    """The receipt, to be printed."""
    return receipt_shown(request, console, seat, _person(seat, handle), number)


@router.get("/people/{handle}/{number}/receipt.txt")
def receipt_download(_console: ConsoleOf, seat: Clerk, handle: Ref, number: int) -> Response:
    """The receipt, to be kept."""
    return receipt_file(seat, _person(seat, handle), number)


def _person(seat: Seat, handle: str) -> Person:
    known: dict[str, Person] = seat.kept.get(KEPT, {})
    if handle not in known:
        raise Notice("consents-gone", 404)
    return known[handle]
