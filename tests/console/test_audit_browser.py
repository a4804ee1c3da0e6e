"""An auditor's journey in a real browser, by keyboard: search, the view of one access, a case, and its evidence as a file that
verifies without any service; a day that does not fit, and an alarm that is handled."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlencode

import msgspec
import pytest
from selenium.webdriver import Keys
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait
from sqlalchemy import delete, select
from stdnum.cn import ric

from audit.client.auditor import trust_of
from audit.database import writing
from audit.dossier.bundle import verify_bundle
from audit.dossier.evidence import VERIFIED
from audit.office import tables
from audit.office.reconcile import reconcile
from bank_client import Bank, authorised_check
from models.identity import parse_id
from models.loads import LoadReport
from models.parties import Role
from models.reconciliation import FINDINGS
from models.zones import day_at
from tests.browser import Browser
from tests.console.conftest import SignIn
from tests.console.place import PEOPLE, Place, Visitor
from tests.services import OFFICER

DIGITS = "33010519711112301"
NUMBER = DIGITS + ric.calc_check_digit(DIGITS + "0")
FIELDS = ("leased_out_area", "leased_in_area")


@dataclass
class Work:
    """What an officer did, and the day that was reconciled since."""

    table: str
    day: str


@pytest.fixture(scope="module")
def work(console: Place) -> Work:
    """Two checks of one farmer; one row deleted since; the day reconciled."""
    pair = console.pair
    query = urlencode({"field_set": "land", "as_of": "2026-06-30", "name": "land.csv"})
    body = f"citizen_id_no,leased_in_area,leased_out_area\n{NUMBER},8,1\n".encode()
    pair.client("node/steward").logged_raw(f"/loads?{query}", body, "text/csv", LoadReport)
    pair.office.consented(parse_id(NUMBER))
    table = pair.open_project("audited", fields=FIELDS)
    pair.app.state.node._eligibility = None
    pair.build(table)
    with pair.bank(OFFICER) as session:
        national = msgspec.structs.replace(session.config, identity="national")
    with Bank(national) as session:
        for _ in range(2):
            assert authorised_check(session, "audited", NUMBER).record is not None
    office = pair.office.office
    with writing(office.engine) as connection:
        shown = tables.access.c
        newest = select(shown.id, shown.at).where(shown.project == "audited").order_by(shown.id.desc())
        last = connection.execute(newest).first()
        assert last is not None
        connection.execute(delete(tables.access).where(shown.id == last.id))
    pair.office.clock.shift += 86_400
    try:
        run = reconcile(office, day_at(last.at, office.settings.zone))
    finally:
        pair.office.clock.shift -= 86_400
    assert run.state == FINDINGS
    return Work(table, run.day)


def test_an_auditors_journey(sign_in: SignIn, console: Place, work: Work, tmp_path: Path) -> None:
    window = sign_in(Role.AUDITOR)
    window.wait_for("待处理的报警")
    downloads(window, tmp_path)

    # A case is opened; then the search, by bank and time.
    window.press("案件")
    window.wait_for("立案")
    window.tab_to("案由")
    window.keys("群众询问：谁查询过我", Keys.ENTER)
    window.wait_for("还没有内容")
    window.press("查询检索")
    window.wait_for("每次检索都会记入日志")
    window.tab_to("银行")
    window.keys("bank-a")
    window.tab_to("项目")
    window.keys("audited")
    since = window.driver.find_element(By.ID, "since")  # how a moment is typed depends on the browser's language
    window.driver.execute_script("arguments[0].value = '2020-01-01T00:00'", since)
    window.press("检索")
    window.wait_for("bank-a/li")
    assert NUMBER not in window.driver.current_url
    window.shot("audit-search")

    # Everything behind it, checked here and now.
    window.press("查看")
    window.wait_for("一次查询的全部证据")
    window.wait_for("银行证明其盲化元素属于这位当事人")
    assert window.text.count("已核实") == 8
    assert "未通过" not in window.text
    window.shot("audit-access")
    window.press("加入案件")
    window.wait_for("证据与记录")
    window.tab_to("写一条记录")
    window.keys("本人到窗口询问，已核对身份证。")
    window.press("加入")
    window.wait_for("已核对身份证")

    # The day that does not fit goes into the case as well.
    window.press("每日对账")
    window.wait_for("许可 = 计算 + 未使用")
    window.shot("audit-days")
    window.tab_to(f"{work.day} 有不符")
    window.keys(Keys.ENTER)
    window.wait_for("R-07")
    window.wait_for("许可不在查询记录中")
    window.shot("audit-day")
    window.press("加入案件")
    window.wait_for("对账发现")

    # It ends with a finding; its evidence is verified and taken along.
    window.tab_to("结论")
    window.keys("一次查询有据；另一次的记录被删除，已报警。")
    window.press("结案")
    window.wait_for("周敏 于")
    window.press("核验证据包")
    window.wait_for("逐字节与签名一致")
    assert "未通过" not in window.text
    window.shot("audit-case")
    window.press("导出证据包")
    [file] = WebDriverWait(window.driver, 30).until(lambda _: list(tmp_path.glob("*.tar")))
    with console.session(PEOPLE[Role.AUDITOR][0]) as session:
        trust = trust_of(session)
    verdict = verify_bundle(file.read_bytes(), trust)
    assert verdict.failed == []
    [checks] = verdict.accesses.values()
    assert sum(check.state == VERIFIED for check in checks) == 8
    assert window.complaints() == []


def test_an_alarm_is_handled_with_a_reason(sign_in: SignIn, work: Work) -> None:
    window = sign_in(Role.AUDITOR)
    window.press("异常与报警")
    window.wait_for("R-07")
    window.shot("audit-alarms")
    window.choose("规则", "R-07")
    window.press("检索")
    window.wait_for("R-07")
    window.press("查看")
    window.wait_for("为什么报警")
    window.wait_for("实际 1，阈值 0")
    window.tab_to("理由")
    window.keys("记录已从备份恢复。")
    window.shot("audit-alarm")
    window.press("关闭")
    window.wait_for("已关闭")
    window.wait_for("记录已从备份恢复")
    window.press("English")
    window.wait_for("a ticket that 'who looked at me' lacks")
    assert window.complaints() == []


def test_the_export_has_every_row_and_no_formula(visitor: Visitor, work: Work) -> None:
    visitor.sign_in(Role.AUDITOR)
    visitor.get("/accesses")
    answer = visitor.post("/accesses", project="audited", csv="yes")
    assert answer.headers["content-disposition"] == 'attachment; filename="xinqiao-accesses.csv"'
    rows = list(csv.DictReader(io.StringIO(answer.content.decode("utf-8-sig"))))
    assert [(row["bank"], row["table"], row["outcome"]) for row in rows] == [("bank-a", work.table, "granted")]
    visitor.get("/accesses")
    assert visitor.post("/accesses", subject="not a number").status_code == 422
    assert visitor.get("/accesses/999999").status_code == 409
    assert visitor.get("/days/1999-01-01").status_code == 409


def test_these_pages_are_an_auditors(visitor: Visitor) -> None:
    visitor.sign_in(Role.CLERK)
    for path in ("/accesses", "/accesses/1", "/days", "/alarms", "/cases"):
        assert visitor.get(path).status_code == 403, path


def downloads(window: Browser, folder: Path) -> None:
    window.driver.execute_cdp_cmd("Browser.setDownloadBehavior", {"behavior": "allow", "downloadPath": str(folder)})
