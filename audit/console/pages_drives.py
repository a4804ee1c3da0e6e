"""A village drive's table at the window: looked over first, then filed; rows at fault come back to be corrected."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, File, Form, Request, UploadFile
from fastapi.responses import Response

from audit.console.consent_form import check_scan
from audit.console.registry import Topic
from audit.console.web import Clerk, Console, ConsoleOf, Genuine
from models.consent_drives import left_out, template
from models.consents import DriveFiled, FileDrive
from models.parties import Role
from models.problems import Problem
from models.scans import LARGEST_SCAN, keep_scan
from models.web.notices import Notice

router = APIRouter(prefix="/consents/drive")
TOPIC = Topic(router)
Text = Annotated[str, Form()]
Sent = Annotated[UploadFile | None, File()]
LARGEST_TABLE = 8 << 20
KEPT = "drive"
CSV = "text/csv; charset=utf-8"


@router.get("")
def drive_page(request: Request, console: ConsoleOf, seat: Clerk) -> Response:
    """The form of a drive."""
    return _page(request, console, seat)


@router.get("/template.csv")
def template_file(request: Request, _console: ConsoleOf, _seat: Clerk) -> Response:
    """The empty table, in the browser's language."""
    english = request.cookies.get("language") == "en"
    headers = {"Content-Disposition": 'attachment; filename="consents.csv"'}
    return Response(template(english=english), media_type=CSV, headers=headers)


@router.post("", dependencies=[Genuine])
def drive(
    request: Request,
    console: ConsoleOf,
    seat: Clerk,
    place: Text = "",
    officer: Text = "",
    witness: Text = "",
    table: Sent = None,
    scans: Sent = None,
    check: Text = "",
) -> Response:
    """Look a table over (`check`), or file it."""
    entered = {"place": place, "officer": officer, "witness": witness}
    try:
        data = b"" if table is None else table.file.read(LARGEST_TABLE + 1)
        if not data or len(data) > LARGEST_TABLE:
            raise Notice("drive-need-table", mib=LARGEST_TABLE >> 20)
        scan = b"" if scans is None else scans.file.read(LARGEST_SCAN + 1)
        # To look a table over, no scans are needed yet.
        digest = "0" * 64 if check and not scan else keep_scan(check_scan(scan), console.config.data_dir / "forms")
        filed = FileDrive(
            place=place.strip(),
            table=data,
            officer=officer,
            witness=witness.strip(),
            evidence_digest=digest,
            check_only=bool(check),
        )
        with seat.session() as office:
            answer = office.logged("/consents/drives", filed, DriveFiled)
    except Notice as notice:
        said = console.pages.said(request, notice)
        return _page(request, console, seat, status=notice.status, notice=said, entered=entered)
    except Problem as problem:
        refusal = console.pages.refusal(request, problem)
        return _page(request, console, seat, status=409, refusal=refusal, entered=entered)
    seat.kept[KEPT] = left_out(data, answer.faults) if answer.faults else b""
    return _page(request, console, seat, answer=answer, checked=bool(check), entered=entered)


@router.get("/left-out.csv")
def left_out_file(_console: ConsoleOf, seat: Clerk) -> Response:
    """The rows of the last table that were left out."""
    if not seat.kept.get(KEPT):
        raise Notice("consents-gone", 404)
    headers = {"Content-Disposition": 'attachment; filename="left-out.csv"'}
    return Response(seat.kept[KEPT], media_type=CSV, headers=headers)


def _page(request: Request, console: Console, seat: Clerk, *, status: int = 200, **shown: Any) -> Response:
    with seat.session() as office:
        people = [person for person in office.directory().people if not person.suspended]
    officers = {person.id: person.name for person in people if person.role in (Role.LOAN_OFFICER, Role.CLERK)}
    values: dict[str, Any] = {"refusal": None, "answer": None, "checked": False, "officers": officers}
    values["entered"] = {"place": "", "officer": "", "witness": ""}
    return console.page(request, "consents_drive.html", status=status, here="/consents/drive", **(values | shown))
