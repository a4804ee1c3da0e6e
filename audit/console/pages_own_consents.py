"""Consents in one's own account: which stand, their receipts, and withdrawing them."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Form, Request
from fastapi.responses import Response

from audit.console.consents_views import Person, listed, receipt_file, receipt_shown, withdrawing, withdrawn
from audit.console.registry import Entry, Topic
from audit.console.seats import SubjectSeat
from audit.console.web import ConsoleOf, Genuine, Subject
from models.consents import Withdrawer
from models.parties import Role

router = APIRouter(prefix="/me/consents")
TOPIC = Topic(router, entries=(Entry("/me/consents", "consents-own", frozenset({Role.WINDOW}), order=50),))
KEPT = "own-consents"


@router.get("")
def own(request: Request, console: ConsoleOf, seat: Subject) -> Response:
    """All of one's consents."""
    return listed(request, console, seat, _me(seat))


@router.get("/{number}/withdraw")
def withdraw_page(request: Request, console: ConsoleOf, seat: Subject, number: int) -> Response:
    """Asked once more."""
    return withdrawing(request, console, _me(seat), number)


@router.post("/{number}/withdraw", dependencies=[Genuine])
def withdraw(request: Request, console: ConsoleOf, seat: Subject, number: int, reason: Annotated[str, Form()] = "") -> Response:
    """Withdraw."""
    return withdrawn(request, console, seat, _me(seat), number, Withdrawer.SUBJECT, reason)


@router.get("/{number}/receipt")
def receipt_page(request: Request, console: ConsoleOf, seat: Subject, number: int) -> Response:
    """The receipt, to be printed."""
    return receipt_shown(request, console, seat, _me(seat), number)


@router.get("/{number}/receipt.txt")
def receipt_download(_console: ConsoleOf, seat: Subject, number: int) -> Response:
    """The receipt, to be kept."""
    return receipt_file(seat, _me(seat), number)


def _me(seat: SubjectSeat) -> Person:
    person: Person = seat.kept.setdefault(KEPT, Person("/me/consents", seat.subject, own=True))
    return person
