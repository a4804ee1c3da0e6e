"""The node's monthly statement: townships and ages counted rightly, in tens, once a month, and what does not move stays."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import msgspec
import pytest

from audit.database import writing
from audit.service.outcome import Call, Outcome
from models import wire
from models.catalogue import Catalogue, Field
from models.logged import Empty
from models.parties import Institution, InstitutionKind, Person, Role
from models.problems import Conflict
from models.supervision.messages import AreaCoverage, CoverageStatement
from models.wire import Signed
from sharing_node import records
from sharing_node.coverage import Coverage
from sharing_node.records import NewBatch, NewSubject, StoredRecord
from tests.node.bureau import DAY, KEY, NOW, Bureau, bureau

HOME = Institution(id="node", name="N", kind=InstitutionKind.BUREAU, licence="1")
STEWARD = Person(id="node/st", institution="node", name="S", role=Role.STEWARD, key=bytes(32))
CATALOGUE = Catalogue(
    (
        Field(
            name="division_code", category="basic", label_zh="d", type="char12", source_department="XZ", cycle="year", mode="A"
        ),
        Field(name="capital", category="basic", label_zh="c", source_department="SC", cycle="daily", mode="A"),
        Field(name="village_household_count", category="village", label_zh="x", type="int", source_department="XZ", mode="A"),
    ),
    "opaque",
)
EAST, WEST = "532300100", "532300101"


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Bureau]:
    with bureau(tmp_path / "node", f"sqlite:///{tmp_path}/node.db") as made:
        yield made


def deliver(
    place: Bureau, category: str, rows: dict[str, dict[str, object]], letter: str, as_of: date, served: bool = True
) -> None:
    when = datetime.fromtimestamp(place.now, UTC)
    with writing(place.engine) as connection:
        batch = f"{category}-{letter}-{len(rows)}-{next(iter(rows))[-8:]}"
        records.add_batch(connection, NewBatch(batch, category, "NY", as_of, when, "f.csv", b"f" * 32, b"c" * 32, len(rows), 0))
        records.upsert_subjects(connection, [NewSubject(s, "opaque", letter, when) for s in rows])
        stored = [StoredRecord(s, category, as_of, msgspec.json.encode(row), "NY", when, batch) for s, row in rows.items()]
        records.upsert_records(connection, stored)
    if served:
        place.office.collection = sorted({*place.office.collection, *rows})


def people(area: str, numbers: range) -> dict[str, dict[str, object]]:
    return {f"opaque:{area}-{n}": {"division_code": f"{area}201"} for n in numbers}


def state(place: Bureau) -> Outcome:
    node = replace(place.node, catalogue=CATALOGUE)
    outcome = Coverage(node).state(Call(place.engine, STEWARD, HOME, Empty(), {}, {}, place.now))
    if outcome.record is not None:
        with writing(place.engine) as connection:
            outcome.record(connection)
    return outcome


def stated(place: Bureau) -> CoverageStatement:
    answer = state(place).answer
    assert isinstance(answer, Signed)
    return wire.open_signed(answer, CoverageStatement, "node", KEY.public_key())


def area(found: CoverageStatement, code: str) -> AreaCoverage:
    [one] = [one for one in found.areas if one.area == code]
    return one


def test_townships_and_ages_are_counted_in_tens(place: Bureau) -> None:
    today = datetime.fromtimestamp(NOW, UTC).date()
    deliver(place, "basic", people(EAST, range(43)), "H", today - timedelta(days=1))
    deliver(place, "basic", people(EAST, range(43, 60)), "H", today - timedelta(days=2), served=False)
    deliver(place, "basic", people(WEST, range(7)), "H", today - timedelta(days=400))
    deliver(place, "basic", {f"opaque:coop-{n}": {} for n in range(12)}, "C", today)
    deliver(place, "basic", {"opaque:v": {"division_code": f"{EAST}201"}}, "V", today)
    deliver(place, "village", {"opaque:v": {"village_household_count": 61}}, "V", today)
    found = stated(place)
    assert found.month == "2026-03"
    expected = {"declared": 61, "households": 60, "households_served": 40, "organisations": -1, "organisations_served": -1}
    assert wire.fields_of(area(found, EAST)) == {"area": EAST, **expected}
    assert (area(found, WEST).households, area(found, WEST).declared) == (-1, 0)
    assert area(found, "-").organisations == 10
    ages = {(row.department, row.category, row.cycle): (row.fresh, row.late, row.old) for row in found.freshness}
    # 43 of yesterday, 13 of today, 17 of the day before: one cycle late; 7 of last year.
    assert ages == {("SC", "basic", "daily"): (60, 20, -1), ("XZ", "basic", "year"): (70, -1, -1)}
    assert {row.newest for row in found.freshness} == {today.isoformat()}


def test_a_month_is_stated_once_and_fewer_than_ten_move_nothing(place: Bureau) -> None:
    today = datetime.fromtimestamp(NOW, UTC).date()
    deliver(place, "basic", people(EAST, range(43)), "H", today)
    first = state(place)
    again = state(place)
    assert again.answer == first.answer
    assert again.record is None
    assert first.leaves[0].facts == again.leaves[0].facts == {"month": "2026-03", "statement": first.answer.digest()}  # type: ignore[attr-defined]
    place.now += 31 * DAY
    deliver(place, "basic", people(EAST, range(43, 52)), "H", today)
    assert area(stated(place), EAST).households == 40  # nine came
    place.now += 31 * DAY
    deliver(place, "basic", people(EAST, range(52, 53)), "H", today)
    assert area(stated(place), EAST).households == 50  # the tenth came


def test_two_statements_of_a_month_at_once_are_one(place: Bureau) -> None:
    deliver(place, "basic", people(EAST, range(20)), "H", date(2026, 2, 1))
    call = Call(place.engine, STEWARD, HOME, Empty(), {}, {}, place.now)
    handler = Coverage(replace(place.node, catalogue=CATALOGUE))
    first, second = handler.state(call), handler.state(call)
    assert first.record is not None
    assert second.record is not None
    with writing(place.engine) as connection:
        first.record(connection)
    with pytest.raises(Conflict), writing(place.engine) as connection:
        second.record(connection)
