"""Projects: what a bank wants to do with which fields, for what and how long, and the office's decision on it."""

from __future__ import annotations

from enum import StrEnum

from models.wire import Message, Signed


class ProjectKind(StrEnum):
    """A joint scorecard trains a model; a check serves the fields of one consented subject at a time."""

    JOINT_SCORECARD = "joint-scorecard"
    CHECK = "check"


class Project(Message):
    """A bank's request. `fields` are catalogue names of the node's side; budgets count trainings, releases and checks."""

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


class Decision(Message):
    """A clerk's decision with its reason."""

    subject: str
    approve: bool
    reason: str


class ProjectApproval(Message):
    """The office's signed approval, which the bank hands to the node."""

    project: Project
    decided_by: str
    decided_at: int
    reason: str


class ProjectOpened(Message):
    """The node's answer to an approval; `table` is where records or scores are served, empty for a joint project."""

    project: str
    table: str


class ProjectStatus(Message):
    """State of a project at the office: ``filed``, ``approved``, ``refused`` or ``suspended``; the approval where it stands."""

    state: str
    reason: str = ""
    approval: Signed | None = None


class Target(Message):
    """What a suspension or reinstatement is about: a ``person``, an ``institution``, a ``project`` or a ``batch``."""

    kind: str
    id: str
    suspended: bool
    reason: str
