"""From a delivery to an officer's check: what stands in an epoch, and what is absent from the next one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from urllib.parse import urlencode

import pytest

import tests.services as pairs
from bank_client import PrivateQuery, authorised_check
from bank_client.meanings import meanings, stated_catalogue
from models import wire
from models.catalogue import default_catalogue
from models.consents import (
    ConsentKind,
    FileConsents,
    Filed,
    FileObjections,
    FileRepairs,
    Objection,
    Repair,
    RevokeConsent,
)
from models.loads import LoadReport
from models.logged import Empty
from models.records import CheckRecord, RecordForm, Source
from tests.services import MODELLER, OFFICER, Services, services

FIELDS = ("penalty_count_36m", "penalty_severity", "judgment_defaulter_flag", "leased_in_area", "demo_level")
FILES = {
    "supervision": ("penalty_count_36m", "penalty_severity", "publicity_end_date"),
    "judicial": ("judgment_defaulter_flag",),
    "land": ("leased_in_area",),
    "demo": ("demo_level",),
}
ROW = {
    "penalty_count_36m": "2",
    "penalty_severity": "一般",
    "publicity_end_date": "2026-05-01",
    "judgment_defaulter_flag": "是",
    "leased_in_area": "12.5",
    "demo_level": "县级",
}
WHOLE = {
    "penalty_count_36m": 2,
    "penalty_severity": "一般",
    "judgment_defaulter_flag": True,
    "leased_in_area": 12.5,
    "demo_level": "县级",
}
DEPARTMENT = default_catalogue()["penalty_count_36m"].source_department
FORM = RecordForm(tuple(sorted(FIELDS)), tuple(sorted(FILES)))
PEOPLE = ("plain", "marked", "withheld", "gone", "repaired", "expired", "withdrawn", "everything")


class County:
    """A pair with the packaged catalogue, a delivery of each of four categories, and one person for each case."""

    def __init__(self, pair: Services) -> None:
        self.pair, self.clerk = pair, pair.office.clerk
        for category, fields in FILES.items():
            self.deliver(category, fields)
        kinds = (ConsentKind.COLLECTION, ConsentKind.QUERY)
        self.consents = {(p, k): pair.office.consent(f"opaque:{p}", k, recipient="*") for p in PEOPLE for k in kinds}
        self.clerk.logged("/consents", FileConsents(consents=tuple(self.consents.values())), Filed)
        self.table = pair.open_project("contents", fields=FIELDS)

    def deliver(self, category: str, fields: tuple[str, ...]) -> None:
        lines = ["subject_id," + ",".join(fields)]
        for person in PEOPLE:
            row = ROW | ({"publicity_end_date": "2020-05-01"} if person == "expired" else {})
            lines.append(f"{person}," + ",".join(row[name] for name in fields))
        query = urlencode({"field_set": category, "as_of": "2026-06-30", "name": f"{category}.csv"})
        body = ("\n".join(lines) + "\n").encode()
        report = self.pair.client("node/steward").logged_raw(f"/loads?{query}", body, "text/csv", LoadReport).answer
        assert report.rows_loaded == len(PEOPLE), report

    def object(self, subject: str, field: str, *, is_open: bool = True, withheld: bool = False) -> None:
        filed = Objection(subject=f"opaque:{subject}", field=field, open=is_open, withheld=withheld)
        self.clerk.logged("/objections", FileObjections(objections=(filed,)), Filed)

    def repair(self, subject: str, field: str, *, stands: bool = True) -> None:
        filed = Repair(subject=f"opaque:{subject}", field=field, stands=stands)
        self.clerk.logged("/repairs", FileRepairs(decision="信用修复〔2026〕7号", repairs=(filed,)), Filed)

    def ask(self) -> dict[str, CheckRecord | None]:
        """What is found of everybody, under one modeller's tickets; who may not be asked about is left out."""
        with self.pair.bank(MODELLER) as bank:
            results = PrivateQuery(bank, "contents", self.table).ask_many(PEOPLE)
        known = {result.subject.removeprefix("opaque:"): result.record for result in results if result.refused is None}
        return {person: None if record is None else FORM.decode(record) for person, record in known.items()}

    def build(self) -> None:
        """The next epoch, from the office's list as it is now."""
        self.pair.app.state.node._eligibility = None
        self.pair.build(self.table)


@pytest.fixture(scope="module")
def county(tmp_path_factory: pytest.TempPathFactory) -> Iterator[County]:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(pairs, "catalogue", lambda: replace(default_catalogue(), identity="opaque"))
        with services(tmp_path_factory.mktemp("contents")) as pair:
            yield County(pair)


def test_what_the_office_lists_is_in_the_next_epoch_and_not_before(county: County) -> None:
    county.build()
    before = county.ask()
    plain, expired = before["plain"], before["expired"]
    assert plain is not None
    assert expired is not None
    assert plain.fields == WHOLE
    assert plain.sources == {
        category: Source(department=department, as_of="2026-06-30")
        for category, department in (("demo", "NY"), ("judicial", "FY"), ("land", "NY"), ("supervision", DEPARTMENT))
    }
    assert plain.disputed == ()
    assert set(WHOLE) - set(expired.fields) == {"penalty_count_36m", "penalty_severity"}, "five years have passed"
    assert "supervision" not in expired.sources
    assert before == dict.fromkeys(PEOPLE, plain) | {"expired": expired}

    county.object("marked", "judgment_defaulter_flag")
    county.object("withheld", "judgment_defaulter_flag", withheld=True)
    county.object("gone", "*", withheld=True)
    county.object("everything", "*")
    county.repair("repaired", "penalty_severity")
    withdrawn = county.consents["withdrawn", ConsentKind.COLLECTION].id
    county.clerk.logged("/consents/revoke", RevokeConsent(consent=withdrawn), Empty)
    meanwhile = before.copy()
    del meanwhile["withdrawn"]
    assert county.ask() == meanwhile, "an epoch that is open does not change, but nobody may ask about who withdrew"

    county.build()
    again = county.pair.office.consent("opaque:withdrawn", ConsentKind.COLLECTION, recipient="*")
    county.clerk.logged("/consents", FileConsents(consents=(again,)), Filed)
    found = county.ask()
    assert found == before | {
        "marked": wire.replace(plain, disputed=("judgment_defaulter_flag",)),
        "everything": wire.replace(plain, disputed=FORM.fields),
        "withheld": without(plain, "judgment_defaulter_flag", "judicial"),
        "repaired": without(plain, "penalty_severity"),
        "gone": None,
        "withdrawn": None,  # the consent filed since counts from the next epoch
    }

    for person, field in (("marked", "judgment_defaulter_flag"), ("withheld", "judgment_defaulter_flag"), ("gone", "*")):
        county.object(person, field, is_open=False)
    county.object("everything", "*", is_open=False)
    county.repair("repaired", "penalty_severity", stands=False)
    county.build()
    assert county.ask() == before


def test_an_officer_reads_it(county: County) -> None:
    county.object("marked", "demo_level")
    county.build()
    with county.pair.bank(OFFICER) as bank:
        found = authorised_check(bank, "contents", "marked")
    assert found.record is not None
    assert (found.record.fields, found.record.disputed) == (WHOLE, ("demo_level",))
    assert "县级" not in repr(found)
    county.object("marked", "demo_level", is_open=False)


def without(record: CheckRecord, field: str, source: str = "") -> CheckRecord:
    fields = {name: value for name, value in record.fields.items() if name != field}
    return wire.replace(record, fields=fields, sources={k: v for k, v in record.sources.items() if k != source})


def test_the_node_says_what_its_fields_mean(county: County) -> None:
    with county.pair.bank(OFFICER) as bank:
        stated = stated_catalogue(bank)
    assert stated == replace(default_catalogue(), identity="opaque")
    chinese, english = meanings(stated, "zh"), meanings(stated, "en")
    assert (chinese["demo_level"].label, english["demo_level"].label) == ("示范级别", "Demonstration level")
    assert (chinese["demo_level"].words("县级"), english["demo_level"].words("县级")) == ("县级", "County")
    assert (chinese["leased_in_area"].words(1250.5), english["mortgage_flag"].words(value=True)) == ("1,250.5 亩", "yes")
    assert chinese["judgment_defaulter_flag"].words(value=False) == "否"
    meant = english["penalty_severity"]
    assert (meant.department, meant.category, meant.cycle) == ("SP", "supervision", "daily")
    assert (meant.grade, meant.mode) == ("L1", "O")
    assert meant.codes == {"无": "None", "轻微": "Minor", "一般": "Ordinary", "严重": "Serious"}
    assert meant.theme == "Administrative supervision"
    assert chinese["penalty_severity"].codes["严重"] == "严重"
