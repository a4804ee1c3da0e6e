"""One applicant at the window, from consent to decision.

::

    consent ──ask──> waiting ──approved──> asking ──> answered   the record, or none
       │                │ declined, over                refused   by office or node
       └──ask───────────┴──────────────────────────────> damaged  not what was signed; the office knows

A case lives in the memory of its officer's seat and ends with it; what must stay is in the ledger. One question is asked of a
case, once. The question itself runs in a thread that holds the seat's session; pages look at `step` meanwhile.
"""

from __future__ import annotations

import logging
import secrets
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from audit.verifier.consents import open_consent_receipt
from audit.verifier.errors import LogError
from bank_client.batch_results import read_record
from bank_client.desk import ledger, own_model
from bank_client.desk.approvals import APPROVED, Approvals, Waiting
from bank_client.desk.branch import Branch, Offer
from bank_client.desk.forms import ConsentForm, consents_of
from bank_client.desk.identities import mask, named_in
from bank_client.desk.ledger import Check, Ledger
from bank_client.desk.seats import Seat
from bank_client.private_query import PreparedQuestion, PrivateQuery
from bank_client.receipts import keep_receipt
from models.consent_receipts import AskConsentReceipt, ConsentReceipt, receipt_text
from models.consent_words import words_of
from models.consents import AskStanding, Consent, FileConsents, Filed, Standing
from models.logged import Empty
from models.problems import Damaged, Problem
from models.records import CheckRecord
from models.reports import CheckOutcome, CheckReport
from models.web.notices import Notice
from models.web.seats import Clock

CONSENT, WAITING, ASKING = "consent", "waiting", "asking"
LONGEST_REFERENCE = 100
MOST_AT_ONCE = 4
logger = logging.getLogger(__name__)


@dataclass(repr=False)
class Case:
    """One applicant. `state` is a state of the diagram, `step` one of `private_query.STEPS` while the question is asked."""

    subject: str
    mask: str
    offer: Offer
    purpose: str
    reference: str
    handle: str = field(default_factory=lambda: secrets.token_urlsafe(12))
    state: str = CONSENT
    standing: Standing | None = None
    taken: tuple[Consent, ...] = ()
    next_epoch: int = 0
    step: str = ""
    query: PrivateQuery | None = None
    prepared: PreparedQuestion | None = None
    waiting: Waiting | None = None
    problem: Problem | None = None
    fields: tuple[str, ...] = ()
    record: CheckRecord | None = None
    leaf: int = -1


class Cases:
    """The cases of all seats of one desk, and the work on them."""

    def __init__(self, branch: Branch, approvals: Approvals, checks: Ledger, clock: Clock) -> None:
        self._branch, self._approvals, self._ledger, self._clock = branch, approvals, checks, clock
        self._cases: dict[str, tuple[Seat, Case]] = {}
        self._threads = ThreadPoolExecutor(MOST_AT_ONCE, thread_name_prefix="desk")

    def close(self) -> None:
        """Let the questions that are under way end."""
        self._threads.shutdown()

    def leave(self, seat: Seat) -> None:
        """Forget everything of a seat that has ended."""
        self._approvals.withdraw_of(seat.person.id)
        for handle in [handle for handle, (owner, _) in self._cases.items() if owner is seat]:
            del self._cases[handle]

    def find(self, seat: Seat, handle: str) -> Case | None:
        """A case of this seat."""
        owner, case = self._cases.get(handle, (None, None))
        return case if owner is seat else None

    # ---------------------------------------------------------------- consent

    def begin(self, seat: Seat, subject: str, project: str, purpose: str, reference: str) -> Case:
        """A case for a canonical id, with the standing of its consents.

        Raises:
            Notice: purpose or reference do not fit.
            Problem: refused by office or node.
        """
        reference = checked_reference(reference)
        with seat.session() as bank:
            offer = self._branch.offer(bank, project)
            if purpose != offer.purpose:
                raise Notice("purpose-not-covered", purpose=offer.purpose)
            case = Case(subject, mask(subject), offer, purpose, reference)
            self.look(seat, case)
        self._cases[case.handle] = (seat, case)
        return case

    def look(self, seat: Seat, case: Case) -> None:
        """Ask the office for the standing of the consents; it is logged like a question."""
        ask = AskStanding(subject=case.subject, table=case.offer.table, purpose=case.purpose)
        with seat.session() as bank:
            case.standing = bank.office.logged("/consents/standing", ask, Standing).answer
            case.next_epoch = self._branch.next_epoch(bank, case.offer.table)

    def capture(self, seat: Seat, case: Case, form: ConsentForm) -> None:
        """Keep the signed form, file its consents with the office, and look again."""
        with seat.session() as bank:
            digest = form.keep(bank.config.data_dir)
            whom, now, zone = bank.config.institution, int(self._clock()), self._branch.config.zone
            made = consents_of(form, digest, case.subject, whom, case.purpose, now, zone)
            bank.office.logged("/consents", FileConsents(consents=made), Filed)
            case.taken += made
            self.look(seat, case)

    def consent_receipt(self, seat: Seat, consent: Consent) -> str:
        """The office's receipt of a consent that was taken here, verified, as the file that its owner keeps.

        Raises:
            Problem: the office gives none, or what it gave does not verify.
        """
        with seat.session() as bank:
            ask, config = AskConsentReceipt(consent=consent.id), bank.config
            receipt = bank.office.logged("/consents/receipt", ask, ConsentReceipt).answer
        log, witnesses = config.log_key("office"), config.witness_keys("office")
        try:
            statement = open_consent_receipt(receipt, config.office_statement_key(), [log], witnesses, len(witnesses))
        except LogError as error:
            raise Damaged(f"the consent's receipt does not verify: {error}") from None
        return receipt_text(receipt, words_of(statement))

    # ---------------------------------------------------------------- the question

    def ask(self, seat: Seat, case: Case) -> None:
        """Make the question; it is asked at once, or once a second person has signed it where the bank requires that."""
        with seat.session() as bank:
            if case.state != CONSENT:
                raise Notice("case-asked", 409)
            case.query = PrivateQuery(bank, case.offer.id, case.offer.table)
            case.prepared = case.query.prepare(case.subject, case.purpose)
            if case.offer.model is not None:
                own_model.fetch(bank, case.offer.model, case.prepared.epoch.manifest)
            if not self._branch.second_approval(bank):
                return self._start(seat, case)
            waiting = Waiting(seat.person, case.subject, case.prepared.question.context, case.offer.labels, case.reference)
            case.waiting, case.state = self._approvals.put(waiting), WAITING

    def ask_approved(self, seat: Seat, case: Case) -> None:
        """Ask the question that a second person has signed."""
        with seat.session():
            waiting = case.waiting
            if case.state != WAITING or waiting is None or waiting.state != APPROVED:
                raise Notice("case-not-approved", 409)
            if waiting.context.expires <= self._clock():
                raise Notice("approval-over", 409)
            self._start(seat, case)

    def take_back(self, seat: Seat, case: Case) -> None:
        """Back to the consents; a question that waited, or was declined, is thrown away."""
        with seat.session():
            if case.state != WAITING or case.waiting is None:
                raise Notice("case-asked", 409)
            self._approvals.withdraw(case.waiting)
            case.waiting = case.prepared = None
            case.state = CONSENT

    def _start(self, seat: Seat, case: Case) -> None:
        assert case.prepared is not None
        case.state, case.fields = ASKING, case.prepared.epoch.manifest.fields
        self._ledger.begin(
            Check(
                handle=case.handle,
                officer=seat.person.id,
                at=int(self._clock()),
                project=case.offer.id,
                purpose=case.purpose,
                reference=case.reference,
                mask=case.mask,
                state=ledger.ASKING,
            )
        )
        self._threads.submit(self._run, seat, case)

    def _run(self, seat: Seat, case: Case) -> None:
        state, problem = ledger.REFUSED, Problem()
        try:
            self._question(seat, case)
        except Damaged as damaged:
            state, problem = ledger.DAMAGED, damaged
        except Problem as refused:
            problem = refused
        except Notice:  # the officer left before anybody was asked
            self._ledger.end(case.handle, ledger.INTERRUPTED)
            return
        except Exception:
            logger.exception("a check ended in an error of the desk itself")
        else:
            self._ledger.end(case.handle, ledger.ANSWERED, leaf=case.leaf)
            case.state = ledger.ANSWERED
            return
        finally:
            case.query = case.prepared = None  # blind and tag have done their work
        self._ledger.end(case.handle, state, leaf=case.leaf, problem=problem.slug())
        case.problem, case.state = problem, state

    def _question(self, seat: Seat, case: Case) -> None:
        query, prepared = case.query, case.prepared
        assert query is not None
        assert prepared is not None
        question = prepared.question

        def step(name: str) -> None:
            if name == "evaluation" and question.ticket is not None:
                self._ledger.spent(case.handle, question.ticket.digest())
            case.step = name

        with seat.session() as bank:
            try:
                approval = None if case.waiting is None else case.waiting.approval
                result = query.ask_prepared(prepared, approval=approval, step=step)
            except Problem:
                if question.leaf is not None:
                    case.leaf = question.leaf.index
                    bank.owed.owe(question.leaf)
                    bank.owed.work_aside()
                raise
            assert result.receipt is not None, "a single check is completed with its receipt"
            keep_receipt(bank, result.receipt)
            case.leaf = result.receipt.index
            if result.record is not None and case.offer.model is not None:
                case.record = own_model.record(bank, case.offer.model, result, prepared.epoch.manifest)
            elif result.record is not None:
                case.record = read_record(prepared.epoch.manifest, result.record)

    # ---------------------------------------------------------------- the decision

    def decide(self, seat: Seat, check: Check, outcome: str, reference: str) -> None:
        """Tell the office what became of a check; a second report on it corrects the first."""
        if outcome not in set(CheckOutcome):
            raise Notice("outcome-missing")
        reference, now = checked_reference(reference), int(self._clock())
        if not check.ticket:
            raise Notice("case-no-ticket", 409)
        with seat.session() as bank:
            report = CheckReport(
                ticket=check.ticket, outcome=CheckOutcome(outcome), decided_at=now, reference=reference, corrects=check.report
            )
            signed = bank.sign(report)
            bank.office.logged("/reports", signed, Empty)
            self._ledger.decide(check.handle, outcome, reference, now, signed.digest())


def checked_reference(text: str) -> str:
    """The bank's own number of a case: short, printable, and no id of a person."""
    reference = " ".join(text.split())
    if len(reference) > LONGEST_REFERENCE or not reference.isprintable():
        raise Notice("reference-long", most=LONGEST_REFERENCE)
    if named_in(reference):
        raise Notice("reference-id")
    return reference
