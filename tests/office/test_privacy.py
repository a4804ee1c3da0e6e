"""Privacy budgets at the office: approved with the project, held against every plan, and the larger noise replayed."""

from __future__ import annotations

import pytest

from models import wire
from models.privacy import PlannedPrivacy, PrivacyWish, Side
from models.problems import InputsRefused, Unusable
from models.projects import ProjectKind
from models.scorecard.private import label_noise
from models.training import JobPlan
from tests.models.scorecard_job import Cohort, cohort
from tests.office.test_replays import ROWS, Run
from tests.office.world import World

DELTA = 1e-6


@pytest.fixture(scope="module")
def lab(world: World) -> World:
    both: tuple[Side, ...] = ("labels", "rows")
    world.project("private", kind=ProjectKind.JOINT_SCORECARD, privacy=PrivacyWish(epsilon=4.0, delta=DELTA, protects=both))
    world.project("without", kind=ProjectKind.JOINT_SCORECARD)
    return world


@pytest.fixture(scope="module")
def made() -> Cohort:
    return cohort(7, ROWS, bank_fields=2)


def planned(epsilon: float = 2.0, protects: tuple[Side, ...] = ("labels", "rows"), **changes: float) -> PlannedPrivacy:
    answers, own = label_noise(epsilon, DELTA, 8, 2)
    privacy = PlannedPrivacy(epsilon=epsilon, delta=DELTA, protects=protects, answer_noise=answers, own_noise=own)
    return wire.replace(privacy, **changes)


def test_a_private_training_is_replayed_with_its_larger_noise(lab: World, made: Cohort) -> None:
    run = Run(lab, made, project="private", privacy=planned()).play()
    verdict = run.replay()
    assert (verdict.usable, verdict.reason) == (True, "")


def test_a_bank_that_adds_less_than_its_plan_has_is_named(lab: World, made: Cohort) -> None:
    run = Run(lab, made, project="private", privacy=planned())
    run.roles.bank.plan = Run(lab, made, project="private", privacy=planned(4.0)).roles.plan
    verdict = run.play().replay()
    assert not verdict.usable
    assert "round 1" in verdict.reason


@pytest.mark.parametrize(
    ("project", "privacy"),
    [
        ("private", None),
        ("without", planned()),
        ("private", planned(protects=("labels",))),
        ("private", planned(6.0)),
        ("private", planned(delta=0.5)),
    ],
    ids=["none", "not approved", "one side only", "beyond the budget", "a delta that protects nobody"],
)
def test_a_plan_that_does_not_keep_to_the_budget_is_refused(
    lab: World, made: Cohort, project: str, privacy: PlannedPrivacy | None
) -> None:
    run = Run(lab, made, project="private", privacy=planned())
    run.plan = lab.by_node(wire.replace(plan_of(run), project=project, privacy=privacy))
    with pytest.raises(InputsRefused):
        run.file(run.opening(1))


def test_a_plan_with_less_noise_than_its_epsilon_takes_is_refused(lab: World, made: Cohort) -> None:
    run = Run(lab, made, project="private", privacy=planned())
    weaker = wire.replace(planned(), own_noise=planned().own_noise - 1)
    run.plan = lab.by_node(wire.replace(plan_of(run), privacy=weaker))
    run.file(run.opening(1))
    with pytest.raises(InputsRefused, match="less noise"):
        run.file(run.opening(2))


def plan_of(run: Run) -> JobPlan:
    return wire.decode(run.plan.payload, JobPlan)


@pytest.mark.parametrize(
    ("kind", "budget"),
    [
        (ProjectKind.CHECK, PrivacyWish(epsilon=1.0)),
        (ProjectKind.JOINT_SCORECARD, PrivacyWish(epsilon=100.0)),
        (ProjectKind.JOINT_SCORECARD, PrivacyWish(epsilon=1.0, delta=0.01)),
        (ProjectKind.JOINT_SCORECARD, PrivacyWish(epsilon=1.0, protects=())),
        (ProjectKind.JOINT_SCORECARD, PrivacyWish(epsilon=1.0, protects=("rows", "rows"))),
    ],
)
def test_a_budget_that_promises_nothing_is_not_filed(lab: World, kind: ProjectKind, budget: PrivacyWish) -> None:
    with pytest.raises(Unusable):
        lab.project(f"bad-{kind}-{len(budget.protects)}", approve=False, kind=kind, privacy=budget)
