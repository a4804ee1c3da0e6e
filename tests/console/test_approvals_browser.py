"""A clerk's and another clerk's work in a real browser: approvals, acts of two, suspension."""

from __future__ import annotations

import base64
from collections.abc import Iterator

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from selenium.webdriver import Keys
from selenium.webdriver.common.by import By

from models.approvals import ActKind, AskBudget, BudgetRequest
from models.logged import Empty
from models.parties import Role
from models.projects import ProjectStatus, Target
from tests.browser import Browser
from tests.console.conftest import SignIn
from tests.console.place import SECOND_CLERK, Place
from tests.console.test_approvals import act_of, register


@pytest.fixture
def rule(console: Place) -> Iterator[None]:
    """Two clerks for everything that the rule can name."""
    settings = console.pair.office.office.settings
    settings.second_clerk = ",".join(ActKind)
    yield
    settings.second_clerk = ""


def look_at(window: Browser, path: str) -> None:
    """Open what waits; in the same list may wait what other tests left."""
    window.follow(f"a[href='/approvals/{path}']")


def test_a_project_is_approved_with_what_is_needed_to_judge(sign_in: SignIn, console: Place) -> None:
    office = console.pair.office
    fields = ("contracted_land_area", "judgment_defaulter_flag", "credit_points")
    office.project("spring-2026", approve=False, title="春耕贷款受理", fields=fields, checks=500)
    window = sign_in(Role.CLERK)
    window.wait_for("待批项目")
    window.press("审批")
    window.wait_for("春耕贷款受理")
    window.shot("approvals")
    look_at(window, "projects/spring-2026")
    window.wait_for("申请使用的数据项")
    for known in ("credit_points", "分级", "依据", "500"):
        assert known in window.text
    window.shot("approval-project")
    window.tab_to("理由")
    window.keys("用途明确，数据项必要")
    window.press("批准")
    window.wait_for("已决定")
    assert office.modeller.get("/projects/spring-2026", ProjectStatus).state == "approved"


@pytest.mark.usefixtures("rule")
def test_one_clerk_files_an_enrolment_and_another_decides(sign_in: SignIn, console: Place) -> None:
    key = base64.b64encode(Ed25519PrivateKey.generate().public_key().public_bytes_raw()).decode()
    window = sign_in(Role.CLERK)
    window.press("机构与人员")
    window.wait_for("登记人员")
    window.shot("directory")
    window.press("登记人员")
    window.wait_for("公钥")
    window.choose("机构", "bank-a")
    window.tab_to("编号：机构")
    window.keys("gao.yuan")
    window.tab_to("名称")
    window.keys("高远")
    window.tab_to("公钥")
    window.keys("not a key")
    window.tab_to("理由")
    window.keys("新任建模员，身份证和任命书已核")
    window.press("登记人员")
    window.wait_for("公钥应为 32 字节")
    entered = window.driver.find_element(By.ID, "key")
    entered.clear()
    window.tab_to("公钥")
    window.keys(key)
    window.shot("enrol-person")
    window.press("登记人员")
    window.wait_for("等另一名经办决定")
    window.press("审批")
    window.wait_for("等第二名经办决定")
    filed = act_of(console, ActKind.ENROL_PERSON)
    look_at(window, f"acts/{filed.id}")
    window.wait_for("您自己提交的事项")
    assert "同意并办理" not in window.text
    window.press("退出")
    window.wait_for("密钥口令")
    other = sign_in(SECOND_CLERK[0])
    other.wait_for("等第二名经办决定")
    other.press("审批")
    other.wait_for("新任建模员")
    look_at(other, f"acts/{filed.id}")
    other.wait_for("高远")
    other.shot("act")
    other.tab_to("理由")
    other.keys("已当面核对指纹")
    other.press("同意并办理")
    other.wait_for("最近的复核事项")
    enrolled = {person.id for person in console.pair.office.directory().people}
    assert "bank-a/gao.yuan" in enrolled


@pytest.mark.usefixtures("rule")
def test_a_budget_beyond_the_factor_goes_to_a_second_clerk(sign_in: SignIn, console: Place) -> None:
    office = console.pair.office
    console.pair.office.office.settings.second_clerk = ""
    office.project("raise-me", fields=("credit_points",), checks=100)
    console.pair.office.office.settings.second_clerk = ",".join(ActKind)
    asked = AskBudget(project="raise-me", trainings=12, releases=4, checks=900, reason="整村授信，户数翻番")
    request = office.modeller.logged("/projects/raise-me/budget", asked, BudgetRequest).answer
    window = sign_in(Role.CLERK)
    window.press("审批")
    window.wait_for("整村授信，户数翻番")
    look_at(window, f"budgets/{request.id}")
    window.wait_for("原额度")
    window.shot("approval-budget")
    window.tab_to("理由")
    window.keys("有村两委名册为证")
    window.press("批准")
    window.wait_for("已提交，等另一名经办决定")


def test_a_model_is_judged_by_its_card(sign_in: SignIn, console: Place) -> None:
    register(console, "m-seen")
    window = sign_in(Role.CLERK)
    window.press("审批")
    window.wait_for("m-seen")
    window.go(f"{console.url}/approvals/models/m-seen")
    window.wait_for("泄露声明")
    window.shot("approval-model")


def test_a_suspended_clerk_is_out_within_a_minute(sign_in: SignIn, window: Browser, console: Place) -> None:
    sign_in(SECOND_CLERK[0])
    target = Target(kind="person", id=SECOND_CLERK[0], suspended=True, reason="test")
    console.pair.office.clerk.logged("/suspensions", target, Empty)
    try:
        console.console.sweep()  # as every twenty seconds
        window.go(f"{console.url}/approvals")
        window.wait_for("密钥口令")
    finally:
        lift = Target(kind="person", id=SECOND_CLERK[0], suspended=False, reason="test")
        console.pair.office.clerk.logged("/suspensions", lift, Empty)


def test_a_clerk_suspends_a_bank(sign_in: SignIn, console: Place) -> None:
    window = sign_in(Role.CLERK)
    window.press("机构与人员")
    window.wait_for("bank-b")
    window.press("变更 bank-b/ap")
    window.wait_for("暂停立即生效")
    window.keys("离职")
    window.press("暂停")
    window.wait_for("已办理")
    assert next(each for each in console.pair.office.directory().people if each.id == "bank-b/ap").suspended
    window.press("变更 bank-b/ap")
    window.wait_for("解除暂停")
    window.keys("误操作")
    window.keys(Keys.TAB, Keys.ENTER)
    window.wait_for("已办理")
