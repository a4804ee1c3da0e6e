"""The officer's part of a case's page that asks what the applicant owes at other banks."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response

from bank_client.desk.exposures import STEPS
from bank_client.desk.seats import Seat
from bank_client.desk.web import Desk, DeskOf, Looking, Officer
from models.web.notices import Notice
from models.web.pages import Genuine, language_of, see
from models.web.refusals import refusal_of

router = APIRouter()


@router.post("/cases/{handle}/exposure", dependencies=[Genuine])
def ask(desk: DeskOf, seat: Officer, handle: str) -> Response:
    """Ask the other banks."""
    case = desk.cases.find(seat, handle)
    if case is None:
        raise Notice("case-gone", 404)
    desk.exposures.ask(seat, case)
    return see(f"/cases/{handle}")


@router.get("/cases/{handle}/exposure")
def state(request: Request, desk: DeskOf, seat: Looking, handle: str) -> Response:
    """Asked by a page that waits."""
    return desk.page(request, "part_exposure.html", handle=handle, **card(request, desk, seat, handle))


def card(request: Request, desk: Desk, seat: Seat, handle: str) -> dict[str, Any]:
    """What the part of the page needs."""
    asked, language = desk.exposures.find(seat, handle), language_of(request)
    refusal = None if asked is None or asked.problem is None else refusal_of(asked.problem, language)
    possible = bool(desk.exposures.project) and desk.cases.find(seat, handle) is not None
    return {"exposure": asked, "exposure_possible": possible, "exposure_steps": STEPS, "exposure_refusal": refusal}
