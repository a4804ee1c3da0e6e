"""Signing in, staying, leaving: the throttle, the timeouts, tokens against forged requests, what every answer carries."""

from __future__ import annotations

from pathlib import Path

import httpx2
import pytest

from models.logged import Empty
from models.projects import Target
from models.scans import LARGEST_SCAN
from models.web.shield import POLICY
from tests.desk.place import KNOWN, PASSPHRASE, Branch, Place
from tests.desk.visitor import Visitor


def test_nobody_sees_anything_without_signing_in(fumin: Branch) -> None:
    visitor = Visitor(fumin)
    for path in ("/", "/new", "/cases/x", "/cases/x/receipt", "/approvals/x", "/session"):
        assert visitor.get(path).headers["location"] == "/signin"
    assert visitor.get("/session", **{"HX-Request": "true"}).headers["hx-redirect"] == "/signin", (
        "and a page in part goes whole"
    )
    visitor.get("/signin")
    assert visitor.post("/cases", subject=KNOWN).headers["location"] == "/signin"


def test_every_answer_is_kept_out_of_caches_and_frames(fumin: Branch) -> None:
    visitor = Visitor(fumin)
    for path in ("/signin", "/", "/nothing", "/static/page.css"):
        headers = visitor.get(path).headers
        assert headers["content-security-policy"] == POLICY
        assert "frame-ancestors 'none'" in POLICY
        assert "unsafe" not in POLICY
        assert headers["cache-control"] == "no-store"
        assert headers["x-content-type-options"] == "nosniff"
    visitor.sign_in("fumin/chen")
    cookie = next(c for c in visitor.http.cookies.jar if c.name == "desk")
    assert cookie.has_nonstandard_attr("HttpOnly")
    assert cookie.get_nonstandard_attr("SameSite") == "strict"
    assert cookie.expires is None, "the cookie ends with the browser"
    assert not cookie.secure, "this desk is served over http"


def test_over_https_the_cookie_stays_there(place: Place, tmp_path: Path) -> None:
    with place.desk("fumin", tmp_path / "secure", public_url="https://desk.example") as secure:
        answer = httpx2.get(f"{secure.url}/signin", headers={"Host": "desk.example"}, timeout=60.0, trust_env=False)
    cookie = answer.headers["set-cookie"].lower()
    assert cookie.startswith("__host-desk=")
    assert {"secure", "httponly", "samesite=strict", "path=/"} <= set(cookie.split("; "))
    assert answer.headers["strict-transport-security"]


def test_a_page_of_another_name_does_not_reach_the_desk(fumin: Branch) -> None:
    visitor = Visitor(fumin)
    assert visitor.get("/signin", Host="evil.example").status_code == 421


def test_a_form_without_this_browsers_token_is_refused(fumin: Branch) -> None:
    one, other = Visitor(fumin).sign_in("fumin/chen"), Visitor(fumin).sign_in("fumin/yang")
    other.get("/new")
    for token in ("", "0" * 64, other.last.text.split('name="csrf" value="')[1][:64]):
        assert one.http.post("/cases", data={"csrf": token, "subject": KNOWN}).status_code == 403
        assert one.http.post("/identity", data={"subject": KNOWN}, headers={"X-CSRF-Token": token}).status_code == 403
    one.get("/new")
    assert one.post("/identity", subject=KNOWN).status_code == 200


def test_wrong_passphrases_are_counted_for_each_person(fumin: Branch) -> None:
    visitor = Visitor(fumin)
    for left in (4, 3, 2, 1):
        assert visitor.post("/signin", person="fumin/chen", passphrase="wrong").status_code == 403
        assert f"还可以再试 {left} 次" in visitor.text
    assert visitor.post("/signin", person="fumin/chen", passphrase="wrong").status_code == 429
    assert "分钟后再试" in visitor.text
    visitor.post("/signin", person="fumin/chen", passphrase=PASSPHRASE)
    assert visitor.last.status_code == 429, "the right one has to wait, too"
    Visitor(fumin).sign_in("fumin/yang")
    fumin.clock.shift += 301
    visitor.sign_in("fumin/chen")
    assert "新的查询" in visitor.text


def test_who_is_no_officer_of_this_branch_does_not_sign_in(fumin: Branch) -> None:
    visitor = Visitor(fumin)
    visitor.post("/signin", person="huinong/liu", passphrase=PASSPHRASE)
    assert (visitor.last.status_code, "本网点没有此人" in visitor.text) == (403, True)


def test_a_suspended_officer_does_not_sign_in(place: Place, fumin: Branch) -> None:
    clerk = place.pair.office.clerk
    clerk.logged("/suspensions", Target(kind="person", id="fumin/yang", suspended=True, reason="test"), Empty)
    try:
        visitor = Visitor(fumin)
        visitor.post("/signin", person="fumin/yang", passphrase=PASSPHRASE)
        assert "信用办已暂停" in visitor.text
    finally:
        clerk.logged("/suspensions", Target(kind="person", id="fumin/yang", suspended=False, reason="test"), Empty)


def test_an_officer_who_is_suspended_leaves_the_desk(place: Place, fumin: Branch) -> None:
    visitor, other = Visitor(fumin).sign_in("fumin/yang"), Visitor(fumin).sign_in("fumin/chen")
    clerk = place.pair.office.clerk
    clerk.logged("/suspensions", Target(kind="person", id="fumin/yang", suspended=True, reason="test"), Empty)
    try:
        fumin.app.state.desk.sweep()  # as every twenty seconds
        assert visitor.get("/").headers["location"] == "/signin"
        assert other.get("/").status_code == 200
    finally:
        clerk.logged("/suspensions", Target(kind="person", id="fumin/yang", suspended=False, reason="test"), Empty)


def test_a_seat_ends_when_nothing_is_done_and_what_a_page_asks_does_not_count(fumin: Branch) -> None:
    visitor = Visitor(fumin).sign_in("fumin/chen")
    fumin.clock.shift += 14 * 60
    assert "秒后将自动退出" in visitor.get("/session").text, "a warning comes first"
    fumin.clock.shift += 2 * 60
    assert visitor.get("/").headers["location"] == "/signin"

    visitor.sign_in("fumin/chen")
    fumin.clock.shift += 14 * 60
    visitor.get("/")
    visitor.post("/session")
    fumin.clock.shift += 14 * 60
    assert visitor.get("/").status_code == 200


def test_a_seat_ends_after_ten_hours_whatever_is_done(fumin: Branch) -> None:
    visitor = Visitor(fumin).sign_in("fumin/chen")
    for _ in range(10 * 6 - 1):
        fumin.clock.shift += 10 * 60
        assert visitor.get("/").status_code == 200
    fumin.clock.shift += 10 * 60
    assert visitor.get("/").headers["location"] == "/signin"


def test_signing_out_forgets_the_case(fumin: Branch) -> None:
    visitor = Visitor(fumin).sign_in("fumin/chen")
    case = visitor.begin(KNOWN)
    cookie = visitor.http.cookies["desk"]
    visitor.post("/signout")
    assert visitor.last.headers["clear-site-data"]
    visitor.http.cookies.set("desk", cookie, domain="127.0.0.1")
    assert visitor.get(case).headers["location"] == "/signin", "the cookie is worth nothing any more"
    visitor.sign_in("fumin/chen")
    assert visitor.get(case).status_code == 404
    assert fumin.app.state.desk.cases._cases == {}


def test_signing_in_elsewhere_ends_the_first_seat(fumin: Branch) -> None:
    first, second = Visitor(fumin).sign_in("fumin/chen"), Visitor(fumin).sign_in("fumin/chen")
    assert first.get("/").headers["location"] == "/signin"
    assert second.get("/").status_code == 200


def test_a_guests_cookie_is_not_the_sessions(fumin: Branch) -> None:
    visitor = Visitor(fumin)
    before = visitor.http.cookies["desk"]
    visitor.sign_in("fumin/chen")
    assert visitor.http.cookies["desk"] != before


def test_a_body_beyond_the_limit_is_not_read(fumin: Branch) -> None:
    visitor = Visitor(fumin).sign_in("fumin/chen")
    answer = visitor.post("/cases/x/consents", files={"scan": ("form.pdf", b"%PDF-" + bytes(LARGEST_SCAN + (1 << 20)))})
    assert answer.status_code == 413


@pytest.mark.parametrize(("chosen", "said"), [("en", "Passphrase of your key"), ("zh", "密钥口令"), ("xx", "密钥口令")])
def test_the_language_is_remembered(fumin: Branch, chosen: str, said: str) -> None:
    visitor = Visitor(fumin)
    visitor.post("/language", language=chosen, back="https://evil.example/")
    assert visitor.last.headers["location"] == "/", "and never leads elsewhere"
    assert said in visitor.get("/signin").text
