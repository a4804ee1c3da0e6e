"""Stored records: byte-stable, merged and turned into numbers as a slow, obvious implementation would do it."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta, timezone

import numpy as np
import pytest
from sqlalchemy import Connection, Engine
from sqlalchemy.exc import IntegrityError

from audit.database import open_engine, writing
from models.catalogue import Catalogue, Field, default_catalogue
from sharing_node import records
from sharing_node.database import metadata
from sharing_node.records import Marks, NewBatch, NewSubject, StoredRecord

DAY = date(2026, 6, 30)
NOW = datetime(2026, 7, 1, 8, 30, tzinfo=UTC)
FIELDS = default_catalogue().select(
    ["leased_in_area", "penalty_count_36m", "mortgage_flag", "demo_level", "lease_end_date", "claim_amount_36m"]
)


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    engine = open_engine(database_url)
    metadata.create_all(engine)
    yield engine
    engine.dispose()


@pytest.fixture
def connection(engine: Engine) -> Iterator[Connection]:
    with writing(engine) as connection:
        records.add_batch(connection, NewBatch("b1", "land", "NY", DAY, NOW, "land.csv", b"f" * 32, b"c" * 32, 1, 0))
        yield connection


def add(connection: Connection, contents: dict[str, dict[str, bytes]], as_of: date = DAY, letter: str = "H") -> None:
    records.upsert_subjects(connection, (NewSubject(name, "opaque", letter, NOW) for name in contents))
    records.upsert_records(
        connection,
        [
            StoredRecord(name, field_set, as_of, payload, "NY", NOW, "b1")
            for name, sets in contents.items()
            for field_set, payload in sets.items()
        ],
    )


def value_of(field: Field, rng: random.Random) -> object:
    return {
        "decimal": rng.choice([0, 12.5, 1e-8, 99999.125]),
        "int": rng.randrange(5),
        "bool": rng.random() < 0.5,
        "enum": rng.choice(field.enum_values or ("",)),
        "date": (date(1990, 1, 1) + timedelta(rng.randrange(20_000))).isoformat(),
    }[field.kind]


def made_up(count: int, fields: tuple[Field, ...], seed: int) -> dict[str, dict[str, bytes]]:
    """Records with gaps: fields, whole field sets and whole subjects are missing here and there."""
    rng = random.Random(seed)
    contents: dict[str, dict[str, bytes]] = {}
    for number in range(count):
        sets: dict[str, dict[str, object]] = {}
        for field in fields:
            if rng.random() < 0.7:
                sets.setdefault(field.category, {})[field.name] = value_of(field, rng)
            elif rng.random() < 0.3:
                sets.setdefault(field.category, {})
        contents[f"opaque:{number:05d}"] = {
            name: json.dumps(values, sort_keys=True, ensure_ascii=False, separators=(",", ":")).encode()
            for name, values in sets.items()
        }
    return contents


def slow_number(field: Field, value: object) -> float:
    if value is None:
        return math.nan
    if field.kind == "enum":
        return float(field.enum_values.index(str(value)))
    if field.kind == "date":
        return float((date.fromisoformat(str(value)) - date(1970, 1, 1)).days)
    return float(value)  # type: ignore[arg-type]


def test_what_is_stored_comes_back(connection: Connection) -> None:
    add(connection, {"opaque:a": {"land": b'{"x":1}', "demo": b"{}"}, "opaque:b": {"land": b'{"x":2}'}})
    found = records.records_of(connection, ["land", "demo"], ["opaque:a", "opaque:b", "opaque:c"])
    assert set(found) == {"opaque:a", "opaque:b"}
    assert found["opaque:a"]["land"] == StoredRecord("opaque:a", "land", DAY, b'{"x":1}', "NY", NOW, "b1")
    assert found["opaque:a"]["land"].loaded_at.utcoffset() == timedelta(0)
    assert set(found["opaque:a"]) == {"land", "demo"}
    assert set(records.records_of(connection, "demo", ["opaque:a", "opaque:b"])) == {"opaque:a"}
    assert records.records_of(connection, "land", []) == {}
    assert b"x" not in repr(found["opaque:a"]["land"]).encode()
    assert "opaque:a" not in repr(found["opaque:a"]["land"])


def test_a_later_day_replaces_and_an_earlier_one_does_not(connection: Connection) -> None:
    add(connection, {"opaque:a": {"land": b'{"x":1}'}})
    for payload, day, stays in ((b'{"x":2}', 29, b'{"x":1}'), (b'{"x":3}', 30, b'{"x":3}')):
        add(connection, {"opaque:a": {"land": payload}}, date(2026, 6, day))
        assert records.records_of(connection, "land", ["opaque:a"])["opaque:a"]["land"].payload == stays
    assert records.subjects_newer_than(connection, "land", date(2026, 6, 29)) == {"opaque:a"}
    assert records.subjects_newer_than(connection, "land", DAY) == set()
    assert records.subjects_newer_than(connection, "demo", date(2026, 6, 29)) == set()


def test_a_subject_keeps_its_first_day_and_takes_its_new_type(connection: Connection) -> None:
    add(connection, {"opaque:a": {}}, letter="H")
    add(connection, {"opaque:a": {}, "opaque:b": {}}, letter="F")
    assert records.subject_types(connection, ["opaque:a", "opaque:b", "opaque:c"]) == {"opaque:a": "F", "opaque:b": "F"}


def test_batches_in_order_of_loading(connection: Connection) -> None:
    later = NewBatch("a2", "demo", "NY", DAY, NOW + timedelta(1), "x", b"f" * 32, b"c" * 32, 3, 4)
    records.add_batch(connection, later)
    assert [batch.batch for batch in records.batches(connection)] == ["b1", "a2"]
    assert records.batches(connection, "demo") == [later]


@pytest.mark.parametrize("orphan", ["subject", "batch"])
def test_no_record_without_subject_and_batch(engine: Engine, orphan: str) -> None:
    with engine.connect() as connection:
        if orphan == "batch":
            records.upsert_subjects(connection, [NewSubject("opaque:a", "opaque", "*", NOW)])
        else:
            records.add_batch(connection, NewBatch("b1", "land", "NY", DAY, NOW, "x", b"f" * 32, b"c" * 32, 1, 0))
        with pytest.raises(IntegrityError):
            records.upsert_records(connection, [StoredRecord("opaque:a", "land", DAY, b"{}", "NY", NOW, "b1")])


def test_an_instant_without_zone_is_refused_and_any_zone_becomes_utc(connection: Connection) -> None:
    beijing = NOW.astimezone(timezone(timedelta(hours=8)))
    batch = NewBatch("b2", "land", "NY", DAY, beijing, "x", b"f" * 32, b"c" * 32, 1, 0)
    records.add_batch(connection, batch)
    assert {found.loaded_at for found in records.batches(connection)} == {NOW}
    with pytest.raises(Exception, match="time zone"):
        records.upsert_subjects(connection, [NewSubject("opaque:a", "opaque", "*", NOW.replace(tzinfo=None))])


def test_numeric_columns(connection: Connection) -> None:
    contents = made_up(300, FIELDS, seed=2)
    add(connection, contents)
    rng = random.Random(3)
    ids = [*contents, "opaque:nobody", "opaque:00007"]
    rng.shuffle(ids)
    values = records.numeric_columns(connection, FIELDS, ids, Marks(), DAY)
    assert values.dtype == np.float64
    assert values.shape == (302, 6)
    expected = np.array(
        [
            [
                slow_number(field, json.loads(contents.get(name, {}).get(field.category, b"{}")).get(field.name))
                for field in FIELDS
            ]
            for name in ids
        ]
    )
    np.testing.assert_array_equal(values, expected)
    assert np.isnan(values).any()
    assert records.numeric_columns(connection, (), ids, Marks(), DAY).shape == (302, 0)
    assert records.numeric_columns(connection, FIELDS, [], Marks(), DAY).shape == (0, 6)


def test_what_has_no_number_is_refused(connection: Connection) -> None:
    catalogue = default_catalogue()
    with pytest.raises(ValueError, match="text fields have no numeric form: subject_name"):
        records.numeric_columns(connection, catalogue.select(["subject_name"]), ["opaque:a"], Marks(), DAY)
    add(connection, {"opaque:a": {"demo": '{"demo_level":"宇宙级"}'.encode()}})
    with pytest.raises(ValueError, match="demo_level") as caught:
        records.numeric_columns(connection, catalogue.select(["demo_level"]), ["opaque:a"], Marks(), DAY)
    assert "宇宙级" not in str(caught.value)


def test_more_subjects_than_a_statement_has_parameters(connection: Connection) -> None:
    (field,) = Catalogue.from_columns(["收入 (元)"], category="c").fields
    names = [f"opaque:{number}" for number in range(70_000)]
    add(connection, {name: {"c": f'{{"收入 (元)":{name[7:]}}}'.encode()} for name in names[::100]})
    values = records.numeric_columns(connection, [field], names, Marks(), DAY)
    assert np.array_equal(values[::100, 0], np.arange(0, 70_000, 100))
    assert np.count_nonzero(~np.isnan(values)) == 700
    assert len(records.records_of(connection, "c", names)) == 700
