"""Who is signed in: a seat for each person, with the key in memory for as long as the seat lasts, and a throttle on attempts.

A seat is found by a random cookie of 32 bytes, of which only the SHA-256 is kept. It ends after `idle` seconds without a
request of the person's own (what a page asks for by itself does not count), after `longest` seconds in any case, at
sign-out, when the person signs in elsewhere, and as soon as a look at the directory finds the person suspended. With it go
the key, the connections and everything that was looked at.
"""

from __future__ import annotations

import hashlib
import logging
import secrets
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar

from models.parties import Directory, Person
from models.problems import BadSignature, Problem
from models.web.notices import Notice

ATTEMPTS = 5
WAIT = 300
MOST_NAMES = 10_000
Clock = Callable[[], float]
logger = logging.getLogger(__name__)


class Closing(Protocol):
    """A session with the services."""

    def close(self) -> None:
        """Close its connections."""


S = TypeVar("S", bound=Closing)


@dataclass(repr=False, eq=False)
class Seat(Generic[S]):
    """One signed-in person. Whoever uses `held` holds `busy`: a session speaks to the services once at a time."""

    person: Person
    held: S
    begun: float
    seen: float
    busy: threading.RLock = field(default_factory=threading.RLock)
    ended: bool = False

    @property
    def enrolled(self) -> Person:
        """Under whose enrolment the seat acts."""
        return self.person

    @contextmanager
    def session(self) -> Iterator[S]:
        """The person's session, for one caller at a time."""
        with self.busy:
            if self.ended:
                raise Notice("signed-out", 401)
            yield self.held

    def end(self) -> None:
        """Close it once its work is done, without waiting for that."""
        self.ended = True
        threading.Thread(target=self._close, daemon=True).start()

    def _close(self) -> None:
        with self.busy:
            self.held.close()


T = TypeVar("T", bound=Seat)  # type: ignore[type-arg]


class Throttle:
    """Counts wrong attempts for each name: after `ATTEMPTS` in a row it waits for `WAIT` seconds, and again after each more."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        # By digest, the newest last: whoever makes names up chooses neither how long they are nor how many are kept.
        self._wrong: dict[bytes, tuple[int, float]] = {}

    def check(self, name: str) -> None:
        """Raise `Notice` where this name must wait."""
        count, last = self._wrong.get(_name(name), (0, 0.0))
        left = last + WAIT - self._clock()
        if count >= ATTEMPTS and left > 0:
            raise Notice("signin-wait", 429, minutes=int(left // 60) + 1)

    def wrong(self, name: str) -> int:
        """Note a wrong one; how many are left before the wait."""
        count = self._wrong.pop(_name(name), (0, 0.0))[0] + 1
        self._wrong[_name(name)] = (count, self._clock())
        while len(self._wrong) > MOST_NAMES:
            self._wrong.pop(next(iter(self._wrong)), None)
        return max(0, ATTEMPTS - count)

    def right(self, name: str) -> None:
        """Begin anew."""
        self._wrong.pop(_name(name), None)


class Seats(Generic[T]):
    """All seats of one application.

    Args:
        idle: seconds without a request of the person's own.
        longest: seconds in any case.
        clock: POSIX seconds.
        left: told of each seat that has ended.
    """

    def __init__(self, *, idle: float, longest: float, clock: Clock, left: Callable[[T], None] = lambda _seat: None) -> None:
        self._idle, self._longest, self._clock, self._left = idle, longest, clock, left
        self._seats: dict[bytes, T] = {}
        self._lock = threading.Lock()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({len(self._seats)} taken)"

    def take(self, seat: T) -> str:
        """Seat a person, who leaves every other seat; the cookie's value."""
        token = secrets.token_urlsafe(32)
        with self._lock:
            before = [name for name, other in self._seats.items() if other.person.id == seat.person.id]
            ended = [self._seats.pop(name) for name in before]
            self._seats[_name(token)] = seat
        self._end(ended)
        return token

    def find(self, token: str, *, own: bool = True) -> T | None:
        """The seat of a cookie, if it lasts; `own` where the person did something, so that the idle time begins anew."""
        self.sweep()
        with self._lock:
            seat = self._seats.get(_name(token))
            if seat is not None and own:
                seat.seen = self._clock()
            return seat

    def seconds_left(self, seat: T) -> int:
        """How long the seat lasts if nothing is done."""
        ends = min(seat.seen + self._idle, seat.begun + self._longest)
        return max(0, int(ends - self._clock()))

    def sign_out(self, token: str) -> None:
        """Leave a seat."""
        with self._lock:
            seat = self._seats.pop(_name(token), None)
        self._end([] if seat is None else [seat])

    def end_of(self, person: str) -> None:
        """End every seat of a person."""
        self._end_where(lambda seat: seat.person.id == person)

    def sweep(self) -> None:
        """End the seats whose time is over."""
        self._end_where(lambda seat: not self.seconds_left(seat))

    def follow(self, look: Callable[[T], Directory]) -> None:
        """End the seats of those whom the office has suspended or enrolled otherwise; `look` fetches its directory.

        Where no directory can be had, nobody is put out: the services refuse a suspended person by themselves.
        """
        with self._lock:
            anybody = next(iter(self._seats.values()), None)
        if anybody is None:
            return
        try:
            with anybody.busy:
                if anybody.ended:
                    return
                directory = look(anybody)
        except (Problem, BadSignature):
            logger.warning("the office's directory could not be had; who is signed in stays so for now")
            return
        homes = {home.id: home for home in directory.institutions}
        known = {person.id: person for person in directory.people}

        def gone(seat: T) -> bool:
            then, now = seat.enrolled, known.get(seat.enrolled.id)
            changed = now is None or now.suspended or (now.key, now.role) != (then.key, then.role)
            return changed or homes[then.institution].suspended

        self._end_where(gone)

    def close(self) -> None:
        """End all."""
        self._end_where(lambda _seat: True)

    def _end_where(self, over: Callable[[T], bool]) -> None:
        with self._lock:
            names = [name for name, seat in self._seats.items() if over(seat)]
            ended = [self._seats.pop(name) for name in names]
        self._end(ended)

    def _end(self, ended: list[T]) -> None:
        for seat in ended:
            seat.end()
            self._left(seat)


def _name(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
