"""A bank sees how its score table's people are spread: its own model, while it is served, counted once a quarter."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from audit.database import writing
from audit.service.outcome import Call, Outcome
from models import wire
from models.logged import Empty
from models.parties import EndedModel, Institution, InstitutionKind, Person, Role
from models.problems import Conflict, Forbidden, NotApproved, NotFound, ReleaseRefused
from models.projects import Project, ProjectApproval, ProjectKind
from models.registry import RETIRED
from models.scorecard.binning import NumericBins
from models.scorecard.learner import NodeField
from models.scorecard.release import Bands
from models.scorecard.score import NodeModel
from models.scorecard.table_drift import TableDrift
from models.tables import score_table
from sharing_node.drift import Drift
from sharing_node.state import repository as state
from sharing_node.state.repository import StoredCohort, StoredModel, StoredTable
from tests.node.bureau import DAY, KEY, NOW, Bureau, bureau

BANK = Institution(id="bank-a", name="A", kind=InstitutionKind.BANK, licence="1")
MODELLER = Person(id="bank-a/mo", institution="bank-a", name="M", role=Role.MODELLER, key=bytes(32))
HALF = NodeModel(
    (NodeField(NumericBins("area", (1.5, 2.5), 0)),), ((-1024, 0, 1024),), (1.0,), Bands((-0.5, 0.5), (-1.0, 0.0, 1.0))
)


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Bureau]:
    """1,200 people with records, 400 of each area, and a model m1 that is served."""
    with bureau(tmp_path / "node", f"sqlite:///{tmp_path}/node.db") as made:
        # The same noise in each run: with another key shares that are rounded may come out equal, and people as 1,100.
        (made.keys.folder / "noise.secret").write_bytes(b"n" * 32)
        for area in (1, 2, 3):
            made.deliver([f"opaque:{area}-{n:03}" for n in range(400)], area, batch=f"b{area}")
        project = Project(
            id="joint", bank="bank-a", kind=ProjectKind.JOINT_SCORECARD, title="t", purpose="modelling", fields=("area",),
            valid_from=0, valid_to=NOW + 1000 * DAY, requested_by=MODELLER.id,
        )  # fmt: skip
        word = ProjectApproval(project=project, decided_by="c", decided_at=NOW, reason="r")
        cohort, card = StoredCohort("c1", "joint", "bank-a", bytes(32), ("opaque:1-000",)), wire.sign(word, "node", KEY)
        with writing(made.engine) as connection:
            state.add_project(connection, project, wire.sign(word, "office", KEY), NOW)
            state.add_cohort(connection, cohort, NOW)
            state.add_job(connection, "j1", cohort, card, aggregates=0, at=NOW)
            state.add_model(connection, StoredModel("m1", "j1", "joint", "c1", "bank-a", HALF.to_bytes(), b"", card, NOW))
            state.add_table(connection, StoredTable(score_table("m1"), "score", (), "m1", "joint"))
        yield made


def ask(place: Bureau, bank: Institution = BANK, model: str = "m1") -> Outcome:
    return Drift(place.node).show(Call(place.engine, MODELLER, bank, Empty(), {"model": model}, {}, place.now))


def answered(place: Bureau) -> Any:
    outcome = ask(place)
    if outcome.record is not None:
        with writing(place.engine) as connection:
            outcome.record(connection)
    assert isinstance(outcome.answer, TableDrift)
    return outcome.answer.quarters


def test_the_people_of_the_table_are_counted_by_band(place: Bureau) -> None:
    [quarter] = answered(place)
    assert quarter.quarter == "2026Q1"
    assert quarter.shares == pytest.approx([1 / 3] * 3, abs=0.04)
    assert quarter.shares != (0.333, 0.333, 0.333)  # with noise
    assert quarter.people == 1200


def test_a_quarter_is_counted_once_and_then_given_as_it_was(place: Bureau) -> None:
    first = answered(place)
    place.office.collection = place.office.collection[:-1]  # who withdraws shows in the next quarter alone
    again = ask(place)
    assert isinstance(again.answer, TableDrift)
    assert again.answer.quarters == first
    assert again.record is None
    assert [leaf.action for leaf in again.leaves] == ["model.drift"]
    place.now += 92 * DAY
    later = answered(place)
    assert [quarter.quarter for quarter in later] == ["2026Q1", "2026Q2"]
    assert later[0] == first[0]
    assert later[1].shares != first[0].shares


def test_two_counts_of_one_quarter_are_not_both_shown(place: Bureau) -> None:
    first, second = ask(place), ask(place)
    assert first.record is not None
    assert second.record is not None
    with writing(place.engine) as connection:
        first.record(connection)
    with pytest.raises(Conflict, match="counted in the meantime"), writing(place.engine) as connection:
        second.record(connection)


def test_it_is_for_the_models_bank_while_the_model_is_served(place: Bureau) -> None:
    other = Institution(id="bank-b", name="B", kind=InstitutionKind.BANK, licence="2")
    with pytest.raises(Forbidden, match="another bank"):
        ask(place, other)
    with pytest.raises(NotFound):
        ask(place, model="m2")
    place.office.ended["m1"] = EndedModel(model="m1", state=RETIRED, since=place.now)
    with pytest.raises(NotApproved):
        ask(place)
    place.office.ended.clear()
    place.now += 400 * DAY
    with pytest.raises(NotApproved, match="reviewed by"):
        ask(place)


def test_a_small_table_shows_nothing(place: Bureau) -> None:
    place.office.collection = place.office.collection[:600]
    with pytest.raises(ReleaseRefused, match="too few people"):
        ask(place)
