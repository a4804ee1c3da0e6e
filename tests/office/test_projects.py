"""Projects are filed by a modeller and decided once, by somebody else."""

from __future__ import annotations

from typing import Any

import pytest

from models import wire
from models.logged import Empty
from models.problems import BadMessage, Conflict, Forbidden, NotFound, Problem, Unusable
from models.projects import Decision, ProjectApproval, ProjectKind, ProjectStatus, Target
from tests.office.world import World


def decide(world: World, project: str, approve: bool = True, **changes: Any) -> ProjectStatus:
    decision = wire.replace(Decision(subject=project, approve=approve, reason="in order"), **changes)
    return world.clerk.logged(f"/projects/{project}/decision", decision, ProjectStatus).answer


def test_an_approval_is_signed_and_says_what_was_approved(world: World) -> None:
    project = world.project("good", approve=False)
    assert world.modeller.get("/projects/good", ProjectStatus) == ProjectStatus(state="filed")
    status = decide(world, "good")
    assert status.approval is not None
    approval = wire.open_signed(status.approval, ProjectApproval, "office", world.office.keys.statement.public_key())
    assert approval.project == project
    assert approval.decided_by == "office/wang"
    assert world.officer.get("/projects/good", ProjectStatus) == status
    with pytest.raises(Conflict):
        decide(world, "good", approve=False)


def test_a_refusal_has_no_approval(world: World) -> None:
    world.project("bad", approve=False)
    status = decide(world, "bad", approve=False)
    assert (status.state, status.approval) == ("refused", None)


def test_a_suspended_project_shows_no_approval(world: World) -> None:
    world.project("halted")
    suspend = Target(kind="project", id="halted", suspended=True, reason="complaint")
    world.clerk.logged("/suspensions", suspend, Empty)
    status = world.modeller.get("/projects/halted", ProjectStatus)
    assert (status.state, status.approval) == ("suspended", None)


def test_decisions_need_a_reason_and_the_right_subject(world: World) -> None:
    world.project("waiting", approve=False)
    with pytest.raises(Unusable):
        decide(world, "waiting", reason=" ")
    with pytest.raises(BadMessage):
        decide(world, "waiting", subject="good")
    with pytest.raises(NotFound):
        decide(world, "no-such-project")


def test_another_banks_project_is_none_of_ones_business(world: World) -> None:
    world.project("theirs", bank="bank-b")
    with pytest.raises(Forbidden):
        world.modeller.get("/projects/theirs", ProjectStatus)
    with pytest.raises(Forbidden):
        world.project("for-b", requested_by="bank-a/mo", bank="bank-b")
    with pytest.raises(Conflict):
        world.project("theirs")


BAD: dict[str, tuple[type[Problem], dict[str, Any]]] = {
    "no fields": (Unusable, {"fields": ()}),
    "field twice": (Unusable, {"fields": ("main_product", "main_product")}),
    "unknown field": (Unusable, {"fields": ("shoe_size",)}),
    "never shared": (Unusable, {"fields": ("citizen_id_no",)}),
    "joint only": (Unusable, {"fields": ("household_size",)}),
    "purpose": (Unusable, {"purpose": "marketing"}),
    "period": (Unusable, {"valid_from": 2, "valid_to": 1}),
    "over": (Unusable, {"valid_from": 1, "valid_to": 2}),
    "trainings": (Unusable, {"trainings": 13}),
    "releases": (Unusable, {"releases": 5}),
    "checks": (Unusable, {"checks": -1}),
    "id": (Unusable, {"id": "a/b"}),
}


@pytest.mark.parametrize("name", BAD)
def test_projects_that_are_refused_at_filing(world: World, name: str) -> None:
    problem, changes = BAD[name]
    with pytest.raises(problem):
        world.project(**{"project_id": "refused", "approve": False, **_named(changes)})


def _named(changes: dict[str, Any]) -> dict[str, Any]:
    return {"project_id" if name == "id" else name: value for name, value in changes.items()}


def test_a_joint_project_may_name_joint_fields(world: World) -> None:
    world.project("joint", kind=ProjectKind.JOINT_SCORECARD)
