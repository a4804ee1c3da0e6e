"""Signing in at the console: both steps, the first second factor, and everything that ends or refuses a session."""

from __future__ import annotations

from collections.abc import Iterator

import pyotp
import pytest

from models.logged import Empty
from models.parties import Role
from models.projects import Target
from models.web.shield import POLICY
from tests.console.place import PASSPHRASE, PEOPLE, STEP, Place, Visitor

CLERK = PEOPLE[Role.CLERK][0]
SUBJECT = "citizen:11010519900101001X"


def half(visitor: Visitor, person: str = CLERK) -> Visitor:
    """The first step alone."""
    visitor.get("/signin")
    visitor.post("/signin", person=person, passphrase=PASSPHRASE)
    visitor.follow()
    return visitor


@pytest.fixture(autouse=True)
def calm(console: Place) -> Iterator[None]:
    """Attempts of other tests do not count here, nor those of here elsewhere."""
    console.console.seats._throttle._wrong.clear()
    yield
    console.console.seats._throttle._wrong.clear()


def test_a_clerk_signs_in_with_passphrase_and_code(visitor: Visitor) -> None:
    visitor.sign_in(Role.CLERK)
    assert "等您处理" in visitor.text
    assert "李娜" in visitor.text
    cookie = next(c for c in visitor.http.cookies.jar if c.name == "console")
    assert cookie.has_nonstandard_attr("HttpOnly")
    assert cookie.get_nonstandard_attr("SameSite") == "strict"
    assert visitor.last.headers["content-security-policy"] == POLICY


def test_the_passphrase_alone_opens_nothing(visitor: Visitor) -> None:
    half(visitor)
    assert "第二重验证" in visitor.text
    for path in ("/", "/approvals", "/directory", "/security", "/session"):
        assert visitor.get(path).headers["location"] == "/signin"
    assert visitor.get("/signin/enrol").headers["location"] == "/signin", "and no new second factor can be made"


def test_a_code_counts_once_and_only_near_its_time(console: Place, visitor: Visitor) -> None:
    code = console.code(CLERK)
    half(visitor)
    visitor.post("/signin/second", code=code)
    assert visitor.last.status_code == 303
    for wrong in (code, pyotp.TOTP(console.secrets[CLERK]).at(int(console.clock()) - 10 * STEP), "000000", "", "１２３４５６"):
        other = half(Visitor(console))
        other.post("/signin/second", code=wrong)
        assert other.last.status_code in (403, 429), wrong
        console.console.seats._throttle._wrong.clear()


def test_wrong_second_factors_are_counted(console: Place, visitor: Visitor) -> None:
    half(visitor)
    for left in (4, 3, 2, 1):
        visitor.post("/signin/second", code="000000")
        assert f"还可以再试 {left} 次" in visitor.text
    visitor.post("/signin/second", code="000000")
    assert visitor.last.status_code == 429
    visitor.post("/signin/second", code=console.code(CLERK))
    assert visitor.last.status_code == 429, "the right one has to wait, too"


def test_wrong_passphrases_are_counted(visitor: Visitor) -> None:
    for left in (4, 3, 2, 1):
        visitor.post("/signin", person=CLERK, passphrase="wrong")
        assert f"还可以再试 {left} 次" in visitor.text
    visitor.post("/signin", person=CLERK, passphrase="wrong")
    visitor.post("/signin", person=CLERK, passphrase=PASSPHRASE)
    assert visitor.last.status_code == 429
    visitor.post("/signin", person="office/nobody", passphrase=PASSPHRASE)
    assert "没有登记此人" in visitor.text


def test_the_way_to_the_second_step_ends_after_five_minutes(console: Place, visitor: Visitor) -> None:
    half(visitor)
    console.clock.shift += 301
    assert visitor.get("/signin/second").headers["location"] == "/signin"


def test_a_recovery_code_counts_once(console: Place, visitor: Visitor) -> None:
    codes = console.console.factors.new_recovery(CLERK)
    for expected in (303, 403):
        half(Visitor(console) if expected == 403 else visitor).post("/signin/second", code=codes[0].upper())
        if expected == 303:
            assert visitor.last.status_code == expected
    assert console.console.factors.recovery_left(CLERK) == len(codes) - 1
    visitor.follow()
    visitor.get("/security")
    assert f"剩余恢复码：{len(codes) - 1} 个" in visitor.text
    visitor.post("/security/recovery", code=console.code(CLERK))
    assert "只显示这一次" in visitor.text
    assert not console.console.factors.recovery_fits(CLERK, codes[1])


def test_a_session_ends_when_idle_at_its_longest_and_everywhere(console: Place, visitor: Visitor) -> None:
    visitor.sign_in(Role.CLERK)
    console.clock.shift += 16 * 60
    assert visitor.get("/").headers["location"] == "/signin"
    first, second = Visitor(console).sign_in(Role.CLERK), Visitor(console).sign_in(Role.CLERK)
    assert first.get("/").headers["location"] == "/signin", "signing in elsewhere ends the first"
    second.get("/security")
    second.post("/security/everywhere")
    assert second.get("/").headers["location"] == "/signin"
    third = Visitor(console).sign_in(Role.CLERK)
    cookie = third.http.cookies["console"]
    third.post("/signout")
    third.http.cookies.set("console", cookie, domain="localhost.local")
    assert third.get("/").headers["location"] == "/signin"


def test_a_session_ends_when_the_second_factor_is_reset(console: Place, visitor: Visitor) -> None:
    visitor.sign_in(Role.CLERK)
    assert visitor.get("/approvals").status_code == 200
    factors = console.console.factors
    factors.forget(CLERK)
    assert visitor.get("/approvals").headers["location"] == "/signin"
    factors.enrol_totp(CLERK, console.secrets[CLERK], console.code(CLERK))
    assert visitor.get("/approvals").headers["location"] == "/signin", "nor does the new one open what has ended"


def test_an_address_leads_nowhere_else(visitor: Visitor) -> None:
    visitor.sign_in(Role.CLERK)
    for case in (".x", "x%3Fsubject=1", "x%23"):
        assert visitor.get(f"/rights/disputes/{case}").status_code in (404, 422), case


def test_forms_of_another_session_are_refused(console: Place, visitor: Visitor) -> None:
    visitor.sign_in(Role.CLERK)
    for token in ("", "0" * 64):
        answer = visitor.http.post("/security/everywhere", data={"csrf": token})
        assert answer.status_code == 403
    assert visitor.get("/").status_code == 200
    assert visitor.get("/", Host="evil.example").status_code == 421


def test_roles_see_their_own_pages(console: Place) -> None:
    auditor, supervisor = Visitor(console).sign_in(Role.AUDITOR), Visitor(console).sign_in(Role.SUPERVISOR)
    assert auditor.get("/approvals").status_code == 403
    assert auditor.get("/directory").status_code == 200
    assert "登记人员" not in auditor.text
    auditor.get("/")
    assert auditor.post("/directory/suspend", kind="person", id=CLERK, suspended="yes", reason="x").status_code == 403
    assert supervisor.get("/directory").status_code == 403
    assert supervisor.get("/approvals").status_code == 403


def test_a_suspended_person_does_not_sign_in(console: Place, visitor: Visitor) -> None:
    who = PEOPLE[Role.AUDITOR][0]
    clerk = console.pair.office.clerk
    clerk.logged("/suspensions", Target(kind="person", id=who, suspended=True, reason="test"), Empty)
    try:
        visitor.post("/signin", person=who, passphrase=PASSPHRASE)
        assert "权限已被暂停" in visitor.text
    finally:
        clerk.logged("/suspensions", Target(kind="person", id=who, suspended=False, reason="test"), Empty)


# -------------------------------------------------------------------- subjects


def test_a_subjects_first_sign_in_with_the_slip(console: Place, visitor: Visitor) -> None:
    account, code = console.console.accounts.open_account("citizen:110105199001010052", CLERK)
    visitor.get("/me/signin")
    visitor.post("/me/signin", login=account.login.lower(), passphrase="wrong")
    assert visitor.last.status_code == 403
    visitor.post("/me/signin", login=account.login.lower(), passphrase=code)
    assert visitor.last.headers["location"] == "/me/passphrase"
    visitor.follow()
    visitor.post("/me/passphrase", passphrase="short", again="short")
    assert "口令太短" in visitor.text
    visitor.post("/me/passphrase", passphrase=PASSPHRASE, again=PASSPHRASE + "!")
    assert "不一致" in visitor.text
    visitor.post("/me/passphrase", passphrase=PASSPHRASE, again=PASSPHRASE)
    visitor.follow()
    secret = visitor.last.text.split('id="secret">')[1].split("<")[0]
    visitor.post("/signin/enrol/totp", code=pyotp.TOTP(secret).at(int(console.clock())))
    assert "恢复码" in visitor.text
    assert visitor.get("/").headers["location"] == "/me"
    assert visitor.get("/approvals").status_code == 403
    again = Visitor(console)
    again.get("/me/signin")
    again.post("/me/signin", login=account.login, passphrase=code)
    assert again.last.status_code == 403, "the slip has done its work"


def test_a_subject_signs_in(console: Place, visitor: Visitor) -> None:
    login = console.account(SUBJECT)
    visitor.sign_in_account(login)
    assert visitor.last.headers["location"] == "/me"
    console.console.sweep()
    assert visitor.get("/").headers["location"] == "/me", "a subject's seat stands on the window's enrolment"


def test_an_unknown_account_is_refused_like_a_wrong_passphrase(console: Place, visitor: Visitor) -> None:
    console.account(SUBJECT)
    visitor.get("/me/signin")
    visitor.post("/me/signin", login="NOBODY22", passphrase=PASSPHRASE)
    unknown = visitor.text
    login = console.console.accounts.account_of(SUBJECT)
    assert login is not None
    visitor.post("/me/signin", login=login.login, passphrase="something else")
    assert "账户名或口令不对" in unknown
    assert "账户名或口令不对" in visitor.text


def test_the_store_holds_no_id_no_secret_and_no_code_in_the_clear(console: Place) -> None:
    console.account(SUBJECT)
    _account, code = console.console.accounts.open_account("citizen:110105199001010079", CLERK)
    stored = b"".join(file.read_bytes() for file in console.config.data_dir.glob("console.sqlite*"))
    for secret in (SUBJECT.partition(":")[2], "110105199001010079", console.secrets[CLERK], code, code.replace("-", "")):
        assert secret.encode() not in stored


def test_a_closed_account_is_gone(console: Place, visitor: Visitor) -> None:
    subject = "citizen:110105199001010095"
    login = console.account(subject)
    assert console.console.accounts.close_account(subject)
    visitor.get("/me/signin")
    assert visitor.post("/me/signin", login=login, passphrase=PASSPHRASE).status_code == 403
    assert not console.console.accounts.close_account(subject)
