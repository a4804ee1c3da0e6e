"""The clerk's journey: a consent is taken, its receipt verified offline, the consent withdrawn, and a ticket refused."""

from __future__ import annotations

import base64
import hashlib
import stat
from datetime import date, timedelta
from pathlib import Path
from urllib.parse import urlencode

import httpx2
import pytest
import typer
from selenium.webdriver import Keys
from selenium.webdriver.common.by import By
from typer.testing import CliRunner

from audit.consent_cli import verify_consent
from models import wire
from models.consent_drives import HEADINGS
from models.consent_receipts import ConsentStatement, parse_receipt
from models.consents import AskConsents, ConsentKind, ConsentsOf, ConsentState
from models.loads import LoadReport
from models.logged import Empty
from models.parties import Role
from models.problems import NoConsent
from models.rights import OpenAccount
from tests.browser import Browser
from tests.console.conftest import SignIn
from tests.console.place import Place, Visitor

PERSON = "11010519491231002X"
MASKED = "1101**********002X"
FIELDS = ("contracted_land_area", "leased_in_area")
OTHER = "91110000600037341L"
FRESH, OWNER = "91350100M000100Y43", "91530100M0001002XQ"
FORM = b"%PDF-1.7 signed by hand"
LAST = str(date.today() + timedelta(days=400))
"""When consents of these tests end."""


@pytest.fixture(scope="module")
def asking(console: Place) -> str:
    """A bank's project whose table has the person in it; a bank's officer may ask."""
    pair = console.pair
    rows = (f"{PERSON},,农户,12,3", f",{OTHER},农民合作社,,30")
    body = "".join(f"{line}\n" for line in (f"citizen_id_no,uscc,subject_type,{','.join(FIELDS)}", *rows)).encode()
    query = urlencode({"field_set": "land", "as_of": "2026-06-30", "name": "land.csv"})
    loaded = pair.client("node/steward").logged_raw(f"/loads?{query}", body, "text/csv", LoadReport).answer
    assert loaded.rows_loaded == 2, loaded
    pair.office.file(pair.office.consent(f"organisation:{OTHER}", ConsentKind.COLLECTION))
    table = pair.open_project("window-checks", fields=FIELDS)
    return pair.build(table).table


def ask(console: Place, table: str) -> None:
    office = console.pair.office
    office.ask(office.question(f"citizen:{PERSON}", project="window-checks", table=table))


def upload(window: Browser, label: str, file: Path) -> None:
    window.tab_to(label).send_keys(str(file))


def fetched(window: Browser, url: str) -> httpx2.Response:
    """What this browser would be given under an address."""
    cookies = {cookie["name"]: cookie["value"] for cookie in window.driver.get_cookies()}
    return httpx2.get(url, cookies=cookies, timeout=60.0, trust_env=False)


def test_a_consent_from_the_window_to_its_withdrawal(
    sign_in: SignIn, console: Place, asking: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    form = tmp_path / "form.pdf"
    form.write_bytes(FORM)
    window = sign_in(Role.CLERK)
    # Codes one after the other shift the console's clock, and what begins ahead of the office's clock does not count yet.
    monkeypatch.setattr(console.clock, "shift", 0.0)
    window.press("授权")
    window.wait_for("查看、办理或撤回")
    window.shot("consents-find")
    window.keys("11010519491231002", Keys.ENTER)
    window.wait_for("号码无效")
    typed = window.tab_to("公民身份号码")
    typed.clear()
    typed.send_keys(PERSON, Keys.ENTER)
    window.wait_for(f"{MASKED} 的授权")
    assert PERSON not in window.driver.current_url
    assert PERSON not in window.text
    with pytest.raises(NoConsent):
        ask(console, asking)

    # file a collection and a query consent to the bank
    window.press("办理授权")
    window.wait_for("扫描件只留在本平台")
    window.tick("采集授权")
    window.choose("授权给", "bank-a")
    window.tab_to("登记授权")
    window.keys(Keys.ENTER)
    window.wait_for("请上传授权书扫描件")
    upload(window, "已签字授权书的扫描件", form)
    window.tick("采集授权")
    window.shot("consents-new")
    window.press("登记授权")
    window.wait_for("凭证")
    assert "经办人 李娜" in window.text
    assert "采集授权" in window.text
    assert "查询授权" in window.text
    assert window.text.count("有效") >= 2
    window.shot("consents-person")
    kept = console.config.data_dir / "forms" / f"{hashlib.sha256(FORM).hexdigest()}.pdf"
    assert kept.read_bytes() == FORM
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    ask(console, asking)

    # the receipt, on paper and as a file
    window.press("凭证")
    window.wait_for("Xinqiao consent receipt")
    window.wait_for("您可以随时撤回授权")
    pictures = window.driver.find_elements(By.CSS_SELECTOR, ".qr svg")
    assert 1 <= len(pictures) <= 6
    assert pictures[0].size["width"] > 150
    window.shot("consents-receipt")
    answer = fetched(window, f"{window.driver.current_url}.txt")
    receipt = tmp_path / "receipt.txt"
    receipt.write_bytes(answer.content)
    app = typer.Typer()
    app.command()(verify_consent)
    keys = console.pair.office.office.keys
    office_key = base64.b64encode(keys.statement.public_key().public_bytes_raw()).decode()
    log_key, witness = str(console.pair.office.office.log.signer.key), console.config.services.witness_keys("office")
    given = [str(receipt), "--office-key", office_key, "--log-key", log_key]
    done = CliRunner().invoke(app, [*given, *(part for key in witness for part in ("--witness-key", str(key)))])
    assert done.exit_code == 0, done.output
    assert "Good: the office signed this" in done.output

    # the person withdraws, and no ticket is given any more
    window.press("返回")
    window.wait_for(f"{MASKED} 的授权")
    while True:
        window.press("撤回")
        window.wait_for("撤回不可恢复")
        window.shot("consents-withdraw")
        window.press("确认撤回")
        window.wait_for(f"{MASKED} 的授权")
        if "撤回" not in [link.text for link in window.driver.find_elements(By.CSS_SELECTOR, ".act a")]:
            break
    window.wait_for("已撤回")
    with pytest.raises(NoConsent):
        ask(console, asking)
    window.press("凭证")
    window.wait_for("由本人撤回")
    assert window.complaints() == []


def test_a_villages_table(sign_in: SignIn, console: Place, tmp_path: Path) -> None:
    rows = (
        ",".join(zh for zh, _ in HEADINGS.values()),
        f"{PERSON},查询,bank-b,贷后管理,全部,,2026-01-01,{LAST},,,,",
        f"11010519491231002,查询,bank-b,贷后管理,全部,,2026-01-01,{LAST},,,,",
    )
    table, scans = tmp_path / "village.csv", tmp_path / "scans.pdf"
    table.write_bytes("".join(f"{row}\r\n" for row in rows).encode("utf-8-sig"))
    scans.write_bytes(b"%PDF-1.7 all forms")
    window = sign_in(Role.CLERK)
    window.press("授权")
    window.press("批量登记")
    window.wait_for("一行一份授权")
    window.tab_to("地点")
    window.keys("柳河村", Keys.TAB, "bank-a/li", Keys.TAB, "村支书周")
    upload(window, "授权表", table)
    window.press("先检查")
    window.wait_for("检查结果：2 行中 1 行可以登记")
    upload(window, "授权表", table)
    upload(window, "全部授权书", scans)
    window.press("登记全部")
    window.wait_for("已登记：2 行中的 1 行")
    window.shot("consents-drive")
    left = fetched(window, f"{console.url}/consents/drive/left-out.csv")
    assert left.text.count("11010519491231002") == 1
    assert PERSON not in left.text
    assert window.complaints() == []


def test_only_clerks_and_only_whom_they_found(console: Place, visitor: Visitor) -> None:
    assert visitor.sign_in(Role.AUDITOR).get("/consents").status_code == 403
    visitor.post("/signout")
    clerk = Visitor(console).sign_in(Role.CLERK)
    for path in ("/consents/people/nobody", "/consents/people/nobody/0/receipt", "/consents/drive/left-out.csv"):
        assert clerk.get(path).status_code == 404
    clerk.get("/consents")
    clerk.post("/consents/find", subject=PERSON)
    page = clerk.last.headers["location"]
    assert clerk.follow().status_code == 200
    other = Visitor(console).sign_in("office/zhao.lei")
    assert other.get(page).status_code == 404, "a handle is good in the seat that has it"
    assert clerk.get(f"{page}/999/receipt").status_code == 404


WRONG: dict[str, tuple[dict[str, object], str]] = {
    "no kind": ({"kinds": []}, "请选择授权种类"),
    "no recipient": ({"recipient": "bank-x"}, "请选择授权给哪一家机构"),
    "no purpose": ({"purposes": "curiosity"}, "请选择用途"),
    "no fields": ({"field_sets": []}, "请选择数据"),
    "the past": ({"until": "2020-01-01"}, "有效期应在明天之后"),
    "no witness": ({"capture": "officer"}, "写明经办人和见证人"),
    "no number": ({"capture": "esign"}, "请填写电子签名编号"),
}


def test_what_is_missing_is_said_and_nothing_filed(console: Place) -> None:
    clerk = Visitor(console).sign_in(Role.CLERK)
    clerk.get("/consents")
    clerk.post("/consents/find", subject=FRESH)
    page = clerk.follow().request.url.path
    good: dict[str, object] = {
        "kinds": str(ConsentKind.QUERY), "recipient": "bank-a", "purposes": "loan-approval", "field_sets": "*",
        "until": LAST, "capture": "window", "captured_by": "office/li.na", "witness": "", "reference": "",
    }  # fmt: skip
    for name, (changes, said) in WRONG.items():
        clerk.get(f"{page}/new")
        clerk.post(f"{page}/new", files={"scan": ("f.pdf", FORM)}, **(good | changes))
        assert (clerk.last.status_code, said in clerk.text) == (422, True), name
    for scan, said in ((b"", "请上传"), (b"MZ", "PDF、JPEG 或 PNG")):
        clerk.post(f"{page}/new", files={"scan": ("f.pdf", scan)}, **good)
        assert (clerk.last.status_code, said in clerk.text) == (422, True)
    assert "没有登记过授权" in Visitor.get(clerk, page).text
    sensitive = good | {"field_sets": [], "sensitive_fields": ["real_estate_count", "social_ins_months"]}
    clerk.get(f"{page}/new")
    clerk.post(f"{page}/new", files={"scan": ("f.pdf", FORM)}, **sensitive)
    clerk.follow()
    assert "不动产登记数、社保缴费月数" in clerk.text


def test_a_subject_sees_keeps_and_withdraws_in_the_own_account(sign_in: SignIn, console: Place) -> None:
    office, subject = console.pair.office, f"organisation:{OWNER}"
    office.file(*(office.consent(subject, kind, recipient="bank-a") for kind in (ConsentKind.COLLECTION, ConsentKind.QUERY)))
    office.file(office.consent(f"organisation:{OTHER}", ConsentKind.QUERY))
    login = console.account(subject)
    office.clerk.logged("/accounts", OpenAccount(account=login, subject=subject, checked="营业执照"), Empty)
    window = sign_in(account=login)
    window.press("我的授权")
    window.wait_for("您给过的全部授权")
    assert "办理授权" not in window.text
    window.shot("consents-own")
    answer = fetched(window, f"{console.url}/me/consents/0/receipt.txt")
    statement = wire.decode(parse_receipt(answer.text).statement.payload, ConsentStatement)
    assert statement.consent.subject == subject
    gone = fetched(window, f"{console.url}/me/consents/99/receipt.txt")
    assert gone.status_code == 404
    window.press("撤回")
    window.wait_for("撤回不可恢复")
    window.press("确认撤回")
    window.wait_for("已撤回")
    listed = office.clerk.logged("/consents/of", AskConsents(subject=subject), ConsentsOf).answer.consents
    withdrawn = [entry for entry in listed if entry.state is ConsentState.WITHDRAWN]
    assert [entry.withdrawn_by for entry in withdrawn] == ["subject"]
