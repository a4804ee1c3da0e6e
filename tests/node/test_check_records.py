"""What a check shows of a subject: against a slow reference, and with objections, repairs and expiry."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import numpy as np
import pytest
from sqlalchemy import Connection

from audit.database import open_engine, writing
from models.catalogue import Catalogue, Field, default_catalogue
from models.consents import Objection, Repair
from models.records import CheckRecord, RecordForm, Source
from sharing_node import records
from sharing_node.database import metadata
from sharing_node.records import Marks, NewBatch, NewSubject, StoredRecord, iterate_check_records
from sharing_node.records.marks import years_before

DAY = date(2026, 6, 30)
NOW = datetime(2026, 7, 1, 8, 30, tzinfo=UTC)
CATALOGUE = default_catalogue()
NAMES = (
    *("leased_in_area", "penalty_severity", "mortgage_flag", "penalty_count_36m"),
    *("lease_end_date", "subject_name", "tax_arrears"),
)
FIELDS = CATALOGUE.select(NAMES)
FORM = RecordForm(NAMES, tuple(sorted({f.category for f in FIELDS})))


@pytest.fixture
def connection(database_url: str) -> Iterator[Connection]:
    engine = open_engine(database_url)
    metadata.create_all(engine)
    with writing(engine) as connection:
        records.add_batch(connection, NewBatch("b1", "land", "NY", DAY, NOW, "land.csv", b"f" * 32, b"c" * 32, 1, 0))
        yield connection
    engine.dispose()


def put(
    connection: Connection, subject: str, category: str, as_of: date = DAY, department: str = "NY", **values: object
) -> None:
    """One stored record, as a delivery leaves it."""
    store(connection, [stored_record(subject, category, as_of, department, values)])


def stored_record(subject: str, category: str, as_of: date, department: str, values: dict[str, object]) -> StoredRecord:
    payload = json.dumps(values, sort_keys=True, ensure_ascii=False, separators=(",", ":")).encode()
    return StoredRecord(subject, category, as_of, payload, department, NOW, "b1")


def store(connection: Connection, made: list[StoredRecord]) -> None:
    records.upsert_subjects(connection, [NewSubject(name, "opaque", "*", NOW) for name in {r.subject_id for r in made}])
    records.upsert_records(connection, made)


def shown(
    connection: Connection, marks: Marks | None = None, on: date = DAY, fields: tuple[Field, ...] = FIELDS
) -> dict[str, CheckRecord]:
    form = RecordForm(tuple(f.name for f in fields), tuple(sorted({f.category for f in fields})))
    found = list(iterate_check_records(connection, fields, marks or Marks(), on))
    assert len(found) == len({subject for subject, _ in found})
    return {subject: form.decode(plain) for subject, plain in found}


def objection(subject: str, field: str, *, withheld: bool = False, is_open: bool = True) -> Objection:
    return Objection(subject=subject, field=field, open=is_open, withheld=withheld)


# ---------------------------------------------------------------- against a slow reference


def value_of(field: Field, rng: random.Random) -> object:
    return {
        "decimal": rng.choice([0, 12.5, 0.001, 99999.125]),
        "int": rng.randrange(5),
        "bool": rng.random() < 0.5,
        "enum": rng.choice(field.enum_values or ("",)),
        "date": (date(2015, 1, 1) + timedelta(rng.randrange(5_000))).isoformat(),
        "text": rng.choice(['好 "A" \\', "山核桃😀", ""]),
    }[field.kind]


def slow_gone(field: Field, values: dict[str, object], as_of: date, on: date) -> bool:
    if field.expires_years is None:
        return False
    dated = date.fromisoformat(str(values[field.dated_by])) if values.get(field.dated_by) else as_of
    try:
        end = dated.replace(year=dated.year + field.expires_years)
    except ValueError:  # five years after a 29 February
        end = date(dated.year + field.expires_years, 3, 1)
    return end <= on


def test_records_are_those_of_a_slow_reference(connection: Connection) -> None:
    rng = random.Random(7)
    categories = {name: CATALOGUE.field_set(name).fields for name in FORM.categories}
    stored: dict[str, dict[str, tuple[str, date, dict[str, object]]]] = {}
    made: list[StoredRecord] = []
    for number in range(300):
        subject = f"opaque:{rng.choice('aB')}{number:04d}"
        for category, fields in categories.items():
            if rng.random() < 0.8:
                values = {f.name: value_of(f, rng) for f in fields if rng.random() < 0.6}
                as_of, department = rng.choice([DAY, date(2021, 6, 30), date(2021, 7, 1)]), rng.choice(["NY", "FG/SC"])
                made.append(stored_record(subject, category, as_of, department, values))
                stored.setdefault(subject, {})[category] = department, as_of, values
    store(connection, made)
    names = [*FORM.fields, "*"]
    some = rng.sample(sorted(stored), 60)
    objections = [objection(s, rng.choice(names), withheld=rng.random() < 0.5, is_open=rng.random() < 0.9) for s in some]
    repairs = [Repair(subject=s, field=rng.choice(FORM.fields), stands=rng.random() < 0.8) for s in rng.sample(some, 30)]
    expected = {}
    for subject, sets in stored.items():
        gone = {o.field for o in objections if (o.subject, o.open, o.withheld) == (subject, True, True)}
        gone |= {r.field for r in repairs if r.subject == subject and r.stands}
        disputes = {o.field for o in objections if (o.subject, o.open, o.withheld) == (subject, True, False)}
        kept, sources = {}, {}
        for field in FIELDS:
            department, as_of, values = sets.get(field.category, ("", DAY, {}))
            if field.name in values and not {"*", field.name} & gone and not slow_gone(field, values, as_of, DAY):
                kept[field.name] = values[field.name]
                sources[field.category] = Source(department=department, as_of=as_of.isoformat())
        if kept:
            marked = tuple(name for name in kept if {"*", name} & disputes)
            expected[subject] = FORM.encode(CheckRecord(fields=kept, sources=sources, disputed=marked))  # type: ignore[arg-type]
    found = list(iterate_check_records(connection, FIELDS, Marks.of(objections, repairs), DAY))
    assert dict(found) == expected
    assert [subject for subject, _ in found] == sorted(expected)
    assert 200 < len(expected) < 300
    assert any(FORM.decode(plain).disputed for plain in expected.values())


def test_every_digit_is_kept(connection: Connection) -> None:
    fields = Catalogue.from_columns(["big", "amount", "收入 (元)"], category="c").fields
    raw = '{"amount":0.1000000000000000055511151231257827,"big":12345678901234567890123,"收入 (元)":1.50}'
    records.upsert_subjects(connection, [NewSubject("opaque:a", "opaque", "*", NOW)])
    records.upsert_records(connection, [StoredRecord("opaque:a", "c", DAY, raw.encode(), "", NOW, "b1")])
    [(_, plain)] = iterate_check_records(connection, fields, Marks(), DAY)
    assert plain == b'[[12345678901234567890123,0.1000000000000000055511151231257827,1.50],[["",20634]]]'
    assert list(iterate_check_records(connection, (), Marks(), DAY)) == []


@pytest.mark.parametrize("order", [(0, 1, 2, 3), (1, 0, 3, 2), (2, 0, 3, 1), (3, 2, 1, 0)], ids=str)
def test_values_stand_in_the_order_of_the_fields_wherever_they_are_stored(
    connection: Connection, order: tuple[int, ...]
) -> None:
    made = [Field(name=f"f{n}", category=category, label_zh="f", mode="A", theme="land") for n, category in enumerate("baab")]
    put(connection, "opaque:a", "a", f1=1, f2=2)
    put(connection, "opaque:a", "b", f0=0, f3=3)
    found = shown(connection, fields=tuple(made[n] for n in order))["opaque:a"]
    assert found.fields == {f"f{n}": n for n in order}


def test_each_category_has_its_source_and_day(connection: Connection) -> None:
    put(connection, "opaque:a", "land", DAY, "NY/ZR", leased_in_area=3)
    put(connection, "opaque:a", "supervision", date(2026, 5, 1), "SC", penalty_count_36m=0)
    put(connection, "opaque:a", "basic", main_product="茶叶")  # nothing of it is asked for
    record = shown(connection)["opaque:a"]
    assert record.fields == {"leased_in_area": 3, "penalty_count_36m": 0}
    assert record.sources == {
        "land": Source(department="NY/ZR", as_of="2026-06-30"),
        "supervision": Source(department="SC", as_of="2026-05-01"),
    }
    assert record.disputed == ()


# ---------------------------------------------------------------- objections and repairs


def test_an_open_objection_marks_and_a_withheld_one_takes_away(connection: Connection) -> None:
    for name in "abcd":
        put(connection, f"opaque:{name}", "land", leased_in_area=3, mortgage_flag=True)
    marks = Marks.of(
        [
            objection("opaque:a", "mortgage_flag"),
            objection("opaque:b", "mortgage_flag", withheld=True),
            objection("opaque:c", "*", withheld=True),
            objection("opaque:d", "*"),
        ],
        [],
    )
    found = shown(connection, marks)
    assert found["opaque:a"].disputed == ("mortgage_flag",)
    assert found["opaque:a"].fields == {"leased_in_area": 3, "mortgage_flag": True}
    assert found["opaque:b"].fields == {"leased_in_area": 3}
    assert "opaque:c" not in found
    assert found["opaque:d"].disputed == ("leased_in_area", "mortgage_flag")
    assert b"true" not in dict(iterate_check_records(connection, FIELDS, marks, DAY))["opaque:b"]


def test_settled_objections_and_repairs_taken_back_change_nothing(connection: Connection) -> None:
    put(connection, "opaque:a", "land", leased_in_area=3)
    marks = Marks.of(
        [objection("opaque:a", "*", withheld=True, is_open=False)], [Repair(subject="opaque:a", field="x", stands=False)]
    )
    assert not marks
    assert shown(connection, marks) == shown(connection)


def test_what_was_repaired_is_not_shown_and_with_nothing_left_nobody_is(connection: Connection) -> None:
    put(connection, "opaque:a", "supervision", penalty_count_36m=2, penalty_severity="一般")
    put(connection, "opaque:b", "supervision", penalty_count_36m=2)
    put(connection, "opaque:b", "land", leased_in_area=1)
    repairs = [Repair(subject=f"opaque:{name}", field="penalty_count_36m") for name in "ab"]
    found = shown(connection, Marks.of([], repairs))
    assert found["opaque:a"].fields == {"penalty_severity": "一般"}
    assert set(found["opaque:b"].sources) == {"land"}, "a department is no source of what is not shown"
    both = Marks.of([], [*repairs, Repair(subject="opaque:a", field="penalty_severity")])
    assert set(shown(connection, both)) == {"opaque:b"}


def test_marks_name_nobody_when_printed() -> None:
    marks = Marks.of([objection("opaque:a", "*")], [Repair(subject="opaque:b", field="tax_arrears")])
    assert "opaque" not in repr(marks)


# ---------------------------------------------------------------- expiry


ENDS = [
    ("2021-07-01", date(2026, 6, 30), True),
    ("2021-06-30", date(2026, 6, 30), False),
    ("2020-02-29", date(2025, 2, 28), True),
    ("2020-02-29", date(2025, 3, 1), False),
    ("2023-02-28", date(2028, 2, 29), False),
    ("2023-03-01", date(2028, 2, 29), True),
]


def test_adverse_information_ends_five_years_after_the_event(connection: Connection) -> None:
    for number, (ended, on, stays) in enumerate(ENDS):
        subject = f"opaque:{number}"
        put(connection, subject, "supervision", on, penalty_count_36m=2, penalty_severity="严重", publicity_end_date=ended)
        put(connection, subject, "land", on, leased_in_area=1)
        record = shown(connection, on=on)[subject]
        assert ("penalty_severity" in record.fields) == stays, ended
        assert ("penalty_count_36m" in record.fields) == stays, ended
        assert ("supervision" in record.sources) == stays, ended
        assert record.fields["leased_in_area"] == 1


def test_what_has_no_date_of_its_own_is_dated_by_its_delivery(connection: Connection) -> None:
    for subject, as_of in (("opaque:a", DAY), ("opaque:b", date(2021, 6, 30))):
        put(connection, subject, "fiscal_utility", as_of, tax_arrears=10)
        put(connection, subject, "land", as_of, mortgage_flag=True)
        put(connection, subject, "supervision", as_of, penalty_count_36m=1, publicity_end_date=None)
    found = shown(connection)
    assert set(found["opaque:a"].fields) == {"tax_arrears", "mortgage_flag", "penalty_count_36m"}
    assert set(found["opaque:b"].fields) == {"mortgage_flag"}, "only what is adverse expires"


def test_without_the_columns_nothing_expires(connection: Connection) -> None:
    put(connection, "opaque:a", "fiscal_utility", date(1999, 1, 1), tax_arrears=10)
    plain = tuple(replace(field, expires_years=None, dated_by="") for field in FIELDS)
    assert shown(connection) == {}
    assert shown(connection, fields=plain)["opaque:a"].fields == {"tax_arrears": 10}


def test_the_first_years_have_nothing_before_them() -> None:
    assert years_before(date(3, 5, 1), 5) == date(1, 5, 1)
    assert years_before(date(2028, 2, 29), 4) == date(2024, 2, 28)


def test_models_miss_what_checks_do_not_show(connection: Connection) -> None:
    fields = CATALOGUE.select(["penalty_count_36m", "leased_in_area", "publicity_end_date", "tax_arrears"])
    for subject, ended in (("opaque:a", "2026-01-01"), ("opaque:b", "2021-01-01"), ("opaque:c", "2026-01-01")):
        put(connection, subject, "supervision", penalty_count_36m=2, publicity_end_date=ended)
        put(connection, subject, "land", leased_in_area=1)
    put(connection, "opaque:a", "fiscal_utility", date(2020, 1, 1), tax_arrears=10)
    repairs = [Repair(subject="opaque:c", field="penalty_count_36m")]
    marks = Marks.of([objection("opaque:c", "leased_in_area", withheld=True)], repairs)
    values = records.numeric_columns(connection, fields, ["opaque:a", "opaque:b", "opaque:c"], marks, DAY)
    assert np.isnan(values).tolist() == [[False, False, False, True], [True, False, True, True], [True, True, False, True]]
    without_the_date = records.numeric_columns(connection, fields[:2], ["opaque:b", "opaque:a"], Marks(), DAY)
    assert np.isnan(without_the_date).tolist() == [[True, False], [False, False]]
