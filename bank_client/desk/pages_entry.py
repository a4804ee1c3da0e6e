"""Signing in at the desk."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Form, Request
from fastapi.responses import Response

from bank_client.desk.web import Desk, DeskOf
from models.problems import Problem
from models.web.notices import Notice
from models.web.pages import Genuine, see

router = APIRouter()


@router.get("/signin")
def signin_page(request: Request, desk: DeskOf) -> Response:
    """The form."""
    cookie = desk.pages.guest(request)
    if desk.seats.find(cookie, own=False):
        return see("/")
    response = desk.page(request, "signin.html", people=desk.config.people, person="")
    desk.pages.set_cookie(response, cookie)
    return response


@router.post("/signin", dependencies=[Genuine])
def signin(
    request: Request, desk: DeskOf, person: Annotated[str, Form()] = "", passphrase: Annotated[str, Form()] = ""
) -> Response:
    """Take a seat; the cookie is a new one, so that nobody can have set it beforehand."""
    try:
        token = desk.seats.sign_in(person, passphrase)
    except Notice as notice:
        return _again(request, desk, person, notice.status, desk.pages.said(request, notice))
    except Problem as problem:
        refusal = desk.pages.refusal(request, problem)
        return _again(request, desk, person, 503, " ".join((refusal.title, refusal.detail, refusal.next_step)))
    response = see("/")
    desk.pages.set_cookie(response, token)
    return response


def _again(request: Request, desk: Desk, person: str, status: int, notice: str) -> Response:
    people = desk.config.people
    return desk.page(request, "signin.html", status=status, people=people, person=person, notice=notice, here="/signin")
