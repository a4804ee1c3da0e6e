"""A project's later approval with other budgets takes the place of the first; any other change is refused."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import Connection

from audit.database import open_engine
from models import wire
from models.problems import Conflict, OverBudget
from models.projects import Project, ProjectApproval, ProjectKind, Seat
from sharing_node.migrate import upgrade
from sharing_node.state import repository as state

KEY = Ed25519PrivateKey.generate()
PROJECT = Project(
    id="p", bank="bank-a", kind=ProjectKind.JOINT_SCORECARD, title="t", purpose="modelling", fields=("f",),
    valid_from=0, valid_to=10, requested_by="bank-a/mo", trainings=1, releases=1,
)  # fmt: skip


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[Connection]:
    engine = open_engine(f"sqlite:///{tmp_path / 'node.db'}")
    upgrade(engine)
    with engine.begin() as opened:
        yield opened


def open_it(connection: Connection, project: Project, at: int, seats: tuple[Seat, ...] = ()) -> None:
    approval = ProjectApproval(project=project, decided_by="office/wang", decided_at=at, reason="in order", seats=seats)
    state.add_project(connection, project, wire.sign(approval, "office", KEY), at)


def test_a_later_approval_brings_other_budgets_and_nothing_is_counted_anew(connection: Connection) -> None:
    open_it(connection, PROJECT, 1)
    state.count_training(connection, "p", state.project(connection, "p").trainings)
    with pytest.raises(OverBudget):
        state.count_training(connection, "p", state.project(connection, "p").trainings)
    open_it(connection, wire.replace(PROJECT, trainings=2, releases=3), 2)
    assert (state.project(connection, "p").trainings, state.project(connection, "p").releases) == (2, 3)
    assert state.trainings_used(connection, "p") == 1
    state.count_training(connection, "p", 2)


def test_an_older_approval_or_another_project_is_refused(connection: Connection) -> None:
    open_it(connection, wire.replace(PROJECT, trainings=2), 5)
    changed = [
        (wire.replace(PROJECT, trainings=9), 4, ()),
        (wire.replace(PROJECT, fields=("f", "g")), 6, ()),
        (wire.replace(PROJECT, valid_to=20), 6, ()),
        (wire.replace(PROJECT, purpose="loan-approval"), 6, ()),
        (PROJECT, 6, (Seat(bank="bank-b", person="bank-b/mo", key=bytes(32)),)),
    ]
    for project, at, seats in changed:
        with pytest.raises(Conflict):
            open_it(connection, project, at, seats)
    assert state.project(connection, "p").trainings == 2
