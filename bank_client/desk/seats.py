"""Who is signed in at the desk: a person of the branch, the key opened by a passphrase, in standing with the office.

A guess at a passphrase costs a third of a second, one at a time; what holds for every seat stands in `models.web.seats`.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from bank_client.desk.settings import DeskConfig
from bank_client.session import Bank
from models.parties import Directory, Person, Role
from models.protected_keys import WrongPassphrase, unlock
from models.web import seats
from models.web.notices import Notice
from models.web.seats import Clock, Throttle
from models.wire import Signed

LONGEST_PASSPHRASE = 256


class Seat(seats.Seat[Bank]):
    """A loan officer or an approver."""

    @property
    def bank(self) -> Bank:
        """What of the session needs no turn: its settings and what it has fetched."""
        return self.held

    @property
    def is_officer(self) -> bool:
        """Whether this is a loan officer; else it is an approver."""
        return self.person.role is Role.LOAN_OFFICER


class Seats(seats.Seats[Seat]):
    """All seats of one desk. `left` is told of each seat that has ended, `clock` gives POSIX seconds."""

    def __init__(self, config: DeskConfig, clock: Clock, left: Callable[[Seat], None]) -> None:
        super().__init__(idle=config.idle_minutes * 60, longest=config.session_hours * 3600, clock=clock, left=left)
        self._config = config
        self._unlocking = threading.Lock()
        self._throttle = Throttle(clock)

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
        now = self._clock()
        return self.take(Seat(me, bank, now, now))


def directory_of(seat: Seat) -> Directory:
    """The office's directory as it is now."""
    return seat.bank.from_office(seat.bank.office.get("/directory", Signed), Directory)


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
