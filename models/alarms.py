"""Alarms: what the credit office must look at, for its clerks and auditors. No record of a person is in them."""

from __future__ import annotations

from models.wire import Message


class Alarm(Message):
    """One alarm: which institution set it off or reported it, about what, and the evidence that is kept with it."""

    id: int
    at: int
    kind: str
    institution: str
    about: str
    detail: str
    evidence: bytes = b""


class Alarms(Message):
    """The newest alarms first, at most a thousand."""

    alarms: tuple[Alarm, ...]
