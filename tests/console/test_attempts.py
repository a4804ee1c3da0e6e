"""What somebody tries who has half of what signing in takes: a slip used twice, guesses sent together, names without end."""

from __future__ import annotations

import threading
import time

import pyotp
import pytest
from fastapi.responses import StreamingResponse

from audit.client.auditor import Auditor
from audit.console import pages_audit
from audit.console.factors import Factors
from models.oversight import FoundAccess, FoundAccesses, SearchAccesses
from models.parties import Role
from models.web.notices import Notice
from models.web.seats import ATTEMPTS, WAIT, Throttle
from tests.console.place import PASSPHRASE, PEOPLE, Place, Visitor

CLERK = PEOPLE[Role.CLERK][0]


def with_slip(console: Place, subject: str, code: str) -> Visitor:
    """Somebody with a slip, up to where the passphrase is chosen."""
    visitor = Visitor(console)
    account = console.console.accounts.account_of(subject)
    assert account is not None
    visitor.get("/me/signin")
    visitor.post("/me/signin", login=account.login, passphrase=code)
    assert visitor.last.headers["location"] == "/me/passphrase"
    visitor.follow()
    return visitor


def secret_of(visitor: Visitor) -> str:
    return visitor.last.text.split('id="secret">')[1].split("<")[0]


def test_a_slip_lets_one_in(console: Place) -> None:
    """Two hold the same slip at the same moment: whoever is second finds it spent, also half-way."""
    subject = "citizen:110105199001010117"
    _account, code = console.console.accounts.open_account(subject, CLERK)
    first, second = (with_slip(console, subject, code) for _ in range(2))
    for visitor in (first, second):
        visitor.post("/me/passphrase", passphrase=PASSPHRASE, again=PASSPHRASE)
        visitor.follow()
    mine, theirs = (pyotp.TOTP(secret_of(visitor)) for visitor in (first, second))
    first.post("/signin/enrol/totp", code=mine.at(int(console.clock())))
    assert "恢复码" in first.text
    second.post("/signin/enrol/totp", code=theirs.at(int(console.clock())))
    assert second.last.headers.get("location") == "/signin"
    assert second.post("/me/passphrase", passphrase=PASSPHRASE * 2, again=PASSPHRASE * 2).headers["location"] == "/signin"
    assert first.get("/me").status_code == 200


def test_a_slip_that_was_replaced_opens_nothing_half_way(console: Place) -> None:
    subject = "citizen:110105199001010133"
    _account, code = console.console.accounts.open_account(subject, CLERK)
    thief = with_slip(console, subject, code)
    console.console.accounts.open_account(subject, CLERK)
    assert thief.post("/me/passphrase", passphrase=PASSPHRASE, again=PASSPHRASE).headers["location"] == "/signin"
    account = console.console.accounts.account_of(subject)
    assert account is not None
    assert not account.ready


def test_to_end_a_persons_seats_ends_the_ways_to_them(console: Place) -> None:
    visitor = Visitor(console)
    visitor.get("/signin")
    visitor.post("/signin", person=CLERK, passphrase=PASSPHRASE)
    console.console.seats.end_of(CLERK)
    assert visitor.get("/signin/second").headers["location"] == "/signin"


def test_guesses_that_are_sent_together_are_counted_one_by_one(console: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    console.console.seats._throttle._wrong.clear()
    visitor = Visitor(console)
    visitor.get("/signin")
    visitor.post("/signin", person=CLERK, passphrase=PASSPHRASE)
    pending = console.console.seats.pending(visitor.http.cookies["console"])
    guesses, tried, meeting = 4 * ATTEMPTS, [], threading.Barrier(4 * ATTEMPTS)

    def wrong(_factors: Factors, _owner: str, code: str) -> bool:
        tried.append(code)
        time.sleep(0.02)
        return False

    monkeypatch.setattr(Factors, "totp_fits", wrong)

    def guess(number: int) -> None:
        meeting.wait()
        with pytest.raises(Notice):
            console.console.seats.check_second(pending, code=str(number))

    threads = [threading.Thread(target=guess, args=(number,)) for number in range(guesses)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    console.console.seats._throttle._wrong.clear()
    assert len(tried) == ATTEMPTS


def test_a_file_that_is_read_slowly_does_not_hold_the_seat(console: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """Threads take turns at sending it, and whoever signs the person out must not wait for the last line."""
    asked = {"bank": "bank-a", "officer": "bank-a/li", "subject": "citizen:x", "purpose": "p", "project": "q", "table": "t"}
    row = FoundAccess(id=1, at=1, epoch=1, outcome="looked", **asked)  # type: ignore[arg-type]
    endless = FoundAccesses(accesses=(row,), next="1.1")
    monkeypatch.setattr(Auditor, "search", lambda _work, _ask: endless)
    visitor = Visitor(console).sign_in(Role.AUDITOR)
    seat = console.console.seats.find(visitor.http.cookies["console"])
    assert seat is not None
    answer = pages_audit._csv(seat, SearchAccesses(), console.config.zone)
    assert isinstance(answer, StreamingResponse)
    taken: list[bool] = []

    def take() -> None:
        taken.append(seat.busy.acquire(timeout=30.0))
        seat.busy.release()

    other = threading.Thread(target=take)
    other.start()
    other.join()
    assert taken == [True]


def test_names_that_nobody_has_do_not_fill_the_memory() -> None:
    now = [0.0]
    throttle = Throttle(lambda: now[0])
    for number in range(3 * 10_000):
        throttle.wrong(f"account:{number}" + "X" * 1000)
        now[0] += 1.0
    assert len(throttle._wrong) <= 10_000
    assert sum(len(name) for name in throttle._wrong) < 1_000_000
    for _ in range(ATTEMPTS):
        throttle.wrong("office/li.na")
    with pytest.raises(Notice):
        throttle.check("office/li.na")
    now[0] += WAIT
    throttle.check("office/li.na")
