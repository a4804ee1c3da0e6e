"""What all pages share: the desk of the application, who is signed in, tokens against forged requests, and rendering."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

from fastapi import Depends, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape
from starlette.datastructures import UploadFile

from bank_client.desk.approvals import Approvals
from bank_client.desk.branch import Branch
from bank_client.desk.cases import Cases
from bank_client.desk.ledger import Ledger
from bank_client.desk.notices import Notice
from bank_client.desk.seats import Clock, Seat, Seats
from bank_client.desk.settings import DeskConfig
from bank_client.desk.texts import Language, say

FOLDER = Path(__file__).parent
LANGUAGE_COOKIE = "language"
YEAR = 365 * 24 * 3600


class SignedOut(Exception):
    """Nobody is signed in (any more) in this browser."""


@dataclass
class Desk:
    """One running desk."""

    config: DeskConfig
    clock: Clock = time.time
    branch: Branch = field(init=False)
    approvals: Approvals = field(init=False)
    ledger: Ledger = field(init=False)
    cases: Cases = field(init=False)
    seats: Seats = field(init=False)

    def __post_init__(self) -> None:
        """Open the ledger; nobody is signed in."""
        self.branch, self.approvals = Branch(self.config), Approvals(self.clock)
        self.ledger = Ledger(self.config.data_dir / "desk.sqlite", int(self.clock()))
        self.cases = Cases(self.branch, self.approvals, self.ledger, self.clock)
        self.seats = Seats(self.config, self.clock, self.cases.leave)
        self._secret = secrets.token_bytes(32)
        self._templates = Environment(
            loader=FileSystemLoader(FOLDER / "templates"),
            autoescape=select_autoescape(),
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._versions = {
            file.name: hashlib.sha256(file.read_bytes()).hexdigest()[:12] for file in (FOLDER / "static").iterdir()
        }

    def close(self) -> None:
        """Sign everybody out and close the ledger."""
        self.seats.close()
        self.cases.close()
        self.ledger.close()

    # ---------------------------------------------------------------- cookies and tokens

    @property
    def cookie(self) -> str:
        """The session cookie's name; the prefix has browsers refuse it from anywhere else, but needs https."""
        return "__Host-desk" if self.config.secure else "desk"

    def set_cookie(self, response: Response, value: str) -> None:
        """The session's cookie, or that of a guest before it: gone when the browser is closed."""
        response.set_cookie(self.cookie, value, httponly=True, samesite="strict", secure=self.config.secure, path="/")

    def token(self, request: Request) -> str:
        """What forms of this browser's session carry; nobody else can make it."""
        cookie = request.cookies.get(self.cookie, "")
        return hmac.new(self._secret, cookie.encode(), hashlib.sha256).hexdigest() if cookie else ""

    # ---------------------------------------------------------------- pages

    def page(self, request: Request, template: str, *, status: int = 200, **values: Any) -> HTMLResponse:
        """Render a template in the browser's language."""
        language = language_of(request)
        seat: Seat | None = getattr(request.state, "seat", None)
        t: Callable[..., str] = partial(say, language)
        values = {"notice": "", "here": request.url.path if request.method == "GET" else "/"} | values
        text = self._templates.get_template(template).render(
            t=t,
            language=language,
            other="en" if language == "zh" else "zh",
            day=partial(_day, language),
            moment=partial(_moment, language),
            seat=seat,
            token=self.token(request),
            asset=lambda name: f"/static/{name}?{self._versions[name]}",
            names={person.id: person.name or person.id for person in self.config.people},
            **values,
        )
        return HTMLResponse(text, status)


def desk_of(request: Request) -> Desk:
    """The application's desk."""
    desk: Desk = request.app.state.desk
    return desk


DeskOf = Annotated[Desk, Depends(desk_of)]


async def genuine(request: Request, desk: DeskOf) -> None:
    """Refuse a request that no form of this browser's session can have sent; for every POST."""
    given: str | UploadFile | None = request.headers.get("x-csrf-token")
    if given is None:
        given = (await request.form()).get("csrf")
    token = desk.token(request)
    if not token or not isinstance(given, str) or not hmac.compare_digest(given.encode(), token.encode()):
        raise Notice("csrf", 403)


def looking(request: Request, desk: DeskOf) -> Seat:
    """The seat of whoever looks on, for what a page asks for by itself: it does not keep the seat warm."""
    return _seat(request, desk, own=False)


def signed_in(request: Request, desk: DeskOf) -> Seat:
    """The seat of whoever asks."""
    return _seat(request, desk, own=True)


def _seat(request: Request, desk: Desk, *, own: bool) -> Seat:
    seat = desk.seats.find(request.cookies.get(desk.cookie, ""), own=own)
    if seat is None:
        raise SignedOut
    request.state.seat = seat
    return seat


def officer(seat: Annotated[Seat, Depends(signed_in)]) -> Seat:
    """A loan officer's seat."""
    if not seat.is_officer:
        raise Notice("officers-only", 403)
    return seat


def approver(seat: Annotated[Seat, Depends(signed_in)]) -> Seat:
    """An approver's seat."""
    if seat.is_officer:
        raise Notice("approvers-only", 403)
    return seat


Looking = Annotated[Seat, Depends(looking)]
SignedIn = Annotated[Seat, Depends(signed_in)]
Officer = Annotated[Seat, Depends(officer)]
Approver = Annotated[Seat, Depends(approver)]
Genuine = Depends(genuine)


def language_of(request: Request) -> Language:
    """The language that this browser chose; Chinese unless it chose English."""
    return "en" if request.cookies.get(LANGUAGE_COOKIE) == "en" else "zh"


def see(path: str, request: Request | None = None) -> Response:
    """Go to another page; for a part of a page that asked, the whole page goes."""
    if request is not None and request.headers.get("hx-request"):
        return Response(status_code=200, headers={"HX-Redirect": path})
    return RedirectResponse(path, 303)


def local_path(text: str) -> str:
    """A path of this desk, or the start page."""
    parts = urlsplit(text)
    fits = text.startswith("/") and not text.startswith("//") and "\\" not in text and not parts.scheme and not parts.netloc
    return parts.path if fits else "/"


def _day(language: Language, seconds: int) -> str:
    when = datetime.fromtimestamp(seconds)
    return f"{when.year}年{when.month}月{when.day}日" if language == "zh" else f"{when.day} {when:%b %Y}"


def _moment(language: Language, seconds: int) -> str:
    return f"{_day(language, seconds)} {datetime.fromtimestamp(seconds):%H:%M}"
