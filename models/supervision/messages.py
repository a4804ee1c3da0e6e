"""What travels: the node's statement, a bank's report on agricultural credit, figures with what they were counted from."""

from __future__ import annotations

from enum import StrEnum

from models.wire import Message, Signed

ALL = "*"
"""In the place of an area or key: all of them together."""
ELSEWHERE = "-"
"""The area of subjects whose place is not on record, or whose opening was erased."""
OTHER = "other"
"""The key of what has none that is known."""
TOWNSHIP_DIGITS, COUNTY_DIGITS = 9, 6


class Shown(StrEnum):
    """How a figure is shown: as it is, in tens, as fewer than ten, or not at all."""

    EXACT = "exact"
    TENS = "tens"
    FEW = "few"
    HIDDEN = "hidden"


class AreaCoverage(Message):
    """Archives of one township (9 digits of GB/T 2260 and its extension), or ``ELSEWHERE``.

    `declared` are households as its villages report them (an open figure); the others are subjects, in tens, -1 for fewer than
    ten: households and organisations on record, and those of them that epochs serve since a collection consent stands.
    """

    area: str
    declared: int
    households: int
    households_served: int
    organisations: int
    organisations_served: int


class Freshness(Message):
    """How old what one department sends is, held against its fields' cycle: in tens of records, -1 for fewer than ten.

    One row for each department, category and cycle of the catalogue (`days`). `newest` is the day that the newest delivery of
    the category describes; of its records `fresh` are within a cycle, `late` within two, `old` beyond.
    """

    department: str
    category: str
    cycle: str
    days: int
    newest: str
    fresh: int
    late: int
    old: int


class CoverageStatement(Message):
    """The node's word on its archives on a day; figures move by ten or not at all (`models.supervision.steps`)."""

    month: str
    stated_at: int
    areas: tuple[AreaCoverage, ...]
    freshness: tuple[Freshness, ...]


class CreditLine(Message):
    """One area's credit at the end of a quarter, whole yuan; an area has 6 (county) or 9 digits (township)."""

    area: str
    agricultural: int
    agricultural_borrowers: int
    loans: int
    borrowers: int


class CreditReport(Message):
    """What a bank reports for a quarter; a correction names the digest of the report that it takes the place of."""

    bank: str
    period: str
    lines: tuple[CreditLine, ...]
    corrects: str = ""


class CreditFiled(Message):
    """The office's receipt of a report: its digest, which a correction names."""

    digest: str
    number: int


class AskFigures(Message):
    """A question for the figures of a year."""

    year: int


class Basis(Message):
    """What figures were counted from: the entries `first` to `size` of the office's log, under this checkpoint's root.

    `until` is the POSIX second up to which entries count; `final` says that the period is over and the figures stay.
    """

    period: str
    origin: str
    first: int
    size: int
    root: bytes
    until: int
    final: bool


class SignedSource(Message):
    """A signed statement that figures come from, by its digest, which stands in a leaf of the log."""

    kind: str
    period: str
    signer: str
    digest: str


class Figure(Message):
    """One figure. `area`, `key` and `second` say what it counts: ``""`` where that does not apply, ``ALL`` for a total."""

    measure: str
    period: str
    area: str = ""
    key: str = ""
    second: str = ""
    value: int = 0
    shown: Shown = Shown.EXACT


class YearFigures(Message):
    """All figures of a year that may be shown at `asked_at`, ordered, with what they come from."""

    year: int
    asked_at: int
    figures: tuple[Figure, ...]
    bases: tuple[Basis, ...]
    sources: tuple[SignedSource, ...]
    complete: bool


class YearlyReport(Message):
    """The office's signed word on its official report of a year: digests (SHA-256, hex) of the CSV file and the two pages.

    `time_zone` is where its quarters begin and end.
    """

    year: int
    time_zone: str
    number: int
    issued_at: int
    csv: str
    page_zh: str
    page_en: str
    bases: tuple[Basis, ...]


class IssueReport(Message):
    """A request to issue the official report of a year; `reason` is kept beside the leaf."""

    year: int
    reason: str = ""


class IssuedReport(Message):
    """The signed word and the files that it is about."""

    report: Signed
    csv: bytes
    page_zh: bytes
    page_en: bytes


class IssuedReports(Message):
    """What was issued, newest first."""

    reports: tuple[Signed, ...]
