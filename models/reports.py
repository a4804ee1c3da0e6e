"""Reports: what became of a check. They close the circle that a consent opened: asked for this purpose, decided so."""

from __future__ import annotations

from enum import StrEnum

from models.wire import Message


class CheckOutcome(StrEnum):
    """What the bank decided after a check; `NOT_USED` where the record was not looked at, or changed nothing."""

    APPROVED = "approved"
    DECLINED = "declined"
    WITHDRAWN = "withdrawn"
    NOT_USED = "not-used"


class CheckReport(Message):
    """A loan officer's signed word on one check of the own bank.

    `ticket` is the ticket's digest (hex), `decided_at` POSIX seconds, `reference` the bank's own number of the case (at most
    100 characters). There is one report on a ticket; a correction names in `corrects` the digest of the signed report that
    it takes the place of.
    """

    ticket: str
    outcome: CheckOutcome
    decided_at: int
    reference: str = ""
    corrects: str = ""
