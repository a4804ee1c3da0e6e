"""Patterns that raise an alarm: once for a rule, an officer and a day, with figures and never with a subject."""

from __future__ import annotations

import pytest

from models.consents import AskStanding, ConsentKind, Purpose, Standing
from models.identity import parse_id, region_of
from models.problems import Problem
from tests.office.test_budgets import DAY, bulk, of_kind, settings
from tests.office.world import ALICE, World

NOBODY = "opaque:nobody"


def at(world: World, hour: int) -> None:
    """Move the office's clock on to the next time that it is this hour in Shanghai."""
    world.clock.shift += (hour * 3600 - world.now - 8 * 3600) % DAY


@pytest.fixture
def desk(fresh: World) -> World:
    """An office at noon, so that no rule's ten minutes or day ends by chance in a test."""
    at(fresh, 12)
    fresh.project("p1")
    fresh.seal()
    return fresh


def look(world: World, subject: str) -> Standing:
    ask = AskStanding(subject=subject, table="check-1", purpose=Purpose.LOAN_APPROVAL)
    return world.officer.logged("/consents/standing", ask, Standing).answer


def refuse(world: World, subject: str = NOBODY) -> None:
    with pytest.raises(Problem, match="consent|epoch"):
        world.ask(world.question(subject))


@pytest.mark.attack
def test_single_questions_at_night(desk: World) -> None:
    desk.consented(ALICE)
    with settings(desk, open_hours="07:00-21:00"):
        desk.ask(desk.question(ALICE))
        assert of_kind(desk, "night") == []
        at(desk, 22)
        for _ in range(2):
            refuse(desk)
        look(desk, ALICE)
        assert bulk(desk, [NOBODY]) == ["no-consent"]
        [alarm] = of_kind(desk, "night")
        assert (alarm.institution, alarm.about, alarm.count) == ("bank-a", "bank-a/li", 2)
        assert "07:00-21:00" in alarm.detail
        assert alarm.last_at >= alarm.at
        desk.clock.shift += DAY
        refuse(desk)
        assert [alarm.count for alarm in of_kind(desk, "night")] == [1, 2]


@pytest.mark.attack
def test_a_burst_of_single_questions(desk: World) -> None:
    desk.consented(ALICE)
    with settings(desk, burst_checks=3):
        for _ in range(3):
            desk.ask(desk.question(ALICE))
            look(desk, ALICE)
        assert of_kind(desk, "burst") == []
        desk.clock.shift += 601
        desk.ask(desk.question(ALICE))
        assert of_kind(desk, "burst") == []
        for _ in range(3):
            refuse(desk, ALICE.replace("alice", "al"))
        [alarm] = of_kind(desk, "burst")
        assert (alarm.about, alarm.count) == ("bank-a/li", 1)


@pytest.mark.attack
def test_one_officer_walks_through_a_village(desk: World) -> None:
    village = citizens("330523", 5)
    town = citizens("330521", 2)
    with settings(desk, walk_subjects=3):
        for subject in (*village[:3], *town, village[0], village[1]):
            refuse(desk, subject)
        assert of_kind(desk, "walk") == []
        look(desk, village[3])  # whoever only looks is fishing too
        refuse(desk, village[3])
        refuse(desk, village[4])
        [alarm] = of_kind(desk, "walk")
        assert (alarm.about, alarm.count) == ("bank-a/li", 2)
        assert "330523" in alarm.detail
        assert not any(subject[8:] in alarm.detail for subject in village)
        desk.clock.shift += DAY + 1
        refuse(desk, village[0])
        assert len(of_kind(desk, "walk")) == 1


@pytest.mark.attack
def test_consent_fishing(desk: World) -> None:
    desk.consented(ALICE)
    desk.file(desk.consent("opaque:half", ConsentKind.COLLECTION))
    with settings(desk, refused_questions=3):
        desk.ask(desk.question(ALICE))
        look(desk, ALICE)
        refuse(desk)
        assert look(desk, "opaque:half").missing == ("query",)
        refuse(desk, "opaque:half")
        assert of_kind(desk, "refusals") == []
        look(desk, NOBODY)
        refuse(desk)
        [alarm] = of_kind(desk, "refusals")
        assert (alarm.about, alarm.count) == ("bank-a/li", 2)
        assert "5 questions of a day" in alarm.detail


@pytest.mark.attack
def test_a_bulk_that_tries_who_has_consented(desk: World) -> None:
    desk.consented(ALICE)
    with settings(desk, unconsented_from=8, unconsented_share=0.5):
        assert bulk(desk, [NOBODY] * 4) == ["no-consent"] * 4  # too few to judge
        assert bulk(desk, [ALICE] * 4) == [""] * 4
        assert of_kind(desk, "enumeration") == []
        bulk(desk, [NOBODY] * 2)
        [alarm] = of_kind(desk, "enumeration")
        assert (alarm.about, alarm.count) == ("bank-a/mo", 1)
        assert "6 of 10" in alarm.detail


def test_an_ordinary_day_raises_no_alarm(desk: World) -> None:
    subjects = [f"opaque:day{n}" for n in range(10)]
    desk.consented(*subjects)
    for subject in subjects:
        assert look(desk, subject).missing == ()
        desk.ask(desk.question(subject))
    bulk(desk, subjects)
    assert [alarm for kind in ("night", "burst", "walk", "refusals", "enumeration") for alarm in of_kind(desk, kind)] == []


def test_regions() -> None:
    assert region_of(citizens("330523", 1)[0]) == "330523"
    assert region_of(parse_id("91110000600037341L")) == "110000"
    assert region_of("opaque:330523") == ""


def citizens(region: str, count: int) -> list[str]:
    """Canonical identities of people who do not exist, of one region."""
    from stdnum.cn import ric

    bodies = [f"{region}19700101{n:03}" for n in range(1, count + 1)]
    return [parse_id(body + ric.calc_check_digit(body + "0")) for body in bodies]
