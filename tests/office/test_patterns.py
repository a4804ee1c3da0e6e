"""Patterns that raise an alarm: once for a rule, an officer and a day, with figures and never with a subject."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from models.alarms import Alarm
from models.consents import AskStanding, ConsentKind, Purpose, Standing
from models.identity import parse_id, region_of
from models.parties import Role
from models.problems import Problem
from models.tickets import Tickets
from tests.office.test_budgets import DAY, bulk, of_kind, settings
from tests.office.world import ALICE, World

NOBODY = "opaque:nobody"


def at(world: World, hour: int) -> None:
    """Move the office's clock on to the next time that it is this hour in Shanghai."""
    world.clock.shift += (hour * 3600 - world.now - 8 * 3600) % DAY


@dataclass(frozen=True)
class Desk:
    """One officer of bank A with a project and a table, on a day of one's own that has come to noon."""

    world: World
    officer: str
    place: dict[str, Any]

    def ask(self, subject: str) -> Tickets:
        return self.world.ask(self.world.question(subject, officer=self.officer, **self.place), self.officer)

    def refuse(self, subject: str = NOBODY) -> None:
        with pytest.raises(Problem, match=r"consent|epoch"):
            self.ask(subject)

    def look(self, subject: str) -> Standing:
        ask = AskStanding(subject=subject, table=self.place["table"], purpose=Purpose.LOAN_APPROVAL)
        return self.world.client(self.officer).logged("/consents/standing", ask, Standing).answer

    def bulk(self, subjects: list[str]) -> list[str]:
        return bulk(self.world, subjects, **self.place)

    def alarms(self, kind: str, about: str = "") -> list[Alarm]:
        return [alarm for alarm in of_kind(self.world, kind) if alarm.about == (about or self.officer)]


def desk_of(world: World) -> Desk:
    number = next(world.numbers)
    world.clock.shift += DAY
    at(world, 12)
    world.enrol(f"bank-a/o{number}", Role.LOAN_OFFICER)
    world.project(f"p{number}")
    world.seal(table=f"check-{number}")
    return Desk(world, f"bank-a/o{number}", {"project": f"p{number}", "table": f"check-{number}"})


@pytest.fixture
def desk(world: World) -> Desk:
    return desk_of(world)


@pytest.mark.attack
def test_single_questions_at_night(desk: Desk) -> None:
    desk.world.consented(ALICE)
    with settings(desk.world, open_hours="07:00-21:00"):
        desk.ask(ALICE)
        assert desk.alarms("night") == []
        at(desk.world, 22)
        for _ in range(2):
            desk.refuse()
        desk.look(ALICE)
        assert desk.bulk([NOBODY]) == ["no-consent"]
        [alarm] = desk.alarms("night")
        assert (alarm.institution, alarm.about, alarm.count) == ("bank-a", desk.officer, 2)
        assert "07:00-21:00" in alarm.detail
        assert alarm.last_at >= alarm.at
        desk.world.clock.shift += DAY
        desk.refuse()
        assert [alarm.count for alarm in desk.alarms("night")] == [1, 2]


@pytest.mark.attack
def test_a_burst_of_single_questions(desk: Desk) -> None:
    desk.world.consented(ALICE)
    with settings(desk.world, burst_checks=3):
        for _ in range(3):
            desk.ask(ALICE)
            desk.look(ALICE)
        assert desk.alarms("burst") == []
        desk.world.clock.shift += 601
        desk.ask(ALICE)
        assert desk.alarms("burst") == []
        for _ in range(3):
            desk.refuse()
        [alarm] = desk.alarms("burst")
        assert (alarm.about, alarm.count) == (desk.officer, 1)


@pytest.mark.attack
def test_one_officer_walks_through_a_village(fresh: World) -> None:
    desk = desk_of(fresh)
    village = citizens("330523", 5)
    town = citizens("330521", 2)
    with settings(desk.world, walk_subjects=3):
        for subject in (*village[:3], *town, village[0], village[1]):
            desk.refuse(subject)
        assert desk.alarms("walk") == []
        desk.look(village[3])  # whoever only looks is fishing too
        desk.refuse(village[3])
        desk.refuse(village[4])
        [alarm] = desk.alarms("walk")
        assert (alarm.about, alarm.count) == (desk.officer, 2)
        assert "330523" in alarm.detail
        assert not any(subject[8:] in alarm.detail for subject in village)
        desk.world.clock.shift += DAY + 1
        desk.refuse(village[0])
        assert len(desk.alarms("walk")) == 1


@pytest.mark.attack
def test_consent_fishing(desk: Desk) -> None:
    desk.world.consented(ALICE)
    desk.world.file(desk.world.consent("opaque:half", ConsentKind.COLLECTION))
    with settings(desk.world, refused_questions=3):
        desk.ask(ALICE)
        desk.look(ALICE)
        desk.refuse()
        assert desk.look("opaque:half").missing == ("query",)
        desk.refuse("opaque:half")
        assert desk.alarms("refusals") == []
        desk.look(NOBODY)
        desk.refuse()
        [alarm] = desk.alarms("refusals")
        assert (alarm.about, alarm.count) == (desk.officer, 2)
        assert "5 questions of a day" in alarm.detail


@pytest.mark.attack
def test_a_bulk_that_tries_who_has_consented(desk: Desk) -> None:
    desk.world.consented(ALICE)
    with settings(desk.world, unconsented_from=8, unconsented_share=0.5):
        assert desk.bulk([NOBODY] * 4) == ["no-consent"] * 4  # too few to judge
        assert desk.bulk([ALICE] * 4) == [""] * 4
        assert desk.alarms("enumeration", "bank-a/mo") == []
        desk.bulk([NOBODY] * 2)
        [alarm] = desk.alarms("enumeration", "bank-a/mo")
        assert (alarm.about, alarm.count) == ("bank-a/mo", 1)
        assert "6 of 10" in alarm.detail


def test_an_ordinary_day_raises_no_alarm(desk: Desk) -> None:
    subjects = [f"opaque:day{n}" for n in range(10)]
    desk.world.consented(*subjects)
    for subject in subjects:
        assert desk.look(subject).missing == ()
        desk.ask(subject)
    desk.bulk(subjects)
    assert [alarm for kind in ("night", "burst", "walk", "refusals", "enumeration") for alarm in desk.alarms(kind)] == []


def test_regions() -> None:
    assert region_of(citizens("330523", 1)[0]) == "330523"
    assert region_of(parse_id("91110000600037341L")) == "110000"
    assert region_of("opaque:330523") == ""


def citizens(region: str, count: int) -> list[str]:
    """Canonical identities of people who do not exist, of one region."""
    from stdnum.cn import ric

    bodies = [f"{region}19700101{n:03}" for n in range(1, count + 1)]
    return [parse_id(body + ric.calc_check_digit(body + "0")) for body in bodies]
