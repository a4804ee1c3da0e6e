"""Acts that wait for a second clerk, asked budgets, and what of projects and batches waits."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sqlalchemy import Connection, Row, insert, literal, select, update

from audit.office.approval_tables import act, budget_request
from audit.office.tables import batch, project
from models.approvals import FILED, LAPSED, WAITING, Act, ActKind, BudgetRequest
from models.projects import Project
from models.wire import Signed, encode, fields_of

MOST_ACTS = 200


# -------------------------------------------------------------------- acts


def add_act(connection: Connection, new: Act) -> None:
    """Store an act that waits."""
    connection.execute(insert(act).values(**{**fields_of(new), "action": str(new.action)}))


def get_act(connection: Connection, act_id: str) -> Act | None:
    """One act, or None."""
    row = connection.execute(select(act).where(act.c.id == act_id)).one_or_none()
    return None if row is None else _act(row)


def acts(connection: Connection, state: str = "") -> tuple[Act, ...]:
    """Waiting acts, the oldest first; or the latest of all, the newest first. Without what may name people."""
    query = _LISTED.where(act.c.state == state).order_by(act.c.filed_at) if state else _LATEST
    return tuple(_act(row) for row in connection.execute(query))


def decide_act(connection: Connection, act_id: str, state: str, by: str, at: int, decision: str, *, forget: bool) -> bool:
    """Record the decision on a waiting act; False where it is decided already. `forget` drops what it was about."""
    values: dict[str, object] = {"state": state, "decided_by": by, "decided_at": at, "decision": decision}
    if forget:
        values["document"] = b""
    return connection.execute(update(act).where(act.c.id == act_id, act.c.state == WAITING).values(**values)).rowcount == 1


def lapse_acts(connection: Connection, kinds: Iterable[str], before: int) -> int:
    """Forget what acts of these kinds were about that still wait and were filed before; how many."""
    old = (act.c.state == WAITING) & (act.c.action.in_(sorted(kinds))) & (act.c.filed_at < before)
    return connection.execute(update(act).where(old).values(state=LAPSED, document=b"")).rowcount


_LISTED = select(*(each for each in act.c if each is not act.c.document), literal(b"").label("document"))
_LATEST = _LISTED.order_by(act.c.filed_at.desc()).limit(MOST_ACTS)


def _act(row: Row[*tuple[Any, ...]]) -> Act:
    values = dict(row._mapping)
    return Act(**{**values, "action": ActKind(values["action"]), "document": bytes(values["document"])})


# -------------------------------------------------------------------- budgets


def add_request(connection: Connection, new: BudgetRequest) -> None:
    """Store a request."""
    connection.execute(insert(budget_request).values(**{**fields_of(new), "before": " ".join(map(str, new.before))}))


def get_request(connection: Connection, request_id: str) -> BudgetRequest | None:
    """One request, or None."""
    row = connection.execute(select(budget_request).where(budget_request.c.id == request_id)).one_or_none()
    return None if row is None else _request(row)


def requests(connection: Connection, project_id: str = "") -> tuple[BudgetRequest, ...]:
    """Undecided requests, the oldest first; or all about one project, the newest first."""
    query = select(budget_request)
    if project_id:
        query = query.where(budget_request.c.project == project_id).order_by(budget_request.c.asked_at.desc())
    else:
        query = query.where(budget_request.c.state == FILED).order_by(budget_request.c.asked_at)
    return tuple(_request(row) for row in connection.execute(query))


def decide_request(connection: Connection, request_id: str, state: str, by: str, at: int, decision: str) -> bool:
    """Record the decision on a request; False where it is decided already."""
    mine = (budget_request.c.id == request_id) & (budget_request.c.state == FILED)
    values = {"state": state, "decided_by": by, "decided_at": at, "decision": decision}
    return connection.execute(update(budget_request).where(mine).values(**values)).rowcount == 1


def set_budgets(connection: Connection, old: Project, new: Project, approval: Signed) -> bool:
    """Give an approved project its new budgets; False where as many checks are used already, or it changed meanwhile."""
    more = new.checks - old.checks
    done = connection.execute(
        update(project)
        .where(project.c.id == old.id, project.c.document == encode(old), project.c.checks_left + more >= 0)
        .values(document=encode(new), approval=encode(approval), checks_left=project.c.checks_left + more)
    )
    return done.rowcount == 1


def _request(row: Row[tuple[object, ...]]) -> BudgetRequest:
    values = dict(row._mapping)
    trainings, releases, checks = (int(number) for number in str(values["before"]).split())
    return BudgetRequest(**{**values, "before": (trainings, releases, checks)})


# -------------------------------------------------------------------- what else waits


def project_ids(connection: Connection, state: str = "") -> list[str]:
    """The ids of all projects, or of those in a state."""
    query = select(project.c.id).order_by(project.c.id)
    return list(connection.execute(query.where(project.c.state == state) if state else query).scalars())


def filed_batches(connection: Connection) -> list[str]:
    """The ids of batches that wait, the oldest first."""
    return list(connection.execute(select(batch.c.id).where(batch.c.state == FILED).order_by(batch.c.filed_at)).scalars())
