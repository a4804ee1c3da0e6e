"""Batches (整村授信): one approval for asking about everyone of a named place, and a ticket for each question all the same.

::

    loan officer                    bank's approver             office
    Batch(place, subjects, period)
    ── digest ────────────────────> where the bank wants a second approval
    <─ Signed(BatchApproval) ──────
    ── Batch ─────────────────────────────────────────────────> a clerk decides, with a reason
    ── RequestTickets(batch=id) ──────────────────────────────> each subject's two consents, as for a single question

Leakage: the office learns whom the bank means to ask about, before it asks; the node learns nothing of a batch.
"""

from __future__ import annotations

import hashlib

from models.wire import Message, Signed, encode, replace


class Batch(Message):
    """What a loan officer files. `subjects` are canonical ids, sorted and distinct.

    Times are POSIX seconds, `valid_to` exclusive. `id` has 1 to 64 lower-case letters, digits, dots and hyphens; it stands in
    leaves, so it names no person.
    """

    id: str
    bank: str
    officer: str
    project: str
    purpose: str
    place: str
    subjects: tuple[str, ...]
    valid_from: int
    valid_to: int
    approval: Signed | None = None

    def digest(self) -> str:
        """Hex SHA-256 of everything but the approval, as the approval names it."""
        return hashlib.sha256(encode(replace(self, approval=None))).hexdigest()


class BatchApproval(Message):
    """A second person's leave, for banks that require one: `approver` signs the batch with this digest.

    It is the second approval of every ticket of the batch.
    """

    batch: str
    digest: str
    approver: str


class BatchStatus(Message):
    """State of a batch: ``filed``, ``approved``, ``refused`` or ``suspended``.

    `count` is how many subjects it has, `asked` for how many of them a ticket was granted.
    """

    id: str
    state: str
    reason: str
    count: int
    asked: int
    bank: str = ""
    officer: str = ""
    project: str = ""
    purpose: str = ""
    place: str = ""
    valid_from: int = 0
    valid_to: int = 0
