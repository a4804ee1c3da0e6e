"""Second pairs of eyes, asked budgets, and the clerks' worklist."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from audit.office.approval_tables import act as table
from audit.office.store import consents, projects
from audit.office.tables import person as people
from models import wire
from models.approvals import DONE, Act, ActKind, Acts, AskBudget, BudgetRequest, BudgetRequests, FileAct, ProjectList, Worklist
from models.consents import Filed, FileRepairs, Repair
from models.http_client import SignedClient
from models.logged import Empty
from models.parties import Institution, InstitutionKind, Person, Role
from models.problems import (
    Conflict,
    Forbidden,
    NotApproved,
    NotFound,
    OwnRequest,
    SecondClerk,
    Suspended,
    Unusable,
)
from models.projects import Decision, ProjectApproval, ProjectStatus, Target
from tests.office.world import World, running

ALL = ",".join(ActKind)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """An office where the rule is switched on once everybody is enrolled."""
    folder = tmp_path_factory.mktemp("office")
    folder.chmod(0o700)
    with running(folder) as made:
        made.office.settings.second_clerk = ALL
        yield made


def person(person_id: str, role: Role = Role.LOAN_OFFICER) -> Person:
    key = Ed25519PrivateKey.generate().public_key().public_bytes_raw()
    return Person(id=person_id, institution=person_id.split("/", maxsplit=1)[0], name=person_id, role=role, key=key)


def file(clerk: SignedClient, action: ActKind, message: wire.Message, reason: str = "as discussed") -> Act:
    return clerk.logged("/acts", FileAct(action=action, document=wire.encode(message), reason=reason), Act).answer


def decide(clerk: SignedClient, act: Act, approve: bool = True, reason: str = "checked") -> Act:
    decision = Decision(subject=act.id, approve=approve, reason=reason)
    return clerk.logged(f"/acts/{act.id}/decision", decision, Act).answer


def test_credit_repairs_decided_elsewhere_take_two_and_are_forgotten(world: World) -> None:
    """One clerk who names a decision of an own making repairs nobody."""
    field = next(iter(world.office.catalogue)).name
    repairs = FileRepairs(decision="法院〔2026〕7号", repairs=(Repair(subject="opaque:r", field=field),))
    with pytest.raises(SecondClerk):
        world.clerk.logged("/repairs", repairs, Filed)
    act = file(world.clerk, ActKind.REPAIR_FILE, repairs)
    with pytest.raises(OwnRequest):
        decide(world.clerk, act)
    done = decide(world.client("office/chen"), act)
    assert (done.state, done.document) == (DONE, b""), "whose repair it was stays with the repair alone"
    with world.office.engine.connect() as connection:
        assert [(r.subject, r.field) for r in consents.repairs(connection, "", "")] == [("opaque:r", field)]


def names(world: World) -> set[str]:
    return {each.id for each in world.directory().people}


def test_one_clerk_alone_does_not_enrol(world: World) -> None:
    new = person("bank-a/new")
    with pytest.raises(SecondClerk):
        world.clerk.logged("/people", new, Empty)
    act = file(world.clerk, ActKind.ENROL_PERSON, new)
    assert act.state == "waiting"
    assert new.id not in names(world)
    with pytest.raises(OwnRequest):
        decide(world.clerk, act)
    done = decide(world.client("office/chen"), act)
    assert (done.state, done.decided_by, done.filed_by) == ("done", "office/chen", "office/wang")
    assert new.id in names(world)
    with pytest.raises(Conflict):
        decide(world.client("office/chen"), act)


def test_both_names_stand_in_the_leafs_opening_alone(world: World) -> None:
    before = len(world.leaves())
    decide(world.client("office/chen"), file(world.clerk, ActKind.ENROL_PERSON, person("bank-a/leaf")))
    actions = [leaf["action"] for leaf in world.leaves()[before:]]
    assert actions == ["act.file", "enrol.person", "act.decide"]
    assert not any("office/" in str(leaf) or "bank-a/leaf" in str(leaf) for leaf in world.leaves()[before:])


def test_what_was_declined_is_not_done(world: World) -> None:
    new = person("bank-a/declined")
    act = file(world.clerk, ActKind.ENROL_PERSON, new)
    with pytest.raises(Unusable):
        decide(world.client("office/chen"), act, approve=False, reason=" ")
    assert decide(world.client("office/chen"), act, approve=False).state == "declined"
    assert new.id not in names(world)


def test_who_filed_may_take_it_back(world: World) -> None:
    act = file(world.clerk, ActKind.ENROL_PERSON, person("bank-a/back"))
    assert decide(world.clerk, act, approve=False, reason="a mistake").state == "declined"


def test_a_suspension_is_at_once_and_lifting_it_needs_two(world: World) -> None:
    def target(suspended: bool) -> Target:
        return Target(kind="person", id="bank-b/ap", suspended=suspended, reason="left the bank")

    world.clerk.logged("/suspensions", target(True), Empty)
    with pytest.raises(SecondClerk):
        world.clerk.logged("/suspensions", target(False), Empty)
    with pytest.raises(Unusable, match="needs no second clerk"):
        file(world.clerk, ActKind.LIFT, target(True))
    decide(world.client("office/chen"), file(world.clerk, ActKind.LIFT, target(False)))
    assert not next(each for each in world.directory().people if each.id == "bank-b/ap").suspended


def test_what_could_not_be_done_is_not_filed(world: World) -> None:
    nobody = Institution(id="bank c/d", name="x", kind=InstitutionKind.BANK, licence="1", declared_customers=5)
    with pytest.raises(Unusable):
        file(world.clerk, ActKind.ENROL_INSTITUTION, nobody)
    with pytest.raises(Unusable, match="a reason"):
        file(world.clerk, ActKind.ENROL_PERSON, person("bank-a/x"), reason="")
    with pytest.raises(NotFound):
        decide(world.clerk, wire.replace(file(world.clerk, ActKind.ENROL_PERSON, person("bank-a/y")), id="gone"))


def test_an_act_of_a_clerk_suspended_since_is_not_done(world: World) -> None:
    act = file(world.clerk, ActKind.ENROL_PERSON, person("bank-a/late"))
    chen = world.client("office/chen")
    halt = Target(kind="person", id="office/wang", suspended=True, reason="test")
    chen.logged("/suspensions", halt, Empty)
    try:
        with pytest.raises(Suspended):
            world.clerk.get("/acts", Acts)
        with pytest.raises(Conflict, match="suspended"):
            decide(chen, act)
        with pytest.raises(SecondClerk):  # the rule holds while the other clerk is suspended, too
            chen.logged("/people", person("bank-a/alone"), Empty)
    finally:
        world.office.settings.second_clerk = ""
        chen.logged("/suspensions", wire.replace(halt, suspended=False), Empty)
        world.office.settings.second_clerk = ALL
    assert decide(chen, act, approve=False).state == "declined"


def test_an_act_lapses(world: World) -> None:
    act = file(world.clerk, ActKind.ENROL_PERSON, person("bank-a/lapsed"))
    with world.office.engine.begin() as connection:
        earlier = table.c.filed_at - 15 * 24 * 3600
        connection.execute(table.update().values(filed_at=earlier).where(table.c.id == act.id))
    with pytest.raises(Conflict, match="14 days"):
        decide(world.client("office/chen"), act)
    assert decide(world.client("office/chen"), act, approve=False).state == "declined"


def test_with_a_single_clerk_an_office_can_begin(tmp_path: Path) -> None:
    with running(tmp_path / "office") as alone:
        alone.office.settings.second_clerk = ALL
        with alone.office.engine.begin() as connection:
            connection.execute(people.delete().where(people.c.id == "office/chen"))
        assert alone.clerk.get("/acts", Acts).rules == ()
        alone.enrol("office/second", Role.CLERK)
        assert alone.clerk.get("/acts", Acts).rules == tuple(sorted(ActKind))
        with pytest.raises(SecondClerk):
            alone.enrol("office/third", Role.CLERK)


# -------------------------------------------------------------------- budgets


def ask(world: World, project: str, checks: int, **changes: int) -> BudgetRequest:
    asked = AskBudget(project=project, trainings=12, releases=4, checks=checks, reason="spring loans doubled")
    return world.modeller.logged(f"/projects/{project}/budget", wire.replace(asked, **changes), BudgetRequest).answer


def answer(clerk: SignedClient, asked: BudgetRequest, approve: bool = True) -> ProjectStatus:
    decision = Decision(subject=asked.id, approve=approve, reason="the figures bear it out")
    return clerk.logged(f"/budgets/{asked.id}/decision", decision, ProjectStatus).answer


def test_a_bank_asks_for_more_checks_and_a_clerk_decides(world: World) -> None:
    world.project("grow", checks=1000)
    asked = ask(world, "grow", 1500)
    assert (asked.state, asked.before) == ("filed", (12, 4, 1000))
    with pytest.raises(Conflict, match="waits"):
        ask(world, "grow", 1600)
    status = answer(world.clerk, asked)
    assert status.approval is not None
    approval = wire.open_signed(status.approval, ProjectApproval, "office", world.office.keys.statement.public_key())
    assert (approval.project.checks, approval.decided_by) == (1500, "office/wang")
    entry = next(each for each in world.clerk.get("/projects", ProjectList).projects if each.project.id == "grow")
    assert entry.checks_left == 1500
    history = world.modeller.get("/projects/grow/budget", BudgetRequests).requests
    assert [each.state for each in history] == ["approved"]
    with pytest.raises(Forbidden):
        world.client("bank-b/mo").get("/projects/grow/budget", BudgetRequests)


def test_a_raise_beyond_the_factor_needs_two(world: World) -> None:
    world.project("leap", checks=100)
    asked = ask(world, "leap", 1000)
    decision = Decision(subject=asked.id, approve=True, reason="in order")
    with pytest.raises(SecondClerk):
        answer(world.clerk, asked)
    act = file(world.clerk, ActKind.BUDGET_RAISE, decision)
    assert decide(world.client("office/chen"), act).state == "done"
    status = world.modeller.get("/projects/leap", ProjectStatus)
    assert status.approval is not None
    assert wire.decode(status.approval.payload, ProjectApproval).project.checks == 1000


def test_budgets_that_cannot_be(world: World) -> None:
    world.project("narrow", checks=10)
    with pytest.raises(Unusable, match="already"):
        ask(world, "narrow", 10)
    with pytest.raises(Unusable):
        ask(world, "narrow", 20, trainings=1000)
    world.project("undecided", approve=False)
    with pytest.raises(NotApproved):
        ask(world, "undecided", 20)
    world.project("theirs", bank="bank-b")
    with pytest.raises(Forbidden):
        ask(world, "theirs", 20)
    declined = ask(world, "narrow", 15)
    answer(world.clerk, declined, approve=False)
    assert [each.state for each in world.modeller.get("/projects/narrow/budget", BudgetRequests).requests] == ["refused"]


def test_a_budget_is_not_lowered_below_what_is_used(world: World) -> None:
    world.project("used", checks=100)
    with world.office.engine.begin() as connection:
        assert projects.spend_checks(connection, "used", 60)
    asked = ask(world, "used", 50)
    with pytest.raises(Conflict, match="used"):
        answer(world.clerk, asked)
    answer(world.clerk, asked, approve=False)
    answer(world.clerk, ask(world, "used", 80))
    entry = next(each for each in world.clerk.get("/projects", ProjectList).projects if each.project.id == "used")
    assert entry.checks_left == 20


def test_the_worklist_shows_what_waits(world: World) -> None:
    world.project("listed", approve=False)
    world.project("listed-too", checks=100)
    ask(world, "listed-too", 150)
    act = file(world.clerk, ActKind.ENROL_PERSON, person("bank-a/listed"))
    work = world.clerk.get("/approvals", Worklist)
    assert "listed" in {each.project.id for each in work.projects}
    assert {each.project for each in work.budgets} == {"listed-too"}
    assert wire.replace(act, document=b"") in work.acts
    assert world.clerk.get("/acts", Acts).rules == tuple(sorted(ActKind))
