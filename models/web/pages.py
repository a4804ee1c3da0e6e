"""Rendering, the session's cookie, tokens against forged requests, and what a handler asks of a request."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Mapping
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from fastapi import Depends, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from fastapi.staticfiles import StaticFiles
from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape
from starlette.datastructures import UploadFile

from models.problems import Problem
from models.web.notices import Notice, SignedOut
from models.web.refusals import Refusal, refusal_of
from models.web.seats import Seat, Seats
from models.web.texts import Language, Texts

FOLDER = Path(__file__).parent
LANGUAGE_COOKIE = "language"
YEAR = 365 * 24 * 3600


class Pages:
    """The pages of one application.

    Args:
        folder: holds the application's `templates` and, if it has some of its own, `static`.
        texts: all that it says.
        cookie: the name of its session's cookie.
        secure: whether browsers reach it over https.
        zone: where the days and moments lie that its pages show.
        details: sentences of the services in Chinese, beside those of `refusals.DETAILS`.
        shown: what every template may use beside what is said here.
    """

    def __init__(
        self,
        folder: Path,
        texts: Texts,
        *,
        cookie: str,
        secure: bool,
        zone: ZoneInfo,
        details: Mapping[str, str] | None = None,
        **shown: Any,
    ) -> None:
        self.texts, self.secure, self.zone = texts, secure, zone
        # The prefix has browsers refuse the cookie from anywhere else, but needs https.
        self.cookie = f"__Host-{cookie}" if secure else cookie
        self._shown, self._details = shown, details or {}
        self._secret = secrets.token_bytes(32)
        folders = (folder, FOLDER)
        self._templates = Environment(
            loader=FileSystemLoader([each / "templates" for each in folders]),
            autoescape=select_autoescape(),
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._static = [each / "static" for each in folders if (each / "static").is_dir()]
        self._versions = {file.name: _digest(file) for each in reversed(self._static) for file in each.iterdir()}

    def static(self) -> StaticFiles:
        """The application's static files and those that all applications share."""
        files = StaticFiles(directory=self._static[0])
        files.all_directories = list(self._static)
        return files

    # ---------------------------------------------------------------- cookies and tokens

    def set_cookie(self, response: Response, value: str) -> None:
        """The session's cookie, or that of a guest before it: gone when the browser is closed."""
        response.set_cookie(self.cookie, value, httponly=True, samesite="strict", secure=self.secure, path="/")

    def guest(self, request: Request) -> str:
        """The browser's cookie; a browser without one gets one, since a form's token is made from it."""
        if not request.cookies.get(self.cookie):
            request.cookies[self.cookie] = secrets.token_urlsafe(32)
        return request.cookies[self.cookie]

    def token(self, request: Request) -> str:
        """What forms of this browser's session carry; nobody else can make it."""
        cookie = request.cookies.get(self.cookie, "")
        return hmac.new(self._secret, cookie.encode(), hashlib.sha256).hexdigest() if cookie else ""

    # ---------------------------------------------------------------- pages

    def page(self, request: Request, template: str, *, status: int = 200, **values: Any) -> HTMLResponse:
        """Render a template in the browser's language.

        Every template has ``t`` (say a text), ``language``, ``day`` and ``moment`` (of POSIX seconds), ``seat``, ``token``
        (for the field ``csrf`` of its forms), ``asset``, ``notice`` and ``here`` (where a change of language comes back to).
        """
        language = language_of(request)
        values = {"notice": "", "here": request.url.path if request.method == "GET" else "/"} | values
        text = self._templates.get_template(template).render(
            t=partial(self.texts.say, language),
            language=language,
            other="en" if language == "zh" else "zh",
            day=partial(day, language, self.zone),
            moment=partial(moment, language, self.zone),
            seat=getattr(request.state, "seat", None),
            token=self.token(request),
            asset=lambda name: f"/static/{name}?{self._versions[name]}",
            **(self._shown | values),
        )
        return HTMLResponse(text, status)

    def say(self, request: Request, key: str, **values: object) -> str:
        """A text in the browser's language."""
        return self.texts.say(language_of(request), key, **values)

    def refusal(self, request: Request, problem: Problem) -> Refusal:
        """A problem of a service in the browser's language."""
        return refusal_of(problem, language_of(request), self._details)

    def said(self, request: Request, notice: Notice) -> str:
        """A notice in the browser's language; a purpose among its values is named, not coded."""
        values = dict(notice.values)
        if "purpose" in values:
            values["purpose"] = self.say(request, f"purpose-{values['purpose']}")
        return self.say(request, notice.key, **values)


def pages_of(request: Request) -> Pages:
    """The application's pages."""
    pages: Pages = request.app.state.pages
    return pages


def seats_of(request: Request) -> Seats[Seat[Any]]:
    """The application's seats."""
    seats: Seats[Seat[Any]] = request.app.state.seats
    return seats


PagesOf = Annotated[Pages, Depends(pages_of)]
SeatsOf = Annotated[Seats[Seat[Any]], Depends(seats_of)]


async def genuine(request: Request, pages: PagesOf) -> None:
    """Refuse a request that no form of this browser's session can have sent; for every POST."""
    given: str | UploadFile | None = request.headers.get("x-csrf-token")
    if given is None:
        given = (await request.form()).get("csrf")
    token = pages.token(request)
    if not token or not isinstance(given, str) or not hmac.compare_digest(given.encode(), token.encode()):
        raise Notice("csrf", 403)


Genuine = Depends(genuine)


def looking(request: Request, pages: PagesOf, seats: SeatsOf) -> Any:
    """The seat of whoever looks on, for what a page asks for by itself: it does not keep the seat warm."""
    return _seat(request, pages, seats, own=False)


def signed_in(request: Request, pages: PagesOf, seats: SeatsOf) -> Any:
    """The seat of whoever asks; raises `SignedOut`."""
    return _seat(request, pages, seats, own=True)


def _seat(request: Request, pages: Pages, seats: Seats[Seat[Any]], *, own: bool) -> Seat[Any]:
    seat = seats.find(request.cookies.get(pages.cookie, ""), own=own)
    if seat is None:
        raise SignedOut
    request.state.seat = seat
    return seat


def language_of(request: Request) -> Language:
    """The language that this browser chose; Chinese unless it chose English."""
    return "en" if request.cookies.get(LANGUAGE_COOKIE) == "en" else "zh"


def see(path: str, request: Request | None = None) -> Response:
    """Go to another page; for a part of a page that asked, the whole page goes."""
    if request is not None and request.headers.get("hx-request"):
        return Response(status_code=200, headers={"HX-Redirect": path})
    return RedirectResponse(path, 303)


def local_path(text: str) -> str:
    """A path of this application, or the start page."""
    parts = urlsplit(text)
    fits = text.startswith("/") and not text.startswith("//") and "\\" not in text and not parts.scheme and not parts.netloc
    return parts.path if fits else "/"


def day(language: Language, zone: ZoneInfo, seconds: int) -> str:
    """A day in words."""
    when = datetime.fromtimestamp(seconds, zone)
    return f"{when.year}年{when.month}月{when.day}日" if language == "zh" else f"{when.day} {when:%b %Y}"


def moment(language: Language, zone: ZoneInfo, seconds: int) -> str:
    """A day and a time in words."""
    return f"{day(language, zone, seconds)} {datetime.fromtimestamp(seconds, zone):%H:%M}"


def _digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()[:12]
