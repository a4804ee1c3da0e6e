"""The clerk's pages about rights: a person at the window, objections with their deadlines, and credit repair."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, File, Form, Request, UploadFile
from fastapi.responses import Response

from audit.console import rights_views as views
from audit.console import rights_work as work
from audit.console.registry import Entry, Topic, Waits
from audit.console.session import OfficeSession
from audit.console.texts_rights import DETAILS, TEXTS
from audit.console.web import Clerk, ConsoleOf, Genuine, Ref, see
from models.archives import Ground
from models.disputes import (
    AnswerDispute,
    ApplyRepair,
    AskCorrection,
    DecideRepair,
    Filing,
    Finding,
    RaiseDispute,
)
from models.identity import IdentityError, parse_id
from models.logged import Empty
from models.parties import Role
from models.problems import Problem
from models.rights import CloseAccount, OpenAccount
from models.web.notices import Notice
from models.wire import Signed

router = APIRouter(prefix="/rights")
Words = Annotated[str, Form()]
Upload = Annotated[UploadFile | None, File()]


def waiting(office: OfficeSession, role: Role) -> list[Waits]:
    """What waits for a clerk."""
    if role is not Role.CLERK:
        return []
    return [
        Waits("rights-waiting-disputes", len(work.disputes_of(office)), "/rights"),
        Waits("rights-waiting-repairs", len(work.repairs_of(office)), "/rights"),
    ]


TOPIC = Topic(
    router,
    texts=TEXTS,
    entries=(Entry("/rights", "rights-title", frozenset({Role.CLERK}), 30),),
    waiting=waiting,
    details=DETAILS,
)


@router.get("")
def start(request: Request, console: ConsoleOf, seat: Clerk) -> Response:
    """Whom it is about, and what is due."""
    with seat.session() as office:
        disputes, repairs = work.disputes_of(office), work.repairs_of(office)
    values = views.words(console, request)
    return console.page(request, "rights_start.html", disputes=disputes, repairs=repairs, **values)


@router.post("/person", dependencies=[Genuine])
def find(seat: Clerk, number: Words = "") -> Response:
    """Go to a person's page; the number stands in no address."""
    try:
        subject = parse_id(number)
    except IdentityError:
        raise Notice("rights-wrong-number", 422) from None
    return see(f"/rights/person/{work.handle_of(seat, subject)}")


# ---------------------------------------------------------------- a person


@router.get("/person/{handle}")
def person(request: Request, console: ConsoleOf, seat: Clerk, handle: Ref) -> Response:
    """A person's rights at a glance."""
    subject = work.subject_of(seat, handle)
    return console.page(
        request,
        "rights_person.html",
        subject=subject,
        account=console.accounts.account_of(subject),
        where=f"/rights/person/{handle}",
    )


@router.post("/person/{handle}/account", dependencies=[Genuine])
def open_account(request: Request, console: ConsoleOf, seat: Clerk, handle: Ref, document: Words = "") -> Response:
    """Open an account, or begin it anew; the slip is shown once."""
    subject = work.subject_of(seat, handle)
    before = console.accounts.account_of(subject)
    account, code = console.accounts.open_account(subject, seat.person.id) if before is None else (before, "")
    try:
        with seat.session() as office:
            office.logged("/accounts", OpenAccount(account=account.login, subject=subject, checked=document), Empty)
    except Problem:
        if before is None:  # without the office's word the window could do nothing for this account
            console.accounts.close_account(subject)
        raise
    if before is not None:
        account, code = console.accounts.open_account(subject, seat.person.id)
    console.seats.end_of(account.owner)
    return console.page(request, "rights_slip.html", login=account.login, code=code, where=f"/rights/person/{handle}")


@router.post("/person/{handle}/account/close", dependencies=[Genuine])
def close_account(console: ConsoleOf, seat: Clerk, handle: Ref) -> Response:
    """Close the account: at the office first, so that the window stops at once."""
    subject = work.subject_of(seat, handle)
    account = console.accounts.account_of(subject)
    if account is not None:
        with seat.session() as office:
            office.logged("/accounts/close", CloseAccount(account=account.login), Empty)
        console.close_account(subject)
    return see(f"/rights/person/{handle}")


@router.get("/person/{handle}/archive")
def archive(request: Request, console: ConsoleOf, seat: Clerk, handle: Ref) -> Response:
    """The archive, shown at the window on request."""
    return views.show_archive(request, console, seat, work.subject_of(seat, handle), f"/rights/person/{handle}")


@router.get("/person/{handle}/archive.json")
def archive_file(seat: Clerk, handle: Ref) -> Response:
    """The archive to hand over."""
    return views.download_archive(seat, work.subject_of(seat, handle))


@router.get("/person/{handle}/accesses")
def accesses(request: Request, console: ConsoleOf, seat: Clerk, handle: Ref) -> Response:
    """Who asked."""
    return views.show_accesses(request, console, seat, work.subject_of(seat, handle), f"/rights/person/{handle}")


@router.get("/person/{handle}/cohorts")
def cohorts(request: Request, console: ConsoleOf, seat: Clerk, handle: Ref) -> Response:
    """Use in models."""
    return views.show_uses(request, console, seat, work.subject_of(seat, handle), f"/rights/person/{handle}")


@router.get("/person/{handle}/disputes")
def disputes(request: Request, console: ConsoleOf, seat: Clerk, handle: Ref, field: str = "*") -> Response:
    """The person's objections."""
    subject, where = work.subject_of(seat, handle), f"/rights/person/{handle}"
    return views.show_disputes(request, console, seat, subject, where, field=field)


@router.post("/person/{handle}/disputes", dependencies=[Genuine])
def raise_dispute(
    request: Request,
    console: ConsoleOf,
    seat: Clerk,
    handle: Ref,
    field: Words = "*",
    statement: Words = "",
    withheld: Words = "",
    evidence: Upload = None,
) -> Response:
    """Raise an objection for a person at the window."""
    subject, where = work.subject_of(seat, handle), f"/rights/person/{handle}"
    new = RaiseDispute(
        subject=subject, field=field, statement=statement, evidence=work.evidence_of(evidence), withheld=bool(withheld)
    )  # fmt: skip
    try:
        views.raise_dispute(seat, new)
    except Problem as problem:
        return views.show_disputes(request, console, seat, subject, where, problem, field=field, statement=statement)
    return see(f"{where}/disputes")


@router.get("/person/{handle}/disputes/{case}/letter")
def letter(request: Request, console: ConsoleOf, seat: Clerk, handle: Ref, case: Ref) -> Response:
    """The answer in writing, to print and hand over."""
    return views.show_letter(request, console, seat, work.subject_of(seat, handle), case, f"/rights/person/{handle}")


@router.get("/person/{handle}/repairs")
def repairs(request: Request, console: ConsoleOf, seat: Clerk, handle: Ref) -> Response:
    """The person's applications."""
    return views.show_repairs(request, console, seat, work.subject_of(seat, handle), f"/rights/person/{handle}")


@router.post("/person/{handle}/repairs", dependencies=[Genuine])
def apply_repair(
    request: Request,
    console: ConsoleOf,
    seat: Clerk,
    handle: Ref,
    field: Words = "",
    grounds: Words = "",
    evidence: Upload = None,
) -> Response:
    """Apply for a person at the window; another clerk decides."""
    subject, where = work.subject_of(seat, handle), f"/rights/person/{handle}"
    try:
        file = work.evidence_of(evidence)
        views.apply_repair(seat, ApplyRepair(subject=subject, field=field, grounds=grounds, evidence=file))
    except Problem as problem:
        return views.show_repairs(request, console, seat, subject, where, problem, field=field, grounds=grounds)
    return see(f"{where}/repairs")


# ---------------------------------------------------------------- what is due


@router.get("/disputes/{case}")
def dispute(request: Request, console: ConsoleOf, seat: Clerk, case: Ref) -> Response:
    """One open objection: what it says, what the source found, and the form of the answer."""
    with seat.session() as office:
        found = views.one_of(work.disputes_of(office), case)
    where = f"/rights/person/{work.handle_of(seat, found.subject)}"
    return console.page(request, "rights_dispute.html", case=found, where=where, **views.words(console, request))


@router.post("/disputes/{case}/evidence", dependencies=[Genuine])
def dispute_evidence(seat: Clerk, case: Ref) -> Response:
    """The file that came with an objection."""
    return views.show_evidence(seat, f"/disputes/{case}/evidence")


@router.post("/disputes/{case}/correction", dependencies=[Genuine])
def ask_source(seat: Clerk, case: Ref, text: Words = "") -> Response:
    """Ask the source to look."""
    with seat.session() as office:
        office.logged(f"/disputes/{case}/correction", AskCorrection(request=text), Filing)
    return see(f"/rights/disputes/{case}")


@router.post("/disputes/{case}/answer", dependencies=[Genuine])
def answer(seat: Clerk, case: Ref, finding: Words = "", text: Words = "") -> Response:
    """Answer in writing; for a correction the node says first which models used the old value."""
    if finding not in set(Finding):
        raise Notice("bad-form", 422)
    with seat.session() as office:
        found = views.one_of(work.disputes_of(office), case)
        uses: Signed | None = None
        if finding == Finding.CORRECTED and any(one.state == "corrected" for one in found.corrections):
            uses = work.fetch_archive(office, found.subject, Ground.OBJECTION).signed.uses
        said = AnswerDispute(finding=Finding(finding), text=text, uses=uses)
        office.logged(f"/disputes/{case}/answer", said, Signed)
    return see(f"/rights/person/{work.handle_of(seat, found.subject)}/disputes/{case}/letter")


@router.get("/repairs/{case}")
def repair(request: Request, console: ConsoleOf, seat: Clerk, case: Ref) -> Response:
    """One open application, and the form of the decision."""
    with seat.session() as office:
        found = next((one for one in work.repairs_of(office) if one.id == case), None)
    if found is None:
        raise Notice("not-found", 404)
    where = f"/rights/person/{work.handle_of(seat, found.subject)}"
    return console.page(request, "rights_repair.html", case=found, where=where, **views.words(console, request))


@router.post("/repairs/{case}/evidence", dependencies=[Genuine])
def repair_evidence(seat: Clerk, case: Ref) -> Response:
    """The file that came with an application."""
    return views.show_evidence(seat, f"/repairs/applications/{case}/evidence")


@router.post("/repairs/{case}/decision", dependencies=[Genuine])
def decide_repair(seat: Clerk, case: Ref, grant: Words = "", reason: Words = "") -> Response:
    """Decide."""
    with seat.session() as office:
        office.logged(f"/repairs/applications/{case}/decision", DecideRepair(grant=grant == "yes", reason=reason), Filing)
    return see("/rights")
