"""Cases: what an auditor looks into, gathers and finds, and the evidence as a bundle that verifies without the office."""

from __future__ import annotations

from enum import StrEnum

from models.wire import Message

OPEN, CLOSED = "open", "closed"
MOST_ITEMS = 500
MOST_TEXT = 4000


class ItemKind(StrEnum):
    """What can be added to a case: an access, an alarm or a finding by its number, or a note."""

    ACCESS = "access"
    ALARM = "alarm"
    FINDING = "finding"
    NOTE = "note"


class OpenCase(Message):
    """An auditor opens a case; the title has at most 200 characters."""

    title: str


class AddItem(Message):
    """Add to an open case; `ref` is the number of what is added, 0 for a note, whose `text` then says something."""

    case: int
    kind: ItemKind
    ref: int = 0
    text: str = ""


class CloseCase(Message):
    """End a case with what was found."""

    case: int
    finding: str


class AskCase(Message):
    """One case, or its bundle."""

    case: int


class AskCases(Message):
    """Cases in this state (empty: any), newest first, with numbers below `before` (0: from the newest)."""

    state: str = ""
    before: int = 0


class CaseItem(Message):
    """One thing in a case: what it is, a line about it, who added it and when."""

    number: int
    kind: ItemKind
    ref: int
    text: str
    by: str
    at: int


class Case(Message):
    """A case; `finding` is what it was closed with, `items` are empty in a list."""

    id: int
    title: str
    state: str
    opened_by: str
    opened_at: int
    finding: str = ""
    closed_by: str = ""
    closed_at: int = 0
    items: tuple[CaseItem, ...] = ()


class Cases(Message):
    """At most a hundred cases, newest first."""

    cases: tuple[Case, ...]


class Bundle(Message):
    """A case's evidence as one file (`audit.dossier.bundle`), and its SHA-256 as the export's leaf names it."""

    name: str
    digest: str
    data: bytes
