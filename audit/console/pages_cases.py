"""An auditor's pages: alarms with the rules behind them, and cases with their evidence as a file."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Form, Request
from fastapi.responses import Response

from audit.client.auditor import Auditor as Work
from audit.console.registry import Entry, Topic, Waits
from audit.console.session import OfficeSession
from audit.console.web import Auditor, ConsoleOf, Genuine, language_of, see, words_of
from audit.dossier.bundle import Verdict
from audit.dossier.evidence import Mismatch, Missing
from audit.dossier.words import name_of
from models.alarm_rules import RULES, Rule, rule_of
from models.alarms import OPEN, STATES, AskAlarms
from models.cases import Bundle, ItemKind
from models.parties import Role
from models.problems import Damaged
from models.web.notices import Notice
from models.web.texts import LANGUAGES, Language

router = APIRouter()
AUDITORS = frozenset({Role.AUDITOR})
Text = Annotated[str, Form()]
Number = Annotated[int, Form()]


def waiting(office: OfficeSession, role: Role) -> list[Waits]:
    """Open alarms."""
    if role is not Role.AUDITOR:
        return []
    return [Waits("alarms-waiting", len(Work(office).alarms(AskAlarms(state=OPEN)).alarms), "/alarms")]


TOPIC = Topic(
    router,
    entries=(Entry("/alarms", "alarms", AUDITORS, 30), Entry("/cases", "cases", AUDITORS, 40)),
    waiting=waiting,
)


# -------------------------------------------------------------------- alarms


@router.get("/alarms")
def alarms(request: Request, console: ConsoleOf, seat: Auditor, state: str = OPEN, kind: str = "", before: int = 0) -> Response:
    """Alarms by state and rule, newest first."""
    with seat.session() as office:
        found = Work(office).alarms(AskAlarms(state=state, kind=kind, before=before)).alarms
    language = language_of(request)
    rows = [(alarm, _told(rule_of(alarm.kind), language)) for alarm in found]
    rules = [(rule.kind, *_told(rule, language)[:2]) for rule in RULES]
    return console.page(
        request, "audit_alarms.html", rows=rows, rules=rules, states=STATES, state=state, kind=kind, here="/alarms"
    )


@router.get("/alarms/{number}")
def alarm(request: Request, console: ConsoleOf, seat: Auditor, number: int) -> Response:
    """One alarm: the rule, its numbers, and what was done about it."""
    with seat.session() as office:
        work = Work(office)
        history = work.alarm(number)
        cases = work.cases(OPEN).cases
    rule = rule_of(history.alarm.kind)
    told = _told(rule, language_of(request))
    return console.page(
        request, "audit_alarm.html", alarm=history.alarm, events=history.events, told=told, setting=rule.setting, cases=cases,
        in_words=words_of(request), here="/alarms",
    )  # fmt: skip


@router.post("/alarms/{number}", dependencies=[Genuine])
def handle(seat: Auditor, number: int, state: Text, reason: Text = "") -> Response:
    """Acknowledge, close, open again."""
    with seat.session() as office:
        Work(office).handle(number, state, reason)
    return see(f"/alarms/{number}")


def _told(rule: Rule, language: Language) -> tuple[str, str, str]:
    place = LANGUAGES.index(language)
    return rule.id, (rule.zh, rule.en)[place], (rule.why_zh, rule.why_en)[place]


# -------------------------------------------------------------------- cases


@router.get("/cases")
def cases(request: Request, console: ConsoleOf, seat: Auditor, before: int = 0) -> Response:
    """All cases, newest first."""
    with seat.session() as office:
        found = Work(office).cases(before=before).cases
    return console.page(request, "audit_cases.html", cases=found)


@router.post("/cases", dependencies=[Genuine])
def open_case(seat: Auditor, title: Text = "") -> Response:
    """Open one."""
    with seat.session() as office:
        made = Work(office).open_case(title)
    return see(f"/cases/{made.id}")


@router.get("/cases/{number}")
def case(request: Request, console: ConsoleOf, seat: Auditor, number: int) -> Response:
    """One case with what was gathered."""
    with seat.session() as office:
        found = Work(office).case(number)
        names = {person.id: person.name for person in office.directory().people}
    return console.page(request, "audit_case.html", case=found, names=names, checks=None, here="/cases")


@router.post("/cases/items", dependencies=[Genuine])
def add(seat: Auditor, case: Number, kind: Text, ref: Number = 0, text: Text = "") -> Response:
    """Add an access, an alarm, a finding or a note."""
    if kind not in set(ItemKind) or (kind == ItemKind.NOTE and not text.strip()):
        raise Notice("case-note-empty", 422)
    with seat.session() as office:
        Work(office).add(case, ItemKind(kind), ref, text)
    return see(f"/cases/{case}")


@router.post("/cases/{number}/close", dependencies=[Genuine])
def close(seat: Auditor, number: int, finding: Text = "") -> Response:
    """End it with what was found."""
    with seat.session() as office:
        Work(office).close(number, finding)
    return see(f"/cases/{number}")


@router.post("/cases/{number}/check", dependencies=[Genuine])
def check(request: Request, console: ConsoleOf, seat: Auditor, number: int) -> Response:
    """Export the bundle and verify it here, in plain words."""
    with seat.session() as office:
        work = Work(office)
        found = work.case(number)
        _, verdict = _verified(work, number)
        names = {person.id: person.name for person in office.directory().people}
    place = LANGUAGES.index(language_of(request))
    groups = [("", verdict.own), *((str(access), all_) for access, all_ in verdict.accesses.items())]
    checks = [(access, [(one, name_of(one)[place]) for one in all_]) for access, all_ in groups]
    files = len(verdict.bundle.files) - 1
    return console.page(request, "audit_case.html", case=found, names=names, checks=checks, files=files,
                        failed=len(verdict.failed), here=f"/cases/{number}")  # fmt: skip


@router.post("/cases/{number}/bundle", dependencies=[Genuine])
def bundle(seat: Auditor, number: int) -> Response:
    """The bundle as a file."""
    with seat.session() as office:
        made, _ = _verified(Work(office), number)
    headers = {"content-disposition": f'attachment; filename="{made.name}"', "cache-control": "no-store"}
    return Response(made.data, media_type="application/x-tar", headers=headers)


def _verified(work: Work, number: int) -> tuple[Bundle, Verdict]:
    """The bundle, once its bytes and signature hold."""
    try:
        return work.bundle(number)
    except (Mismatch, Missing) as error:
        raise Damaged(f"the bundle is not what the office signed: {error}") from None
