"""Until when the node serves a model's scores: the office's approval, and what the office's directory says since.

Asked for where a build is asked for, is due, begins and is dated, and where a ticket is spent. An epoch ends with its model
at the latest, so what is open at the review date closes then.
"""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy import Connection

from models.problems import NotApproved, Problem, Suspended
from models.registry import SUSPENDED
from models.tables import model_of
from sharing_node.node import Node
from sharing_node.private_models import repository as private_models
from sharing_node.state import repository as state


def served_until(node: Node, connection: Connection, table_id: str) -> int | None:
    """When a score table's model stops serving, POSIX seconds; None for a table without a model. Raises `NotFound`."""
    model = model_of(table_id)
    if not model:
        return None
    ended = node.office.ended_model(model)
    review_by = private_models.review_by(connection, model)
    review_by = state.review_by(connection, model) if review_by is None else review_by
    return review_by if ended is None else min(review_by, ended.since)


def check_served(node: Node, connection: Connection, table_id: str, now: int) -> None:
    """Raise `NotApproved` or `Suspended`, whose detail says what to do, where a table's model serves no more."""
    until = served_until(node, connection, table_id)
    if until is not None and now >= until:
        raise _why_not(node, model_of(table_id), until)


def _why_not(node: Node, model: str, until: int) -> Problem:
    day = datetime.fromtimestamp(until, UTC).date()
    ended = node.office.ended_model(model)
    if ended is None or ended.since > until:
        return NotApproved(
            f"the model of this table was to be reviewed by {day}, so its scores are not served; have the office review it, "
            "and hand its new approval to the node (`serve`)"
        )
    if ended.state == SUSPENDED:
        return Suspended("the model of this table is suspended by the credit office; ask the office what it needs to go on")
    return NotApproved(f"the model of this table was {ended.state} and served until {day}; use the model that replaced it")
