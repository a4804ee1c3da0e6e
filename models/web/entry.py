"""Signing out, the language, and how long the seat lasts; signing in is each application's own."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Form, Request
from fastapi.responses import Response

from models.web.pages import LANGUAGE_COOKIE, YEAR, Genuine, PagesOf, SeatsOf, local_path, looking, see, signed_in
from models.web.texts import LANGUAGES

WARNING_SECONDS = 120
router = APIRouter()


@router.post("/signout", dependencies=[Genuine])
def signout(request: Request, pages: PagesOf, seats: SeatsOf) -> Response:
    """Leave the seat; the browser forgets what it holds of the application."""
    seats.sign_out(request.cookies.get(pages.cookie, ""))
    response = see("/signin")
    response.delete_cookie(pages.cookie, path="/", secure=pages.secure, httponly=True, samesite="strict")
    response.headers["Clear-Site-Data"] = '"cache", "storage"'
    return response


@router.post("/language", dependencies=[Genuine])
def choose_language(pages: PagesOf, language: Annotated[str, Form()] = "zh", back: Annotated[str, Form()] = "/") -> Response:
    """Remember a language for a year."""
    response = see(local_path(back))
    chosen = language if language in LANGUAGES else "zh"
    response.set_cookie(LANGUAGE_COOKIE, chosen, max_age=YEAR, httponly=True, samesite="strict", secure=pages.secure, path="/")
    return response


@router.get("/session")
def how_long(request: Request, pages: PagesOf, seats: SeatsOf, seat: Annotated[Any, Depends(looking)]) -> Response:
    """Asked by every page twice a minute: a warning before the seat ends. Once it has ended, the page goes to the sign-in."""
    seconds = seats.seconds_left(seat)
    return pages.page(request, "part_idle.html", seconds=seconds if seconds <= WARNING_SECONDS else 0)


@router.post("/session", dependencies=[Genuine])
def stay(request: Request, pages: PagesOf, _seat: Annotated[Any, Depends(signed_in)]) -> Response:
    """Somebody is there: the idle time begins anew."""
    return pages.page(request, "part_idle.html", seconds=0)
