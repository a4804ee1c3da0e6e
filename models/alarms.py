"""Alarms: what the credit office must look at, for its clerks and auditors. No record of a person is in them."""

from __future__ import annotations

from models.wire import Message


class Alarm(Message):
    """One alarm: which institution set it off or reported it, about what, and the evidence that is kept with it.

    `count` is how often the same thing happened since `at`, the last time at `last_at`: a pattern that goes on raises one
    alarm a day.
    """

    id: int
    at: int
    kind: str
    institution: str
    about: str
    detail: str
    evidence: bytes = b""
    count: int = 1
    last_at: int = 0


class Alarms(Message):
    """The newest alarms first, at most a thousand."""

    alarms: tuple[Alarm, ...]
