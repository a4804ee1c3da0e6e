"""What waits for the office's clerks, changes of a project's budget, and acts that need a second clerk.

::

    a bank's modeller      AskBudget ──> a clerk decides ──> the project with its new budgets, approved anew

    one clerk              FileAct(action, document) ──> waits ──> another clerk decides ──> the act is done, as if that one
                           had asked for it; both names stand in the leaf's opening

Which acts need a second clerk is the office's setting `second_clerk`. Who asks for such an act directly is told to file it.
"""

from __future__ import annotations

from enum import StrEnum

from models.batches import BatchStatus
from models.projects import Project
from models.registry import ModelEntry
from models.wire import Message

WAITING, DONE, DECLINED, LAPSED = "waiting", "done", "declined", "lapsed"
FILED, APPROVED, REFUSED = "filed", "approved", "refused"


class ActKind(StrEnum):
    """Acts that a rule may give a second pair of eyes."""

    ENROL_INSTITUTION = "enrol.institution"
    ENROL_PERSON = "enrol.person"
    LIFT = "lift"
    MODEL_APPROVE = "model.approve"
    MODEL_LIFT = "model.lift"
    BUDGET_RAISE = "budget.raise"
    SUBJECT_ERASE = "subject.erase"
    REPAIR_FILE = "repair.file"


class AskBudget(Message):
    """A bank asks for other budgets of an approved project: the new totals, and why."""

    project: str
    trainings: int
    releases: int
    checks: int
    reason: str


class BudgetRequest(Message):
    """A request as the office keeps it: ``filed``, ``approved`` or ``refused`` (`decision` says why).

    `before` are trainings, releases and checks as they were approved; `checks_left` what was left when it was decided, or is.
    """

    id: str
    project: str
    bank: str
    asked_by: str
    asked_at: int
    trainings: int
    releases: int
    checks: int
    reason: str
    state: str
    before: tuple[int, int, int]
    checks_left: int
    decided_by: str = ""
    decided_at: int = 0
    decision: str = ""


class BudgetRequests(Message):
    """Requests about one project, newest first."""

    requests: tuple[BudgetRequest, ...]


class FileAct(Message):
    """An act that needs a second clerk. `document` is the message that the act's own endpoint takes, encoded."""

    action: ActKind
    document: bytes
    reason: str


class Act(Message):
    """An act that waits, was decided or was left too long: ``waiting``, ``done``, ``declined`` or ``lapsed``."""

    id: str
    action: ActKind
    document: bytes
    reason: str
    filed_by: str
    filed_at: int
    state: str
    decided_by: str = ""
    decided_at: int = 0
    decision: str = ""


class Acts(Message):
    """Acts, newest first, without their documents; `rules` are the kinds that need a second clerk now."""

    acts: tuple[Act, ...]
    rules: tuple[ActKind, ...]


class ProjectEntry(Message):
    """A project as the office has it. `state` is ``suspended`` while it is; `accepted` are the other banks that take part."""

    project: Project
    state: str
    reason: str
    checks_left: int
    accepted: tuple[str, ...] = ()


class ProjectList(Message):
    """All projects, by id."""

    projects: tuple[ProjectEntry, ...]


class Worklist(Message):
    """What waits for a clerk's decision, the oldest first of each; acts without their documents."""

    projects: tuple[ProjectEntry, ...]
    models: tuple[ModelEntry, ...]
    batches: tuple[BatchStatus, ...]
    budgets: tuple[BudgetRequest, ...]
    acts: tuple[Act, ...]
