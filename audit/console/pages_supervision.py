"""A supervisor's pages: figures of a year by county, as charts and tables, to export and to print; official reports."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Form, Request
from fastapi.responses import Response
from markupsafe import Markup

from audit.console.registry import Entry, Topic
from audit.console.texts_supervision import DETAILS, TEXTS
from audit.console.web import Console, ConsoleOf, Genuine, SignedIn, Supervisor, language_of, see
from models.parties import Role
from models.supervision import page, spreadsheet
from models.supervision.book import Book
from models.supervision.messages import AskFigures, IssuedReport, IssuedReports, IssueReport, YearFigures, YearlyReport
from models.web.notices import Notice
from models.wire import encode
from models.zones import day_at

router = APIRouter()
YEARS_BACK = 5
FILES = {"csv": "text/csv; charset=utf-8", "zh": "text/html; charset=utf-8", "en": "text/html; charset=utf-8",
         "word": "application/vnd.msgpack"}  # fmt: skip


@router.get("/supervision")
def overview(request: Request, console: ConsoleOf, seat: Supervisor, year: str = "", county: str = "") -> Response:
    """The figures of a year, of everywhere or of one county."""
    return _shown(request, console, seat, "supervision_figures.html", year, county)


@router.get("/supervision/print")
def printable(request: Request, console: ConsoleOf, seat: Supervisor, year: str = "", county: str = "") -> Response:
    """The same without navigation, for paper."""
    return _shown(request, console, seat, "supervision_print.html", year, county)


@router.get("/supervision/export")
def export(request: Request, console: ConsoleOf, seat: Supervisor, year: str = "", county: str = "") -> Response:
    """The same as a CSV file."""
    found = _figures(console, seat, _year(console, year))
    name = f"xinqiao-{found.year}{'-' + county if _county(found, county) else ''}.csv"
    return _file(spreadsheet.write(found, _county(found, county)), FILES["csv"], name)


@router.get("/supervision/figures.css")
def stylesheet(seat: SignedIn) -> Response:
    """How figures look, on a page and in a report."""
    return Response(page.stylesheet(), media_type="text/css", headers={"cache-control": "private, max-age=3600"})


# -------------------------------------------------------------------- official reports


@router.get("/yearly-reports")
def reports(request: Request, console: ConsoleOf, seat: Supervisor) -> Response:
    """What was issued, and the form that issues the report of a year."""
    with seat.session() as office:
        listed = office.get("/supervision/reports", IssuedReports).reports
        words = [office.from_office(signed, YearlyReport) for signed in listed]
    return console.page(request, "supervision_reports.html", reports=words, years=_years(console))


@router.post("/yearly-reports", dependencies=[Genuine])
def issue(
    console: ConsoleOf, seat: Supervisor, year: Annotated[str, Form()] = "", reason: Annotated[str, Form()] = ""
) -> Response:
    """Have the office issue the report of a year that is over."""
    with seat.session() as office:
        office.logged("/supervision/reports", IssueReport(year=_year(console, year), reason=reason.strip()), IssuedReport)
    return see("/yearly-reports")


@router.get("/yearly-reports/{year}/{number}/{file}")
def issued(seat: Supervisor, year: int, number: int, file: Literal["csv", "zh", "en", "word"]) -> Response:
    """One file of an issued report, or the office's signed word on all of them."""
    with seat.session() as office:
        found = office.get(f"/supervision/reports/{year}/{number}", IssuedReport)
        office.from_office(found.report, YearlyReport)
    content = {"csv": found.csv, "zh": found.page_zh, "en": found.page_en, "word": encode(found.report)}[file]
    ending = {"csv": "csv", "word": "signed"}.get(file, "html")
    language = f"-{file}" if ending == "html" else ""
    return _file(content, FILES[file], f"xinqiao-{year}-{number}{language}.{ending}")


def _shown(request: Request, console: Console, seat: Supervisor, template: str, year: str, county: str) -> Response:
    found = _figures(console, seat, _year(console, year))
    chosen = _county(found, county)
    # The body escapes all that it is made of.
    body = Markup(page.body(found, language_of(request), chosen))  # noqa: S704
    return console.page(
        request,
        template,
        body=body,
        here="/supervision",
        year=found.year,
        years=_years(console),
        county=chosen,
        counties=Book(found).counties,
    )


def _figures(console: Console, seat: Supervisor, year: int) -> YearFigures:
    with seat.session() as office:
        return office.logged("/supervision/figures", AskFigures(year=year), YearFigures)


def _years(console: Console) -> list[int]:
    present = day_at(console.clock(), console.config.zone).year
    return [present - back for back in range(YEARS_BACK)]


def _year(console: Console, text: str) -> int:
    years = _years(console)
    if text and (not text.isdecimal() or int(text) not in years):
        raise Notice("supervision-year-wrong", 404)
    return int(text) if text else years[0]


def _county(found: YearFigures, county: str) -> str:
    return county if county in Book(found).counties else ""


def _file(content: bytes, kind: str, name: str) -> Response:
    return Response(content, media_type=kind, headers={"content-disposition": f'attachment; filename="{name}"'})


TOPIC = Topic(
    router,
    TEXTS,
    entries=(
        Entry("/supervision", "supervision", frozenset({Role.SUPERVISOR}), 70),
        Entry("/yearly-reports", "supervision-issued", frozenset({Role.SUPERVISOR}), 71),
    ),
    details=DETAILS,
)
