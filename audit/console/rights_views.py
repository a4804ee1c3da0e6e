"""The views that the window and the subject's own part share: each page of one person's rights, under two addresses."""

from __future__ import annotations

from functools import partial
from typing import Any

from fastapi import Request
from fastapi.responses import Response

from audit.console import rights_work as work
from audit.console.seats import Seat
from audit.console.web import Console
from audit.console.web import language_of as language_of_browser
from models.disputes import ApplyRepair, Dispute, FiledEvidence, Filing, RaiseDispute
from models.logged import Empty
from models.problems import Problem
from models.web.notices import Notice


def words(console: Console, request: Request) -> dict[str, Any]:
    """What templates of rights name things by."""
    language = language_of_browser(request)
    return {
        "item": lambda name: (
            console.pages.say(request, "rights-whole") if name == "*" else work.field_name(console.catalogue, name, language)
        ),
        "called": partial(work.section_name, console.catalogue, language=language),
        "value": partial(_value, console, language),
    }


def _value(console: Console, language: Any, field: Any) -> str:
    return work.value_of(console.catalogue, field, language)


def show_archive(request: Request, console: Console, seat: Seat, subject: str, where: str) -> Response:
    """The archive, to read and to print."""
    with seat.session() as office:
        file = work.fetch_archive(office, subject)
    values = words(console, request)
    return console.page(request, "rights_archive.html", file=file, archive=file.archive, where=where, **values)


def download_archive(seat: Seat, subject: str) -> Response:
    """The archive as a file that can be checked offline."""
    with seat.session() as office:
        file = work.fetch_archive(office, subject)
        uses, _ = work.uses_of(office, subject, file.archive)
        asked, raised = work.accesses_of(office, subject), work.disputes_of(office, subject)
        whole = work.as_json(file, uses, asked, raised, work.repairs_of(office, subject))
    return Response(whole, media_type="application/json", headers=work.attachment("credit-file.json"))


def show_accesses(request: Request, console: Console, seat: Seat, subject: str, where: str) -> Response:
    """Who asked, for what, with which result."""
    with seat.session() as office:
        accesses, names = work.accesses_of(office, subject), work.names(office)
    return console.page(request, "rights_accesses.html", accesses=accesses, names=names, where=where)


def show_uses(request: Request, console: Console, seat: Seat, subject: str, where: str) -> Response:
    """In which alignments, cohorts and models the subject is, each proof checked."""
    with seat.session() as office:
        file, names = work.fetch_archive(office, subject), work.names(office)
        _, uses = work.uses_of(office, subject, file.archive)
    return console.page(request, "rights_cohorts.html", uses=uses, names=names, where=where)


def show_disputes(
    request: Request, console: Console, seat: Seat, subject: str, where: str, problem: Problem | None = None, **form: Any
) -> Response:
    """A subject's objections, and the form of a new one."""
    with seat.session() as office:
        disputes = work.disputes_of(office, subject)
    language = language_of_browser(request)
    fields = [(field.name, work.field_name(console.catalogue, field.name, language)) for field in console.catalogue]
    given = {"field": "*", "statement": ""} | form
    return console.page(
        request,
        "rights_disputes.html",
        status=200 if problem is None else 409,
        notice="" if problem is None else _told(console, request, problem),
        disputes=disputes,
        fields=fields,
        given=given,
        where=where,
        here=f"{where}/disputes",
        **words(console, request),
    )


def raise_dispute(seat: Seat, new: RaiseDispute) -> None:
    """File an objection."""
    with seat.session() as office:
        office.logged("/disputes", new, Filing)


def show_repairs(
    request: Request, console: Console, seat: Seat, subject: str, where: str, problem: Problem | None = None, **form: Any
) -> Response:
    """A subject's applications for credit repair, and the form of a new one."""
    with seat.session() as office:
        repairs = work.repairs_of(office, subject)
    language = language_of_browser(request)
    # What expires is what can be adverse, and what is adverse can be repaired.
    adverse = [field.name for field in console.catalogue if field.expires_years is not None]
    return console.page(
        request,
        "rights_repairs.html",
        status=200 if problem is None else 409,
        notice="" if problem is None else _told(console, request, problem),
        repairs=repairs,
        fields=[(name, work.field_name(console.catalogue, name, language)) for name in adverse],
        given={"field": "", "grounds": ""} | form,
        where=where,
        here=f"{where}/repairs",
        **words(console, request),
    )


def apply_repair(seat: Seat, new: ApplyRepair) -> None:
    """File an application."""
    with seat.session() as office:
        office.logged("/repairs/applications", new, Filing)


def show_letter(request: Request, console: Console, seat: Seat, subject: str, case: str, where: str) -> Response:
    """The answer in writing, to print."""
    with seat.session() as office:
        dispute = one_of(work.disputes_of(office, subject), case)
        letter, names = work.letter_of(office, dispute), work.names(office)
    assert dispute.letter is not None
    values = words(console, request)
    digest = dispute.letter.digest()
    return console.page(request, "rights_letter.html", letter=letter, digest=digest, names=names, where=where, **values)


def show_evidence(seat: Seat, path: str) -> Response:
    """A file of evidence, to be saved and never to be shown as a page."""
    with seat.session() as office:
        file = office.logged(path, Empty(), FiledEvidence)
    return Response(file.content, media_type="application/octet-stream", headers=work.attachment(file.name))


def one_of(disputes: tuple[Dispute, ...], case: str) -> Dispute:
    """The objection of this number; raises `Notice` where there is none."""
    found = next((dispute for dispute in disputes if dispute.id == case), None)
    if found is None:
        raise Notice("not-found", 404)
    return found


def _told(console: Console, request: Request, problem: Problem) -> str:
    refusal = console.pages.refusal(request, problem)
    return " ".join(filter(None, (refusal.title, refusal.detail, refusal.next_step)))
