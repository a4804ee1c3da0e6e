"""The start page, by role: what waits for the person, and where their work is. One's own security, too."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Form, Request
from fastapi.responses import Response

from audit.console.registry import Topic, Waits
from audit.console.seats import SubjectSeat
from audit.console.web import ConsoleOf, Genuine, SignedIn, see
from models.parties import Role
from models.problems import Problem
from models.web.notices import Notice

router = APIRouter()
TOPIC = Topic(router)


@router.get("/")
def start(request: Request, console: ConsoleOf, seat: SignedIn) -> Response:
    """What waits for whoever signed in; a subject goes to their own pages."""
    if isinstance(seat, SubjectSeat):
        return see("/me")
    waiting: list[Waits] = []
    notice = ""
    for topic in console.topics:
        if topic.waiting is None:
            continue
        try:
            with seat.session() as office:
                waiting += [each for each in topic.waiting(office, seat.role) if each.count]
        except Problem as problem:
            notice = console.pages.say(request, "waiting-failed", why=console.pages.refusal(request, problem).title)
    if seat.role is Role.CLERK and not notice:
        with seat.session() as office:
            console.drop_forms_daily(office)
    return console.page(request, "start.html", waiting=waiting, notice=notice)


@router.get("/security")
def security(request: Request, console: ConsoleOf, seat: SignedIn) -> Response:
    """One's own second factors."""
    codes, keys = console.factors.enrolled(seat.owner)
    left = console.factors.recovery_left(seat.owner)
    return console.page(request, "security.html", codes=codes, keys=keys, left=left)


@router.post("/security/recovery", dependencies=[Genuine])
def new_recovery(request: Request, console: ConsoleOf, seat: SignedIn, code: Annotated[str, Form()] = "") -> Response:
    """Fresh recovery codes, against a code of the authenticator where there is one."""
    codes, _keys = console.factors.enrolled(seat.owner)
    if codes and not console.factors.totp_fits(seat.owner, code):
        raise Notice("second-wrong-new", 403)
    fresh = console.factors.new_recovery(seat.owner)
    return console.page(request, "signin_recovery.html", codes=fresh, after="/", here="/security")


@router.post("/security/everywhere", dependencies=[Genuine])
def everywhere(console: ConsoleOf, seat: SignedIn) -> Response:
    """Sign out of every browser."""
    console.seats.end_of(seat.person.id)
    return see("/signin")
