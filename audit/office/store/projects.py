"""Projects and models: what was filed, how it was decided, and what is left of a project's checks."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, Row, Table, bindparam, insert, select, update

from audit.office.tables import model, project
from models.projects import Project
from models.tables import RegisterModel
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


@dataclass(frozen=True)
class StoredModel:
    """A registered model with the office's decision on it; `card` is the hex digest of the node's card."""

    id: str
    bank: str
    project: str
    card: str
    cards: RegisterModel
    registered_by: str
    state: str
    reason: str
    approval: Signed | None


def add_project(connection: Connection, new: Project) -> None:
    """Store a filed project; IntegrityError where the id is taken."""
    row = {"id": new.id, "bank": new.bank, "document": encode(new), "checks_left": new.checks}
    connection.execute(insert(project).values(**row, state=FILED, reason="", suspended=0))


def get_project(connection: Connection, project_id: str) -> StoredProject | None:
    """One project, or None."""
    row = connection.execute(select(project).where(project.c.id == project_id)).one_or_none()
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
    return _decide(connection, project, project_id, state, reason, approval)


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


_SPEND = (
    update(project)
    .where(project.c.id == bindparam("project_id"), project.c.state == APPROVED, project.c.suspended == 0)
    .where(project.c.checks_left >= bindparam("number"))
    .values(checks_left=project.c.checks_left - bindparam("number"))
)


def add_model(connection: Connection, new: StoredModel) -> None:
    """Store a registered model; IntegrityError where the id is taken."""
    row = {"id": new.id, "bank": new.bank, "project": new.project, "card": new.card, "document": encode(new.cards)}
    connection.execute(insert(model).values(**row, registered_by=new.registered_by, state=FILED, reason=""))


def get_model(connection: Connection, model_id: str) -> StoredModel | None:
    """One model, or None."""
    row = connection.execute(select(model).where(model.c.id == model_id)).one_or_none()
    if row is None:
        return None
    return StoredModel(
        id=row.id,
        bank=row.bank,
        project=row.project,
        card=row.card,
        cards=decode(bytes(row.document), RegisterModel),
        registered_by=row.registered_by,
        state=row.state,
        reason=row.reason,
        approval=_approval(row),
    )


def decide_model(connection: Connection, model_id: str, state: str, reason: str, approval: Signed | None) -> bool:
    """Record the decision on a registered model; False where it is decided already."""
    return _decide(connection, model, model_id, state, reason, approval)


def _decide(connection: Connection, table: Table, key: str, state: str, reason: str, approval: Signed | None) -> bool:
    values = {"state": state, "reason": reason, "approval": None if approval is None else encode(approval)}
    decided = connection.execute(update(table).where(table.c.id == key, table.c.state == FILED).values(**values))
    return decided.rowcount == 1


def _approval(row: Row[tuple[object, ...]]) -> Signed | None:
    return None if row.approval is None else decode(bytes(row.approval), Signed)
