"""The logs' health in a real browser: verified by keyboard, verified again when something is new, and damage shown."""

from __future__ import annotations

import time

import msgspec

from audit.console.log_check import LogCheck, Verified
from audit.office.retention import Retaining
from audit.verifier.merkle import CompactRange
from models.parties import Role
from tests.console.conftest import SignIn
from tests.console.place import Place, Visitor


def test_an_auditor_verifies_both_logs(sign_in: SignIn, console: Place) -> None:
    Retaining(console.pair.office.office).run_once()
    for kept in console.config.data_dir.glob("verified-*.json"):
        kept.unlink()
    console.app.state.log_check = LogCheck(console.config.services, console.config.data_dir, console.clock)
    window = sign_in(Role.AUDITOR)
    window.press("审计日志")
    window.wait_for("尚未核验")
    window.press("立即核验")
    window.wait_for("核验无误")
    window.wait_for("本次新核验")
    window.wait_for("数据局的日志")
    window.shot("log")
    console.pair.office.client("office/audit").get_raw("/alarms")  # leaves a leaf
    window.press("立即核验")
    window.wait_for("核验无误")
    window.press("English")
    window.wait_for("Live verification")
    window.shot("log-english")


def test_a_log_that_was_set_back_shows(console: Place) -> None:
    """What was verified outlives the console's process; a log that does not extend it is told of."""
    visitor = Visitor(console).sign_in(Role.SUPERVISOR)
    visitor.get("/log")
    visitor.post("/log/verify")
    assert visitor.follow().status_code == 200
    wait(console)
    file = console.config.data_dir / "verified-office.json"
    kept = file.read_bytes()
    try:
        file.write_bytes(longer(kept))
        console.app.state.log_check = LogCheck(console.config.services, console.config.data_dir, console.clock)
        visitor.get("/log")
        visitor.post("/log/verify")
        wait(console)
        assert "cut or set back" in visitor.get("/log").text
    finally:
        file.write_bytes(kept)
        console.app.state.log_check = LogCheck(console.config.services, console.config.data_dir, console.clock)


def test_the_page_is_for_officials(console: Place) -> None:
    for role in (Role.CLERK, Role.AUDITOR, Role.SUPERVISOR):
        visitor = Visitor(console).sign_in(role)
        assert visitor.get("/log").status_code == 200
        assert "10" in visitor.text


def longer(kept: bytes) -> bytes:
    tree = CompactRange()
    size = msgspec.json.decode(kept, type=Verified).size + 1000  # than the log has become in the meantime, too
    while tree.size < size:
        tree.append(bytes(32))
    return msgspec.json.encode(Verified(size, tuple(tree.peaks), tree.root(), 1))


def wait(console: Place) -> None:
    while any(state.running for state in console.app.state.log_check.states()):
        time.sleep(0.02)
