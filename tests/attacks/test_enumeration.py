"""Attack: go through the register by checks, one subject after the other.

A bank whose people hold true consents of everybody (the worst case: consent is no obstacle) asks about all of them: one
officer at the counter, several threads of that officer at once, another officer, the modeller in bulk, and both banks for
one epoch. Somebody else holds no consents and tries ids.

Criterion: no more tickets than the budgets of officer, bank and epoch, whoever meets whom; the office has alarms about the
person before the budget is used up (a walk through a region, a burst) and when it is (budget), and about whoever tries ids
(refusals, enumeration).

Naive build, kept below: an office that only checks consents gives tickets for everybody, and says nothing.
"""

from __future__ import annotations

import random
import tempfile
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest

import audit.office.patterns
from audit.office.budgets import Purse
from models import wire
from models.alarms import Alarm, Alarms
from models.consents import ConsentKind
from models.logged import Logged
from models.parties import Role
from models.problems import NoConsent, Problem
from models.tickets import RequestTickets, Tickets
from tests.noon import noon_zone
from tests.office.world import World, running

pytestmark = pytest.mark.attack

NAME = "enumeration"
FULL_COUNT = 1_200
SMALL_COUNT = 48
THREADS, BULK = 4, 1_000
OFFICERS = ("bank-a/li", "bank-a/second")


@dataclass(frozen=True)
class Limits:
    """Budgets and patterns as an operator might set them for a register of `subjects`."""

    subjects: int

    @property
    def settings(self) -> dict[str, Any]:
        n = self.subjects
        return {
            "officer_checks": n // 4,
            "bank_checks": n * 5 // 8,
            "epoch_checks": n * 3 // 4,
            "burst_checks": n // 8,
            "walk_subjects": n // 8,
            "refused_questions": n // 8,
            "unconsented_from": n // 4,
            "open_hours": "00:00-24:00",
            "time_zone": noon_zone(),  # budgets of a day are used up within one
        }


def village(n: int) -> str:
    """National codes would name a region; opaque ids share the unknown one."""
    return f"opaque:v{n:05d}"


def granted(world: World, person: str, subjects: Sequence[str], project: str = "p1") -> int:
    """Ask about each by itself, as an officer does; how many tickets came."""
    bank = person.split("/", maxsplit=1)[0]
    count = 0
    for subject in subjects:
        try:
            [result] = world.ask(world.question(subject, bank=bank, officer=person, project=project), person).results
        except Problem:
            continue
        count += result.ticket is not None
    return count


def granted_in_bulk(world: World, person: str, subjects: Sequence[str], project: str = "p1") -> Counter[str]:
    """Ask about many at once, as a modeller does; what became of them, "" for a ticket."""
    found, bank = Counter[str](), person.split("/", maxsplit=1)[0]
    context: dict[str, Any] = {"bank": bank, "officer": person, "project": project, "expires": world.now + 3_600}
    for start in range(0, len(subjects), BULK):
        requests = tuple(world.question(subject, **context) for subject in subjects[start : start + BULK])
        answer = world.client(person).logged("/tickets", RequestTickets(requests=requests), Tickets).answer
        found.update(result.problem for result in answer.results)
    return found


def alarms(world: World) -> tuple[Alarm, ...]:
    reply = wire.decode(world.client("office/chen").get_raw("/alarms"), Logged)
    return wire.decode(reply.answer, Alarms).alarms


def told(world: World, person: str) -> set[str]:
    """The kinds of alarm that name this person; none names a subject."""
    found = [alarm for alarm in alarms(world) if alarm.about == person]
    assert not any("opaque:" in alarm.detail for alarm in found), "an alarm names a subject"
    return {alarm.kind for alarm in found}


def ready(world: World, count: int) -> list[str]:
    """Everybody consented to everything; two banks have an approved project."""
    world.enrol(OFFICERS[1], Role.LOAN_OFFICER)
    world.project("p1")
    world.project("p2", bank="bank-b")
    world.seal()
    subjects = [village(n) for n in range(count)]
    world.consented(*subjects)
    world.file(*(world.consent(subject, ConsentKind.QUERY, recipient="bank-b") for subject in subjects))
    return subjects


def attack(world: World, subjects: list[str], limits: dict[str, Any]) -> dict[str, int]:
    """Everybody asks about everyone; how many tickets each way gave."""
    officer, bank, epoch = limits["officer_checks"], limits["bank_checks"], limits["epoch_checks"]
    # One officer, some of it at once: the alarms come before the budget ends.
    first = granted(world, OFFICERS[0], subjects[: officer - THREADS])
    assert {"walk", "burst"} <= told(world, OFFICERS[0]), "nobody was told while the officer walked"
    with ThreadPoolExecutor(THREADS) as pool:
        first += sum(pool.map(lambda part: granted(world, OFFICERS[0], part), [subjects[n::THREADS] for n in range(THREADS)]))
    assert first == officer, f"an officer has {first} tickets of {officer}"
    assert "budget" in told(world, OFFICERS[0])
    # A second officer, and the modeller in bulk: the bank's budget ends it.
    second = granted(world, OFFICERS[1], subjects[:officer])
    bulk = granted_in_bulk(world, "bank-a/mo", subjects)
    assert first + second + bulk[""] == bank, f"a bank has {first + second + bulk['']} tickets of {bank}"
    assert "budget" in told(world, "bank-a/mo")
    # The other bank: what is left of the epoch.
    other = granted_in_bulk(world, "bank-b/mo", subjects, "p2")
    assert first + second + bulk[""] + other[""] == epoch
    return {"officer": first, "second officer": second, "bulk": bulk[""], "other bank": other[""]}


def attack_without_consents(world: World, count: int, rng: random.Random) -> dict[str, int]:
    """Ids at random, half of whom the node has records of: no ticket, and an alarm."""
    known, unknown = ([f"opaque:{kind}{n}" for n in range(count // 2)] for kind in ("known", "unknown"))
    world.file(*(world.consent(subject, ConsentKind.COLLECTION) for subject in known))
    at_bank_b = {"bank": "bank-b", "officer": "bank-b/li", "project": "p2"}
    for subject in rng.sample([*known, *unknown], len(known) + len(unknown)):
        with pytest.raises(NoConsent):
            world.ask(world.question(subject, **at_bank_b), "bank-b/li")
    assert "refusals" in told(world, "bank-b/li")
    bulk = granted_in_bulk(world, "bank-b/mo", [*known, *unknown], "p2")
    assert set(bulk) == {"no-consent"}
    assert "enumeration" in told(world, "bank-b/mo")
    return {"single": len(known) + len(unknown), "bulk": bulk.total()}


def _nothing(*_: Any) -> None:
    """Counts nothing and tells nobody."""


def naive_office_gives_all(world: World, subjects: list[str]) -> int:
    """An office that checks consents and counts nothing."""
    uncounted = patch.multiple(Purse, take=_nothing, spend=_nothing, alarm=_nothing)
    with uncounted, patch.object(audit.office.patterns, "note", _nothing):
        return granted(world, OFFICERS[0], subjects)


def campaign(count: int, seed: int) -> dict[str, Any]:
    """Go through a register of `count` consented subjects; AssertionError if that gives more than the budgets, or no alarm."""
    rng, limits = random.Random(seed), Limits(count).settings
    folder = tempfile.TemporaryDirectory(prefix="xinqiao-enumeration-")
    with folder as name, running(Path(name) / "office", **limits) as world:
        subjects = ready(world, count)
        naive = naive_office_gives_all(world, subjects)
        assert not alarms(world), "the naive office says nothing"
        found = attack(world, subjects, limits)
        refused = attack_without_consents(world, count, rng)
    assert naive == count, "an office that counts nothing must give everybody away"
    kept = {name: limits[name] for name in ("officer_checks", "bank_checks", "epoch_checks")}
    return {"subjects": count, "budgets": kept, "tickets": found, "refused_without_consent": refused, "naive_tickets": naive}


def test_nobody_goes_through_the_register_by_checks() -> None:
    assert campaign(SMALL_COUNT, 20_250_101)["naive_tickets"] == SMALL_COUNT
