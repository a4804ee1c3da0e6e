"""Signing in and out, the language, and how long the seat lasts."""

from __future__ import annotations

import secrets
from typing import Annotated

from fastapi import APIRouter, Form, Request
from fastapi.responses import Response

from bank_client.desk.notices import Notice
from bank_client.desk.refusals import refusal_of
from bank_client.desk.texts import LANGUAGES, say
from bank_client.desk.web import (
    LANGUAGE_COOKIE,
    YEAR,
    Desk,
    DeskOf,
    Genuine,
    Looking,
    SignedIn,
    language_of,
    local_path,
    see,
)
from models.problems import Problem

WARNING_SECONDS = 120
router = APIRouter()


@router.get("/signin")
def signin_page(request: Request, desk: DeskOf) -> Response:
    """The form; a browser without a cookie gets one, since the form's token is made from it."""
    cookie = request.cookies.get(desk.cookie)
    if cookie and desk.seats.find(cookie, own=False):
        return see("/")
    if not cookie:
        request.cookies[desk.cookie] = cookie = secrets.token_urlsafe(32)
    response = desk.page(request, "signin.html", people=desk.config.people, person="")
    desk.set_cookie(response, cookie)
    return response


@router.post("/signin", dependencies=[Genuine])
def signin(
    request: Request, desk: DeskOf, person: Annotated[str, Form()] = "", passphrase: Annotated[str, Form()] = ""
) -> Response:
    """Take a seat; the cookie is a new one, so that nobody can have set it beforehand."""
    language = language_of(request)
    try:
        token = desk.seats.sign_in(person, passphrase)
    except Notice as notice:
        return _again(request, desk, person, notice.status, say(language, notice.key, **notice.values))
    except Problem as problem:
        refusal = refusal_of(problem, language)
        return _again(request, desk, person, 503, " ".join((refusal.title, refusal.detail, refusal.next_step)))
    response = see("/")
    desk.set_cookie(response, token)
    return response


def _again(request: Request, desk: Desk, person: str, status: int, notice: str) -> Response:
    people = desk.config.people
    return desk.page(request, "signin.html", status=status, people=people, person=person, notice=notice, here="/signin")


@router.post("/signout", dependencies=[Genuine])
def signout(request: Request, desk: DeskOf) -> Response:
    """Leave the seat; the browser forgets what it holds of the desk."""
    desk.seats.sign_out(request.cookies.get(desk.cookie, ""))
    response = see("/signin")
    response.delete_cookie(desk.cookie, path="/", secure=desk.config.secure, httponly=True, samesite="strict")
    response.headers["Clear-Site-Data"] = '"cache", "storage"'
    return response


@router.post("/language", dependencies=[Genuine])
def choose_language(desk: DeskOf, language: Annotated[str, Form()] = "zh", back: Annotated[str, Form()] = "/") -> Response:
    """Remember a language for a year."""
    response = see(local_path(back))
    chosen = language if language in LANGUAGES else "zh"
    response.set_cookie(
        LANGUAGE_COOKIE, chosen, max_age=YEAR, httponly=True, samesite="strict", secure=desk.config.secure, path="/"
    )
    return response


@router.get("/session")
def how_long(request: Request, desk: DeskOf, seat: Looking) -> Response:
    """Asked by every page twice a minute: a warning before the seat ends. Once it has ended, the page goes to the sign-in."""
    seconds = desk.seats.seconds_left(seat)
    return desk.page(request, "part_idle.html", seconds=seconds if seconds <= WARNING_SECONDS else 0)


@router.post("/session", dependencies=[Genuine])
def stay(request: Request, desk: DeskOf, seat: SignedIn) -> Response:
    """Somebody is there: the idle time begins anew."""
    return desk.page(request, "part_idle.html", seconds=0)
