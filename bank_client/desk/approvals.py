"""Questions that wait for a second person. They live in memory: a question is good for some minutes only."""

from __future__ import annotations

import secrets
import threading
from dataclasses import dataclass, field

from bank_client.desk.seats import Seat
from models.parties import Person
from models.tickets import TicketApproval, TicketContext
from models.web.notices import Notice
from models.web.seats import Clock
from models.wire import Signed

WAITING, APPROVED, DECLINED, WITHDRAWN = "waiting", "approved", "declined", "withdrawn"
LONGEST_REASON = 200


@dataclass(repr=False)
class Waiting:
    """One question: who asks about whom, for what, until when; then who decided, and why."""

    officer: Person
    subject: str
    context: TicketContext
    project: dict[str, str]
    reference: str
    handle: str = field(default_factory=lambda: secrets.token_urlsafe(12))
    state: str = WAITING
    approval: Signed | None = None
    approver: str = ""
    reason: str = ""


class Approvals:
    """The questions of one desk."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._waiting: dict[str, Waiting] = {}

    def put(self, question: Waiting) -> Waiting:
        """Have a question wait."""
        with self._lock:
            self._drop_old()
            self._waiting[question.handle] = question
        return question

    def open(self) -> list[Waiting]:
        """What waits for a decision, the oldest first."""
        with self._lock:
            self._drop_old()
            return [question for question in self._waiting.values() if question.state == WAITING]

    def find(self, handle: str) -> Waiting:
        """A question that waits; raises `Notice` where it does not any more."""
        found = next((question for question in self.open() if question.handle == handle), None)
        if found is None:
            raise Notice("approval-gone", 410)
        return found

    def approve(self, handle: str, approver: Seat) -> None:
        """Sign a question with the approver's key."""
        question = self.find(handle)
        with approver.session() as bank:
            leave = TicketApproval(subject=question.subject, context=question.context.digest(), approver=approver.person.id)
            signed = bank.sign(leave)
        self._decide(question, APPROVED, approver, approval=signed)

    def decline(self, handle: str, approver: Seat, reason: str) -> None:
        """Decline with a reason, which the officer is shown."""
        reason = " ".join(reason.split())
        if not 1 <= len(reason) <= LONGEST_REASON:
            raise Notice("decline-reason", most=LONGEST_REASON)
        self._decide(self.find(handle), DECLINED, approver, reason=reason)

    def withdraw(self, question: Waiting) -> None:
        """The officer takes it back, or has left."""
        with self._lock:
            if question.state == WAITING:
                question.state = WITHDRAWN
            self._waiting.pop(question.handle, None)

    def withdraw_of(self, officer: str) -> None:
        """Take back all questions of one officer."""
        with self._lock:
            mine = [question for question in self._waiting.values() if question.officer.id == officer]
        for question in mine:
            self.withdraw(question)

    def _decide(
        self, question: Waiting, state: str, approver: Seat, *, approval: Signed | None = None, reason: str = ""
    ) -> None:
        if approver.is_officer or approver.person.id == question.officer.id:
            raise Notice("approval-own", 403)
        with self._lock:
            if question.state != WAITING:
                raise Notice("approval-gone", 410)
            question.approval, question.reason, question.approver = approval, reason, approver.person.name
            question.state = state

    def _drop_old(self) -> None:
        over = [handle for handle, question in self._waiting.items() if question.context.expires <= self._clock()]
        for handle in over:
            del self._waiting[handle]
