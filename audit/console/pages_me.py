"""The subject's own part: the file, who asked, use in models, objections and credit repair. All of it through the window."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, File, Form, Request, UploadFile
from fastapi.responses import Response

from audit.console import rights_views as views
from audit.console import rights_work as work
from audit.console.registry import Entry, Topic
from audit.console.web import ConsoleOf, Genuine, Ref, Subject, see
from models.disputes import ApplyRepair, RaiseDispute
from models.parties import Role
from models.problems import Problem

ME = "/me"
OWN = frozenset({Role.WINDOW})
router = APIRouter(prefix=ME)
TOPIC = Topic(
    router,
    entries=(
        Entry("/me/archive", "me-archive", OWN, 20),
        Entry("/me/accesses", "me-accesses", OWN, 30),
        Entry("/me/cohorts", "me-cohorts", OWN, 40),
        Entry("/me/disputes", "me-disputes", OWN, 60),
        Entry("/me/repairs", "me-repairs", OWN, 70),
    ),
)
Words = Annotated[str, Form()]
Upload = Annotated[UploadFile | None, File()]


@router.get("")
def start(request: Request, console: ConsoleOf, seat: Subject) -> Response:
    """Where to go; nothing is asked for yet."""
    return console.page(request, "me_start.html")


@router.get("/archive")
def archive(request: Request, console: ConsoleOf, seat: Subject) -> Response:
    """One's own archive."""
    return views.show_archive(request, console, seat, seat.subject, ME)


@router.get("/archive.json")
def archive_file(seat: Subject) -> Response:
    """One's own archive to keep."""
    return views.download_archive(seat, seat.subject)


@router.get("/accesses")
def accesses(request: Request, console: ConsoleOf, seat: Subject) -> Response:
    """Who asked."""
    return views.show_accesses(request, console, seat, seat.subject, ME)


@router.get("/cohorts")
def cohorts(request: Request, console: ConsoleOf, seat: Subject) -> Response:
    """Use in models."""
    return views.show_uses(request, console, seat, seat.subject, ME)


@router.get("/disputes")
def disputes(request: Request, console: ConsoleOf, seat: Subject, field: str = "*") -> Response:
    """One's objections."""
    return views.show_disputes(request, console, seat, seat.subject, ME, field=field)


@router.post("/disputes", dependencies=[Genuine])
def raise_dispute(
    request: Request, console: ConsoleOf, seat: Subject, field: Words = "*", statement: Words = "", evidence: Upload = None
) -> Response:
    """Raise an objection."""
    try:
        new = RaiseDispute(subject=seat.subject, field=field, statement=statement, evidence=work.evidence_of(evidence))
        views.raise_dispute(seat, new)
    except Problem as problem:
        return views.show_disputes(request, console, seat, seat.subject, ME, problem, field=field, statement=statement)
    return see("/me/disputes")


@router.get("/disputes/{case}/letter")
def letter(request: Request, console: ConsoleOf, seat: Subject, case: Ref) -> Response:
    """The answer in writing."""
    return views.show_letter(request, console, seat, seat.subject, case, ME)


@router.post("/disputes/{case}/evidence", dependencies=[Genuine])
def evidence(seat: Subject, case: Ref) -> Response:
    """One's own evidence again."""
    # The office knows the window alone: whose case it is must be seen here.
    with seat.session() as office:
        views.one_of(work.disputes_of(office, seat.subject), case)
    return views.show_evidence(seat, f"/disputes/{case}/evidence")


@router.get("/repairs")
def repairs(request: Request, console: ConsoleOf, seat: Subject) -> Response:
    """One's applications for credit repair."""
    return views.show_repairs(request, console, seat, seat.subject, ME)


@router.post("/repairs", dependencies=[Genuine])
def apply_repair(
    request: Request, console: ConsoleOf, seat: Subject, field: Words = "", grounds: Words = "", evidence: Upload = None
) -> Response:
    """Apply for credit repair."""
    try:
        views.apply_repair(
            seat, ApplyRepair(subject=seat.subject, field=field, grounds=grounds, evidence=work.evidence_of(evidence))
        )
    except Problem as problem:
        return views.show_repairs(request, console, seat, seat.subject, ME, problem, field=field, grounds=grounds)
    return see("/me/repairs")
