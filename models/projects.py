"""Projects: what a bank wants to do with which fields, for what and how long, and the office's decision on it."""

from __future__ import annotations

import hashlib
from enum import StrEnum

from models.privacy import PrivacyWish
from models.wire import Message, Signed, encode


class ProjectKind(StrEnum):
    """A joint scorecard trains a model; a check serves the fields of one consented subject at a time; statistics sum banks' own
    tables, and exposure what one consented subject owes at other banks, both without any field of the node."""

    JOINT_SCORECARD = "joint-scorecard"
    CHECK = "check"
    STATISTICS = "statistics"
    EXPOSURE = "exposure"


FEWEST_BANKS, MOST_BANKS = 3, 10


class Project(Message):
    """A bank's request. `fields` are catalogue names of the node's side; budgets count trainings, releases and checks.

    `banks` are the others of a project of several (3 to 10 with the one that files it); each accepts by its own signature.
    `privacy` is a budget for all its trainings together, each of which then states what it takes of it.
    """

    id: str
    bank: str
    kind: ProjectKind
    title: str
    purpose: str
    fields: tuple[str, ...]
    valid_from: int
    valid_to: int
    requested_by: str
    trainings: int = 12
    releases: int = 4
    checks: int = 1000
    banks: tuple[str, ...] = ()
    privacy: PrivacyWish | None = None

    @property
    def members(self) -> tuple[str, ...]:
        """All banks of the project, ascending."""
        return tuple(sorted({self.bank, *self.banks}))

    def digest(self) -> str:
        """SHA-256 of the project as it was filed, hex: what the other banks accept."""
        return hashlib.sha256(encode(self)).hexdigest()


class AcceptProject(Message):
    """A bank's word that it takes part, signed by its approver or modeller; `modeller` acts for it and signs its messages."""

    project: str
    digest: str
    bank: str
    modeller: str


class Seat(Message):
    """Who acts for a bank in a project of several, with the Ed25519 key (32 bytes) that the office has registered."""

    bank: str
    person: str
    key: bytes


class Decision(Message):
    """A clerk's decision with its reason."""

    subject: str
    approve: bool
    reason: str


class ProjectApproval(Message):
    """The office's signed approval, which a bank of the project hands to the node. `seats` are empty with a single bank."""

    project: Project
    decided_by: str
    decided_at: int
    reason: str
    seats: tuple[Seat, ...] = ()


class ProjectOpened(Message):
    """The node's answer to an approval; `table` is where records or scores are served, empty for a joint project."""

    project: str
    table: str


class ProjectStatus(Message):
    """State of a project at the office: ``filed``, ``approved``, ``refused`` or ``suspended``; the approval where it stands.

    Of a project of several banks, `project` is what was filed and `accepted` the banks that take part so far.
    """

    state: str
    reason: str = ""
    approval: Signed | None = None
    project: Project | None = None
    accepted: tuple[str, ...] = ()


class Target(Message):
    """What a suspension or reinstatement is about: a ``person``, an ``institution``, a ``project`` or a ``batch``."""

    kind: str
    id: str
    suspended: bool
    reason: str
