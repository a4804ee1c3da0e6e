"""Batches: filed by an officer, approved by a clerk, and then a ticket for each question about the subjects they name."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from sqlalchemy import select

from audit.office import tables
from models import wire
from models.batches import Batch, BatchApproval, BatchStatus
from models.consents import ConsentKind, Purpose
from models.logged import Empty
from models.parties import Institution, InstitutionKind, Role
from models.problems import (
    BadIdentity,
    BadMessage,
    BadTicket,
    Conflict,
    Forbidden,
    NotApproved,
    NotFound,
    OverBudget,
    OwnRequest,
    Problem,
    Suspended,
    TooLarge,
    Unusable,
)
from models.projects import Decision, ProjectKind, Target
from models.tickets import Accesses, AccessQuery, RequestTickets, Tickets
from tests.office.test_budgets import of_kind, settings
from tests.office.world import ALICE, BOB, World

VILLAGE = ("opaque:v1", "opaque:v2", "opaque:v3")
DAY = 24 * 3600


@pytest.fixture(scope="module")
def village(world: World) -> World:
    world.project("p1")
    world.project("waiting", approve=False)
    world.project("of-b", bank="bank-b")
    world.project("joint", kind=ProjectKind.JOINT_SCORECARD)
    world.seal()
    world.consented(ALICE, *VILLAGE)
    return world


def batch(world: World, **changes: Any) -> Batch:
    fields: dict[str, Any] = {
        "id": f"village.{next(world.numbers)}",
        "bank": "bank-a",
        "officer": "bank-a/li",
        "project": "p1",
        "purpose": Purpose.LOAN_APPROVAL,
        "place": "上庄村",
        "subjects": VILLAGE,
        "valid_from": world.now - 10,
        "valid_to": world.now + 9 * DAY,
    }
    return Batch(**{**fields, **changes})


def file(world: World, new: Batch, person: str = "bank-a/li") -> BatchStatus:
    return world.client(person).logged("/batches", new, BatchStatus).answer


def decide(world: World, batch_id: str, approve: bool = True, person: str = "office/wang") -> BatchStatus:
    decision = Decision(subject=batch_id, approve=approve, reason="the village meeting agreed")
    return world.client(person).logged(f"/batches/{batch_id}/decision", decision, BatchStatus).answer


def approved(world: World, **changes: Any) -> str:
    new = batch(world, **changes)
    file(world, new, new.officer)
    decide(world, new.id)
    return new.id


def status(world: World, batch_id: str) -> BatchStatus:
    return world.officer.get(f"/batches/{batch_id}", BatchStatus)


def ask(world: World, batch_id: str, *subjects: str, person: str = "bank-a/li", **changes: Any) -> list[str]:
    """What became of each question, nothing for a ticket."""
    context = {"officer": person, "expires": world.now + 23 * 3600, **changes}
    requests = tuple(world.question(subject, **context) for subject in subjects)
    asked = RequestTickets(requests=requests, batch=batch_id)
    return [result.problem for result in world.client(person).logged("/tickets", asked, Tickets).answer.results]


def test_from_filing_to_tickets(village: World) -> None:
    people = ("opaque:u1", "opaque:u2", "opaque:u3")  # whom no other test asks about
    village.consented(*people)
    new = batch(village, subjects=people)
    reply = village.officer.logged("/batches", new, BatchStatus)
    assert (reply.answer.id, reply.answer.state, reply.answer.count, reply.answer.asked) == (new.id, "filed", 3, 0)
    leaf = village.leaves()[reply.leaves[0].index]
    assert leaf["facts"] == {"batch": new.id, "project": "p1", "purpose": "loan-approval", "count": 3}
    assert new.place not in str(leaf)
    with pytest.raises(NotApproved, match="filed, not approved"):
        ask(village, new.id, *people)
    assert decide(village, new.id).state == "approved"
    before = len(village.leaves())
    with settings(village, officer_checks=1):  # the batch's tickets are not the officer's
        assert ask(village, new.id, *people) == ["", "", ""]
    leaves = village.leaves()[before:]
    assert [leaf["facts"]["batch"] for leaf in leaves] == [new.id] * 3
    told = status(village, new.id)
    assert (told.state, told.reason, told.asked) == ("approved", "the village meeting agreed", 3)
    assert told.place == new.place
    accesses = village.client("office/audit").logged("/accesses", AccessQuery(subject=people[0]), Accesses).answer.accesses
    assert [(access.outcome, access.batch) for access in accesses] == [("granted", new.id)]
    with village.office.engine.connect() as connection:
        row = connection.execute(select(tables.ticket).where(tables.ticket.c.digest == accesses[0].ticket)).one()
    assert (row.subject, row.batch) == (people[0], new.id)
    assert of_kind(village, "walk") == []


def test_each_question_is_held_against_the_batch_and_against_its_own_consents(village: World) -> None:
    no_consent = "opaque:v4"
    opened = approved(village, subjects=(*VILLAGE, no_consent))
    assert ask(village, opened, VILLAGE[0], ALICE, no_consent) == ["", "not-approved", "no-consent"]
    assert ask(village, opened, VILLAGE[0], project="joint") == ["not-approved"]
    assert ask(village, opened, VILLAGE[0], purpose=Purpose.POST_LOAN) == ["not-approved"]
    assert ask(village, opened, VILLAGE[0], expires=village.now + 25 * 3600) == ["bad-ticket"]
    assert status(village, opened).asked == 1


def test_three_tickets_for_each_subject(village: World) -> None:
    opened = approved(village)
    v1, v2, _ = VILLAGE
    assert ask(village, opened, v1, v1, v2) == ["", "", ""]
    assert ask(village, opened, v1, v1, v2) == ["", "over-budget", ""]
    assert ask(village, opened, v1, v2) == ["over-budget", ""]
    assert ask(village, opened, v2) == ["over-budget"]
    assert {alarm.about for alarm in of_kind(village, "budget")} == {"bank-a/li"}


@pytest.mark.attack
def test_requests_that_meet_share_a_subjects_three_tickets(fresh: World) -> None:
    fresh.project("p1")
    fresh.seal()
    fresh.consented(*VILLAGE)
    opened = approved(fresh)

    def once(subjects: tuple[str, ...]) -> list[str]:
        try:
            return ask(fresh, opened, *subjects)
        except OverBudget as problem:
            return [problem.slug()] * len(subjects)

    v1, v2, v3 = VILLAGE
    with ThreadPoolExecutor(6) as pool:
        outcomes = list(pool.map(once, [(v1, v2, v2), (v2, v1, v1)] * 3))
    assert any(problem == "" for problems in outcomes for problem in problems)
    with fresh.office.engine.connect() as connection:
        asked = dict(connection.execute(select(tables.batch_subject.c.subject, tables.batch_subject.c.asked)).all())
        issued = connection.execute(select(tables.ticket.c.subject)).scalars().all()
    assert max(asked.values()) <= 3
    assert asked == {v1: issued.count(v1), v2: issued.count(v2), v3: 0}


MISFILED: dict[str, tuple[type[Problem], dict[str, Any]]] = {
    "for another bank": (Forbidden, {"bank": "bank-b"}),
    "in another's name": (Forbidden, {"officer": "bank-a/mo"}),
    "an id with a slash": (Unusable, {"id": "a/b"}),
    "an id that begins a name": (Unusable, {"id": "Alice"}),
    "no place": (Unusable, {"place": " "}),
    "a place too long": (Unusable, {"place": "x" * 101}),
    "32 days": (Unusable, {"valid_to": 2**31, "valid_from": 2**31 - 32 * DAY}),
    "ends before it begins": (Unusable, {"valid_from": 2**31}),
    "nobody": (TooLarge, {"subjects": ()}),
    "unsorted": (Unusable, {"subjects": VILLAGE[::-1]}),
    "one twice": (Unusable, {"subjects": (VILLAGE[0], VILLAGE[0])}),
    "no identity": (BadIdentity, {"subjects": ("citizen:1",)}),
    "not canonical": (BadIdentity, {"subjects": ("opaque: v1",)}),
    "no such project": (NotApproved, {"project": "none"}),
    "another bank's project": (NotApproved, {"project": "of-b"}),
    "a project not decided": (NotApproved, {"project": "waiting"}),
    "another purpose": (NotApproved, {"purpose": Purpose.POST_LOAN}),
    "a purpose of the project's model only": (NotApproved, {"purpose": Purpose.MODELLING}),
}


@pytest.mark.parametrize("name", MISFILED)
def test_what_is_not_filed(village: World, name: str) -> None:
    problem, changes = MISFILED[name]
    with pytest.raises(problem):
        file(village, batch(village, **changes))


def test_a_batch_of_a_modelling_project_asks_for_scores(village: World) -> None:
    assert file(village, batch(village, project="joint")).state == "filed"


def test_an_id_is_filed_once_and_decided_once(village: World) -> None:
    new = batch(village)
    file(village, new)
    with pytest.raises(Conflict):
        file(village, batch(village, id=new.id, subjects=(ALICE,)))
    assert decide(village, new.id, approve=False).state == "refused"
    with pytest.raises(Conflict):
        decide(village, new.id)
    with pytest.raises(NotApproved, match="refused"):
        ask(village, new.id, VILLAGE[0])
    with pytest.raises(NotFound):
        decide(village, "none")
    with pytest.raises(Forbidden):
        village.client("bank-b/li").get(f"/batches/{new.id}", BatchStatus)


def test_a_suspended_batch_gives_nothing_until_it_is_reinstated(village: World) -> None:
    opened = approved(village)
    suspend = Target(kind="batch", id=opened, suspended=True, reason="under review")
    village.clerk.logged("/suspensions", suspend, Empty)
    with pytest.raises(Suspended):
        ask(village, opened, VILLAGE[0])
    assert status(village, opened).state == "suspended"
    village.clerk.logged("/suspensions", wire.replace(suspend, suspended=False), Empty)
    assert ask(village, opened, VILLAGE[0]) == [""]
    with pytest.raises(NotFound):
        village.clerk.logged("/suspensions", wire.replace(suspend, id="none"), Empty)


@pytest.mark.attack
def test_whose_batch_it_is_not_when_it_is_not_and_how_many(village: World) -> None:
    opened = approved(village)
    village.enrol("bank-a/second", Role.LOAN_OFFICER)
    refused: list[tuple[type[Problem], Callable[[], object]]] = [
        (NotApproved, lambda: ask(village, opened, VILLAGE[0], person="bank-a/second")),
        (NotApproved, lambda: ask(village, opened, VILLAGE[0], person="bank-b/li")),
        (Forbidden, lambda: ask(village, opened, VILLAGE[0], person="bank-a/mo")),
        (NotApproved, lambda: ask(village, "none", VILLAGE[0])),
        (TooLarge, lambda: ask(village, opened)),
        (BadMessage, lambda: ask(village, "", *VILLAGE)),
        (BadTicket, lambda: village.ask(village.question(ALICE, expires=village.now + 3600))),
    ]
    for problem, attempt in refused:
        before = len(village.leaves())
        with pytest.raises(problem):
            attempt()
        [leaf] = village.leaves()[before:]
        assert (leaf["action"], leaf["problem"]) == ("ticket", problem.slug())
    one = village.question(ALICE)
    with pytest.raises(TooLarge):
        village.officer.logged("/tickets", RequestTickets(requests=(one,) * 1001, batch=opened), Tickets)
    later = approved(village, valid_from=village.now + DAY)
    with pytest.raises(NotApproved, match="has not begun or is over"):
        ask(village, later, VILLAGE[0])


def test_a_bank_that_asks_for_it_needs_a_second_person_for_the_batch(village: World) -> None:
    bank = Institution(
        id="bank-d",
        name="D",
        kind=InstitutionKind.BANK,
        licence="4",
        bank_class="rural",
        declared_customers=9,
        second_approval=True,
    )
    village.clerk.logged("/institutions", bank, Empty)
    for person, role in (("bank-d/li", Role.LOAN_OFFICER), ("bank-d/mo", Role.MODELLER), ("bank-d/ap", Role.APPROVER)):
        village.enrol(person, role)
    village.project("pd", bank="bank-d")
    village.file(*(village.consent(subject, ConsentKind.QUERY, recipient="bank-d") for subject in VILLAGE))
    new = batch(village, bank="bank-d", officer="bank-d/li", project="pd")

    def signed(by: str, **changes: Any) -> Batch:
        fields = {"batch": new.id, "digest": new.digest(), "approver": by, **changes}
        return wire.replace(new, approval=wire.sign(BatchApproval(**fields), by, village.keys[by]))

    bad = [
        new,
        signed("bank-d/li"),
        signed("bank-a/ap"),
        signed("bank-d/ap", batch="other"),
        signed("bank-d/ap", digest="0" * 64),
        wire.replace(signed("bank-d/ap"), subjects=VILLAGE[:2]),
        wire.replace(signed("bank-d/ap"), place="elsewhere"),
    ]
    for one in bad:
        with pytest.raises((NotApproved, OwnRequest)):
            file(village, one, "bank-d/li")
    file(village, signed("bank-d/ap"), "bank-d/li")
    decide(village, new.id)
    context = {"bank": "bank-d", "project": "pd", "person": "bank-d/li"}
    assert ask(village, new.id, *VILLAGE, **context) == ["", "", ""]
    with pytest.raises(NotApproved, match="second approval"):
        village.ask(village.question(VILLAGE[0], bank="bank-d", officer="bank-d/li", project="pd"), "bank-d/li")
    assert BOB not in VILLAGE
