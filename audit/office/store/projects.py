"""Projects: what was filed, how it was decided, and what is left of a project's checks."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, Row, bindparam, insert, select, update

from audit.office.tables import project
from models.projects import Project
from models.wire import Signed, decode, encode

FILED, APPROVED, REFUSED, SUSPENDED = "filed", "approved", "refused", "suspended"


@dataclass(frozen=True)
class StoredProject:
    """A project with the office's decision on it."""

    project: Project
    state: str
    reason: str
    approval: Signed | None
    checks_left: int
    suspended: bool


def add_project(connection: Connection, new: Project) -> None:
    """Store a filed project; IntegrityError where the id is taken."""
    row = {"id": new.id, "bank": new.bank, "document": encode(new), "checks_left": new.checks}
    connection.execute(insert(project).values(**row, state=FILED, reason="", suspended=0))


def get_project(connection: Connection, project_id: str) -> StoredProject | None:
    """One project, or None."""
    row = connection.execute(_GET, {"project_id": project_id}).one_or_none()
    if row is None:
        return None
    return StoredProject(
        project=decode(bytes(row.document), Project),
        state=row.state,
        reason=row.reason,
        approval=_approval(row),
        checks_left=row.checks_left,
        suspended=bool(row.suspended),
    )


def decide_project(connection: Connection, project_id: str, state: str, reason: str, approval: Signed | None) -> bool:
    """Record the decision on a filed project; False where it is decided already."""
    values = {"state": state, "reason": reason, "approval": None if approval is None else encode(approval)}
    filed = (project.c.id == project_id, project.c.state == FILED)
    return connection.execute(update(project).where(*filed).values(**values)).rowcount == 1


def suspend_project(connection: Connection, project_id: str, suspended: bool) -> bool:
    """Suspend or reinstate a project; False where there is none."""
    done = connection.execute(update(project).where(project.c.id == project_id).values(suspended=int(suspended)))
    return done.rowcount == 1


def suspended_projects(connection: Connection) -> tuple[str, ...]:
    """The ids of suspended projects."""
    return tuple(connection.execute(select(project.c.id).where(project.c.suspended == 1).order_by(project.c.id)).scalars())


def spend_checks(connection: Connection, project_id: str, count: int) -> bool:
    """Take `count` checks from the budget of a project that is approved and not suspended; False where that fails."""
    return connection.execute(_SPEND, {"project_id": project_id, "number": count}).rowcount == 1


_GET = select(project).where(project.c.id == bindparam("project_id"))
_SPEND = (
    update(project)
    .where(project.c.id == bindparam("project_id"), project.c.state == APPROVED, project.c.suspended == 0)
    .where(project.c.checks_left >= bindparam("number"))
    .values(checks_left=project.c.checks_left - bindparam("number"))
)


def _approval(row: Row[tuple[object, ...]]) -> Signed | None:
    return None if row.approval is None else decode(bytes(row.approval), Signed)
