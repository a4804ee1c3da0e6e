"""Sensitive fields at the node: without a collection consent of their own they are in no record, no column and no cohort."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
from sqlalchemy import Connection

from audit.database import open_engine
from models.catalogue import Catalogue, Field
from models.consents import ANY, Eligibility, ModellingConsent, Objection, SensitiveCollection
from models.parties import Institution, InstitutionKind
from models.projects import Project, ProjectKind
from models.records import RecordForm
from models.scorecard.limits import Limits
from sharing_node.migrate import upgrade
from sharing_node.node import Node
from sharing_node.records import Marks, NewBatch, NewSubject, StoredRecord, iterate_check_records
from sharing_node.records import repository as records

DAY, NOW = date(2026, 6, 30), 1_800_000_000
AT = datetime(2026, 6, 30, tzinfo=UTC)
PLAIN = Field(name="area", category="land", label_zh="面积", mode="A")
OWN = Field(name="estates", category="land", label_zh="不动产", mode="A", sensitive=True)
OTHER = Field(name="insured", category="fiscal", label_zh="社保", mode="A", sensitive=True)
CATALOGUE = Catalogue((PLAIN, OWN, OTHER), "opaque")
SUBJECTS = {"opaque:both": ("estates", "insured"), "opaque:estates": ("estates",), "opaque:none": ()}
SENSITIVE = frozenset({"estates", "insured"})
COLLECTED = [SensitiveCollection(subject=subject, fields=fields) for subject, fields in SUBJECTS.items() if fields]
BANK = Institution(id="bank-a", name="A", kind=InstitutionKind.BANK, licence="1", bank_class="rural", declared_customers=9)


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[Connection]:
    """Three subjects of whom departments delivered everything."""
    engine = open_engine(f"sqlite:///{tmp_path / 'node.sqlite'}")
    upgrade(engine)
    with engine.begin() as connection:
        records.add_batch(connection, NewBatch("b", "land", "NY", DAY, AT, "l.csv", b"f" * 32, b"c" * 32, 3, 0))
        records.upsert_subjects(connection, [NewSubject(name, "opaque", "*", AT) for name in SUBJECTS])
        for category, payload in (("land", b'{"area":1,"estates":2}'), ("fiscal", b'{"insured":3}')):
            made = [StoredRecord(name, category, DAY, payload, "NY", AT, "b") for name in SUBJECTS]
            records.upsert_records(connection, made)
        yield connection
    engine.dispose()


@pytest.mark.attack
def test_no_record_and_no_column_holds_what_nobody_let_be_collected(connection: Connection) -> None:
    marks = Marks.of([], [], SENSITIVE, COLLECTED)
    form = RecordForm(("area", "estates", "insured"), ("fiscal", "land"))
    found = {name: form.decode(plain) for name, plain in iterate_check_records(connection, CATALOGUE.fields, marks, DAY)}
    assert {name: set(record.fields) for name, record in found.items()} == {
        name: {"area", *fields} for name, fields in SUBJECTS.items()
    }
    assert set(found["opaque:none"].sources) == {"land"}, "a department is no source of what is not shown"
    names = sorted(SUBJECTS)
    columns = records.numeric_columns(connection, CATALOGUE.fields, names, marks, DAY)
    expected = [[1.0, *(value if field in SUBJECTS[name] else np.nan for field, value in (("estates", 2.0), ("insured", 3.0)))]
                for name in names]  # fmt: skip
    assert np.array_equal(columns, np.array(expected), equal_nan=True)
    # The naive build takes the office's list without it: everything that was delivered is shown.
    naive = dict(iterate_check_records(connection, CATALOGUE.fields, Marks.of([], []), DAY))
    assert all(set(form.decode(plain).fields) == {"area", "estates", "insured"} for plain in naive.values())


def test_an_objection_and_what_is_sensitive_do_not_undo_each_other() -> None:
    withheld = Objection(subject="opaque:estates", field="estates", open=True, withheld=True)
    marks = Marks.of([withheld], [], SENSITIVE, COLLECTED)
    assert marks.is_absent("opaque:estates", "estates")
    assert marks.is_absent("opaque:estates", "insured")
    assert not marks.is_absent("opaque:both", "insured")
    assert [marks.touches(name) for name in SUBJECTS] == [False, True, True]
    assert "opaque" not in repr(marks)


def consented(subject: str, *fields: str, recipient: str = ANY) -> ModellingConsent:
    return ModellingConsent(
        subject=subject, recipient=recipient, valid_from=NOW - 9, valid_to=NOW + 9, sensitive_fields=fields
    )  # fmt: skip


COHORTS: dict[str, tuple[tuple[str, ...], set[str]]] = {
    "nothing sensitive": (("area",), {"opaque:both", "opaque:estates", "opaque:none"}),
    "one that both name": (("area", "estates"), {"opaque:both", "opaque:estates"}),
    "one that modelling names for another bank": (("area", "insured"), set()),
    "what is sensitive alone": (("estates",), {"opaque:both", "opaque:estates"}),
}


@pytest.mark.parametrize("name", COHORTS)
def test_rows_join_a_cohort_only_under_consents_to_each_sensitive_field(connection: Connection, name: str) -> None:
    fields, expected = COHORTS[name]
    modelling = [consented(subject) for subject in SUBJECTS]
    modelling += [consented(subject, "estates") for subject in SUBJECTS]
    modelling += [consented(subject, "insured", recipient="bank-b") for subject in SUBJECTS]
    listed = Eligibility(
        version=1, issued_at=NOW, collection=tuple(sorted(SUBJECTS)), modelling=tuple(modelling), objections=(),
        sensitive=tuple(COLLECTED),
    )  # fmt: skip

    class OneNode(Node):
        def eligibility(self) -> Eligibility:
            return listed

    nothing = cast(Any, None)
    link = cast(Any, SimpleNamespace())
    node = OneNode(nothing, connection.engine, nothing, nothing, link, CATALOGUE, Limits(), nothing, nothing, clock=lambda: NOW)
    connection.commit()
    project = Project(
        id="p", bank="bank-a", kind=ProjectKind.JOINT_SCORECARD, title="t", purpose="modelling", fields=fields,
        valid_from=NOW - 9, valid_to=NOW + 9, requested_by="bank-a/mo",
    )  # fmt: skip
    assert set(node.joint_subjects(project, BANK)) == expected
