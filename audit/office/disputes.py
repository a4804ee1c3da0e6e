"""Objections: marked at once, checked with the source, answered in writing within twenty days. Messages: `models.disputes`."""

from __future__ import annotations

import hashlib
import secrets

from sqlalchemy import Connection

from audit.office.acting import acting_for
from audit.office.office import Office
from audit.office.store import consents, disputes
from audit.service.leaves import LeafDraft
from audit.service.outcome import Call, Outcome, Within
from models.archives import ModelUse, ModelUses
from models.consents import ANY, Objection
from models.disputes import (
    OPEN,
    AnswerCorrection,
    AnswerDispute,
    AskCorrection,
    AskFilings,
    Correction,
    Corrections,
    Dispute,
    Disputes,
    FiledEvidence,
    Filing,
    Finding,
    Letter,
    RaiseDispute,
)
from models.parties import Role
from models.problems import Conflict, Forbidden, NotFound, TooLarge, Unusable
from models.wire import replace
from models.zones import day_at

MOST_WORDS = 2_000
MOST_EVIDENCE = 8 << 20
USES_FRESH = 3_600


class DisputeDesk:
    """Handlers about objections and corrections."""

    def __init__(self, office: Office) -> None:
        self._office = office

    # ---------------------------------------------------------------- filing and reading

    def file(self, call: Call) -> Outcome:
        """POST /disputes: a subject objects to a field; it is marked with this very transaction."""
        body: RaiseDispute = call.body
        self._check_field(body.field)
        check_words(body.statement, "the objection says what is wrong")
        digest = check_evidence(body.evidence)
        if body.withheld and call.person.role is not Role.CLERK:
            raise Forbidden("whether a field is withheld until the answer is a clerk's decision")
        with call.engine.connect() as connection:
            subject, opening = acting_for(connection, call, body.subject)
        new, case = replace(body, subject=subject), secrets.token_hex(8)

        def record(connection: Connection) -> None:
            if disputes.is_open(connection, subject, body.field):
                raise Conflict("an objection to this field is open already; add what is new at the counter")
            before = disputes.mark(connection, subject, body.field)
            # A mark from elsewhere keeps its day, by which it is known; what it withholds is not this objection's to show.
            own = replace(new, withheld=False) if before is not None and before[0] else new
            disputes.add(connection, case, own, digest, call.person.id, call.now)
            if before is None or own.withheld:
                marked = Objection(subject=subject, field=body.field, open=True, withheld=own.withheld)
                consents.set_objection(connection, marked, call.now if before is None else before[1])

        said = {**opening, "field": body.field, "evidence": digest}
        return Outcome(Filing(id=case), [LeafDraft("dispute.file", {"case": case}, said)], record)

    def listed(self, call: Call) -> Outcome:
        """POST /disputes/list: all of one subject, or for clerks the open ones of everybody, the first due first."""
        body: AskFilings = call.body
        with call.engine.connect() as connection:
            if body.subject:
                subject, opening = acting_for(connection, call, body.subject)
                found = disputes.of_subject(connection, subject, self._office.settings.zone, call.now)
            else:
                check_not_window(call)
                opening, found = {"subject": ""}, disputes.open_ones(connection, self._office.settings.zone, call.now)
        leaf = LeafDraft("dispute.list", {"count": len(found)}, opening)
        return Outcome(Disputes(disputes=tuple(found)), [leaf])

    def evidence(self, call: Call) -> Outcome:
        """POST /disputes/{id}/evidence: the file that came with an objection; to look at it leaves a leaf as well."""
        case = call.path["id"]
        with call.engine.connect() as connection:
            stored = self._get(connection, call)
            _, opening = acting_for(connection, call, stored.subject)
            file = disputes.evidence(connection, case)
        if file is None:
            raise NotFound("no evidence came with this objection")
        return Outcome(file, [LeafDraft("dispute.evidence", {"case": case}, opening)])

    # ---------------------------------------------------------------- the source checks

    def ask_source(self, call: Call) -> Outcome:
        """POST /disputes/{id}/correction: a clerk asks the department's stewards to look at the field."""
        body: AskCorrection = call.body
        check_words(body.request, "the request says what the source shall look at")
        with call.engine.connect() as connection:
            stored = self._get(connection, call, is_open=True)
        if any(one.state == OPEN for one in stored.corrections):
            raise Conflict("the source has been asked already and has not answered yet")
        request = Correction(
            id=secrets.token_hex(8),
            dispute=stored.id,
            subject=stored.subject,
            field=stored.field,
            request=body.request,
            asked_at=call.now,
        )

        def record(connection: Connection) -> None:
            disputes.ask(connection, request)

        facts = {"case": stored.id, "correction": request.id}
        opening = {"subject": stored.subject, "field": stored.field}
        return Outcome(Filing(id=request.id), [LeafDraft("correction.ask", facts, opening)], record)

    def corrections(self, call: Call) -> Outcome:
        """POST /corrections/list: for the stewards, what the office asks them to look at and what they have not answered."""
        with call.engine.connect() as connection:
            found = disputes.corrections(connection, state=OPEN)
        return Outcome(Corrections(corrections=found), [LeafDraft("correction.list", {"count": len(found)})])

    def source_answers(self, call: Call) -> Within:
        """POST /corrections/{id}/answer: a steward says what was found; a corrected value has been delivered before."""
        body: AnswerCorrection = call.body
        check_words(body.reply, "the answer says what was found")
        if body.corrected != bool(body.batch) or len(body.batch) > 32:
            raise Unusable("a correction names the delivery (its batch) that holds the right value, and nothing else does")
        request, state = call.path["id"], "corrected" if body.corrected else "upheld"

        def within(connection: Connection) -> Outcome:
            case = disputes.reply(connection, request, state, body.reply, body.batch, call.person.id, call.now)
            if case is None:
                raise NotFound("there is no such request, or it has been answered")
            facts = {"case": case, "correction": request, "state": state}
            return Outcome(Filing(id=request), [LeafDraft("correction.answer", facts, {"batch": body.batch})])

        return within

    # ---------------------------------------------------------------- the answer in writing

    def answer(self, call: Call) -> Outcome:
        """POST /disputes/{id}/answer: a clerk closes an objection with a letter that the office signs."""
        body: AnswerDispute = call.body
        check_words(body.text, "the answer says in words what was found")
        with call.engine.connect() as connection:
            stored = self._get(connection, call, is_open=True)
        models = self._models(body, stored, call.now)
        letter = Letter(
            number=f"{day_at(call.now, self._office.settings.zone):%Y%m%d}-{stored.id}",
            subject=stored.subject,
            field=stored.field,
            statement=stored.statement,
            filed_at=stored.filed_at,
            finding=body.finding,
            text=body.text,
            models=models,
            answered_by=call.person.id,
            answered_at=call.now,
        )
        signed = self._office.sign(letter)

        def record(connection: Connection) -> None:
            if not disputes.answer(connection, stored.id, body.finding, signed):
                raise Conflict("this objection has been answered already")
            self._unmark(connection, stored, body.finding, call.now)

        facts = {"case": stored.id, "finding": str(body.finding), "letter": signed.digest(), "models": len(models)}
        opening = {"subject": stored.subject, "field": stored.field}
        return Outcome(signed, [LeafDraft("dispute.answer", facts, opening)], record)

    def _unmark(self, connection: Connection, stored: Dispute, finding: Finding, now: int) -> None:
        """Take the mark back, unless the matter could not be settled, or the mark was there before from elsewhere."""
        mark = disputes.mark(connection, stored.subject, stored.field)
        if mark is None:
            return
        since = disputes.noted_since(connection, stored.subject, stored.field, besides=stored.id)
        elsewhere = mark[1] < min(stored.filed_at, since or stored.filed_at)
        noted = finding is Finding.NOTED or (since is not None and finding is not Finding.CORRECTED)
        marked = Objection(
            subject=stored.subject,
            field=stored.field,
            open=elsewhere or noted,
            withheld=elsewhere and mark[0] and not stored.withheld,
        )
        consents.set_objection(connection, marked, mark[1] if elsewhere else now)

    def _models(self, body: AnswerDispute, stored: Dispute, now: int) -> tuple[ModelUse, ...]:
        """The models that used the old value; only a correction needs to know, and cannot be told without."""
        if body.finding is not Finding.CORRECTED:
            return ()
        if not any(one.state == "corrected" for one in stored.corrections):
            raise Unusable("the source has not corrected this field; ask it first, or choose another finding")
        if body.uses is None:
            raise Unusable("a correction lists the models that used the old value: hand in what the node signed of them")
        uses = self._office.node_statement(body.uses, ModelUses)
        if uses.subject != stored.subject or not now - USES_FRESH <= uses.issued_at <= now + USES_FRESH:
            raise Unusable("the node's list of models is another subject's, or older than an hour; ask the node again")
        return uses.of_field(stored.field)

    def _get(self, connection: Connection, call: Call, *, is_open: bool = False) -> Dispute:
        stored = disputes.get(connection, call.path["id"], self._office.settings.zone, call.now)
        if stored is None:
            raise NotFound("there is no such objection")
        if is_open and stored.state != OPEN:
            raise Conflict("this objection has been answered already")
        return stored

    def _check_field(self, field: str) -> None:
        if field != ANY and field not in self._office.catalogue:
            raise Unusable(f"the catalogue has no such field; {ANY} means the whole record")


def check_words(text: str, what: str) -> None:
    """Refuse an empty or endless text; raises `Unusable`."""
    if not text.strip() or len(text) > MOST_WORDS:
        raise Unusable(f"{what}, in 1 to {MOST_WORDS} characters")


def check_evidence(file: FiledEvidence | None) -> str:
    """The SHA-256 of a file that may be kept (hex), empty where there is none; raises `Unusable` or `TooLarge`."""
    if file is None:
        return ""
    if len(file.content) > MOST_EVIDENCE:
        raise TooLarge(f"a file of evidence has at most {MOST_EVIDENCE >> 20} MiB")
    if not file.content or not 1 <= len(file.name) <= 100 or not file.name.isprintable() or set(file.name) & set("/\\"):
        raise Unusable("a file of evidence is not empty, and its name has 1 to 100 printable characters without a slash")
    return hashlib.sha256(file.content).hexdigest()


def check_not_window(call: Call) -> None:
    """Refuse a look over all subjects by the window; raises `Forbidden`."""
    if call.person.role is Role.WINDOW:
        raise Forbidden("through the window a subject sees the own cases; name the subject")
