"""Requests that meet: budgets are counted one after the other, and an element is ticketed once, on both databases."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from sqlalchemy import func, insert, select
from sqlalchemy.exc import IntegrityError

from audit.database import writing
from audit.office import tables
from audit.office.rights_tables import dispute
from models.consents import ANY
from models.disputes import Filing, RaiseDispute
from models.problems import OverBudget, Problem
from models.projects import ProjectKind
from models.tickets import TicketRequest
from tests.office.test_alignments import alignment, file, willing
from tests.office.world import ALICE, World

AT_ONCE = 6


def together(world: World, requests: list[TicketRequest]) -> list[str]:
    """Ask all at once; each outcome as ``granted`` or the problem's name."""
    barrier = Barrier(len(requests))

    def ask(request: TicketRequest) -> str:
        barrier.wait()
        try:
            world.ask(request)
        except Problem as problem:
            return problem.slug()
        return "granted"

    with ThreadPoolExecutor(len(requests)) as pool:
        return list(pool.map(ask, requests))


def issued(world: World) -> int:
    with world.office.engine.connect() as connection:
        return connection.execute(select(func.count()).select_from(tables.ticket)).scalar_one()


def test_the_last_checks_go_to_as_many_as_there_are(fresh: World) -> None:
    fresh.project("p1", checks=2)
    fresh.seal()
    fresh.consented(ALICE)
    outcomes = together(fresh, [fresh.question(ALICE) for _ in range(AT_ONCE)])
    assert sorted(outcomes) == ["granted"] * 2 + ["over-budget"] * (AT_ONCE - 2)
    assert issued(fresh) == 2


def test_one_element_gets_one_ticket(fresh: World) -> None:
    fresh.project("p1")
    fresh.seal()
    fresh.consented(ALICE)
    request = fresh.question(ALICE)
    outcomes = together(fresh, [request] * AT_ONCE)
    assert outcomes.count("granted") == 1
    # The client asks again where two meet in one commit (503), and is then told that the element is spent.
    assert set(outcomes) == {"granted", "bad-ticket"}
    assert issued(fresh) == 1


def test_two_alignments_at_once_stay_below_the_limit(fresh: World) -> None:
    fresh.project("joint", kind=ProjectKind.JOINT_SCORECARD)
    object.__setattr__(fresh.office.settings, "aligned_ratio", 0.005)  # 5 of 1,000 customers
    subjects = [f"opaque:r{n}" for n in range(2 * AT_ONCE)]
    willing(fresh, *subjects)
    filed = [alignment(fresh, subjects[2 * n : 2 * n + 2]) for n in range(AT_ONCE)]

    def send(number: int) -> bool:
        try:
            file(fresh, filed[number])
        except OverBudget:
            return False
        return True

    with ThreadPoolExecutor(AT_ONCE) as pool:
        accepted = list(pool.map(send, range(AT_ONCE)))
    assert sum(accepted) == 2


def test_two_objections_to_one_field_at_once_are_one(fresh: World) -> None:
    """The look before is not enough: the database itself takes one open objection to a field."""
    barrier = Barrier(AT_ONCE)

    def object_to(_number: int) -> str:
        barrier.wait()
        try:
            fresh.clerk.logged("/disputes", RaiseDispute(subject=ALICE, field=ANY, statement="not mine"), Filing)
        except Problem as problem:
            return problem.slug()
        return "filed"

    with ThreadPoolExecutor(AT_ONCE) as pool:
        outcomes = list(pool.map(object_to, range(AT_ONCE)))
    assert sorted(outcomes) == ["conflict"] * (AT_ONCE - 1) + ["filed"]
    with fresh.office.engine.connect() as connection:
        row = dict(connection.execute(select(dispute)).one()._mapping)
    with pytest.raises(IntegrityError), writing(fresh.office.engine) as connection:
        connection.execute(insert(dispute).values({**row, "id": "past-the-look"}))
    with writing(fresh.office.engine) as connection:
        connection.execute(insert(dispute).values({**row, "id": "answered", "state": "corrected"}))
