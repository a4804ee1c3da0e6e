"""Who takes part: institutions and people are enrolled, suspended and reinstated; projects and models halted."""

from __future__ import annotations

import base64
import binascii
from typing import Annotated

from fastapi import APIRouter, Form, Request
from fastapi.responses import Response

from audit.console.registry import Entry, Topic
from audit.console.second import do_or_file
from audit.console.texts_directory import TEXTS
from audit.console.views_approvals import fingerprint
from audit.console.web import Clerk, Console, ConsoleOf, Genuine, Overseer, see
from models import wire
from models.approvals import Act, ActKind, ProjectList
from models.logged import Empty
from models.parties import ROLES_OF, Institution, InstitutionKind, Person, Role
from models.problems import Problem
from models.projects import Target
from models.registry import ChangeModel, ModelList
from models.tables import ModelStatus
from models.web.notices import Notice

router = APIRouter(prefix="/directory")
TOPIC = Topic(
    router,
    texts=TEXTS,
    entries=(Entry("/directory", "directory", frozenset({Role.CLERK, Role.AUDITOR}), order=80),),
)
Text = Annotated[str, Form()]
ENROLLED_HERE = tuple(role for roles in ROLES_OF.values() for role in sorted(roles) if role not in
                      {Role.NODE, Role.OFFICE, Role.WINDOW})  # fmt: skip
KINDS = (InstitutionKind.BANK, InstitutionKind.BUREAU)
KEY_BYTES = 32


@router.get("")
def directory(request: Request, console: ConsoleOf, seat: Overseer, find: str = "", said: str = "") -> Response:
    """All institutions and people, and the projects and models that may be halted."""
    with seat.session() as office:
        parties = office.directory(fresh=True)
        projects = office.get("/projects", ProjectList).projects
        models = office.get("/models", ModelList).models
    words = find.strip().casefold()
    people = [each for each in parties.people if words in f"{each.id} {each.name} {each.institution}".casefold()]
    told = console.pages.say(request, f"directory-{said}") if said in ("told", "filed") else ""
    return console.page(
        request,
        "directory_list.html",
        institutions=parties.institutions,
        people=people,
        projects=projects,
        models=models,
        find=find,
        told=told,
        fingerprint=fingerprint,
        here="/directory",
    )


# -------------------------------------------------------------------- enrolment


@router.get("/institutions/new")
def new_institution(request: Request, console: ConsoleOf, _seat: Clerk) -> Response:
    """The form."""
    return _institution_form(request, console)


@router.post("/institutions/new", dependencies=[Genuine])
def enrol_institution(
    request: Request,
    console: ConsoleOf,
    seat: Clerk,
    id: Text = "",
    name: Text = "",
    kind: Text = "",
    licence: Text = "",
    contact: Text = "",
    bank_class: Text = "",
    customers: Text = "0",
    second: Text = "",
    reason: Text = "",
) -> Response:
    """Enrol it, or file that for a second clerk."""
    entered = {"id": id, "name": name, "kind": kind, "licence": licence, "contact": contact, "bank_class": bank_class}
    entered |= {"customers": customers, "second": second, "reason": reason}
    try:
        if not (customers or "0").isdecimal():
            raise Notice("directory-customers-bad")
        if kind not in set(KINDS):
            raise Notice("bad-form")
        new = Institution(
            id=id.strip(),
            name=name.strip(),
            kind=InstitutionKind(kind),
            licence=licence.strip(),
            contact=contact.strip(),
            bank_class=bank_class.strip(),
            declared_customers=int(customers or 0),
            second_approval=second == "yes",
        )
        with seat.session() as office:
            done = do_or_file(office, ActKind.ENROL_INSTITUTION, "/institutions", new, Empty, _reason(reason))
    except (Notice, Problem) as why:
        return _institution_form(request, console, why, **entered)
    return _told(done)


@router.get("/people/new")
def new_person(request: Request, console: ConsoleOf, seat: Clerk) -> Response:
    """The form."""
    return _person_form(request, console, seat)


@router.post("/people/new", dependencies=[Genuine])
def enrol_person(
    request: Request,
    console: ConsoleOf,
    seat: Clerk,
    institution: Text = "",
    short: Text = "",
    name: Text = "",
    role: Text = "",
    key: Text = "",
    reason: Text = "",
) -> Response:
    """Enrol them, or file that for a second clerk."""
    entered = {"institution": institution, "short": short, "name": name, "role": role, "key": key, "reason": reason}
    try:
        if role not in set(ENROLLED_HERE):
            raise Notice("bad-form")
        new = Person(
            id=f"{institution}/{short.strip().rpartition('/')[2]}",
            institution=institution,
            name=name.strip(),
            role=Role(role),
            key=_public_key(key),
        )
        with seat.session() as office:
            done = do_or_file(office, ActKind.ENROL_PERSON, "/people", new, Empty, _reason(reason))
    except (Notice, Problem) as why:
        return _person_form(request, console, seat, why, **entered)
    return _told(done)


# -------------------------------------------------------------------- suspension


@router.post("/look", dependencies=[Genuine])
def look(request: Request, console: ConsoleOf, seat: Clerk, kind: Text = "", id: Text = "") -> Response:
    """What would be suspended or reinstated; a person's id stands in no address."""
    return _suspension(request, console, seat, kind, id)


@router.post("/suspend", dependencies=[Genuine])
def suspend(
    request: Request, console: ConsoleOf, seat: Clerk, kind: Text = "", id: Text = "", suspended: Text = "", reason: Text = ""
) -> Response:
    """Suspend at once; lift, or file that for a second clerk."""
    halt = suspended == "yes"
    try:
        with seat.session() as office:
            done: wire.Message
            if kind == "model":
                change = ChangeModel(subject=id, state="suspended" if halt else "approved", reason=_reason(reason))
                done = do_or_file(office, ActKind.MODEL_LIFT, f"/models/{id}/state", change, ModelStatus, change.reason)
            else:
                target = Target(kind=kind, id=id, suspended=halt, reason=_reason(reason))
                done = do_or_file(office, ActKind.LIFT, "/suspensions", target, Empty, target.reason)
    except (Notice, Problem) as why:
        return _suspension(request, console, seat, kind, id, why)
    return _told(done)


def _suspension(
    request: Request, console: Console, seat: Clerk, kind: str, target: str, why: Exception | None = None
) -> Response:
    with seat.session() as office:
        parties = office.directory(fresh=True)
        halted: dict[str, dict[str, bool]] = {
            "person": {each.id: each.suspended for each in parties.people},
            "institution": {each.id: each.suspended for each in parties.institutions},
            "project": {each.project.id: each.state == "suspended" for each in office.get("/projects", ProjectList).projects},
            "model": {each.id: each.state == "suspended" for each in office.get("/models", ModelList).models},
        }
    if target not in halted.get(kind, {}):
        raise Notice("not-found", 404)
    names = {each.id: each.name for each in parties.people} | {each.id: each.name for each in parties.institutions}
    return console.page(
        request,
        "directory_suspend.html",
        status=422 if why else 200,
        kind=kind,
        id=target,
        name=names.get(target, ""),
        suspended=halted[kind][target],
        here="/directory",
        **_why(request, console, why),
    )


# -------------------------------------------------------------------- what the forms share


def _institution_form(request: Request, console: Console, why: Exception | None = None, **entered: str) -> Response:
    names = ("id", "name", "kind", "licence", "contact", "bank_class", "customers", "second", "reason")
    values = dict.fromkeys(names, "") | entered
    return console.page(
        request,
        "directory_institution.html",
        status=422 if why else 200,
        entered=values,
        kinds=KINDS,
        here="/directory",
        **_why(request, console, why),
    )


def _person_form(request: Request, console: Console, seat: Clerk, why: Exception | None = None, **entered: str) -> Response:
    with seat.session() as office:
        homes = office.directory().institutions
    values = dict.fromkeys(("institution", "short", "name", "role", "key", "reason"), "") | entered
    return console.page(
        request,
        "directory_person.html",
        status=422 if why else 200,
        entered=values,
        homes=homes,
        roles=ENROLLED_HERE,
        here="/directory",
        **_why(request, console, why),
    )


def _why(request: Request, console: Console, why: Exception | None) -> dict[str, object]:
    if isinstance(why, Notice):
        return {"notice": console.pages.said(request, why), "refusal": None}
    return {"refusal": console.pages.refusal(request, why) if isinstance(why, Problem) else None}


def _public_key(text: str) -> bytes:
    try:
        key = base64.b64decode("".join(text.split()), validate=True)
    except (ValueError, binascii.Error):
        key = b""
    if len(key) != KEY_BYTES:
        raise Notice("directory-key-bad")
    return key


def _reason(reason: str) -> str:
    if not reason.strip():
        raise Notice("approvals-reason-missing")
    return reason.strip()


def _told(done: wire.Message) -> Response:
    return see(f"/directory?said={'filed' if isinstance(done, Act) else 'told'}")
