"""Alarms: what the credit office must look at, for its clerks and auditors. No record of a person is in them."""

from __future__ import annotations

from models.wire import Message


class Alarm(Message):
    """One alarm: which institution set it off or reported it, about what, and the evidence that is kept with it.

    `count` is how often the same thing happened since `at`, the last time at `last_at`: a pattern that goes on raises one
    alarm a day. `kind` names the rule (`models.alarm_rules`), `measured` and `threshold` are the number that broke it and
    the largest that does not, where the rule has one. An auditor acknowledges and closes it, with a reason; what happens
    again opens it again.
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
    state: str = "open"
    handled_by: str = ""
    handled_at: int = 0
    reason: str = ""
    measured: float | None = None
    threshold: float | None = None


class Alarms(Message):
    """The newest alarms first, at most a thousand."""

    alarms: tuple[Alarm, ...]


OPEN, ACKNOWLEDGED, CLOSED = "open", "acknowledged", "closed"
STATES = (OPEN, ACKNOWLEDGED, CLOSED)


class AskAlarms(Message):
    """Alarms in this state, of this kind and institution (empty: any), with numbers below `before` (0: from the newest)."""

    state: str = ""
    kind: str = ""
    institution: str = ""
    before: int = 0


class HandleAlarm(Message):
    """An auditor acknowledges or closes an alarm, or opens it again, and says why."""

    alarm: int
    state: str
    reason: str


class AlarmEvent(Message):
    """A change of an alarm's state."""

    at: int
    by: str
    state: str
    reason: str


class AlarmHistory(Message):
    """One alarm and what was done about it, oldest first."""

    alarm: Alarm
    events: tuple[AlarmEvent, ...]


class AskAlarm(Message):
    """One alarm."""

    alarm: int
