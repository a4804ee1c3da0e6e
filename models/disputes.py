"""Objections with evidence (异议), corrections by the source, credit repair (信用修复): filed, decided, answered in writing.

::

    subject, clerk                office                             steward at the department's node
    ── RaiseDispute ────────────> marked at once, 20 days begin
                                  ── Correction (what to look at) ─> checks, delivers the right value (POST /loads)
                                  <───────────── AnswerCorrection ──
    clerk ── AnswerDispute ─────> corrected, unmarked or noted
    <── Signed(Letter) ─────────

A field stays marked in checks, and out of joint trainings, until the answer; one that is *noted* (it could not be settled)
stays marked, with what was found on file. The answer is due at the end of the twentieth day after the day of filing, by the
office's calendar (《征信业管理条例》第二十五条).

Leakage: the office learns the field, never its value, unless the person or the evidence says so; the steward learns which
field of whom is disputed and why; nothing of a case is in the log but its random number and its dates.
"""

from __future__ import annotations

from datetime import date, timedelta, tzinfo
from enum import StrEnum

from models.archives import ModelUse
from models.wire import Message, Signed
from models.zones import day_at

DUE_DAYS = 20
WARN_DAYS = (15, DUE_DAYS)
OPEN = "open"


class Finding(StrEnum):
    """How an objection ends: 更正 (the source corrected it), 取消标注 (it was right), 附注说明 (not to be settled; noted)."""

    CORRECTED = "corrected"
    UNMARKED = "unmarked"
    NOTED = "noted"


def due_day(filed_at: int, zone: tzinfo) -> date:
    """The last day for the answer."""
    return day_at(filed_at, zone) + timedelta(days=DUE_DAYS)


class FiledEvidence(Message):
    """A file as it was handed in."""

    name: str
    content: bytes


class RaiseDispute(Message):
    """An objection to one field (``*``: the whole record). With `withheld`, which only a clerk may set, it is not shown at all.

    `statement` is the person's own words (at most 2,000 characters).
    """

    subject: str
    field: str
    statement: str
    evidence: FiledEvidence | None = None
    withheld: bool = False


class Correction(Message):
    """What the office asks the source to look at, and its answer. `state` is ``open``, ``corrected`` or ``upheld``."""

    id: str
    dispute: str
    subject: str
    field: str
    request: str
    asked_at: int
    state: str = OPEN
    reply: str = ""
    batch: str = ""
    answered_by: str = ""
    answered_at: int = 0


class Dispute(Message):
    """An objection as the office keeps it. `due` is an ISO day, `days_left` negative once it is past.

    `state` is ``open`` or a `Finding`; `by_subject` tells that the subject filed it through the window.
    """

    id: str
    subject: str
    field: str
    statement: str
    withheld: bool
    filed_at: int
    filed_by: str
    by_subject: bool
    due: str
    days_left: int
    state: str
    evidence_name: str = ""
    evidence_digest: str = ""
    evidence_bytes: int = 0
    corrections: tuple[Correction, ...] = ()
    letter: Signed | None = None


class AskFilings(Message):
    """Of one subject all objections and applications, or, with an empty subject (clerks only), the open ones of everybody."""

    subject: str = ""


class Disputes(Message):
    """Objections, the one that is due first at the head."""

    disputes: tuple[Dispute, ...]


class AskCorrection(Message):
    """A clerk asks the source of the disputed field to check it; `request` says what to look at."""

    request: str


class Corrections(Message):
    """Correction requests, oldest first."""

    corrections: tuple[Correction, ...]


class AnswerCorrection(Message):
    """The steward's answer: whether the value was wrong and has been delivered anew (`batch`), and in words what was found."""

    corrected: bool
    reply: str
    batch: str = ""


class AnswerDispute(Message):
    """A clerk's answer in writing. `uses` is the node's signed `ModelUses`, needed where the finding is ``corrected``."""

    finding: Finding
    text: str
    uses: Signed | None = None


class Letter(Message):
    """The answer as the person keeps it, signed by the office. `models` are those that used the old value."""

    number: str
    subject: str
    field: str
    statement: str
    filed_at: int
    finding: Finding
    text: str
    models: tuple[ModelUse, ...]
    answered_by: str
    answered_at: int


class ApplyRepair(Message):
    """A subject applies for credit repair of one field, with grounds in words and evidence."""

    subject: str
    field: str
    grounds: str
    evidence: FiledEvidence | None = None


class RepairCase(Message):
    """An application: ``open``, ``granted`` or ``refused``; granted, nobody is shown the field from the next epoch on."""

    id: str
    subject: str
    field: str
    grounds: str
    filed_at: int
    filed_by: str
    by_subject: bool
    state: str
    reason: str = ""
    decided_by: str = ""
    decided_at: int = 0
    evidence_name: str = ""
    evidence_digest: str = ""
    evidence_bytes: int = 0


class RepairCases(Message):
    """Applications, newest first."""

    repairs: tuple[RepairCase, ...]


class DecideRepair(Message):
    """A clerk who did not file it decides, with a reason that the person is told."""

    grant: bool
    reason: str


class Filing(Message):
    """The number under which a case is known."""

    id: str
