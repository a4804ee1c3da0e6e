"""What a steward is told about a delivery: counts, and why rows were set aside. No value of a record is in it."""

from __future__ import annotations

from models.wire import Message


class QuarantinedRow(Message):
    """A line of the file and why it was set aside."""

    line: int
    reasons: tuple[str, ...]


class LoadReport(Message):
    """What became of one file; `quarantine_file` lies on the node, in the sender's encoding, with a column of reasons."""

    batch: str
    field_set: str
    encoding: str
    rows_read: int
    rows_loaded: int
    rows_repeated: int
    rows_outdated: int
    rows_quarantined: int
    quarantined: tuple[QuarantinedRow, ...]
    quarantine_file: str
