"""From a delivery to an officer's check: what stands in an epoch, and what is absent from the next one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from urllib.parse import urlencode

import pytest

import tests.services as pairs
from bank_client import AuthorisedCheck, authorised_check
from bank_client.meanings import meanings, stated_catalogue
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
from models.problems import NoConsent
from models.records import Source
from tests.services import OFFICER, Services, services

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

    def check(self, subject: str) -> AuthorisedCheck:
        with self.pair.bank(OFFICER) as bank:
            return authorised_check(bank, "contents", subject)

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
    before = county.check("plain")
    assert before.record is not None
    assert before.record.fields == WHOLE
    assert before.record.sources == {
        "supervision": Source(department="SC/SP", as_of="2026-06-30"),
        "judicial": Source(department="FY", as_of="2026-06-30"),
        "land": Source(department="NY", as_of="2026-06-30"),
        "demo": Source(department="NY", as_of="2026-06-30"),
    } | {"supervision": before.record.sources["supervision"]}
    assert before.record.disputed == ()
    expired = county.check("expired").record
    assert expired is not None
    assert set(WHOLE) - set(expired.fields) == {"penalty_count_36m", "penalty_severity"}, "five years have passed"
    assert "supervision" not in expired.sources

    county.object("marked", "judgment_defaulter_flag")
    county.object("withheld", "judgment_defaulter_flag", withheld=True)
    county.object("gone", "*", withheld=True)
    county.object("everything", "*")
    county.repair("repaired", "penalty_severity")
    county.clerk.logged(
        "/consents/revoke", RevokeConsent(consent=county.consents["withdrawn", ConsentKind.COLLECTION].id), Empty
    )
    unchanged = county.check("withheld").record
    assert unchanged is not None
    assert unchanged.fields == WHOLE, "an epoch that is open does not change"

    county.build()
    found = {person: county.check(person).record for person in PEOPLE if person != "withdrawn"}
    assert found["plain"] == before.record
    assert found["marked"] is not None
    assert (found["marked"].fields, found["marked"].disputed) == (WHOLE, ("judgment_defaulter_flag",))
    assert found["everything"] is not None
    assert (found["everything"].fields, found["everything"].disputed) == (WHOLE, FIELDS)
    assert found["withheld"] is not None
    assert set(WHOLE) - set(found["withheld"].fields) == {"judgment_defaulter_flag"}
    assert "judicial" not in found["withheld"].sources
    assert found["repaired"] is not None
    assert set(WHOLE) - set(found["repaired"].fields) == {"penalty_severity"}
    assert found["gone"] is None
    with pytest.raises(NoConsent):
        county.check("withdrawn")

    again = county.pair.office.consent("opaque:withdrawn", ConsentKind.COLLECTION, recipient="*")
    county.clerk.logged("/consents", FileConsents(consents=(again,)), Filed)
    assert county.check("withdrawn").record is None, "who withdrew is not in the epoch built since, whatever was filed later"
    for person, field in (("marked", FIELDS[2]), ("withheld", FIELDS[2]), ("gone", "*"), ("everything", "*")):
        county.object(person, field, is_open=False)
    county.repair("repaired", "penalty_severity", stands=False)
    county.build()
    assert {person: county.check(person).record for person in PEOPLE if person != "expired"} == dict.fromkeys(
        (person for person in PEOPLE if person != "expired"), before.record
    )


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
    assert (meant.department, meant.grade, meant.mode, meant.cycle, meant.category) == ("SC", "L1", "O", "daily", "supervision")
    assert meant.codes == {"无": "None", "轻微": "Minor", "一般": "Ordinary", "严重": "Serious"}
    assert meant.theme == "Administrative supervision"
    assert chinese["penalty_severity"].codes["严重"] == "严重"
