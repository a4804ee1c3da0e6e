"""Daily reconciliation: tickets, evaluations and leaves of one day, table by table, and what does not fit together."""

from __future__ import annotations

from models.wire import Message

WHOLE, FINDINGS, INCOMPLETE = "whole", "findings", "incomplete"
"""States of a day: all agrees; something does not; the node's log could not be followed to the end of the day."""


class TableCount(Message):
    """One table and epoch on one day. All tickets have leaves; `evaluations` and `unused` add up to `tickets`."""

    table: str
    epoch: int
    tickets: int
    leaves: int
    evaluations: int
    unused: int


class Finding(Message):
    """Something that does not fit: `rule` says what (`models.alarm_rules`), indices are -1 where there is no such leaf."""

    id: int
    day: str
    rule: str
    table: str
    epoch: int
    ticket: str
    node_index: int
    office_index: int
    detail: str


class ReconciledDay(Message):
    """The last run over one day (ISO). `index` is its leaf in the office's log, -1 while that has none."""

    day: str
    at: int
    state: str
    tickets: int
    leaves: int
    evaluations: int
    unused: int
    findings: int
    node_size: int
    office_size: int
    detail: str
    index: int = -1


class AskReconciliations(Message):
    """The days from `since` to `until` (ISO, both inclusive; empty: the last 35)."""

    since: str = ""
    until: str = ""


class Reconciliations(Message):
    """One entry a day, oldest first; days without a run are missing."""

    days: tuple[ReconciledDay, ...]


class AskReconciliation(Message):
    """One day in full."""

    day: str


class Reconciliation(Message):
    """One day in full."""

    run: ReconciledDay
    tables: tuple[TableCount, ...]
    findings: tuple[Finding, ...]
