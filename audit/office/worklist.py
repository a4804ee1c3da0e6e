"""What waits for a clerk, and all projects: lists for the office's own people."""

from __future__ import annotations

from sqlalchemy import Connection

from audit.office import acceptances
from audit.office.batches import status_of
from audit.office.models_register import entry_of
from audit.office.projects import Projects
from audit.office.store import approvals, batches, models
from audit.office.store.projects import FILED, SUSPENDED
from audit.service.outcome import Call
from models.approvals import WAITING, ProjectEntry, ProjectList, Worklist

MOST = 200


def waiting(call: Call) -> Worklist:
    """GET /approvals: all that waits for a clerk's decision."""
    with call.engine.connect() as connection:
        filed = models.search(connection, bank="", state=FILED, text="", after="", most=MOST)
        found = [batches.get(connection, each) for each in approvals.filed_batches(connection)]
        return Worklist(
            projects=tuple(_entry(connection, each) for each in approvals.project_ids(connection, FILED)),
            models=tuple(entry_of(model, call.now) for model in reversed(filed)),
            batches=tuple(status_of(each) for each in found if each is not None),
            budgets=approvals.requests(connection),
            acts=approvals.acts(connection, WAITING),
        )


def all_projects(call: Call) -> ProjectList:
    """GET /projects: every project, with what is left of its checks."""
    with call.engine.connect() as connection:
        return ProjectList(projects=tuple(_entry(connection, each) for each in approvals.project_ids(connection)))


def _entry(connection: Connection, project_id: str) -> ProjectEntry:
    stored = Projects.get(connection, project_id)
    return ProjectEntry(
        project=stored.project,
        state=SUSPENDED if stored.suspended else stored.state,
        reason=stored.reason,
        checks_left=stored.checks_left,
        accepted=acceptances.accepted(connection, stored.project),
    )
