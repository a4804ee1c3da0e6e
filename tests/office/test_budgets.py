"""Budgets of questions: counted once for each ticket, whoever meets whom, and renewed by the day and by the epoch."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import select

from audit.office import tables
from models.alarms import Alarm
from models.consents import ConsentKind
from models.problems import OverBudget
from models.tickets import RequestTickets, Tickets
from tests.noon import noon_zone
from tests.office.test_manifests import alarms
from tests.office.test_races import AT_ONCE, issued, together
from tests.office.world import ALICE, BOB, World

DAY = 24 * 3600


@contextmanager
def settings(world: World, **changes: Any) -> Iterator[None]:
    """The office's settings as an operator might have them."""
    before = {name: getattr(world.office.settings, name) for name in changes}
    for name, value in changes.items():
        object.__setattr__(world.office.settings, name, value)
    try:
        yield
    finally:
        for name, value in before.items():
            object.__setattr__(world.office.settings, name, value)


def counted(world: World) -> dict[tuple[str, str], int]:
    with world.office.engine.connect() as connection:
        rows = connection.execute(select(tables.count)).all()
    return {(row.scope, row.name): row.value for row in rows}


def of_kind(world: World, kind: str) -> list[Alarm]:
    return [alarm for alarm in alarms(world) if alarm.kind == kind]


def bulk(world: World, subjects: list[str], **changes: Any) -> list[str]:
    """A modeller's bulk request; what became of each question, nothing for a ticket."""
    context = {"officer": "bank-a/mo", "expires": world.now + 3600, **changes}
    asked = RequestTickets(requests=tuple(world.question(subject, **context) for subject in subjects))
    return [result.problem for result in world.modeller.logged("/tickets", asked, Tickets).answer.results]


def ready(world: World, *subjects: str) -> None:
    world.project("p1")
    world.seal()
    world.consented(*(subjects or (ALICE, BOB)))


@pytest.mark.attack
@pytest.mark.parametrize("budget", ["officer_checks", "bank_checks", "epoch_checks"])
def test_requests_that_meet_share_what_is_left(fresh: World, budget: str) -> None:
    ready(fresh)
    with settings(fresh, time_zone=noon_zone(), **{budget: 2}):
        outcomes = together(fresh, [fresh.question(ALICE) for _ in range(AT_ONCE)])
        assert sorted(outcomes) == ["granted"] * 2 + ["over-budget"] * (AT_ONCE - 2)
    assert issued(fresh) == 2
    assert counted(fresh)["officer", "bank-a/li"] == counted(fresh)["bank", "bank-a"] == counted(fresh)["epoch", "check-1"] == 2
    [alarm] = of_kind(fresh, "budget")
    assert (alarm.institution, alarm.about, alarm.count) == ("bank-a", "bank-a/li", AT_ONCE - 2)


def test_each_budget_counts_what_is_its_own(fresh: World) -> None:
    ready(fresh)
    fresh.seal(epoch=2)
    changes: dict[str, Any] = {"bank": "bank-b", "officer": "bank-b/li", "project": "b1"}
    fresh.project("b1", bank="bank-b")
    fresh.file(fresh.consent(ALICE, ConsentKind.QUERY, recipient="bank-b"))
    with settings(fresh, time_zone=noon_zone(), officer_checks=2, bank_checks=5, epoch_checks=6):
        fresh.ask(fresh.question(ALICE))
        assert bulk(fresh, [ALICE, BOB]) == ["", ""]  # not the officer's, but the bank's and the epoch's
        fresh.ask(fresh.question(ALICE, epoch=2))
        with pytest.raises(OverBudget, match=r"this officer's budget .* 0 of 2 left; it renews on \d{4}-\d\d-\d\d at 00:00"):
            fresh.ask(fresh.question(ALICE))
        assert bulk(fresh, [ALICE, BOB]) == ["", "over-budget"]
        fresh.ask(fresh.question(ALICE, **changes), "bank-b/li")
        object.__setattr__(fresh.office.settings, "epoch_checks", 5)
        with pytest.raises(OverBudget, match="this epoch of the table has 0 of 5 left; it renews with the table's next epoch"):
            fresh.ask(fresh.question(ALICE, **changes), "bank-b/li")
        fresh.ask(fresh.question(ALICE, epoch=2, **changes), "bank-b/li")
    who = {(alarm.about, alarm.detail.split(" has ")[0].rsplit("budget of ", 1)[1]) for alarm in of_kind(fresh, "budget")}
    assert who == {
        ("bank-a/li", "questions a day"),
        ("bank-a/mo", "questions a day"),
        ("bank-b/li", "questions about this epoch of the table"),
    }
    assert not any("opaque" in alarm.detail for alarm in alarms(fresh))


def test_a_bulk_takes_what_is_left_and_a_refused_question_costs_nothing(world: World) -> None:
    world.project("bulk", checks=3)
    world.seal(table="check-bulk")
    subjects = ["opaque:b1", "opaque:b2", "opaque:b3", "opaque:b4"]
    world.consented(*subjects)
    place: dict[str, Any] = {"project": "bulk", "table": "check-bulk"}
    with settings(world, epoch_checks=4):
        assert bulk(world, ["opaque:nobody", *subjects[:2]], **place) == ["no-consent", "", ""]
        assert bulk(world, subjects, **place) == ["", "over-budget", "over-budget", "over-budget"]
    assert counted(world)["epoch", "check-bulk"] == 3
    with pytest.raises(OverBudget, match="this project's budget of checks has 0 of 3 left; it does not renew"):
        world.ask(world.question(subjects[0], **place))


def test_the_day_ends_at_midnight_where_the_office_is(fresh: World) -> None:
    # Ten minutes before midnight in Shanghai, whatever the machine's zone; the table is of that evening and outlasts it.
    fresh.clock.shift = (DAY - 600 - (fresh.now + 8 * 3600)) % DAY
    ready(fresh)
    with settings(fresh, officer_checks=1):
        fresh.ask(fresh.question(ALICE))
        for _ in range(2):
            with pytest.raises(OverBudget):
                fresh.ask(fresh.question(ALICE))
        fresh.clock.shift += 1200
        fresh.ask(fresh.question(ALICE))
        with pytest.raises(OverBudget):
            fresh.ask(fresh.question(ALICE))
    assert [alarm.count for alarm in of_kind(fresh, "budget")] == [1, 2]  # one a day; the newest first


def test_a_refusal_by_budget_is_a_leaf_and_stands_under_who_looked_at_me(world: World) -> None:
    from models.tickets import Accesses, AccessQuery

    world.project("leaf", checks=0)
    world.seal(table="check-leaf")
    world.consented("opaque:leaf")
    before = len(world.leaves())
    with pytest.raises(OverBudget):
        world.ask(world.question("opaque:leaf", project="leaf", table="check-leaf"))
    [leaf] = world.leaves()[before:]
    assert (leaf["outcome"], leaf["problem"]) == ("refused", "over-budget")
    query = AccessQuery(subject="opaque:leaf")
    [access] = world.client("office/audit").logged("/accesses", query, Accesses).answer.accesses
    assert (access.outcome, access.ticket) == ("over-budget", "")
