"""An auditor's page of an exposure check: whose answers are in the sum, and the demand that one of them be opened.

An auditor demands alone, with a reason that is logged: it changes nothing, and what is opened is told to nobody else.
"""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Form, Request
from fastapi.responses import Response

from audit.client.auditor import Auditor as Work
from audit.console.registry import Topic
from audit.console.texts_exposures import DETAILS, TEXTS
from audit.console.web import Auditor, ConsoleOf, Genuine, see
from models.web.notices import Notice

router = APIRouter(prefix="/accesses")
TOPIC = Topic(router, TEXTS, details=DETAILS)
Text = Annotated[str, Form()]


@router.get("/{number}/exposure")
def answers(request: Request, console: ConsoleOf, seat: Auditor, number: int) -> Response:
    """The banks whose answers were added up, and what was opened of them."""
    with seat.session() as office:
        asked = Work(office).exposure(number)
    demands = {demand.bank: demand for demand in asked.demands}
    free = [bank for bank in asked.answered if bank not in demands]
    return console.page(
        request, "audit_exposure.html", number=number, asked=asked, demands=demands, free=free, here="/accesses"
    )


@router.post("/{number}/exposure", dependencies=[Genuine])
def demand(seat: Auditor, number: int, bank: Text = "", reason: Text = "") -> Response:
    """Have a bank open its answer."""
    if not bank:
        raise Notice("exposure-need-bank", 422)
    if not reason.strip():
        raise Notice("exposure-need-reason", 422)
    with seat.session() as office:
        work = Work(office)
        work.demand(work.exposure(number).question, bank, reason.strip())
    return see(f"/accesses/{number}/exposure")
