"""Private queries: the records of consented subjects, each under its own ticket, without the node learning whom.

::

    bank                                             office            node
    ── manifest? ────────────────────────────────────────────────────>
    <──────────────────────────────── Signed(manifest), Signed(seal) ─
    B = r·P, proof bound to the context
    ── id, B, context, proof ──────────────────────> consents
    <─ Signed(ticket) ─────────────────────────────
    ── tickets ──────────────────────────────────────────────────────> leaves
    <─────────────────────────────────────── k·B, DLEQ proofs, promises
    tag, key; one LWE query for the tag's column
    ── queries ──────────────────────────────────────────────────────>
    <────────────────────────────────────────────────────── D·query ──
    Merkle path, cell

A question makes the same calls whether it finds a record, nothing, or damage; what is damaged is kept, reported to the
office after the last call, and never asked again. The query is prepared while the office and the node are at work: its
column is added to it at the end. The check in flight keeps its epoch: while the epoch's time of grace lasts, its ticket is
evaluated and its column answered under it. Leakage: the node learns that this bank asked so many questions for a
purpose now; the bank one record a ticket; the office who asks about whom.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from bank_client.alignment import Progress, silent
from bank_client.epoch_cache import Epoch, EpochCache
from bank_client.questions import Question, Questions
from bank_client.session import Bank
from models.consents import Purpose
from models.logged import LeafRef
from models.problems import Conflict, Damaged, NotFound, Problem
from models.training import Receipt
from models.wire import Signed

OFFICER_SECONDS = 9 * 60
BULK_SECONDS = 2 * 3600
TICKETS_A_REQUEST = 1_000
STEPS = ("ticket", "evaluation", "retrieval", "receipt")

Step = Callable[[str], None]
"""Told which of `STEPS` begins."""


def _unseen(_step: str) -> None:
    """Nobody looks on."""


@dataclass(frozen=True)
class CheckResult:
    """What one question gave: the record's bytes, None where the table has none, or the refusal.

    `leaf` is the node's leaf for it and `receipt` its cosigned proof (for single checks that waited for it). `refused` is
    set where office or node did not allow the question; nothing was asked then. `ticket` is the digest of the ticket that
    was spent, by which a bank reports what became of the check.
    """

    subject: str = field(repr=False)
    table: str
    epoch: int
    record: bytes | None = field(default=None, repr=False)
    refused: Problem | None = None
    leaf: LeafRef | None = field(default=None, repr=False)
    receipt: Receipt | None = field(default=None, repr=False)
    ticket: str = ""


@dataclass(frozen=True)
class PreparedQuestion:
    """A question that nobody has been asked yet: a second person may sign its context before it is asked, within minutes.

    Once asked, `question.ticket` is the ticket it spent, whatever came of it.
    """

    epoch: Epoch = field(repr=False)
    question: Question


class PrivateQuery(Questions):
    """Asks one table of the node within one project. The epoch's hint is fetched once and kept on disk.

    Args:
        bank: an officer's session for single checks, a modeller's for `ask_many`.
        project: whose approval covers the questions.
        table: the id that opening the project or serving the model gave.
        approver: a second person's session, for banks that require a second approval.
    """

    def __init__(self, bank: Bank, project: str, table: str, *, approver: Bank | None = None) -> None:
        super().__init__(bank, project, table, approver=approver)
        self._epochs = EpochCache(bank, table)

    def ask(self, subject: object, purpose: str = Purpose.LOAN_APPROVAL, *, wait_receipt: bool = True) -> CheckResult:
        """One authorised question, completed with its receipt.

        Args:
            subject: id in any spelling that the settings take.
            purpose: one that the project and the subject's consent cover.
            wait_receipt: False returns as soon as the answer is there, and has the receipt completed aside
                (`bank_client.receipts`); its promise goes to the office if none came within a minute.

        Raises:
            Problem: office or node refused it; a leaf stands for the refusal.
            Damaged: something did not match what was signed; reported to the office. Do not ask again by yourself.
        """
        return self.ask_prepared(self.prepare(subject, purpose), wait_receipt=wait_receipt)

    def present(self) -> Epoch:
        """The table's present epoch, verified; raises as `prepare`."""
        return self._epochs.current()

    def prepare(self, subject: object, purpose: str = Purpose.LOAN_APPROVAL) -> PreparedQuestion:
        """The first half of `ask`: epoch, blind and context, which ends in some minutes. Nothing of it leaves the bank.

        Raises:
            Problem: the node serves no such table.
            Damaged: something of the epoch does not match what was signed; reported to the office.
        """
        with self._bank.phase("check"):
            canonical = self._bank.canonical(subject)
            epoch = self._epochs.current()
            [question] = self.blind(epoch, [canonical], purpose, OFFICER_SECONDS)
            return PreparedQuestion(epoch, question)

    def ask_prepared(
        self,
        prepared: PreparedQuestion,
        *,
        approval: Signed | None = None,
        step: Step = _unseen,
        wait_receipt: bool = True,
    ) -> CheckResult:
        """The second half of `ask`, once. `approval` is an approver's `TicketApproval` of this question; raises as `ask`."""
        with self._bank.phase("check"), ThreadPoolExecutor(1) as aside:
            epoch, question = prepared.epoch, prepared.question
            question.approval = approval
            if self._bank.owed.count():  # of an earlier session
                self._bank.owed.work_aside()
            ready = aside.submit(epoch.retrieval.one_query)
            questions = [question]
            step("ticket")
            self.take_tickets(questions)
            self._raise_refusal(question)
            step("evaluation")
            self.evaluate(epoch, questions)
            self._raise_refusal(question)
            assert question.leaf is not None
            if question.on_its_way:
                step("retrieval")
                try:
                    self.fetch(epoch, questions, ready.result())
                except NotFound:
                    raise Conflict(
                        "the table's epoch was closed between the ticket and the answer, which is lost",
                        advice="Ask again: it is a new question under the present epoch, and counts as one.",
                    ) from None
            step("receipt")
            receipt = self._receipt(question.leaf, wait_receipt)
            self.settle(epoch, questions)
            if (damaged := self.report(epoch, questions)) is not None:
                raise damaged
            return self._result(question, receipt)

    def ask_many(
        self, subjects: Sequence[object], purpose: str = Purpose.LOAN_APPROVAL, *, progress: Progress = silent
    ) -> list[CheckResult]:
        """Many questions under a modeller's bulk tickets, in the order of `subjects`; refused ones say so in `refused`.

        Promises of all leaves are verified; a receipt is fetched for the last leaf of each thousand, whose checkpoint holds
        those before it.

        Raises:
            Damaged: after all have been asked; reported to the office.
        """
        canonical = [self._bank.canonical(subject) for subject in subjects]
        results: list[CheckResult] = []
        damaged: Damaged | None = None
        with self._bank.phase("score"):
            for start in range(0, len(canonical), TICKETS_A_REQUEST):
                epoch = self._epochs.current()
                questions = self.blind(epoch, canonical[start : start + TICKETS_A_REQUEST], purpose, BULK_SECONDS)
                self.take_tickets(questions)
                self.evaluate(epoch, questions)
                self.fetch(epoch, questions)
                leaves = [question.leaf for question in questions if question.leaf is not None]
                if leaves:
                    self._bank.receipt(self._bank.node, leaves[-1])
                self.settle(epoch, questions)
                damaged = self.report(epoch, questions) or damaged
                results += [self._result(question) for question in questions]
                progress("score", len(results), len(canonical))
        if damaged is not None:
            raise damaged
        return results

    def _receipt(self, leaf: LeafRef, wait: bool) -> Receipt | None:
        if wait:
            return self._bank.receipt(self._bank.node, leaf)
        self._bank.owed.owe(leaf)
        self._bank.owed.work_aside()
        return None

    @staticmethod
    def _raise_refusal(question: Question) -> None:
        if question.refused is not None:
            raise question.refused

    def _result(self, question: Question, receipt: Receipt | None = None) -> CheckResult:
        return CheckResult(
            subject=question.subject,
            table=self.table,
            epoch=question.context.epoch,
            record=question.record,
            refused=question.refused,
            leaf=question.leaf,
            receipt=receipt,
            ticket="" if question.ticket is None else question.ticket.digest(),
        )
