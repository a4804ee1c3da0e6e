"""The loan officer's pages: the applicant, the consents, the question, the record, the receipt, the decision."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any

from fastapi import APIRouter, File, Form, Request, UploadFile
from fastapi.responses import FileResponse, Response

from bank_client.config import ConfigError
from bank_client.desk.cases import ASKING, CONSENT, WAITING, Case
from bank_client.desk.forms import KINDS, WAYS, ConsentForm
from bank_client.desk.ledger import Check
from bank_client.desk.pages_exposure import card as exposure_card
from bank_client.desk.seats import Seat
from bank_client.desk.texts import say
from bank_client.desk.views import ReceiptView, field_sets_of, receipt_of, score_section, score_set, sections_of
from bank_client.desk.web import Desk, DeskOf, Looking, Officer, SignedIn
from bank_client.private_query import STEPS
from bank_client.receipts import receipt_files
from models.consents import Purpose
from models.exposure import TABLE as EXPOSURE
from models.problems import Problem
from models.reports import CheckOutcome
from models.scans import LARGEST_SCAN
from models.web.notices import Notice
from models.web.pages import Genuine, language_of, see
from models.web.refusals import in_words, refusal_of
from models.zones import begin_of, day_at

PURPOSES = (Purpose.LOAN_APPROVAL, Purpose.POST_LOAN)
router = APIRouter()
Text = Annotated[str, Form()]
Texts = Annotated[list[str] | None, Form()]


@router.get("/")
def start(request: Request, desk: DeskOf, seat: SignedIn) -> Response:
    """An officer's open decisions and checks of today; what waits for an approver."""
    if not seat.is_officer:
        return desk.page(request, "approvals.html", waiting=desk.approvals.open())
    now = int(desk.clock())
    desk.ledger.forget(now)
    midnight = begin_of(day_at(now, desk.config.zone), desk.config.zone)
    me = seat.person.id
    return desk.page(request, "start.html", open=desk.ledger.open_of(me), today=desk.ledger.since(me, midnight))


# -------------------------------------------------------------------- the applicant


@router.get("/new")
def new(request: Request, desk: DeskOf, _seat: Officer) -> Response:
    """The form for an applicant."""
    return _person_form(request, desk)


@router.post("/identity", dependencies=[Genuine])
def identity(request: Request, desk: DeskOf, seat: Officer, subject: Text = "") -> Response:
    """Asked while an id is typed: whether it can be one. Nothing leaves the desk, nothing is kept."""
    good, words = _judge(request, seat, subject) if subject.strip() else (None, "")
    return desk.page(request, "part_identity.html", good=good, said=words)


@router.post("/cases", dependencies=[Genuine])
def begin(
    request: Request,
    desk: DeskOf,
    seat: Officer,
    subject: Text = "",
    project: Text = "",
    purpose: Text = "",
    reference: Text = "",
) -> Response:
    """Open a case and look at the consents."""
    entered = {"subject": subject, "project": project, "purpose": purpose, "reference": reference}
    good, words = _judge(request, seat, subject)
    if not good:
        return _person_form(request, desk, status=422, notice=words, **entered)
    try:
        case = desk.cases.begin(seat, seat.bank.canonical(subject), project, purpose, reference)
    except Notice as notice:
        return _person_form(request, desk, status=notice.status, notice=desk.pages.said(request, notice), **entered)
    return see(f"/cases/{case.handle}")


def _person_form(request: Request, desk: Desk, *, status: int = 200, notice: str = "", **entered: str) -> Response:
    values = {"subject": "", "project": "", "purpose": "", "reference": ""} | entered
    return desk.page(
        request,
        "person.html",
        status=status,
        notice=notice,
        entered=values,
        offers=desk.config.projects,
        purposes=PURPOSES,
        identity=desk.config.identity,
        here="/new",
    )


def _judge(request: Request, seat: Seat, subject: str) -> tuple[bool, str]:
    language = language_of(request)
    if not subject.strip():
        return False, say(language, "id-missing")
    try:
        canonical = seat.bank.canonical(subject)
    except ConfigError as error:
        return False, say(language, "id-wrong", reason=in_words(str(error).removeprefix("an id is not valid: "), language))
    kind = canonical.partition(":")[0]
    return True, say(language, "id-opaque-good" if kind == "opaque" else f"id-{kind}")


# -------------------------------------------------------------------- consent and question


@router.get("/cases/{handle}")
def case_page(request: Request, desk: DeskOf, seat: Officer, handle: str) -> Response:
    """A case in whatever state it is; after a new sign-in, what the ledger still knows of it."""
    case = desk.cases.find(seat, handle)
    if case is None or case.state not in (CONSENT, WAITING, ASKING):
        return _outcome(request, desk, seat, handle)
    return _case(request, desk, seat, case)


@router.get("/cases/{handle}/state")
def case_state(request: Request, desk: DeskOf, seat: Looking, handle: str, seen: str = "") -> Response:
    """Asked by a page that waits: how far the case is. Once it is further than a part can show, the page is loaded anew."""
    case = _find(desk, seat, handle)
    if case.state == ASKING:
        return desk.page(request, "part_steps.html", case=case, steps=STEPS)
    if case.state == WAITING and case.waiting is not None and seen == _waiting_state(desk, case):
        return Response(status_code=204)
    return see(f"/cases/{handle}", request)


@router.post("/cases/{handle}/consents", dependencies=[Genuine])
def capture(
    request: Request,
    desk: DeskOf,
    seat: Officer,
    handle: str,
    kinds: Texts = None,
    field_sets: Texts = None,
    sensitive_fields: Texts = None,
    until: Text = "",
    way: Text = "",
    witness: Text = "",
    scan: Annotated[UploadFile | None, File()] = None,
) -> Response:
    """Take a consent at the counter."""
    case = _find(desk, seat, handle)
    chosen, named, sensitive = kinds or [], field_sets or [], sensitive_fields or []
    entered: dict[str, Any] = {"kinds": chosen, "field_sets": named, "sensitive_fields": sensitive}
    entered |= {"until": until, "way": way, "witness": witness}
    try:
        seen_by = witness if witness in _witnesses(desk, seat) else ""
        data = scan.file.read(LARGEST_SCAN + 1) if scan is not None else b""
        today = day_at(desk.clock(), desk.config.zone)
        form = ConsentForm.read(chosen, named, sensitive, until, way, seen_by, data, today)
        desk.cases.capture(seat, case, form)
    except Notice as notice:
        return _case(request, desk, seat, case, status=notice.status, notice=desk.pages.said(request, notice), entered=entered)
    except Problem as problem:
        return _case(request, desk, seat, case, status=409, problem=problem, entered=entered)
    return see(f"/cases/{handle}")


@router.get("/cases/{handle}/consents/{number}")
def consent_receipt(desk: DeskOf, seat: Officer, handle: str, number: int) -> Response:
    """The receipt of a consent that was taken in this case, for the person to keep."""
    case = _find(desk, seat, handle)
    if not 0 <= number < len(case.taken):
        raise Notice("case-gone", 404)
    text = desk.cases.consent_receipt(seat, case.taken[number])
    name = {"Content-Disposition": f'attachment; filename="consent-{number + 1}.txt"'}
    return Response(text, media_type="text/plain; charset=utf-8", headers=name)


@router.post("/cases/{handle}/look", dependencies=[Genuine])
def look_again(desk: DeskOf, seat: Officer, handle: str) -> Response:
    """Ask the office for the consents again."""
    desk.cases.look(seat, _find(desk, seat, handle))
    return see(f"/cases/{handle}")


@router.post("/cases/{handle}/ask", dependencies=[Genuine])
def ask(desk: DeskOf, seat: Officer, handle: str) -> Response:
    """Ask the question, or have it wait for a second person."""
    case = _find(desk, seat, handle)
    if case.state == WAITING:
        desk.cases.ask_approved(seat, case)
    else:
        desk.cases.ask(seat, case)
    return see(f"/cases/{handle}")


@router.post("/cases/{handle}/take-back", dependencies=[Genuine])
def take_back(desk: DeskOf, seat: Officer, handle: str) -> Response:
    """Take a question back that waits."""
    desk.cases.take_back(seat, _find(desk, seat, handle))
    return see(f"/cases/{handle}")


@router.post("/cases/{handle}/reveal", dependencies=[Genuine])
def reveal(request: Request, desk: DeskOf, seat: Officer, handle: str) -> Response:
    """The whole id, into this page only."""
    return desk.page(request, "part_subject.html", subject=_find(desk, seat, handle).subject.partition(":")[2])


def _case(
    request: Request,
    desk: Desk,
    seat: Seat,
    case: Case,
    *,
    status: int = 200,
    notice: str = "",
    problem: Problem | None = None,
    entered: dict[str, Any] | None = None,
) -> Response:
    language = language_of(request)
    sets, sensitive, second = {}, {}, False
    chosen: list[str] = []
    if case.state == CONSENT:  # a question that is under way holds the session
        with seat.session() as bank:
            catalogue = desk.branch.catalogue(bank)
            plain = [name for name in case.offer.fields if not catalogue[name].sensitive]
            sets = field_sets_of(plain, catalogue, language) if case.offer.model is None else score_set(language)
            chosen = list(sets)
            if desk.exposures.project:
                sets[EXPOSURE] = say(language, "exposure")
            own = catalogue.select(case.standing.sensitive if case.standing else ())
            sensitive = {field.name: field.label_zh if language == "zh" else field.label_en or field.label_zh for field in own}
            second = desk.branch.second_approval(bank)
    missing = case.standing.missing if case.standing else KINDS
    today = day_at(desk.clock(), desk.config.zone)
    values: dict[str, Any] = {"kinds": list(missing), "field_sets": chosen, "way": WAYS[0], "witness": ""}
    values["sensitive_fields"] = list(case.standing.missing_sensitive) if case.standing else []
    values["until"] = (today + timedelta(days=365)).isoformat()
    return desk.page(
        request,
        "case.html",
        status=status,
        notice=notice,
        refusal=None if problem is None else refusal_of(problem, language),
        case=case,
        second=second,
        kinds=KINDS,
        sets=sets,
        sensitive=sensitive,
        ways=WAYS,
        witnesses=_witnesses(desk, seat),
        first_day=(today + timedelta(days=1)).isoformat(),
        entered=values | (entered or {}),
        waiting=_waiting_state(desk, case),
        steps=STEPS,
        here=f"/cases/{case.handle}",
    )


def _witnesses(desk: Desk, seat: Seat) -> list[str]:
    return [person.id for person in desk.config.people if person.id != seat.person.id]


def _waiting_state(desk: Desk, case: Case) -> str:
    if case.waiting is None:
        return ""
    return "over" if case.waiting.context.expires <= desk.clock() else case.waiting.state


# -------------------------------------------------------------------- record, receipt, decision


@router.get("/cases/{handle}/receipt")
def receipt_page(request: Request, desk: DeskOf, seat: Officer, handle: str) -> Response:
    """The receipt, to be printed."""
    check = _check(desk, seat, handle)
    return desk.page(request, "receipt.html", check=check, receipt=_receipt(desk, seat, check))


@router.get("/cases/{handle}/files/{kind}")
def receipt_file(desk: DeskOf, seat: Officer, handle: str, kind: str) -> Response:
    """One of the receipt's two files."""
    proof, entry = receipt_files(seat.bank, _check(desk, seat, handle).leaf)
    file = {"receipt": proof, "entry": entry}.get(kind)
    if file is None or not file.is_file():
        raise Notice("receipt-none", 404)
    return FileResponse(file, media_type="application/octet-stream", filename=file.name)


@router.post("/cases/{handle}/decision", dependencies=[Genuine])
def decide(request: Request, desk: DeskOf, seat: Officer, handle: str, outcome: Text = "", reference: Text = "") -> Response:
    """Record what became of a check."""
    try:
        desk.cases.decide(seat, _check(desk, seat, handle), outcome, reference)
    except Notice as notice:
        return _outcome(request, desk, seat, handle, status=notice.status, notice=desk.pages.said(request, notice))
    return see(f"/cases/{handle}")


def _outcome(request: Request, desk: Desk, seat: Seat, handle: str, *, status: int = 200, notice: str = "") -> Response:
    check, case, language = _check(desk, seat, handle), desk.cases.find(seat, handle), language_of(request)
    sections, refusal = [], None
    if case is not None and case.record is not None:
        with seat.session() as bank:
            sections = sections_of(case.record, case.fields, desk.branch.catalogue(bank), language)
        if case.offer.model is not None:
            sections = [score_section(case.record, language)]
    if case is not None and case.problem is not None:
        refusal = refusal_of(case.problem, language)
    return desk.page(
        request,
        "outcome.html",
        status=status,
        notice=notice,
        check=check,
        case=case,
        sections=sections,
        disputed=any(row.disputed for section in sections for row in section.rows),
        refusal=refusal,
        receipt=_receipt(desk, seat, check),
        outcomes=tuple(CheckOutcome),
        here=f"/cases/{handle}",
        handle=handle,
        **exposure_card(request, desk, seat, handle),
    )


def _receipt(desk: Desk, seat: Seat, check: Check) -> ReceiptView | None:
    if check.leaf < 0:
        return None
    return receipt_of(desk.config.of(seat.person.id), *receipt_files(seat.bank, check.leaf))


def _check(desk: Desk, seat: Seat, handle: str) -> Check:
    check = desk.ledger.find(handle, seat.person.id)
    if check is None:
        raise Notice("case-gone", 404)
    return check


def _find(desk: Desk, seat: Seat, handle: str) -> Case:
    case = desk.cases.find(seat, handle)
    if case is None:
        raise Notice("case-gone", 404)
    return case
