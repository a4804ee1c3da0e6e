"""A subject's archive: every value on file with its source and how far it travels; shown only by leave of the office."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from urllib.parse import urlencode

import pytest

import tests.services as pairs
from models import wire
from models.archives import Archive, Archived, ArchiveField, ArchiveLeave, AskArchive, Ground, ModelUses
from models.catalogue import default_catalogue
from models.consents import ConsentKind, Filed, FileObjections, FileRepairs, Objection, Repair
from models.loads import LoadReport
from models.logged import Empty
from models.problems import BadSignature, BadTicket
from models.rights import OpenAccount
from models.wire import Signed
from tests.services import Services, services

SUBJECT = "opaque:wang"
FILES = {
    "supervision": {"penalty_count_36m": "2", "penalty_severity": "一般", "publicity_end_date": "2020-05-01"},
    "judicial": {"judgment_defaulter_flag": "是"},
    "land": {"leased_in_area": "12.5"},
    "demo": {"demo_level": "县级"},
}


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Services]:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(pairs, "catalogue", lambda: replace(default_catalogue(), identity="opaque"))
        with services(tmp_path_factory.mktemp("archives")) as made:
            for category, row in FILES.items():
                body = f"subject_id,{','.join(row)}\nwang,{','.join(row.values())}\n".encode()
                query = urlencode({"field_set": category, "as_of": "2026-06-30", "name": f"{category}.csv"})
                report = made.client("node/steward").logged_raw(f"/loads?{query}", body, "text/csv", LoadReport).answer
                assert report.rows_loaded == 1
            made.office.file(made.office.consent(SUBJECT, ConsentKind.COLLECTION))
            account = OpenAccount(account="W4NG", subject=SUBJECT, checked="resident identity card")
            made.office.clerk.logged("/accounts", account, Empty)
            yield made


def leave(pair: Services, who: str = "office/window", ground: Ground = Ground.OWN_ARCHIVE, subject: str = SUBJECT) -> Signed:
    return pair.office.client(who).logged("/archives", AskArchive(subject=subject, ground=ground), Signed).answer


def show(pair: Services, who: str = "office/window", **changes: object) -> Archive:
    pair.app.state.node._eligibility = None
    signed = leave(pair, who, **changes)  # type: ignore[arg-type]
    answer = pair.client(who).logged("/archives", signed, Archived).answer
    archive = pair.office.office.node_statement(answer.archive, Archive)
    uses = pair.office.office.node_statement(answer.uses, ModelUses)
    assert (archive.leave, archive.subject, uses.subject) == (signed.digest(), archive.subject, archive.subject)
    return archive


def fields(archive: Archive) -> dict[str, ArchiveField]:
    return {field.name: field for section in archive.sections for field in section.fields}


def test_a_subject_sees_every_value_with_its_source(pair: Services) -> None:
    archive = show(pair)
    assert (archive.collection, archive.ground, archive.cohorts, archive.models) == (True, Ground.OWN_ARCHIVE, (), ())
    assert {section.field_set: (section.department, section.as_of) for section in archive.sections} == {
        "supervision": (default_catalogue()["penalty_count_36m"].source_department, "2026-06-30"),
        "judicial": ("FY", "2026-06-30"),
        "land": ("NY", "2026-06-30"),
        "demo": ("NY", "2026-06-30"),
    }
    assert all(len(section.batch) == 32 and section.loaded_at for section in archive.sections)
    found = fields(archive)
    assert {name: field.value for name, field in found.items()} == {
        "penalty_count_36m": 2, "penalty_severity": "一般", "publicity_end_date": "2020-05-01",
        "judgment_defaulter_flag": True, "leased_in_area": 12.5, "demo_level": "县级",
    }  # fmt: skip
    assert (found["leased_in_area"].label_zh, found["leased_in_area"].unit) == ("流转入面积", "亩")


def test_it_says_how_far_each_value_travels(pair: Services) -> None:
    found = fields(show(pair))
    assert found["demo_level"].shared == "check"
    assert found["penalty_severity"].shared == "expired", "five years have passed since its publicity ended"
    assert found["penalty_severity"].expires_on == "2025-05-01"
    objections = (
        Objection(subject=SUBJECT, field="judgment_defaulter_flag", open=True, withheld=True),
        Objection(subject=SUBJECT, field="demo_level", open=True),
    )
    pair.office.clerk.logged("/objections", FileObjections(objections=objections), Filed)
    repaired = Repair(subject=SUBJECT, field="leased_in_area")
    pair.office.clerk.logged("/repairs", FileRepairs(decision="7", repairs=(repaired,)), Filed)
    found = fields(show(pair, "office/wang", ground=Ground.OBJECTION))
    told = {name: (found[name].shared, found[name].disputed) for name in ("judgment_defaulter_flag", "demo_level")}
    assert told == {"judgment_defaulter_flag": ("withheld", False), "demo_level": ("check", True)}
    assert found["leased_in_area"].shared == "repaired"


def test_of_whom_nothing_is_on_record_it_says_so(pair: Services) -> None:
    archive = show(pair, "office/wang", subject="opaque:nobody")
    assert (archive.on_record_since, archive.sections, archive.collection) == (0, (), False)


@pytest.mark.attack
def test_nothing_is_shown_without_leave_of_the_office(pair: Services) -> None:
    signed = leave(pair)
    with pytest.raises(BadTicket, match="another person"):
        pair.client("office/wang").logged("/archives", signed, Archived)
    told = wire.decode(signed.payload, ArchiveLeave)
    own = wire.sign(wire.replace(told, subject="opaque:li"), "office", pair.office.keys["office/window"])
    with pytest.raises(BadSignature):
        pair.client("office/window").logged("/archives", own, Archived)
    over = pair.office.office.sign(wire.replace(told, issued_at=told.issued_at - 700, expires=told.issued_at - 100))
    with pytest.raises(BadTicket, match="is over"):
        pair.client("office/window").logged("/archives", over, Archived)


def test_both_logs_hold_a_leaf_that_names_nobody(pair: Services) -> None:
    show(pair)
    of_node, of_office = pair.leaves()[-1], pair.office.leaves()[-1]
    assert (of_node["action"], of_node["facts"]) == ("archive.show", {"ground": "own-archive"})
    assert (of_office["action"], of_office["facts"]) == ("archive.leave", {"ground": "own-archive"})
    assert all("wang" not in str(leaf) and "W4NG" not in str(leaf) for leaf in (of_node, of_office))
