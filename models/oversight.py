"""An auditor's questions to the credit office: who asked about whom, and everything that stands behind one such access."""

from __future__ import annotations

from models.reports import CheckOutcome
from models.wire import Message

MOST_FOUND = 1000
REFUSED, UNREPORTED, OVERDUE = "refused", "unreported", "overdue"
RESULTS = ("granted", REFUSED, "looked", "looked-in-vain", *CheckOutcome, UNREPORTED, OVERDUE)
"""What an auditor may search by as the result; beside these, any problem that refuses (``no-consent`` …)."""


class SearchAccesses(Message):
    """What to look for; an empty word and a zero leave it open. Times are POSIX seconds, `until` exclusive.

    `field` is a field of the catalogue, or ``score``; `result` one of `RESULTS` or a problem's short name; `subject` a
    canonical id. Found are at most `most`, newest first, older than what `after` (an earlier answer's `next`) points at.
    """

    bank: str = ""
    officer: str = ""
    subject: str = ""
    purpose: str = ""
    field: str = ""
    project: str = ""
    batch: str = ""
    table: str = ""
    result: str = ""
    since: int = 0
    until: int = 0
    after: str = ""
    most: int = 100


class FoundAccess(Message):
    """One question about a subject as the office keeps it; `ticket` is empty where none was given.

    `report` is what the bank says that became of it, `overdue` whether that has been awaited for too long.
    """

    id: int
    at: int
    bank: str
    officer: str
    subject: str
    purpose: str
    project: str
    table: str
    epoch: int
    outcome: str
    batch: str = ""
    ticket: str = ""
    report: str = ""
    reported_at: int = 0
    overdue: bool = False


class FoundAccesses(Message):
    """One page; `next` is empty on the last."""

    accesses: tuple[FoundAccess, ...]
    next: str = ""


class NamedBytes(Message):
    """One piece of evidence under its name, such as ``office-leaf.json``."""

    name: str
    data: bytes


class AskDossier(Message):
    """Everything that stands behind one access."""

    access: int


class Dossier(Message):
    """The evidence of one access, for the auditor's own machine to check (`audit.dossier`), and `logs`: the verifier keys of
    the logs and witnesses as the office knows them, by what they are for."""

    access: FoundAccess
    files: tuple[NamedBytes, ...]
