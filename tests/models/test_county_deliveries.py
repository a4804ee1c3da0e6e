"""What the county's folder is for: the node loads the departments' files, the office its consents, objections and people."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from sqlalchemy import create_engine

from models.catalogue import default_catalogue
from models.consents import Capture, Consent, ConsentKind, Purpose
from models.county import generate_county
from models.identity import canonical_id, parse_id
from models.parties import ROLES_OF, Institution, InstitutionKind, Person, Role
from sharing_node.database import metadata
from sharing_node.ingest import ingest_csv
from sharing_node.records import tables as _tables  # noqa: F401 - puts the node's tables on its metadata
from tests.models.county_files import County


@pytest.fixture(scope="module")
def county(tmp_path_factory: pytest.TempPathFactory) -> County:
    folder = tmp_path_factory.mktemp("county")
    return County(folder, generate_county(folder, 11, households=3000, organisations=100, loans=900))


def test_the_node_sets_aside_exactly_the_planted_faults(county: County, tmp_path: Path) -> None:
    engine = create_engine("sqlite://")
    metadata.create_all(engine)
    set_aside: set[tuple[str, int]] = set()
    with engine.connect() as connection:
        for category in default_catalogue().categories:
            path = county.folder / "node" / f"{category}.csv"
            with path.open("rb") as stream:
                report = ingest_csv(
                    connection,
                    default_catalogue(),
                    category,
                    stream,
                    as_of=date.fromisoformat(county.summary.as_of),
                    file_name=path.name,
                    quarantine_folder=tmp_path,
                )
            assert report.rows_loaded + len(report.quarantined) == report.rows_read == len(county.node[category])
            set_aside |= {(path.name, line) for line in report.quarantined}
    assert set_aside == {(row["file"], int(row["line"])) for row in county.defects}
    assert len(set_aside) == county.summary.quarantined_rows + county.summary.conflicting_rows


def moment(day: str) -> int:
    return int(datetime.combine(date.fromisoformat(day), datetime.min.time(), UTC).timestamp())


def test_consents_read_as_consents_and_reach_the_stated_shares(county: County) -> None:
    banks = {r["id"]: r for r in county.read("office/institutions.csv") if r["kind"] == "bank"}
    row = banks["fumin-bank"]
    bank = Institution(row["id"], row["name"], InstitutionKind.BANK, row["licence"], bank_class=row["bank_class"])
    now = moment(county.summary.as_of)
    standing: dict[tuple[str, str], set[str]] = {}
    filed: dict[str, int] = {}
    fates = {"expired": 0, "revoked": 0}
    for row in county.read("office/consents.csv"):
        assert parse_id(row["subject"]) == row["subject"]
        assert len(row["evidence_digest"]) == 64
        consent = Consent(
            id=row["id"],
            subject=row["subject"],
            kind=ConsentKind(row["kind"]),
            recipient=row["recipient"],
            purposes=tuple(row["purposes"].split(";")),
            field_sets=tuple(filter(None, row["field_sets"].split(";"))),
            sensitive_fields=tuple(filter(None, row["sensitive_fields"].split(";"))),
            valid_from=moment(row["valid_from"]),
            valid_to=moment(row["valid_to"]),
            capture=Capture(row["capture"]),
            captured_by=row["captured_by"],
            witness=row["witness"],
            reference=row["reference"],
            evidence_digest=row["evidence_digest"],
        )
        sensitive = bool(consent.sensitive_fields)
        assert sensitive != bool(consent.field_sets)
        assert all(default_catalogue()[name].sensitive for name in consent.sensitive_fields)
        assert (consent.capture is Capture.ESIGN) == (not consent.captured_by)
        assert (consent.capture is Capture.OFFICER) == bool(consent.witness)
        own = "-sensitive" if sensitive else ""
        filed[consent.kind + own] = filed.get(consent.kind + own, 0) + 1
        if sensitive:
            continue
        assert consent.valid_from < consent.valid_to
        fates["expired"] += consent.valid_to <= now
        fates["revoked"] += bool(row["revoked_at"])
        if row["revoked_at"]:
            assert row["valid_from"] <= row["revoked_at"] <= county.summary.as_of
        elif consent.kind == "collection":
            standing.setdefault(("collection", "*"), set()).add(row["subject"])
        else:
            purpose = consent.purposes[0]
            assert purpose in list(Purpose)
            if consent.allows(bank, purpose, now) and consent.covers(("land", "credit")):
                standing.setdefault((consent.kind, purpose), set()).add(row["subject"])
    assert filed["collection"] == round(0.98 * 3100)
    assert filed["modelling"] == filed["modelling-sensitive"] == round(0.95 * 900)
    assert 900 < filed["collection-sensitive"] < 0.99 * 1050
    applicants = {f"citizen:{r['citizen_id_no']}" for r in county.read("bank/applicants.csv")}
    asked = standing["query", "loan-approval"]
    assert asked < applicants
    assert 0.84 * 150 < len(asked) <= 135
    assert 0.91 * 900 < len(standing["modelling", "modelling"]) < 855
    assert fates["expired"] > 20
    assert fates["revoked"] > 20


def test_objections_name_subjects_and_fields_and_are_marked_in_the_data(county: County) -> None:
    disputes = county.read("office/disputes.csv")
    assert len(disputes) >= 6
    assert {row["status"] for row in disputes} <= {"open", "upheld", "rejected"}
    assert all(row["field"] == "*" or row["field"] in default_catalogue() for row in disputes)
    assert [row["status"] for row in disputes if row["withheld"] == "1"] == ["open"]
    objecting = {row["subject"] for row in disputes if row["status"] == "open"}
    credit = [row for row in county.good["credit"] if row["citizen_id_no"] and row["dispute_flag"] == "是"]
    assert {f"citizen:{row['citizen_id_no']}" for row in credit} == objecting


def test_repairs_are_of_people_whom_the_data_call_repaired(county: County) -> None:
    repairs = county.read("office/repairs.csv")
    assert 1 <= len(repairs) <= 5
    assert {row["field"] for row in repairs} == {"commitment_breach_count"}
    assert all(row["decision"] and row["decided_at"] < "2026-06-30" for row in repairs)
    called = {f"citizen:{row['citizen_id_no']}" for row in county.good["credit"] if row["repair_status"] == "已修复"}
    assert {row["subject"] for row in repairs} <= called


def test_institutions_and_people_can_be_enrolled(county: County) -> None:
    institutions = {
        row["id"]: Institution(
            row["id"],
            row["name"],
            InstitutionKind(row["kind"]),
            row["licence"],
            row["contact"],
            row["bank_class"],
            int(row["declared_customers"]),
        )
        for row in county.read("office/institutions.csv")
    }
    people = [Person(r["id"], r["institution"], r["name"], Role(r["role"]), b"") for r in county.read("office/people.csv")]
    assert sorted(i.kind for i in institutions.values()) == ["bank", "bank", "bureau", "office"]
    assert all(canonical_id("organisation", i.licence) for i in institutions.values())
    assert institutions["fumin-bank"].declared_customers >= 900
    assert all(p.role in ROLES_OF[institutions[p.institution].kind] for p in people)
    assert {p.role for p in people} == set(Role) - {Role.NODE, Role.OFFICE, Role.WINDOW, Role.RESPONDER}
    assert len({p.id for p in people}) == len({p.name for p in people}) == len(people)
