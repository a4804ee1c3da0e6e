"""A supervisor's journey in a real browser: sign in, the year, a county, the CSV, the printable page, the official report."""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import Iterator

import pytest
from selenium.webdriver import Keys
from selenium.webdriver.common.by import By

from audit.database import writing
from audit.service.leaves import LeafDraft, finish
from models import wire
from models.consents import Purpose
from models.logged import Empty
from models.parties import Role
from models.supervision.messages import CoverageStatement, Freshness, YearlyReport
from models.supervision.periods import Quarter
from models.supervision.steps import FEW
from models.wire import Signed
from tests.console.conftest import SignIn
from tests.console.place import Place, Visitor
from tests.office.test_supervision import DAY, NORTH, SOUTH, citizen, file, line, statement, this_month
from tests.office.world import World


def asked_before(office: World) -> None:
    """What a quarter's questions, batches and objections leave in the log, with what it opens to."""
    drafts = []
    for bank, purpose, granted, refused in (
        ("bank-a", Purpose.LOAN_APPROVAL, 214, 31),
        ("bank-a", Purpose.POST_LOAN, 83, 4),
        ("bank-b", Purpose.LOAN_APPROVAL, 127, 22),
    ):
        for number in range(granted + refused):
            opening = {"subject": citizen(NORTH if number % 3 else SOUTH, number), "purpose": purpose}
            outcome = "done" if number < granted else "refused"
            drafts.append((bank, LeafDraft("ticket", {"purpose": purpose} if outcome == "done" else {}, opening, outcome)))
        drafts.append((bank, LeafDraft("batch.file", {"batch": f"{bank}-1"})))
    for number in range(26):
        opening = {"subject": citizen(NORTH, number)}
        drafts.append(("office", LeafDraft("dispute.file", {"case": f"case-{number}"}, opening)))
        if number < 14:
            drafts.append(("office", LeafDraft("dispute.answer", {"case": f"case-{number}", "finding": "corrected"}, opening)))
    leaves = [finish(draft, institution=who, at=office.now, who={}) for who, draft in drafts]
    with writing(office.office.engine) as connection:
        office.office.log.store_openings(connection, {leaf.commitment: leaf.opening for leaf in leaves})
        queued = office.office.log.enqueue_all(connection, [leaf.entry for leaf in leaves])
    office.office.log.wait(queued[-1], 30)


def delivered() -> tuple[Freshness, ...]:
    rows = (
        ("FG", "credit", "daily", 1, 18_400, 300, 120),
        ("JG", "insurance", "month", 31, 9_100, 2_600, 0),
        ("NY", "land", "month", 31, 7_900, 6_200, 1_300),
        ("XZ", "basic", "halfyear", 184, 19_800, 0, 0),
        ("UT", "fiscal_utility", "month", 31, 2_100, 5_400, 9_300),
    )
    found = []
    for d, c, cycle, days, fresh, late, old in rows:
        ages = {"fresh": fresh, "late": late or FEW, "old": old or FEW}
        found.append(Freshness(department=d, category=c, cycle=cycle, days=days, newest="2026-06-30", **ages))
    return tuple(found)


@pytest.fixture(scope="module")
def year(console: Place) -> Iterator[int]:
    """A year with coverage, freshness and credit of two counties."""
    office, zone = console.pair.office, console.pair.office.office.settings.zone
    quarter, before = _quarter(office), office.clock.shift
    if quarter.number == 1:  # credit is reported of quarters that are over, and this year has none yet
        quarter = quarter.next()
        office.clock.shift += quarter.begins(zone) + DAY - office.now
    asked_before(office)
    office.client("node/op").logged(
        "/statements/coverage", office.by_node(statement(this_month(office), freshness=delivered())), Empty
    )
    towns = [
        line(f"{NORTH}{100 + n}", agricultural=4_000_000 + 900_000 * n, agricultural_borrowers=40 + 10 * n) for n in range(6)
    ]
    file(office, *towns, line(f"{SOUTH}100", agricultural=900_000, agricultural_borrowers=7))
    file(office, line(f"{NORTH}100", agricultural=9_000_000), person="bank-b/ap", bank="bank-b")
    yield quarter.year
    office.clock.shift = before


def _quarter(office: World) -> Quarter:
    return Quarter.at(office.now, office.office.settings.zone)


def test_from_sign_in_to_csv_and_paper(sign_in: SignIn, console: Place, year: int) -> None:
    window = sign_in(Role.SUPERVISOR)
    window.press("监管统计")
    window.wait_for(f"{year} 年农村信用数据共享统计")
    window.wait_for("涉农贷款占比")
    assert window.driver.find_elements(By.CSS_SELECTOR, "svg.chart rect.s0")
    assert window.driver.find_elements(By.CSS_SELECTOR, "td.heat-0")
    assert window.driver.find_elements(By.CSS_SELECTOR, "td.heat-4")
    window.shot("supervision")
    window.choose("地区", NORTH)
    window.press("查看")
    window.wait_for(f"{NORTH}105")
    assert f"{SOUTH}" not in window.driver.find_element(By.CLASS_NAME, "figures").text
    window.shot("supervision-county")
    window.tab_to("打印版")
    window.keys(Keys.ENTER)
    window.wait_for("打印")
    window.wait_for(f"{year} 年农村信用数据共享统计 · {NORTH}")
    window.shot("supervision-print")
    window.press("返回")
    window.wait_for("导出表格")
    window.press("English")
    window.wait_for("Share of agricultural credit")
    window.shot("supervision-english")
    assert window.complaints() == []


def test_the_export_is_the_county_that_was_chosen(visitor: Visitor, year: int) -> None:
    visitor.sign_in(Role.SUPERVISOR)
    answer = visitor.get(f"/supervision/export?year={year}&county={NORTH}")
    assert answer.headers["content-disposition"] == f'attachment; filename="xinqiao-{year}-{NORTH}.csv"'
    assert answer.content.startswith(b"\xef\xbb\xbf")
    rows = list(csv.DictReader(io.StringIO(answer.content.decode("utf-8-sig"))))[1:]
    assert {row["area"][:6] for row in rows} <= {"", NORTH}
    assert any(row["area"] == f"{NORTH}105" for row in rows)
    assert visitor.get("/supervision?year=1999").status_code == 404
    assert visitor.get(f"/supervision?year={year}&county=' OR 1=1").status_code == 200


def test_others_do_not_see_figures(visitor: Visitor) -> None:
    visitor.sign_in(Role.CLERK)
    for path in ("/supervision", "/supervision/export", "/yearly-reports"):
        assert visitor.get(path).status_code == 403


def test_an_official_report_is_issued_after_the_year_and_its_files_are_what_was_signed(
    visitor: Visitor, console: Place, year: int
) -> None:
    visitor.sign_in(Role.SUPERVISOR)
    visitor.get("/yearly-reports")
    visitor.post("/yearly-reports", year=str(year))
    assert "年度结束后才能出具" in visitor.text
    office = console.pair.office
    before = office.clock.shift, console.clock.shift
    office.clock.shift += Quarter(year + 1, 1).begins(office.office.settings.zone) + DAY - office.now
    try:
        visitor.get("/yearly-reports")
        visitor.post("/yearly-reports", year=str(year))
        visitor.follow()
        assert f"{year} 年 第 1 号" in visitor.text
        files = {name: visitor.get(f"/yearly-reports/{year}/1/{name}").content for name in ("csv", "zh", "en", "word")}
    finally:
        office.clock.shift, console.clock.shift = before
    signed = wire.decode(files["word"], Signed)
    word = wire.open_signed(signed, YearlyReport, "office", office.office.keys.statement.public_key())
    assert [word.csv, word.page_zh, word.page_en] == [hashlib.sha256(files[name]).hexdigest() for name in ("csv", "zh", "en")]
    assert CoverageStatement.__name__ not in files["zh"].decode()
