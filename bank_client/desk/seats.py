"""Who is signed in: a seat for each person, with the key in memory for as long as the seat lasts, and a throttle on attempts.

A seat is found by a random cookie of 32 bytes, of which only the SHA-256 is kept. It ends after `idle` seconds without a
request of the person's own (what a page asks for by itself does not count), after `longest` seconds in any case, at
sign-out, and when the person signs in elsewhere. With it go the key, the connections and everything that was looked at.

A guess at a passphrase costs a third of a second, one at a time; after `ATTEMPTS` wrong ones in a row a person's sign-in
waits for `WAIT` seconds, and again after each further one.
"""

from __future__ import annotations

import hashlib
import secrets
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from bank_client.desk.notices import Notice
from bank_client.desk.settings import DeskConfig
from bank_client.protected_keys import WrongPassphrase, unlock
from bank_client.session import Bank
from models.parties import Person, Role

ATTEMPTS = 5
WAIT = 300
LONGEST_PASSPHRASE = 256
Clock = Callable[[], float]


@dataclass(repr=False)
class Seat:
    """One signed-in person. Whoever uses `bank` holds `busy`: a session speaks to office and node once at a time."""

    person: Person
    bank: Bank
    begun: float
    seen: float
    busy: threading.RLock = field(default_factory=threading.RLock)
    ended: bool = False

    @property
    def is_officer(self) -> bool:
        """Whether this is a loan officer; else it is an approver."""
        return self.person.role is Role.LOAN_OFFICER

    @contextmanager
    def session(self) -> Iterator[Bank]:
        """The person's session, for one caller at a time."""
        with self.busy:
            if self.ended:
                raise Notice("signed-out", 401)
            yield self.bank

    def end(self) -> None:
        """Close it once its work is done, without waiting for that."""
        self.ended = True
        threading.Thread(target=self._close, daemon=True).start()

    def _close(self) -> None:
        with self.busy:
            self.bank.close()


class Throttle:
    """Counts wrong passphrases for each person."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._wrong: dict[str, tuple[int, float]] = {}

    def check(self, person: str) -> None:
        """Raise `Notice` where this person must wait."""
        count, last = self._wrong.get(person, (0, 0.0))
        left = last + WAIT - self._clock()
        if count >= ATTEMPTS and left > 0:
            raise Notice("signin-wait", 429, minutes=int(left // 60) + 1)

    def wrong(self, person: str) -> int:
        """Note a wrong one; how many are left before the wait."""
        count = self._wrong.get(person, (0, 0.0))[0] + 1
        self._wrong[person] = (count, self._clock())
        return max(0, ATTEMPTS - count)

    def right(self, person: str) -> None:
        """Begin anew."""
        self._wrong.pop(person, None)


class Seats:
    """All seats of one desk.

    Args:
        config: the branch.
        clock: POSIX seconds.
        left: told of each seat that has ended.
    """

    def __init__(self, config: DeskConfig, clock: Clock, left: Callable[[Seat], None]) -> None:
        self._config, self._clock, self._left = config, clock, left
        self._seats: dict[bytes, Seat] = {}
        self._lock = threading.Lock()
        self._unlocking = threading.Lock()
        self._throttle = Throttle(clock)

    def __repr__(self) -> str:
        return f"Seats({len(self._seats)} taken)"

    def sign_in(self, person: str, passphrase: str) -> str:
        """Take a seat; its cookie's value.

        Raises:
            Notice: unknown person, wrong passphrase, too many of them, or an enrolment that does not allow it.
            Problem: the office does not answer, or does not know the person.
        """
        if person not in {entry.id for entry in self._config.people}:
            raise Notice("signin-unknown", 403)
        with self._unlocking:
            self._throttle.check(person)
            settings = self._config.of(person)
            try:
                key = unlock(settings.key_file, passphrase[:LONGEST_PASSPHRASE])
            except WrongPassphrase:
                left = self._throttle.wrong(person)
                if not left:
                    self._throttle.check(person)
                raise Notice("signin-wrong", 403, left=left) from None
            self._throttle.right(person)
        bank = Bank(settings, key)
        try:
            me = _in_standing(bank)
        except BaseException:
            bank.close()
            raise
        token, now = secrets.token_urlsafe(32), self._clock()
        with self._lock:
            before = [name for name, seat in self._seats.items() if seat.person.id == person]
            ended = [self._seats.pop(name) for name in before]
            self._seats[_name(token)] = Seat(me, bank, now, now)
        self._end(ended)
        return token

    def find(self, token: str, *, own: bool = True) -> Seat | None:
        """The seat of a cookie, if it lasts; `own` where the person did something, so that the idle time begins anew."""
        self.sweep()
        with self._lock:
            seat = self._seats.get(_name(token))
            if seat is not None and own:
                seat.seen = self._clock()
            return seat

    def seconds_left(self, seat: Seat) -> int:
        """How long the seat lasts if nothing is done."""
        ends = min(seat.seen + self._config.idle_minutes * 60, seat.begun + self._config.session_hours * 3600)
        return max(0, int(ends - self._clock()))

    def sign_out(self, token: str) -> None:
        """Leave a seat."""
        with self._lock:
            seat = self._seats.pop(_name(token), None)
        self._end([] if seat is None else [seat])

    def sweep(self) -> None:
        """End the seats whose time is over."""
        with self._lock:
            over = [name for name, seat in self._seats.items() if not self.seconds_left(seat)]
            ended = [self._seats.pop(name) for name in over]
        self._end(ended)

    def close(self) -> None:
        """End all."""
        with self._lock:
            ended = list(self._seats.values())
            self._seats.clear()
        self._end(ended)

    def _end(self, ended: list[Seat]) -> None:
        for seat in ended:
            seat.end()
            self._left(seat)


def _in_standing(bank: Bank) -> Person:
    """The person as enrolled, if this key may work at a desk."""
    me, home = bank.me, bank.institution
    if me.key != bank.public_key:
        raise Notice("signin-key", 403)
    if me.suspended or home.suspended:
        raise Notice("signin-suspended", 403)
    if me.role not in (Role.LOAN_OFFICER, Role.APPROVER):
        raise Notice("signin-role", 403)
    return me


def _name(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
