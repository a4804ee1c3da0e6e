"""The approver's pages: what waits, and one question with its decision."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Form, Request
from fastapi.responses import Response

from bank_client.desk.identities import mask
from bank_client.desk.web import Approver, Desk, DeskOf, Looking
from models.web.notices import Notice
from models.web.pages import Genuine, see

router = APIRouter()


@router.get("/approvals")
def waiting(request: Request, desk: DeskOf, seat: Looking) -> Response:
    """Asked by the start page: what waits now."""
    return desk.page(request, "part_approvals.html", waiting=[] if seat.is_officer else desk.approvals.open())


@router.get("/approvals/{handle}")
def question(request: Request, desk: DeskOf, _seat: Approver, handle: str) -> Response:
    """One question."""
    return _question(request, desk, handle)


@router.post("/approvals/{handle}/reveal", dependencies=[Genuine])
def reveal(request: Request, desk: DeskOf, _seat: Approver, handle: str) -> Response:
    """The whole id, into this page only."""
    return desk.page(request, "part_subject.html", subject=desk.approvals.find(handle).subject.partition(":")[2])


@router.post("/approvals/{handle}/approve", dependencies=[Genuine])
def approve(desk: DeskOf, seat: Approver, handle: str) -> Response:
    """Sign the question."""
    desk.approvals.approve(handle, seat)
    return see("/")


@router.post("/approvals/{handle}/decline", dependencies=[Genuine])
def decline(request: Request, desk: DeskOf, seat: Approver, handle: str, reason: Annotated[str, Form()] = "") -> Response:
    """Decline with a reason."""
    try:
        desk.approvals.decline(handle, seat, reason)
    except Notice as notice:
        if notice.key != "decline-reason":
            raise
        return _question(request, desk, handle, status=notice.status, notice=desk.pages.said(request, notice))
    return see("/")


def _question(request: Request, desk: Desk, handle: str, *, status: int = 200, notice: str = "") -> Response:
    found = desk.approvals.find(handle)
    return desk.page(
        request,
        "approval.html",
        status=status,
        notice=notice,
        question=found,
        mask=mask(found.subject),
        here=f"/approvals/{handle}",
    )
