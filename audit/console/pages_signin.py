"""Signing in: passphrase, then second factor; the first time, a one-time code and the making of a second factor."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Form, Request
from fastapi.responses import Response

from audit.console.accounts import SHORTEST_PASSPHRASE
from audit.console.registry import Topic
from audit.console.seats import Pending, SubjectSeat
from audit.console.web import Console, ConsoleOf, Genuine, see
from models.problems import Problem
from models.web.notices import Notice

router = APIRouter()
TOPIC = Topic(router)
Text = Annotated[str, Form()]


@router.get("/signin")
def signin_page(request: Request, console: ConsoleOf) -> Response:
    """The first step for people of the office."""
    return _first(request, console, "signin.html", people=console.accounts.people(), person="")


@router.post("/signin", dependencies=[Genuine])
def signin(request: Request, console: ConsoleOf, person: Text = "", passphrase: Text = "") -> Response:
    """Open the key."""
    try:
        pending = console.seats.begin(console.pages.guest(request), person, passphrase)
    except (Notice, Problem) as why:
        people = console.accounts.people()
        return _refused(request, console, why, "signin.html", people=people, person=person, here="/signin")
    return see("/signin/enrol" if pending.enrolling else "/signin/second")


@router.get("/me/signin")
def account_page(request: Request, console: ConsoleOf) -> Response:
    """The first step for subjects."""
    return _first(request, console, "signin_account.html", login="")


@router.post("/me/signin", dependencies=[Genuine])
def account_signin(request: Request, console: ConsoleOf, login: Text = "", passphrase: Text = "") -> Response:
    """Give the passphrase, or the slip's code."""
    try:
        pending = console.seats.begin_account(console.pages.guest(request), login, passphrase)
    except (Notice, Problem) as why:
        return _refused(request, console, why, "signin_account.html", login=login, here="/me/signin")
    if not pending.enrolling:
        return see("/signin/second")
    return see("/me/passphrase" if pending.code else "/signin/enrol")


@router.get("/me/passphrase")
def passphrase_page(request: Request, console: ConsoleOf) -> Response:
    """A subject chooses a passphrase, the first time."""
    _choosing(request, console)
    return console.page(request, "signin_passphrase.html", least=SHORTEST_PASSPHRASE)


@router.post("/me/passphrase", dependencies=[Genuine])
def choose_passphrase(request: Request, console: ConsoleOf, passphrase: Text = "", again: Text = "") -> Response:
    """Keep it, and go on to the second factor."""
    seat = _choosing(request, console)
    try:
        if len(passphrase) < SHORTEST_PASSPHRASE:
            raise Notice("account-short", least=SHORTEST_PASSPHRASE)
        if passphrase != again:
            raise Notice("account-differ")
    except Notice as notice:
        here = "/me/passphrase"
        return _refused(request, console, notice, "signin_passphrase.html", least=SHORTEST_PASSPHRASE, here=here)
    assert seat.account is not None
    console.accounts.set_passphrase(seat.account.login, passphrase)
    return see("/signin/enrol")


# -------------------------------------------------------------------- the second step


@router.get("/signin/second")
def second_page(request: Request, console: ConsoleOf) -> Response:
    """Ask for a code or a passkey."""
    return _second(request, console, _pending(request, console))


@router.post("/signin/second", dependencies=[Genuine])
def second(request: Request, console: ConsoleOf, code: Text = "", answer: Text = "") -> Response:
    """Check it and take the seat."""
    pending = _pending(request, console)
    try:
        console.seats.check_second(pending, code=code, answer=answer)
    except Notice as notice:
        if notice.status == 401:
            raise
        return _second(request, console, pending, notice=notice)
    return _admit(request, console)


def _second(request: Request, console: Console, pending: Pending, notice: Notice | None = None) -> Response:
    codes, keys = console.factors.enrolled(pending.seat.owner)
    options = ""
    if keys:
        options, pending.challenge = console.factors.ask_passkey(pending.seat.owner)
    return console.page(
        request,
        "signin_second.html",
        status=200 if notice is None else notice.status,
        notice="" if notice is None else console.pages.said(request, notice),
        name=pending.seat.person.name,
        codes=codes,
        options=options,
        here="/signin/second",
    )


# -------------------------------------------------------------------- the first second factor


@router.get("/signin/enrol")
def enrol_page(request: Request, console: ConsoleOf) -> Response:
    """The one-time code first; then the choice."""
    return _enrol(request, console, _enrolling(request, console, allowed=False))


@router.post("/signin/enrol", dependencies=[Genuine])
def enrol(request: Request, console: ConsoleOf, code: Text = "") -> Response:
    """The one-time code."""
    pending = _enrolling(request, console, allowed=False)
    try:
        console.seats.allow(pending, code)
    except Notice as notice:
        return _enrol(request, console, pending, notice=notice)
    return see("/signin/enrol")


@router.post("/signin/enrol/totp", dependencies=[Genuine])
def enrol_totp(request: Request, console: ConsoleOf, code: Text = "") -> Response:
    """The authenticator shows that it has the secret."""
    pending = _enrolling(request, console)
    try:
        console.factors.enrol_totp(pending.seat.owner, pending.secret, code)
    except Notice as notice:
        return _enrol(request, console, pending, notice=notice)
    return _recovery(request, console, pending)


@router.post("/signin/enrol/passkey", dependencies=[Genuine])
def enrol_passkey(request: Request, console: ConsoleOf, answer: Text = "") -> Response:
    """The browser has made a passkey."""
    pending = _enrolling(request, console)
    challenge, pending.challenge = pending.challenge, b""
    try:
        if not challenge:
            raise Notice("passkey-wrong")
        console.factors.enrol_passkey(pending.seat.owner, challenge, answer)
    except Notice as notice:
        return _enrol(request, console, pending, notice=notice)
    return _recovery(request, console, pending)


def _enrol(request: Request, console: Console, pending: Pending, notice: Notice | None = None) -> Response:
    picture, options, name = "", "", pending.seat.person.name
    allowed = console.seats.allowed(pending)
    if allowed:
        made = console.factors.new_totp(name) if not pending.secret else console.factors.shown_totp(name, pending.secret)
        pending.secret, picture = made.secret, made.picture
        options, pending.challenge = console.factors.new_passkey(pending.seat.owner, name)
    return console.page(
        request,
        "signin_enrol.html",
        status=200 if notice is None else notice.status,
        notice="" if notice is None else console.pages.said(request, notice),
        name=name,
        allowed=allowed,
        secret=pending.secret,
        picture=picture,
        options=options,
        here="/signin/enrol",
    )


def _recovery(request: Request, console: Console, pending: Pending) -> Response:
    owner = pending.seat.owner
    console.accounts.spend_code(owner)
    codes = console.factors.new_recovery(owner)
    token = console.seats.admit(console.pages.guest(request))
    request.cookies[console.pages.cookie] = token  # the page's forms belong to the session that begins with it
    response = console.page(request, "signin_recovery.html", codes=codes, after="/", here="/")
    console.pages.set_cookie(response, token)
    return response


# -------------------------------------------------------------------- what the steps share


def _first(request: Request, console: Console, template: str, **values: Any) -> Response:
    cookie = console.pages.guest(request)
    if console.seats.find(cookie, own=False):
        return see("/")
    response = console.page(request, template, **values)
    console.pages.set_cookie(response, cookie)
    return response


def _refused(request: Request, console: Console, why: Exception, template: str, **values: Any) -> Response:
    if isinstance(why, Notice):
        return console.page(request, template, status=why.status, notice=console.pages.said(request, why), **values)
    assert isinstance(why, Problem)
    refusal = console.pages.refusal(request, why)
    words = " ".join((refusal.title, refusal.detail, refusal.next_step))
    return console.page(request, template, status=503, notice=words, **values)


def _admit(request: Request, console: Console) -> Response:
    """The cookie is a new one, so that nobody can have set it beforehand."""
    response = see("/")
    console.pages.set_cookie(response, console.seats.admit(console.pages.guest(request)))
    return response


def _pending(request: Request, console: Console) -> Pending:
    return console.seats.pending(console.pages.guest(request))


def _enrolling(request: Request, console: Console, *, allowed: bool = True) -> Pending:
    pending = _pending(request, console)
    if not pending.enrolling or (allowed and not console.seats.allowed(pending)):
        raise Notice("signed-out", 401)
    return pending


def _choosing(request: Request, console: Console) -> SubjectSeat:
    pending = _enrolling(request, console)
    if not isinstance(pending.seat, SubjectSeat):
        raise Notice("signed-out", 401)
    return pending.seat
