"""Exposure check (多头借贷): what one consented applicant owes at all other banks together. See `models.exposure`.

    check = ExposureCheck(bank, "exposure-2026")
    found = check.ask("530122199001011234")
    found.amount, found.banks, found.missing         # yuan, at how many banks, banks that did not answer

A question makes a fresh Paillier key, asks the office for leave, hands the question to the node, waits until the other banks
have answered or their time is over, and decrypts one number: the sum, and how many banks had something to add. What does not
match what office and node have signed is kept, reported to the office, and raised as `Damaged`.
"""

from __future__ import annotations

import hashlib
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from bank_client.exposure_book import present_epoch
from bank_client.exposure_keys import KeyPool, QuestionKey
from bank_client.session import Bank
from crypto.errors import InvalidCiphertext
from crypto.paillier.bounded import FLAG_SHIFT, MOST_AMOUNT
from models import wire
from models.consents import Purpose
from models.exposure import (
    TABLE,
    AskExposure,
    ExposureEpoch,
    ExposureLeave,
    ExposureQuestion,
    ExposureRelease,
    ExposureState,
    ExposureSum,
    ExposureTally,
    ExposureTicket,
    OpenExposure,
    ReleaseExposure,
)
from models.logged import Empty, LeafRef
from models.problems import Damaged
from models.tickets import TicketApproval, TicketContext
from models.training import Receipt
from models.wire import Signed

ASK_SECONDS = 5 * 60
STEPS = ("ticket", "answers", "release", "receipt")
_FIRST_LOOK, _LONGEST_PAUSE = 0.2, 1.0

Step = Callable[[str], None]
"""Told which of `STEPS` begins."""


def _unseen(_step: str) -> None:
    """Nobody looks on."""


@dataclass(frozen=True)
class ExposureResult:
    """What one check gave.

    `amount` is the sum in yuan at the other banks that `answered`, and `banks` at how many of them something is owed;
    `missing` are the banks that did not answer, whose exposure is not in it. `release` and `tally` are the words of office and
    node on it, each with the leakage statement; `receipt` proves that it stands in the node's log.
    """

    subject: str = field(repr=False)
    question: str
    amount: int = field(repr=False)
    banks: int = field(repr=False)
    answered: tuple[str, ...]
    missing: tuple[str, ...]
    leakage: tuple[str, ...] = field(repr=False)
    release: Signed = field(repr=False)
    tally: Signed = field(repr=False)
    leaf: LeafRef = field(repr=False)
    receipt: Receipt = field(repr=False)


@dataclass(frozen=True)
class PreparedExposure:
    """A question that nobody has been asked yet: a second person may sign its context before it is asked, within minutes."""

    subject: str = field(repr=False)
    context: TicketContext


class ExposureCheck:
    """Asks what applicants owe elsewhere, within one approved project of exposure checks.

    Args:
        bank: a loan officer's session.
        project: whose approval covers the questions.
        keys: a pool of keys made ahead, shared by the checks of a process.
        approver: a second person's session, for banks that require a second approval.
    """

    def __init__(self, bank: Bank, project: str, *, keys: KeyPool | None = None, approver: Bank | None = None) -> None:
        self.project = project
        self._bank, self._approver = bank, approver
        self._keys = keys or KeyPool()
        self._epoch: ExposureEpoch | None = None

    def __repr__(self) -> str:
        return f"ExposureCheck(project={self.project!r})"

    def ask(self, subject: object, purpose: str = Purpose.LOAN_APPROVAL, *, step: Step = _unseen) -> ExposureResult:
        """One check.

        Raises:
            Problem: office or node refused; `TooFewBanks` where fewer than three have answered.
            Damaged: something did not match what was signed, or what is in a sum cannot be; reported to the office.
        """
        return self.ask_prepared(self.prepare(subject, purpose), step=step)

    def prepare(self, subject: object, purpose: str = Purpose.LOAN_APPROVAL) -> PreparedExposure:
        """The first half of `ask`: the context, which ends in some minutes. Nothing of it leaves the bank."""
        if self._epoch is None or self._epoch.expires_at <= time.time():
            self._epoch = present_epoch(self._bank)
        epoch = self._epoch
        context = TicketContext(
            bank=self._bank.config.institution,
            officer=self._bank.config.person,
            purpose=purpose,
            project=self.project,
            table=TABLE,
            epoch=epoch.epoch,
            expires=min(int(time.time()) + ASK_SECONDS, epoch.expires_at),
            nonce=secrets.token_bytes(16),
        )
        return PreparedExposure(self._bank.canonical(subject), context)

    def ask_prepared(
        self, prepared: PreparedExposure, *, approval: Signed | None = None, step: Step = _unseen
    ) -> ExposureResult:
        """The second half of `ask`, once; `approval` is an approver's `TicketApproval` of this question."""
        with self._bank.phase("exposure"):
            key = self._keys.take()
            step("ticket")
            leave, question = self._leave(prepared, key, approval or self._approve(prepared))
            step("answers")
            tally = self._collect(leave, question)
            step("release")
            return self._finish(prepared, key, leave, question, tally, step)

    # ---------------------------------------------------------------- the steps

    def _approve(self, prepared: PreparedExposure) -> Signed | None:
        if self._approver is None:
            return None
        signer = self._approver.config.person
        return self._approver.sign(TicketApproval(subject=prepared.subject, context=prepared.context.digest(), approver=signer))

    def _leave(
        self, prepared: PreparedExposure, key: QuestionKey, approval: Signed | None
    ) -> tuple[ExposureLeave, ExposureQuestion]:
        ask = AskExposure(
            subject=prepared.subject,
            context=prepared.context,
            key=key.key.public.encode(),
            key_proof=key.proof,
            approval=approval,
        )
        leave = self._bank.office.logged("/exposures", ask, ExposureLeave).answer
        question = self._bank.from_office(leave.question, ExposureQuestion)
        ticket = self._bank.from_office(leave.ticket, ExposureTicket)
        if question.key != ask.key or (ticket.context, ticket.question) != (prepared.context, leave.question.digest()):
            self._bank.damaged("exposure", "the office gave leave for another question", artefacts=(wire.encode(leave),))
        return leave, question

    def _collect(self, leave: ExposureLeave, question: ExposureQuestion) -> Signed:
        """Put the question, wait until it is complete, close it; the node's signed tally."""
        node, path = self._bank.node, f"/exposures/{question.id}"
        state = node.logged("/exposures", OpenExposure(ticket=leave.ticket, question=leave.question), ExposureState).answer
        pause = _FIRST_LOOK
        while not state.complete:
            time.sleep(pause)
            pause = min(1.5 * pause, _LONGEST_PAUSE)
            state = node.get(path, ExposureState)
        return node.logged(f"{path}/close", Empty(), Signed).answer

    def _finish(
        self,
        prepared: PreparedExposure,
        key: QuestionKey,
        leave: ExposureLeave,
        question: ExposureQuestion,
        said: Signed,
        step: Step,
    ) -> ExposureResult:
        bank, evidence = self._bank, (wire.encode(leave.question), wire.encode(said))
        tally = bank.from_node(said, ExposureTally)
        released = bank.office.logged("/exposures/releases", ReleaseExposure(id=question.id, tally=said), Signed).answer
        release = bank.from_office(released, ExposureRelease)
        if (release.question, release.sum) != (leave.question.digest(), tally.sum) or tally.question != release.question:
            bank.damaged("exposure", "office and node speak of different sums", artefacts=(*evidence, wire.encode(released)))
        reply = bank.node.logged(f"/exposures/{question.id}/release", released, ExposureSum)
        ciphertext = reply.answer.sum
        if hashlib.sha256(ciphertext).digest() != release.sum:
            bank.damaged("exposure", "the node gave another sum than was released", artefacts=(*evidence, ciphertext))
        try:
            amount, banks = opened(key.key.decrypt(ciphertext), len(release.answered))
        except (InvalidCiphertext, Damaged) as error:
            bank.damaged("exposure", str(error), artefacts=(*evidence, wire.encode(released), ciphertext))
        step("receipt")
        return ExposureResult(
            subject=prepared.subject,
            question=question.id,
            amount=amount,
            banks=banks,
            answered=release.answered,
            missing=release.missing,
            leakage=release.leakage,
            release=released,
            tally=said,
            leaf=reply.leaves[-1],
            receipt=bank.receipt(bank.node, reply.leaves[-1]),
        )


def opened(plaintext: int, answered: int) -> tuple[int, int]:
    """Sum (yuan) and count of a decrypted sum over this many answers; raises `Damaged` for what no honest answers add up to."""
    count, amount = plaintext >> FLAG_SHIFT, plaintext & ((1 << FLAG_SHIFT) - 1)
    if count > answered or amount > answered * MOST_AMOUNT or (amount > 0 and count == 0):
        raise Damaged(
            "no answers as they must be add up to this: one is out of its bounds, or owes and is not counted; "
            "the office can have them opened"
        )
    return amount, count
