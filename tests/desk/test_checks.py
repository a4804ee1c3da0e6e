"""From the applicant to the decision, through real services: what an officer and an approver see, and what is kept."""

from __future__ import annotations

import logging
import os
import stat
import subprocess
import sys
import threading
from datetime import date, timedelta
from typing import Any

import pytest

from bank_client.session import Bank
from models import wire
from models.consent_receipts import ConsentStatement, parse_receipt
from models.consents import ConsentKind, FileConsents, Filed, RevokeConsent
from models.logged import Empty
from models.reports import CheckOutcome
from models.tickets import Accesses, AccessQuery
from tests.desk.place import ABSENT, DISPUTED, KNOWN, WITHOUT, Branch, Place, number
from tests.desk.visitor import Visitor


def accesses(place: Place, subject: str) -> Accesses:
    return place.pair.office.clerk.logged("/accesses", AccessQuery(subject=f"citizen:{subject}"), Accesses).answer


def test_the_record_with_sources_dates_and_disputes(fumin: Branch) -> None:
    visitor = Visitor(fumin).sign_in("fumin/chen")
    visitor.ask(visitor.begin(DISPUTED))
    for said in ("承包地面积 12.6 亩", "数据日期 2026-05-31", "法院", "近36月涉诉次数 ⚑ 有异议 1 次", "种植险", "120,000 元"):
        assert said in visitor.text
    assert visitor.text.count("⚑") == 2, "one mark, and what it means"
    assert DISPUTED not in visitor.last.text
    visitor.post("/language", language="en", back=str(visitor.last.url.path))
    visitor.follow()
    for said in ("Contracted land area 12.6 mu", "From Court, as of 2026-07-02", "Disputed", "Crops", "Judgment defaulter no"):
        assert said in visitor.text


def test_the_receipt_verifies_offline(fumin: Branch) -> None:
    visitor = Visitor(fumin).sign_in("fumin/chen")
    case = visitor.begin(KNOWN)
    visitor.ask(case)
    visitor.get(f"{case}/receipt")
    _, _, rest = visitor.text.partition("xinqiao verify ")
    command = rest.split(" 下载")[0].replace("'", "").split()
    folder = fumin.data_dir / "downloads"
    folder.mkdir()
    for kind in ("receipt", "entry"):
        answer = visitor.get(f"{case}/files/{kind}")
        name = answer.headers["content-disposition"].split('"')[1]
        (folder / name).write_bytes(answer.content)
    program = [sys.executable, "-c", "from audit.cli import app; app()", "verify"]
    done = subprocess.run([*program, *command], cwd=folder, capture_output=True, check=False)
    assert b"receipt is good" in done.stdout, done.stderr
    assert visitor.get(f"{case}/files/other").status_code == 404


def test_no_record_is_said_as_such(fumin: Branch) -> None:
    visitor = Visitor(fumin).sign_in("fumin/chen")
    visitor.ask(visitor.begin(ABSENT))
    assert "没有记录" in visitor.text
    assert "日志序号" in visitor.text


def test_a_decision_is_open_until_it_is_recorded_and_the_person_can_ask_for_it(place: Place, fumin: Branch) -> None:
    visitor, other = Visitor(fumin).sign_in("fumin/chen"), Visitor(fumin).sign_in("fumin/yang")
    case = visitor.begin(KNOWN, "CG-7")
    visitor.ask(case)
    assert "CG-7" in visitor.get("/").text
    assert "登记决定" in visitor.text
    assert other.get(case).status_code == 404, "another officer's check"
    visitor.get(case)
    visitor.post(f"{case}/decision", outcome="perhaps", reference="x")
    assert (visitor.last.status_code, "请选择结果" in visitor.text) == (422, True)
    for outcome in CheckOutcome:  # each one corrects the one before
        visitor.post(f"{case}/decision", outcome=outcome, reference="CG-7")
        visitor.follow()
        newest = max(accesses(place, KNOWN).accesses, key=lambda access: access.index)
        assert newest.report == outcome
    assert "没有待登记的决定" in visitor.get("/").text


def test_a_second_person_decides(place: Place, huinong: Branch) -> None:
    officer, approver = Visitor(huinong).sign_in("huinong/liu"), Visitor(huinong).sign_in("huinong/zhao")
    case = officer.begin(KNOWN, "HN-1")
    assert "提交复核" in officer.text
    officer.post(f"{case}/ask")
    officer.follow()
    assert "等待复核" in officer.text
    assert officer.post(f"{case}/ask").status_code == 409, "not before it is approved"
    question = _question(approver, "HN-1")
    assert KNOWN not in approver.last.text
    assert KNOWN in approver.post(f"{question}/reveal").text
    assert officer.get(question).status_code == 403
    assert officer.post(f"{question}/approve").status_code == 403, "no one approves their own question"
    approver.get(question)
    assert approver.post(f"{question}/approve").status_code == 303
    assert approver.post(f"{question}/decline", reason="too late").status_code == 410
    assert "赵敏 已同意" in officer.get(case).text
    officer.ask(case)
    assert "862" in officer.text
    assert approver.get(case).status_code == 403, "an approver sees no record"


def test_a_question_that_is_declined_taken_back_or_over(huinong: Branch) -> None:
    officer, approver = Visitor(huinong).sign_in("huinong/liu"), Visitor(huinong).sign_in("huinong/zhao")
    case = officer.begin(KNOWN, "HN-2")
    officer.post(f"{case}/ask")
    question = _question(approver, "HN-2")
    assert approver.post(f"{question}/decline", reason="  ").status_code == 422
    approver.post(f"{question}/decline", reason="资料不全")
    assert "资料不全" in officer.get(case).text
    officer.post(f"{case}/take-back")
    officer.follow()

    officer.post(f"{case}/ask")
    question = _question(approver, "HN-2")
    officer.get(case)
    officer.post(f"{case}/take-back")
    assert approver.post(f"{question}/approve").status_code == 410

    officer.get(case)
    officer.post(f"{case}/ask")
    question = _question(approver, "HN-2")
    approver.post(f"{question}/approve")
    huinong.clock.shift += 9 * 60
    assert "复核超时" in officer.get(case).text
    assert officer.post(f"{case}/ask").status_code == 409

    huinong.clock.shift = 0
    officer.post(f"{case}/take-back")
    officer.get(case)
    officer.post(f"{case}/ask")
    _question(approver, "HN-2")
    officer.get("/")
    officer.post("/signout")
    assert "没有待复核的查询" in approver.get("/").text, "a question leaves with its officer"


def test_a_consent_at_the_counter_counts_for_a_check_at_once(place: Place, fumin: Branch) -> None:
    visitor = Visitor(fumin).sign_in("fumin/chen")
    case = visitor.begin(WITHOUT)
    assert "补齐授权后才能查询" in visitor.text
    entered = {
        "kinds": "query",
        "field_sets": ["land", "insurance", "judicial", "credit"],
        "until": str(date.today() + timedelta(days=200)),
        "way": "fingerprint-form",
        "witness": "fumin/yang",
    }
    for wrong, said in (
        ({"kinds": "modelling"}, "请选择授权种类"),
        ({"until": "2020-01-01"}, "有效期应在明天之后"),
        ({"witness": "fumin/chen"}, "见证人"),
        ({"witness": ""}, "见证人"),
        ({"way": "by telephone"}, "见证人"),
    ):
        visitor.post(f"{case}/consents", files={"scan": ("f.pdf", b"%PDF-")}, **(entered | wrong))
        assert (visitor.last.status_code, said in visitor.text) == (422, True), wrong
    for scan, said in ((b"", "请上传授权书扫描件"), (b"MZ not a scan", "PDF、JPEG 或 PNG")):
        visitor.post(f"{case}/consents", files={"scan": ("f.pdf", scan)}, **entered)
        assert (visitor.last.status_code, said in visitor.text) == (422, True)
    visitor.post(f"{case}/consents", files={"scan": ("f.pdf", b"%PDF-1.7 signed")}, **entered)
    visitor.follow()
    [form] = (fumin.data_dir / "forms").iterdir()
    assert stat.S_IMODE(form.stat().st_mode) == 0o600
    assert form.read_bytes() == b"%PDF-1.7 signed"
    assert "授权凭证" in visitor.text
    receipt = visitor.get(f"{case}/consents/0").text
    statement = wire.decode(parse_receipt(receipt).statement.payload, ConsentStatement)
    assert (statement.consent.subject, statement.consent.kind) == (f"citizen:{WITHOUT}", ConsentKind.QUERY)
    assert (statement.consent.captured_by, statement.consent.witness) == ("fumin/chen", "fumin/yang")
    assert "查询授权" in receipt
    assert visitor.get(f"{case}/consents/1").status_code == 404
    visitor.get(case)
    visitor.ask(case)
    assert "862" in visitor.text


def test_refusals_say_what_to_do_next_in_both_languages(place: Place, fumin: Branch) -> None:
    world = place.pair.office
    subject = f"citizen:{number(200)}"
    collection = world.consent(subject, ConsentKind.COLLECTION, recipient="*")
    query = world.consent(subject, ConsentKind.QUERY, recipient="fumin")
    world.clerk.logged("/consents", FileConsents(consents=(collection, query)), Filed)
    visitor = Visitor(fumin).sign_in("fumin/chen")
    case = visitor.begin(number(200))
    world.clerk.logged("/consents/revoke", RevokeConsent(consent=query.id), Empty)
    visitor.ask(case)
    for said in ("查询未获准", "没有覆盖本次查询的授权", "没有对本行、本用途和这些数据的有效查询授权", "请当事人签署"):
        assert said in visitor.text
    visitor.post("/language", language="en", back=case)
    visitor.follow()
    for said in ("No consent covers this", "no query consent of this subject names this bank", "file it with the office"):
        assert said in visitor.text
    assert "Refused" in visitor.get("/").text
    assert "No decision is waiting" in visitor.text, "no ticket was spent"


def test_an_id_is_judged_while_it_is_typed(fumin: Branch) -> None:
    visitor = Visitor(fumin).sign_in("fumin/chen")
    visitor.get("/new")
    for typed, said in (
        (KNOWN, "公民身份号码，格式正确"),
        (f"　{KNOWN}　", "公民身份号码，格式正确"),
        ("91110000600037341L", "统一社会信用代码，格式正确"),
        (KNOWN[:-1] + ("1" if KNOWN[-1] != "1" else "2"), "校验码不对"),
        ("12", "17 位数字"),
    ):
        visitor.post("/identity", subject=typed)
        assert said in visitor.text
        visitor.get("/new")
    project = fumin.config.projects[0].id
    visitor.post("/cases", subject="12", project=project, purpose="loan-approval", reference="r1")
    assert (visitor.last.status_code, 'value="r1"' in visitor.last.text) == (422, True), "what was entered stays"
    visitor.post("/cases", subject=KNOWN, project=project, purpose="post-loan", reference="")
    assert "只批准了另一种用途：贷款审批" in visitor.text
    visitor.post("/cases", subject=KNOWN, project=project, purpose="loan-approval", reference=f"loan {KNOWN}")
    assert "编号里有身份号码" in visitor.text
    visitor.post("/cases", subject=KNOWN, project="another", purpose="loan-approval", reference="")
    assert "没有设置这个项目" in visitor.text


def test_no_id_in_addresses_logs_or_files(fumin: Branch, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        visitor = Visitor(fumin).sign_in("fumin/chen")
        case = visitor.begin(DISPUTED)
        visitor.ask(case)
        visitor.post(f"{case}/decision", outcome="not-used", reference="r")
    assert DISPUTED not in case
    assert DISPUTED not in caplog.text
    kept = [file for file in fumin.data_dir.rglob("*") if file.is_file()]
    assert kept
    for file in kept:
        assert DISPUTED.encode() not in file.read_bytes(), file.name
        assert stat.S_IMODE(file.stat().st_mode) == 0o600, file.name
    ledger = (fumin.data_dir / "desk.sqlite").read_bytes()
    assert b"credit_points" not in ledger, "nothing of the record stays"
    assert f"•{DISPUTED[-4:]}".encode() not in ledger, "the mask goes with the decision"


def test_a_question_under_way_shows_its_step_and_holds_up_no_other_page(fumin: Branch, monkeypatch: pytest.MonkeyPatch) -> None:
    visitor, go_on, receipt = Visitor(fumin).sign_in("fumin/chen"), threading.Event(), Bank.receipt

    def late(self: Bank, *args: Any, **named: Any) -> Any:
        assert go_on.wait(60)
        return receipt(self, *args, **named)

    monkeypatch.setattr(Bank, "receipt", late)
    case = visitor.begin(KNOWN)
    visitor.post(f"{case}/ask")
    visitor.follow()
    assert "正在查询" in visitor.text
    visitor.until("▸ 等待日志回执 进行中", f"{case}/state")
    assert "✓ 隐私取回记录 完成" in visitor.text
    assert "查询中" in visitor.get("/").text
    assert visitor.get("/new").status_code == 200
    go_on.set()
    visitor.wait(case)
    assert "862" in visitor.text


def test_signing_out_while_a_question_is_under_way_loses_the_record_and_not_the_decision(
    fumin: Branch, monkeypatch: pytest.MonkeyPatch
) -> None:
    visitor, go_on, receipt = Visitor(fumin).sign_in("fumin/chen"), threading.Event(), Bank.receipt

    def late(self: Bank, *args: Any, **named: Any) -> Any:
        assert go_on.wait(60)
        return receipt(self, *args, **named)

    monkeypatch.setattr(Bank, "receipt", late)
    case = visitor.begin(KNOWN, "CG-left")
    visitor.post(f"{case}/ask")
    visitor.until("▸ 等待日志回执 进行中", f"{case}/state")
    visitor.get(case)
    visitor.post("/signout")
    go_on.set()
    visitor.sign_in("fumin/chen")
    visitor.until("登记决定", "/")
    assert "CG-left" in visitor.text
    assert "现已清除" in visitor.get(case).text


def test_one_question_is_asked_once(fumin: Branch) -> None:
    visitor = Visitor(fumin).sign_in("fumin/chen")
    case = visitor.begin(KNOWN)
    visitor.post(f"{case}/ask")
    visitor.post(f"{case}/ask")
    assert visitor.last.status_code == 409
    visitor.wait(case)
    visitor.post(f"{case}/ask")
    assert visitor.last.status_code == 409


def test_what_was_open_is_still_there_after_a_restart(place: Place, fumin: Branch) -> None:
    visitor = Visitor(fumin).sign_in("fumin/chen")
    case = visitor.begin(KNOWN, "CG-before")
    visitor.ask(case)
    with place.desk("fumin", fumin.data_dir) as again:
        later = Visitor(again).sign_in("fumin/chen")
        assert "CG-before" in later.text
        later.get(case)
        assert "现已清除" in later.text
        assert "日志序号" in later.text, "the receipt stays"
        later.post(f"{case}/decision", outcome="approved", reference="CG-before")
        later.follow()
        assert "已登记：同意贷款" in later.text


def test_a_service_that_is_away_is_named(place: Place, fumin: Branch, monkeypatch: pytest.MonkeyPatch) -> None:
    from models.http_client import SignedClient
    from models.problems import PeerUnavailable

    visitor = Visitor(fumin).sign_in("fumin/chen")

    def away(*_: object, **__: object) -> bytes:
        raise PeerUnavailable("no answer from 127.0.0.1:1 after 3 attempts")

    monkeypatch.setattr(SignedClient, "_send", away)
    visitor.get("/new")
    project = fumin.config.projects[0].id
    visitor.post("/cases", subject=KNOWN, project=project, purpose="loan-approval", reference="")
    assert visitor.last.status_code == 503
    assert "对方服务没有应答" in visitor.text
    assert "没有提供任何数据" in visitor.text


def test_the_umask_does_not_matter(place: Place, fumin: Branch) -> None:
    before = os.umask(0)
    try:
        with place.desk("fumin", fumin.data_dir / "open"):
            assert stat.S_IMODE((fumin.data_dir / "open" / "desk.sqlite").stat().st_mode) == 0o600
    finally:
        os.umask(before)


def _question(approver: Visitor, reference: str) -> str:
    """The path of the question that waits under this reference."""
    assert reference in approver.get("/").text
    path: str = approver.last.text.split('href="/approvals/')[1].split('"')[0]
    approver.get(f"/approvals/{path}")
    return f"/approvals/{path}"
