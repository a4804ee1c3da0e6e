"""The clerk's approvals: projects, models, batches and budgets of banks, with what is needed to judge; acts of two clerks."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Form, Request
from fastapi.responses import Response

from audit.console.registry import Entry, Topic, Waits
from audit.console.second import do_or_file
from audit.console.session import OfficeSession
from audit.console.texts_approvals import DETAILS, TEXTS
from audit.console.views_approvals import act_of, bands_of, card_of, fields_of
from audit.console.web import Clerk, ConsoleOf, Genuine, Overseer, Ref, language_of, see
from models import wire
from models.approvals import DONE, Act, ActKind, Acts, BudgetRequest, BudgetRequests, ProjectEntry, ProjectList, Worklist
from models.batches import BatchStatus
from models.parties import Role
from models.problems import NotFound
from models.projects import Decision, ProjectStatus
from models.registry import ModelDecision, ModelRecord
from models.retention import EraseSubject
from models.tables import ModelStatus
from models.web.notices import Notice

router = APIRouter(prefix="/approvals")
Text = Annotated[str, Form()]


def waiting(office: OfficeSession, role: Role) -> list[Waits]:
    """What waits for a clerk; acts that they filed themselves do not."""
    if role is not Role.CLERK:
        return []
    work = office.get("/approvals", Worklist)
    acts = [act for act in work.acts if act.filed_by != office.person]
    lists = (work.projects, work.models, work.batches, work.budgets, acts)
    names = ("projects", "models", "batches", "budgets", "acts")
    return [Waits(f"approvals-{name}", len(each), "/approvals") for name, each in zip(names, lists, strict=True)]


TOPIC = Topic(
    router,
    texts=TEXTS,
    entries=(Entry("/approvals", "approvals", frozenset({Role.CLERK}), order=10),),
    waiting=waiting,
    details=DETAILS,
)


@router.get("")
def worklist(request: Request, console: ConsoleOf, seat: Clerk, said: str = "") -> Response:
    """All that waits, and the latest acts."""
    with seat.session() as office:
        work = office.get("/approvals", Worklist)
        latest = [act for act in office.get("/acts", Acts).acts if act.state != "waiting"][:10]
        names = {person.id: person.name for person in office.directory().people}
    told = console.pages.say(request, f"approvals-{said}") if said in ("done", "filed") else ""
    return console.page(request, "approvals_list.html", work=work, latest=latest, names=names, told=told, here="/approvals")


# -------------------------------------------------------------------- projects


@router.get("/projects/{project}")
def project_page(request: Request, console: ConsoleOf, seat: Overseer, project: Ref) -> Response:
    """A project with its fields, period and budgets."""
    with seat.session() as office:
        entry = _project(office, project)
        budgets = office.get(f"/projects/{project}/budget", BudgetRequests).requests if seat.role is Role.CLERK else ()
        names = {person.id: person.name for person in office.directory().people}
    rows = fields_of(entry.project.fields, console.catalogue, language_of(request))
    return console.page(request, "approvals_project.html", entry=entry, rows=rows, budgets=budgets, names=names)


@router.post("/projects/{project}", dependencies=[Genuine])
def decide_project(seat: Clerk, project: Ref, approve: Text = "", reason: Text = "") -> Response:
    """Approve or refuse."""
    with seat.session() as office:
        office.logged(f"/projects/{project}/decision", _decision(project, approve, reason), ProjectStatus)
    return see("/approvals?said=done")


# -------------------------------------------------------------------- models


@router.get("/models/{model}")
def model_page(request: Request, console: ConsoleOf, seat: Overseer, model: Ref) -> Response:
    """A model's card: figures, budgets, leakage, fields, where its data came from."""
    with seat.session() as office:
        record = office.get(f"/models/{model}/record", ModelRecord)
    card = card_of(record)
    names = tuple(field.name for field in card.node.fields)
    return console.page(
        request,
        "approvals_model.html",
        record=record,
        card=card,
        rows={row.name: row for row in fields_of(names, console.catalogue, language_of(request))},
        picture=bands_of(card, console.pages.say(request, "approvals-bands")),
    )


@router.post("/models/{model}", dependencies=[Genuine])
def decide_model(seat: Clerk, model: Ref, approve: Text = "", reason: Text = "") -> Response:
    """Approve or refuse."""
    plain = _decision(model, approve, reason)
    decision = ModelDecision(subject=model, approve=plain.approve, reason=plain.reason)
    with seat.session() as office:
        done = do_or_file(office, ActKind.MODEL_APPROVE, f"/models/{model}/decision", decision, ModelStatus, plain.reason)
    return _told(done)


# -------------------------------------------------------------------- batches and budgets


@router.get("/batches/{batch}")
def batch_page(request: Request, console: ConsoleOf, seat: Clerk, batch: Ref) -> Response:
    """A batch: where, how many, for what. Nobody is listed."""
    with seat.session() as office:
        status = office.get(f"/batches/{batch}", BatchStatus)
        names = {person.id: person.name for person in office.directory().people}
    return console.page(request, "approvals_batch.html", batch=status, names=names)


@router.post("/batches/{batch}", dependencies=[Genuine])
def decide_batch(seat: Clerk, batch: Ref, approve: Text = "", reason: Text = "") -> Response:
    """Approve or refuse."""
    with seat.session() as office:
        office.logged(f"/batches/{batch}/decision", _decision(batch, approve, reason), BatchStatus)
    return see("/approvals?said=done")


@router.get("/budgets/{asked}")
def budget_page(request: Request, console: ConsoleOf, seat: Clerk, asked: Ref) -> Response:
    """A bank's request beside what was approved and what is left."""
    with seat.session() as office:
        found = _budget(office, asked)
        entry = _project(office, found.project)
        names = {person.id: person.name for person in office.directory().people}
    return console.page(request, "approvals_budget.html", asked=found, entry=entry, names=names)


@router.post("/budgets/{asked}", dependencies=[Genuine])
def decide_budget(seat: Clerk, asked: Ref, approve: Text = "", reason: Text = "") -> Response:
    """Approve or refuse; beyond the office's factor a second clerk decides."""
    decision = _decision(asked, approve, reason)
    with seat.session() as office:
        done = do_or_file(office, ActKind.BUDGET_RAISE, f"/budgets/{asked}/decision", decision, ProjectStatus, reason)
    return _told(done)


# -------------------------------------------------------------------- acts of two clerks


@router.get("/acts/{act}")
def act_page(request: Request, console: ConsoleOf, seat: Overseer, act: Ref) -> Response:
    """What one clerk filed, for another one to decide."""
    with seat.session() as office:
        found = _act(office, act)
        names = {person.id: person.name for person in office.directory().people}
    return console.page(request, "approvals_act.html", view=act_of(found), names=names, own=found.filed_by == seat.person.id)


@router.post("/acts/{act}", dependencies=[Genuine])
def decide_act(console: ConsoleOf, seat: Clerk, act: Ref, approve: Text = "", reason: Text = "") -> Response:
    """Agree, and it is done; or decline. Who was erased at the office has no account here any more."""
    with seat.session() as office:
        filed = _act(office, act)
        done = office.logged(f"/acts/{act}/decision", _decision(act, approve, reason), Act)
        if (done.action, done.state) == (ActKind.SUBJECT_ERASE, DONE):
            console.drop_forms(office)
    if filed.document and (filed.action, done.state) == (ActKind.SUBJECT_ERASE, DONE):
        console.close_account(wire.decode(filed.document, EraseSubject).subject)
    return see("/approvals?said=done")


def _act(office: OfficeSession, act: str) -> Act:
    """One act with what it is about; opening it is logged."""
    try:
        return office.logged_get(f"/acts/{act}", Act)
    except NotFound:
        raise Notice("act-gone", 404) from None


def _project(office: OfficeSession, project: str) -> ProjectEntry:
    found = next((each for each in office.get("/projects", ProjectList).projects if each.project.id == project), None)
    if found is None:
        raise Notice("not-found", 404)
    return found


def _budget(office: OfficeSession, asked: str) -> BudgetRequest:
    waits = office.get("/approvals", Worklist).budgets
    found = next((each for each in waits if each.id == asked), None)
    if found is None:
        raise Notice("act-gone", 404)
    return found


def _decision(subject: str, approve: str, reason: str) -> Decision:
    if not reason.strip():
        raise Notice("approvals-reason-missing")
    return Decision(subject=subject, approve=approve == "yes", reason=reason.strip())


def _told(done: wire.Message) -> Response:
    return see(f"/approvals?said={'filed' if isinstance(done, Act) else 'done'}")
