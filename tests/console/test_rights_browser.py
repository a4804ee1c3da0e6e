"""The subject's journey from the account's slip to the file in hand, and the clerk's answer; a real browser, by keyboard."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlencode

import msgspec
import pytest
import typer
from selenium.webdriver import Keys
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait
from sqlalchemy import Table, select
from stdnum.cn import ric
from typer.testing import CliRunner, Result

from audit.archive_cli import verify_archive
from audit.office.rights_tables import dispute, repair_case
from bank_client import Bank, authorised_check
from models.disputes import AnswerCorrection, Corrections, Filing
from models.identity import parse_id
from models.loads import LoadReport
from models.logged import Empty
from models.parties import Role
from tests.browser import PATIENCE, Browser, browser
from tests.console.conftest import SignIn
from tests.console.place import Place
from tests.services import OFFICER

FIELDS = ("leased_out_area", "leased_in_area")
DIGITS = "11010519640301204"
NUMBER = DIGITS + ric.calc_check_digit(DIGITS + "0")
SUBJECT = parse_id(NUMBER)


@pytest.fixture
def desk(shots: Path | None) -> Iterator[Browser]:
    """The clerk's browser, beside the subject's."""
    with browser(shots) as opened:
        yield opened
        assert opened.complaints() == []


def load(console: Place, area: str, day: str) -> str:
    """The steward delivers the person's records; the delivery's batch."""
    query = urlencode({"field_set": "land", "as_of": day, "name": "land.csv"})
    body = f"citizen_id_no,leased_in_area,leased_out_area\n{NUMBER},{area},3\n".encode()
    report = console.pair.client("node/steward").logged_raw(f"/loads?{query}", body, "text/csv", LoadReport).answer
    assert report.rows_loaded == 1, report
    return report.batch


def verify(file: Path, keys: list[str]) -> Result:
    """`xinqiao verify-archive`."""
    app = typer.Typer()
    app.command()(verify_archive)
    return CliRunner().invoke(app, [str(file), "--office-key", keys[0], "--node-key", keys[1]])


def case_of(console: Place, table: Table) -> str:
    """The subject's latest case; other people have theirs in the same list."""
    with console.pair.office.office.engine.connect() as connection:
        latest = select(table.c.id).where(table.c.subject == SUBJECT).order_by(table.c.filed_at.desc())
        return str(connection.execute(latest).scalars().first())


def disputed(console: Place, table: str) -> tuple[str, ...]:
    """What an officer's check of the next epoch shows as disputed."""
    console.pair.app.state.node._eligibility = None
    console.pair.build(table)
    with console.pair.bank(OFFICER) as session:
        national = msgspec.structs.replace(session.config, identity="national")
    with Bank(national) as session:
        record = authorised_check(session, "journey", NUMBER).record
    assert record is not None
    return record.disputed


def test_a_subjects_journey(sign_in: SignIn, window: Browser, desk: Browser, console: Place, tmp_path: Path) -> None:
    load(console, "12.5", "2026-06-30")
    console.pair.office.consented(SUBJECT)
    table = console.pair.open_project("journey", fields=FIELDS)
    assert disputed(console, table) == ()

    # At the window a clerk has checked the papers and opens an account.
    sign_in(Role.CLERK, into=desk)
    desk.press("本人权益")
    desk.wait_for("待答复的异议")
    desk.tab_to("居民身份证号")
    desk.keys(NUMBER, Keys.ENTER)
    desk.wait_for("没有自助账户")
    assert NUMBER not in desk.driver.current_url
    desk.shot("rights-person")
    desk.press("开立账户")
    desk.wait_for("一次性代码")
    login = desk.driver.find_element(By.ID, "login").text
    assert console.account(SUBJECT) == login

    # The subject signs in and sees who looked.
    sign_in(account=login)
    window.press("查询记录")
    window.wait_for("bank-a")
    window.wait_for("贷款审批")
    window.wait_for("尚未报告")
    window.shot("me-accesses")
    window.press("我的档案")
    window.wait_for("12.5 亩")
    window.wait_for("《中华人民共和国个人信息保护法》第四十五条")
    window.shot("me-archive")

    # An objection with a file; the next check shows the mark.
    window.go(f"{console.url}/me/disputes?field=leased_in_area")
    window.tab_to("哪里不对")
    window.keys("我流转入的是 21.5 亩")
    photo = tmp_path / "合同.jpg"
    photo.write_bytes(b"\xff\xd8 a photograph of the contract")
    window.tab_to("证据文件").send_keys(str(photo))
    window.press("提交异议")
    window.wait_for("剩余 20 天")
    window.shot("me-disputes")
    assert disputed(console, table) == ("leased_in_area",)

    # The clerk asks the source, which corrects, and answers in writing.
    desk.press("本人权益")
    desk.wait_for("本人自助提出")
    desk.shot("rights-start")
    desk.follow(f"a[href='/rights/disputes/{case_of(console, dispute)}']")
    desk.wait_for("我流转入的是 21.5 亩")
    desk.wait_for("合同.jpg")
    desk.tab_to("请来源单位核查什么")
    desk.keys("请核对流转合同")
    desk.press("发给数据来源单位")
    desk.wait_for("待答复")
    steward = console.pair.office.client("node/steward")
    [asked] = steward.logged("/corrections/list", Empty(), Corrections).answer.corrections
    batch = load(console, "21.5", "2026-07-31")
    said = AnswerCorrection(corrected=True, reply="合同为 21.5 亩，已更正", batch=batch)
    steward.logged(f"/corrections/{asked.id}/answer", said, Filing)
    desk.driver.refresh()
    desk.wait_for("已更正")
    desk.shot("rights-dispute")
    desk.tab_to("更正")
    desk.keys(Keys.SPACE)
    desk.tab_to("答复内容")
    desk.keys("经核对合同，面积应为 21.5 亩。")
    desk.press("签发答复")
    desk.wait_for("数据来源单位已经更正")
    desk.shot("rights-letter")

    # The letter is there, and the file can be taken home.
    window.press("异议")
    window.wait_for("已更正")
    window.press("书面答复")
    window.wait_for("面积应为 21.5 亩")
    window.press("我的档案")
    window.wait_for("21.5 亩")
    allowed = {"behavior": "allow", "downloadPath": str(tmp_path)}
    window.driver.execute_cdp_cmd("Browser.setDownloadBehavior", allowed)
    window.press("下载（JSON")
    file = tmp_path / "credit-file.json"
    WebDriverWait(window.driver, PATIENCE).until(lambda _: file.exists())
    whole = file.read_text(encoding="utf-8")
    kept = msgspec.json.decode(whole)
    assert kept["archive"]["subject"] == SUBJECT
    assert [one["bank"] for one in kept["accesses"]] == ["bank-a"] * 2
    office, node = console.pair.office.office.keys.statement, console.pair.office.node_key
    keys = [base64.b64encode(key.public_key().public_bytes_raw()).decode() for key in (office, node)]
    told = verify(file, keys)
    assert (told.exit_code, "letter" in told.stdout, "corrected" in told.stdout) == (0, True, True), told.output
    payload = kept["signed"]["archive"]["payload"]
    file.write_text(whole.replace(payload, payload[:40] + ("A" if payload[40] != "A" else "B") + payload[41:]))
    assert verify(file, keys).exit_code == 1
    assert verify(file, keys[::-1]).exit_code == 1


def test_a_clerk_does_not_decide_what_they_filed(console: Place, sign_in: SignIn, window: Browser) -> None:
    sign_in(Role.CLERK)
    window.press("本人权益")
    window.wait_for("待答复的异议")
    window.tab_to("居民身份证号")
    window.keys(NUMBER, Keys.ENTER)
    window.press("信用修复")
    window.wait_for("没有提出过申请")
    window.tab_to("理由")
    window.keys("罚款已缴清")
    window.press("提交申请")
    window.wait_for("审查中")
    window.go(f"{console.url}/rights")
    window.follow(f"a[href='/rights/repairs/{case_of(console, repair_case)}']")
    window.wait_for("罚款已缴清")
    window.tab_to("理由（告知本人）")
    window.keys("材料齐全")
    window.press("准予修复")
    window.wait_for("应由另一名经办决定")
    window.shot("rights-repair-refused")
