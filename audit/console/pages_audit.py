"""An auditor's pages: the search among all accesses, what stands behind one of them, and how each day was reconciled."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import chain, islice
from typing import Annotated, Any
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Form, Request
from fastapi.responses import Response, StreamingResponse

from audit.client.auditor import Auditor as Work
from audit.client.auditor import csv_lines
from audit.console.registry import Entry, Topic
from audit.console.texts_audit import DETAILS, TEXTS
from audit.console.web import Auditor, Console, ConsoleOf, Genuine, Ref, language_of, words_of
from audit.dossier import parts
from audit.dossier.words import name_of
from models.alarm_rules import rule_of
from models.cases import OPEN
from models.consents import Purpose
from models.exposure import TABLE as EXPOSURE
from models.identity import IdentityError
from models.oversight import MOST_FOUND, RESULTS, FoundAccess, FoundAccesses, SearchAccesses
from models.parties import Role
from models.web.notices import Notice
from models.web.texts import LANGUAGES
from models.wire import replace
from models.zones import day_at

router = APIRouter()
AUDITORS = frozenset({Role.AUDITOR})
TOPIC = Topic(
    router,
    TEXTS,
    entries=(Entry("/accesses", "accesses", AUDITORS, 10), Entry("/days", "days", AUDITORS, 20)),
    details=DETAILS,
)
WORDS = ("bank", "officer", "purpose", "field", "project", "batch", "table", "result")
PAGE = 50
WEEKS = 10
Text = Annotated[str, Form()]


# -------------------------------------------------------------------- search


@router.get("/accesses")
def form(request: Request, console: ConsoleOf, seat: Auditor) -> Response:
    """The search, still empty: nothing is asked until somebody asks."""
    return _page(request, console, {}, None)


@router.post("/accesses", dependencies=[Genuine])
def search(
    request: Request, console: ConsoleOf, seat: Auditor,
    bank: Text = "", officer: Text = "", subject: Text = "", purpose: Text = "", field: Text = "", project: Text = "",
    batch: Text = "", table: Text = "", result: Text = "", since: Text = "", until: Text = "", after: Text = "", csv: Text = "",
) -> Response:  # fmt: skip
    """One page of what is found, or all of it as CSV. Sent as a form, so that no number stands in an address."""
    given = {
        "bank": bank, "officer": officer, "subject": subject, "purpose": purpose, "field": field, "project": project,
        "batch": batch, "table": table, "result": result, "since": since, "until": until,
    }  # fmt: skip
    given = {name: value.strip() for name, value in given.items()}
    ask = SearchAccesses(
        **{name: given[name] for name in WORDS},
        subject=_subject(console, given["subject"]),
        since=_moment(console, given["since"]),
        until=_moment(console, given["until"]),
        after=after,
        most=PAGE,
    )
    if csv:
        return _csv(seat, replace(ask, after=""), console.config.zone)
    with seat.session() as office:
        found = Work(office).search(ask)
    return _page(request, console, given, found)


def _page(request: Request, console: Console, given: dict[str, str], found: FoundAccesses | None) -> Response:
    return console.page(
        request,
        "audit_search.html",
        given=given,
        found=found,
        purposes=list(Purpose),
        results=RESULTS,
        exposure=EXPOSURE,
        here="/accesses",
    )


def _csv(seat: Auditor, ask: SearchAccesses, zone: ZoneInfo) -> Response:
    """A line at a time; what the office refuses is told before the first one."""

    def accesses() -> Iterator[FoundAccess]:
        following = replace(ask, most=MOST_FOUND)
        while True:
            # The seat is taken for each page of answers and not for the file: threads take turns at sending it, and a reader
            # who takes it in slowly must not keep the seat from ending.
            with seat.session() as office:
                page = Work(office).search(following)
            yield from page.accesses
            if not page.next:
                return
            following = replace(following, after=page.next)

    made = chain(["\ufeff"], csv_lines(accesses(), zone))
    begun = list(islice(made, 3))
    headers = {"content-disposition": 'attachment; filename="xinqiao-accesses.csv"', "cache-control": "no-store"}
    return StreamingResponse(chain(begun, made), media_type="text/csv; charset=utf-8", headers=headers)


def _subject(console: Console, text: str) -> str:
    try:
        return console.config.canonical(text) if text else ""
    except IdentityError:
        raise Notice("audit-id-wrong", 422) from None


def _moment(console: Console, text: str) -> int:
    try:
        # As it was entered: a time of the console's zone, without one of its own.
        return int(datetime.fromisoformat(text).replace(tzinfo=console.config.zone).timestamp()) if text else 0
    except (ValueError, OverflowError):
        raise Notice("audit-time-wrong", 422) from None


# -------------------------------------------------------------------- one access


@router.get("/accesses/{number}")
def access(request: Request, console: ConsoleOf, seat: Auditor, number: int) -> Response:
    """Leaf, ticket, consents, approvals, project, batch, evaluation and report, each checked on this machine just now."""
    with seat.session() as office:
        work = Work(office)
        examined = work.examine(number)
        cases = work.cases(OPEN).cases
    place = LANGUAGES.index(language_of(request))
    checks = [(check, name_of(check)[place]) for check in examined.checks]
    consents: tuple[Any, ...] = ()
    if parts.CONSENTS in examined.files:
        consents = parts.from_json(examined.files[parts.CONSENTS], parts.ConsentsEvidence).consents
    raw = [(name, _text(examined.files[name])) for name in sorted(examined.files) if _readable(name)]
    return console.page(
        request, "audit_access.html", access=examined.access, checks=checks, failed=len(examined.failed), consents=consents,
        raw=raw, cases=cases, exposure=EXPOSURE, here="/accesses",
    )  # fmt: skip


def _readable(name: str) -> bool:
    stem, _, ending = name.rpartition(".")
    return stem in (parts.OFFICE_LEAF, parts.NODE_LEAF) and f".{ending}" in (parts.LEAF, parts.RECEIPT)


def _text(data: bytes) -> str:
    text = data.decode(errors="replace")
    return json.dumps(json.loads(text), ensure_ascii=False, indent=1) if text.startswith("{") else text


# -------------------------------------------------------------------- reconciled days


@router.get("/days")
def days(request: Request, console: ConsoleOf, seat: Auditor) -> Response:
    """Ten weeks as a calendar: each day whole, with findings, incomplete, or without a run."""
    today = day_at(console.clock(), console.config.zone)
    first = today - timedelta(days=today.weekday() + 7 * (WEEKS - 1))
    with seat.session() as office:
        found = {run.day: run for run in Work(office).days(str(first), str(today)).days}
    weeks = [[first + timedelta(days=7 * week + day) for day in range(7)] for week in range(WEEKS)]
    return console.page(request, "audit_days.html", weeks=weeks, found=found, today=today)


@router.get("/days/{day}")
def one_day(request: Request, console: ConsoleOf, seat: Auditor, day: Ref) -> Response:
    """One day, table by table, and what does not fit, with the rule behind it."""
    with seat.session() as office:
        work = Work(office)
        found = work.day(day)
        cases = work.cases(OPEN).cases if found.findings else ()
    place = LANGUAGES.index(language_of(request))
    rules = {finding.rule: rule_of(finding.rule) for finding in found.findings}
    told = {kind: (rule.id, (rule.zh, rule.en)[place], (rule.why_zh, rule.why_en)[place]) for kind, rule in rules.items()}
    return console.page(request, "audit_day.html", run=found.run, tables=found.tables, findings=found.findings, rules=told,
                        cases=cases, in_words=words_of(request), here="/days")  # fmt: skip
