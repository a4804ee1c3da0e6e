"""Signing in, in two steps, and who is signed in.

::

    passphrase ──> Pending ──second factor──> seat
                      └──one-time code, then a second factor is made──┘

The first step opens the key (or checks an account's passphrase); what it found waits for five minutes under the browser's
guest cookie. Wrong passphrases and wrong second factors are counted for each person. A guess costs a third of a second, one
at a time.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from audit.console.accounts import LONGEST_PASSPHRASE, Account, Accounts
from audit.console.factors import Factors
from audit.console.session import OfficeSession
from audit.console.settings import ConsoleConfig
from models.key_files import load_key
from models.parties import Directory, Person, Role
from models.protected_keys import WrongPassphrase, unlock
from models.web import seats
from models.web.notices import Notice
from models.web.seats import Clock, Throttle

PENDING_SECONDS = 300
OFFICIALS = frozenset({Role.CLERK, Role.AUDITOR, Role.SUPERVISOR})


@dataclass(repr=False, eq=False)
class Seat(seats.Seat[OfficeSession]):
    """Someone of the office, or a subject. `kept` is for what pages remember between requests; it ends with the seat."""

    owner: str = ""
    kept: dict[str, Any] = field(default_factory=dict)

    @property
    def role(self) -> Role:
        """The role as enrolled; a subject acts through the window."""
        return self.person.role


@dataclass(repr=False, eq=False)
class SubjectSeat(Seat):
    """A subject with an account: signed requests are the window's, and name this subject."""

    account: Account | None = None
    window: Person | None = None

    @property
    def subject(self) -> str:
        """The subject's canonical id."""
        assert self.account is not None
        return self.account.subject

    @property
    def enrolled(self) -> Person:
        """The window, whose enrolment the seat stands on."""
        assert self.window is not None
        return self.window


@dataclass(repr=False)
class Pending:
    """Someone who passed the first step."""

    seat: Seat
    expires: float
    enrolling: bool
    code: str = ""
    """The one-time code that was given; it lets someone enrol for as long as it is neither spent nor replaced."""
    challenge: bytes = b""
    secret: str = ""


class Seats(seats.Seats[Seat]):
    """All seats of the console, and those who are on their way to one."""

    def __init__(self, config: ConsoleConfig, accounts: Accounts, factors: Factors, clock: Clock) -> None:
        super().__init__(idle=config.idle_minutes * 60, longest=config.session_hours * 3600, clock=clock)
        self._config, self._accounts, self._factors = config, accounts, factors
        self._pending: dict[bytes, Pending] = {}
        self._unlocking = threading.Lock()
        self._second = threading.Lock()
        self._throttle = Throttle(clock)

    # ---------------------------------------------------------------- the first step

    def begin(self, guest: str, person: str, passphrase: str) -> Pending:
        """Someone of the office opens their key.

        Raises:
            Notice: unknown, wrong passphrase, too many of them, or an enrolment that does not allow it.
            Problem: the office does not answer, or does not know the person.
        """
        member = self._accounts.person(person)
        if member is None:
            raise Notice("signin-unknown", 403)
        with self._unlocking:
            self._throttle.check(person)
            try:
                key = unlock(member.key_file, passphrase[:LONGEST_PASSPHRASE])
            except WrongPassphrase:
                self._wrong(person, "signin-wrong")
            self._throttle.right(person)
        session = OfficeSession(self._config.services, person, key)
        try:
            me = _in_standing(session)
        except BaseException:
            session.close()
            raise
        return self._wait(guest, Seat(me, session, 0.0, 0.0, owner=person))

    def begin_account(self, guest: str, login: str, passphrase: str) -> Pending:
        """A subject gives their passphrase, or the one-time code of the slip; raises as `begin`."""
        account = self._accounts.account(login)
        name = f"account:{login.strip().upper()}"
        with self._unlocking:
            self._throttle.check(name)
            fits = self._accounts.passphrase_fits(login, passphrase)
            first = not fits and account is not None and not account.ready and self._accounts.code_fits(name, passphrase)
            if not (fits or first):
                self._wrong(name, "account-wrong")
            self._throttle.right(name)
        assert account is not None, "what fits, fits an account"
        pending = self._wait(guest, self._subject_seat(account))
        pending.code = passphrase if first else ""
        return pending

    def _subject_seat(self, account: Account) -> SubjectSeat:
        if self._config.window_key is None:
            raise Notice("window-none", 503)
        session = OfficeSession(self._config.services, self._config.window, load_key(self._config.window_key))
        try:
            window = session.me
            if window.key != session.public_key or window.suspended or window.role is not Role.WINDOW:
                raise Notice("window-none", 503)
        except BaseException:
            session.close()
            raise
        # The account is a person of its own among the seats, and the window's before the office.
        shown = Person(id=account.owner, institution=window.institution, name=account.login, role=Role.WINDOW, key=window.key)
        return SubjectSeat(shown, session, 0.0, 0.0, owner=account.owner, account=account, window=window)

    def _wait(self, guest: str, seat: Seat) -> Pending:
        codes, keys = self._factors.enrolled(seat.owner)
        pending = Pending(seat, self._clock() + PENDING_SECONDS, enrolling=not codes and not keys)
        self.drop(guest)
        self._pending[_name(guest)] = pending
        return pending

    # ---------------------------------------------------------------- the second step

    def pending(self, guest: str) -> Pending:
        """Who waits for their second step in this browser; raises `Notice`, which leads to the first."""
        found = self._pending.get(_name(guest))
        if found is None or found.expires <= self._clock():
            self.drop(guest)
            raise Notice("signed-out", 401)
        return found

    def allow(self, pending: Pending, code: str) -> None:
        """The one-time code that lets someone make their first second factor; raises `Notice`."""
        owner = pending.seat.owner
        with self._second:
            self._throttle.check(f"{owner} second")
            if not self._accounts.code_fits(owner, code):
                self._wrong(f"{owner} second", "code-wrong")
            self._throttle.right(f"{owner} second")
        pending.code = code

    def allowed(self, pending: Pending) -> bool:
        """Whether a second factor may be made now."""
        return bool(pending.code) and self._accounts.code_fits(pending.seat.owner, pending.code)

    def check_second(self, pending: Pending, *, code: str = "", answer: str = "") -> None:
        """A one-time code, a recovery code, or a passkey's answer; raises `Notice`."""
        owner = pending.seat.owner
        if pending.enrolling:
            raise Notice("signed-out", 401)
        # One at a time, or guesses sent together would all be made before the first of them is counted.
        with self._second:
            self._throttle.check(f"{owner} second")
            if answer:
                challenge, pending.challenge = pending.challenge, b""
                fits = bool(challenge) and self._factors.passkey_fits(owner, challenge, answer)
            else:
                fits = self._factors.totp_fits(owner, code) or self._factors.recovery_fits(owner, code)
            if not fits:
                self._wrong(f"{owner} second", "second-wrong")
            self._throttle.right(f"{owner} second")

    def admit(self, guest: str) -> str:
        """Both steps are passed: take the seat; its cookie's value. Whoever else is on the way to it begins anew."""
        gone = self._pending.pop(_name(guest), None)
        if gone is None:
            raise Notice("signed-out", 401)
        seat = gone.seat
        self._drop_where(lambda pending: pending.seat.owner == seat.owner)
        seat.begun = seat.seen = self._clock()
        return self.take(seat)

    def find(self, token: str, *, own: bool = True) -> Seat | None:
        """As every seat; it also ends when its owner's second factors were reset."""
        seat = super().find(token, own=own)
        if seat is not None and not any(self._factors.enrolled(seat.owner)):
            self.end_of(seat.person.id)
            return None
        return seat

    def end_of(self, person: str) -> None:
        """End every seat of a person, and every way to one."""
        self._drop_where(lambda pending: pending.seat.owner == person)
        super().end_of(person)

    def drop(self, guest: str) -> None:
        """Forget who was on their way in this browser."""
        gone = self._pending.pop(_name(guest), None)
        if gone is not None:
            gone.seat.end()

    def sweep(self) -> None:
        """End what is over."""
        super().sweep()
        now = self._clock()
        self._drop_where(lambda pending: pending.expires <= now)

    def _drop_where(self, over: Callable[[Pending], bool]) -> None:
        for name in [name for name, pending in list(self._pending.items()) if over(pending)]:
            gone = self._pending.pop(name, None)
            if gone is not None:
                gone.seat.end()

    def _wrong(self, name: str, key: str) -> Any:
        left = self._throttle.wrong(name)
        if not left:
            self._throttle.check(name)
        raise Notice(key, 403, left=left)


def directory_of(seat: Seat) -> Directory:
    """The office's directory as it is now."""
    return seat.held.directory(fresh=True)


def _in_standing(session: OfficeSession) -> Person:
    """The person as enrolled, if this key may work at the console."""
    me = session.me
    if me.key != session.public_key:
        raise Notice("signin-key", 403)
    if me.suspended or session.institution.suspended:
        raise Notice("signin-suspended", 403)
    if me.role not in OFFICIALS:
        raise Notice("signin-role", 403)
    return me


def _name(guest: str) -> bytes:
    return hashlib.sha256(guest.encode()).digest()
