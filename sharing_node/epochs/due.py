"""Which tables the night, or the end of their last epoch, makes due."""

from __future__ import annotations

from sqlalchemy import Connection

from models.projects import Project
from sharing_node.epochs.schedule import RECENT, Nightly
from sharing_node.node import Node
from sharing_node.projects import check_table
from sharing_node.served_models import served_until
from sharing_node.state import builds
from sharing_node.state import repository as state
from sharing_node.state.repository import StoredTable

AGAIN_SECONDS = 3600
"""A build that failed is asked for once more after so long."""


def due_tables(node: Node, connection: Connection, nightly: Nightly, now: int) -> list[str]:
    """Tables in use that are to be built now: of a project and a model that are neither over nor suspended, lately served.

    Raises `PeerUnavailable` where the office cannot say which projects are suspended.
    """
    due = []
    projects = state.projects(connection)
    for table_id, expires_at in builds.used_since(connection, now - RECENT):
        last = builds.last(connection, table_id)
        lead = 60 * node.settings.grace_minutes + 2 * last.seconds
        again = last.failed_at and now >= last.failed_at + AGAIN_SECONDS
        if not (again or nightly.is_due(now, last.asked_at, expires_at, lead)):
            continue
        table = state.table(connection, table_id)
        until = served_until(node, connection, table_id)
        ended = until is not None and now >= until
        if not ended and any(_goes_on(node, project, now) for project in projects if _serves(project, table)):
            due.append(table_id)
    return due


def _serves(project: Project, table: StoredTable) -> bool:
    if table.model:
        return project.id == table.project
    served = check_table(project)
    return served is not None and served.id == table.id


def _goes_on(node: Node, project: Project, now: int) -> bool:
    return project.valid_from <= now < project.valid_to and not node.office.project_suspended(project.id)
