"""The desk in a real browser, by keyboard alone, in both languages."""

from __future__ import annotations

from pathlib import Path

import pytest
from selenium.webdriver import Keys
from selenium.webdriver.common.by import By

from models.http_client import SignedClient
from tests.browser import Browser, browser
from tests.desk.place import BROKEN, DISPUTED, KNOWN, NEWCOMER, PASSPHRASE, Branch, Place


def sign_in(window: Browser, branch: Branch, name: str) -> None:
    window.sign_in(branch.url, name, PASSPHRASE)
    window.wait_for(name)


def enter(window: Browser, number: str, reference: str) -> None:
    """From the start page to the consents."""
    window.press("新的查询")
    window.wait_for("申请人信息")
    window.keys(number)
    window.wait_for("格式正确")
    window.tab_to("申请编号")
    window.keys(reference, Keys.ENTER)
    window.wait_for("查询需要两项授权")


def test_a_check_from_sign_in_to_decision(window: Browser, fumin: Branch) -> None:
    window.go(f"{fumin.url}/")
    window.wait_for("密钥口令")
    window.shot("signin")
    sign_in(window, fumin, "陈建国")
    window.press("新的查询")
    window.wait_for("申请人信息")
    window.keys(DISPUTED[:-1] + ("0" if DISPUTED[-1] != "0" else "1"))
    window.wait_for("校验码不对")
    window.keys(Keys.BACKSPACE, DISPUTED[-1])
    window.wait_for("公民身份号码，格式正确")
    window.tab_to("申请编号")
    window.keys("CG-2026-0417")
    window.shot("person")
    window.keys(Keys.ENTER)
    window.wait_for("查询需要两项授权")
    assert DISPUTED not in window.driver.page_source
    window.shot("consents")
    window.press("开始查询")
    window.wait_for("查询结果")
    window.wait_for("有异议")
    assert window.focused.text == "查询结果", "a screen reader begins with what was found"
    window.shot("record")
    window.press("查看和打印回执")
    window.wait_for("离线验证")
    window.shot("receipt")
    window.press("信贷员工作台")
    window.wait_for("今天的查询")
    window.shot("start")
    window.press("登记决定")
    window.wait_for("贷款决定")
    window.tab_to("同意贷款")
    window.keys(Keys.SPACE, Keys.ENTER)
    window.wait_for("已登记：同意贷款")
    window.press("首页")
    window.wait_for("没有待登记的决定")
    addresses = window.driver.execute_script("return location.href + document.title + history.length")
    assert DISPUTED not in addresses
    window.press("退出")
    window.wait_for("密钥口令")
    window.driver.back()
    window.wait_for("密钥口令")
    assert "CG-2026-0417" not in window.text, "the back button does not bring a page back"


def test_two_people_in_two_browsers(window: Browser, huinong: Branch, shots: Path | None) -> None:
    with browser(shots) as second:
        sign_in(window, huinong, "刘志强")
        sign_in(second, huinong, "赵敏")
        second.wait_for("没有待复核的查询")
        enter(window, KNOWN, "HN-88")
        window.press("提交复核")
        window.wait_for("等待复核")
        window.shot("waiting")
        second.wait_for("HN-88")
        second.press("处理")
        second.wait_for("您同意后")
        assert KNOWN not in second.text
        second.press("显示号码")
        second.wait_for(KNOWN)
        second.shot("approval")
        second.tab_to("不同意的理由")
        second.keys("先补充资料", Keys.ENTER)
        window.wait_for("赵敏 未同意：先补充资料")
        window.press("重新提交")
        window.wait_for("查询需要两项授权")
        window.press("提交复核")
        second.wait_for("HN-88")
        second.press("处理")
        second.wait_for("您同意后")
        second.press("同意")
        second.wait_for("没有待复核的查询")
        window.wait_for("赵敏 已同意")
        window.press("开始查询")
        window.wait_for("862")
        assert second.complaints() == []


def test_consent_at_the_counter(window: Browser, fumin: Branch, tmp_path: Path) -> None:
    scan = tmp_path / "form.pdf"
    scan.write_bytes(b"%PDF-1.7 a signed form")
    sign_in(window, fumin, "陈建国")
    enter(window, NEWCOMER, "CG-9")
    window.wait_for("补齐授权后才能查询")
    window.tab_to("见证人")
    window.keys("杨")
    window.driver.find_element(By.ID, "scan").send_keys(str(scan))
    window.shot("counter")
    window.press("登记授权")
    window.wait_for("从下一期数据开始生效")
    assert "缺少" not in window.text
    window.shot("next-epoch")
    window.press("仍要查询")
    window.wait_for("没有记录")


def test_a_damaged_record_says_what_to_do(window: Browser, fumin: Branch, monkeypatch: pytest.MonkeyPatch) -> None:
    send = SignedClient._send

    def flipped(self: SignedClient, method: str, path: str, *rest: object, **named: object) -> bytes:
        answer = send(self, method, path, *rest, **named)  # type: ignore[arg-type]
        return answer[:-5] + bytes(255 - byte for byte in answer[-5:]) if path.endswith("/columns") else answer

    sign_in(window, fumin, "陈建国")
    enter(window, BROKEN, "CG-13")
    monkeypatch.setattr(SignedClient, "_send", flipped)
    window.press("开始查询")
    window.wait_for("数据损坏，未能读取")
    window.wait_for("已告知信用办")
    window.shot("damaged")
    window.tab_to("同意贷款")
    window.keys(Keys.ARROW_UP, Keys.ENTER)  # round to the last
    window.wait_for("已登记：未使用")


def test_english_and_a_small_screen(place: Place, fumin: Branch, shots: Path | None) -> None:
    with browser(shots, width=420) as window:
        window.go(f"{fumin.url}/signin")
        window.press("English")
        window.wait_for("Passphrase of your key")
        sign_in(window, fumin, "陈建国")
        window.press("New check")
        window.wait_for("The applicant")
        window.keys(DISPUTED)
        window.wait_for("A citizen number, well formed")
        window.keys(Keys.ENTER)
        window.wait_for("Stands")
        window.press("Make the check")
        window.wait_for("Lawsuits, last 36 months")
        window.wait_for("Crops")
        window.shot("record-english")
        wide = window.driver.execute_script("return document.documentElement.scrollWidth - innerWidth")
        assert wide <= 0, "nothing is wider than the screen"
        assert window.complaints() == []
