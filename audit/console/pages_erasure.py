"""Erasing a subject: a clerk asks with ground and reference, as a rule another one decides; the account here goes, too."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Form, Request
from fastapi.responses import Response

from audit.console.registry import Entry, Topic
from audit.console.second import do_or_file
from audit.console.texts_erasure import TEXTS
from audit.console.web import Clerk, Console, ConsoleOf, Genuine
from models.approvals import Act, ActKind
from models.identity import IdentityError
from models.parties import Role
from models.problems import Problem
from models.retention import Erased, EraseSubject, Ground
from models.web.notices import Notice

router = APIRouter(prefix="/erasure")
TOPIC = Topic(router, texts=TEXTS, entries=(Entry("/erasure", "erasure", frozenset({Role.CLERK}), order=85),))
Text = Annotated[str, Form()]


@router.get("")
def form(request: Request, console: ConsoleOf, _seat: Clerk) -> Response:
    """The form."""
    return _form(request, console)


@router.post("", dependencies=[Genuine])
def erase(
    request: Request,
    console: ConsoleOf,
    seat: Clerk,
    subject: Text = "",
    ground: Text = "",
    reference: Text = "",
    reason: Text = "",
) -> Response:
    """Erase, or file that for a second clerk."""
    entered = {"subject": subject, "ground": ground, "reference": reference, "reason": reason}
    try:
        if ground not in set(Ground):
            raise Notice("bad-form")
        if not reason.strip():
            raise Notice("approvals-reason-missing")
        try:
            canonical = console.config.canonical(subject)
        except IdentityError:
            raise Notice("erasure-wrong") from None
        asked = EraseSubject(subject=canonical, ground=Ground(ground), reference=reference.strip())
        with seat.session() as office:
            done = do_or_file(office, ActKind.SUBJECT_ERASE, "/subjects/erase", asked, Erased, reason.strip())
            if isinstance(done, Erased):
                console.drop_forms(office)
    except (Notice, Problem) as why:
        return _form(request, console, why, **entered)
    if isinstance(done, Erased):
        console.close_account(canonical)
    return console.page(
        request,
        "erasure_done.html",
        act=done if isinstance(done, Act) else None,
        classes=done.classes if isinstance(done, Erased) else (),
        here="/erasure",
    )


def _form(request: Request, console: Console, why: Exception | None = None, **entered: str) -> Response:
    return console.page(
        request,
        "erasure_form.html",
        status=422 if why else 200,
        notice=console.pages.said(request, why) if isinstance(why, Notice) else "",
        refusal=console.pages.refusal(request, why) if isinstance(why, Problem) else None,
        entered=dict.fromkeys(("subject", "ground", "reference", "reason"), "") | entered,
        grounds=tuple(Ground),
        here="/erasure",
    )
