"""Tickets: the office's leave to ask one question about one consented subject, unlinkable by the node to that subject.

::

    bank                                   office                                node
    P = HashToGroup(id), B = r·P
    proof of knowledge of r, bound to ctx
    ── id, B, ctx, proof ─────────────────> consents, standing, proof
    <─ Signed(Ticket(B, ctx, commitment)) ─
    ── Signed(Ticket) ───────────────────────────────────────────────────────> ticket, bank, expiry, B unseen
                                                                               leaf durable, then k·B, DLEQ proof
    <──────────────────────────────────────────────────────────────────────── evaluation, log index, promise

Leakage: the office learns who asks about whom and why; the node learns that this bank asked something for this purpose
now; the bank learns the one record. Office and node together can join on B and name the subject.
"""

from __future__ import annotations

import hashlib

from models.wire import Message, Signed, encode


class TicketContext(Message):
    """What a ticket is for; its bytes bind the request proof. `expires` is POSIX seconds, `nonce` 16 random bytes."""

    bank: str
    officer: str
    purpose: str
    project: str
    table: str
    epoch: int
    expires: int
    nonce: bytes

    def binding(self) -> bytes:
        """The bytes that the request proof is bound to."""
        return encode(self)

    def digest(self) -> str:
        """Hex SHA-256 of the binding, as a second approval names it."""
        return hashlib.sha256(self.binding()).hexdigest()


class TicketRequest(Message):
    """One subject, the blinded element B (32 bytes) and the proof (64 bytes) that the sender knows its blind."""

    subject: str
    context: TicketContext
    element: bytes
    proof: bytes
    approval: Signed | None = None


class TicketApproval(Message):
    """A second person's leave, for banks that require one: `approver` signs this subject and this context (hex SHA-256)."""

    subject: str
    context: str
    approver: str


class RequestTickets(Message):
    """One ticket for an officer, many for a modeller, or many of an officer's approved batch, whose id `batch` is."""

    requests: tuple[TicketRequest, ...]
    batch: str = ""


class Ticket(Message):
    """What the office signs: the element, its context, and a salted commitment to the consent that was checked."""

    element: bytes
    context: TicketContext
    consent: bytes


class TicketResult(Message):
    """A ticket, or the problem's short name and sentence where it was refused; results keep the order of requests."""

    ticket: Signed | None = None
    problem: str = ""
    detail: str = ""


class Tickets(Message):
    """The office's answer."""

    results: tuple[TicketResult, ...]


class EvaluateTickets(Message):
    """Tickets (kind `Ticket`, signed by the office) to be spent at the node."""

    tickets: tuple[Signed, ...]


class Evaluation(Message):
    """k·B (32 bytes), its DLEQ proof (64 bytes), the log index of its leaf and the node's signed promise; or a refusal."""

    evaluated: bytes = b""
    proof: bytes = b""
    index: int = -1
    promise: bytes = b""
    problem: str = ""
    detail: str = ""


class Evaluations(Message):
    """The node's answer, in the order of the tickets."""

    results: tuple[Evaluation, ...]


class AccessQuery(Message):
    """ "Who looked at me": all tickets about one subject."""

    subject: str


class Access(Message):
    """One question about a subject as the office knows it; `index` is its leaf in the office's log.

    `outcome` is ``granted``, ``looked`` or ``looked-in-vain`` (at the standing of the consents; some were missing), or the
    problem that refused it. `batch` is the approved batch that it belongs to, `ticket` the digest of what was granted,
    `report` what the bank says that became of it (`models.reports.CheckOutcome`), and `overdue` whether that has been
    awaited for too long.
    """

    at: int
    bank: str
    officer: str
    purpose: str
    table: str
    outcome: str
    index: int
    batch: str = ""
    ticket: str = ""
    report: str = ""
    reported_at: int = 0
    overdue: bool = False


class Accesses(Message):
    """The office's answer to "who looked at me"."""

    accesses: tuple[Access, ...]
