"""The table of a village drive: many consents on paper, one row each, as CSV (UTF-8 or GB18030), headed in Chinese or English.

Days are whole days where the office is; a consent ends with its last day. What a row leaves empty counts for the drive: the
officer, the witness, the digest of the scans. A row at fault is named by its line and left out; the others are filed.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from models.consents import ANY, Capture, Consent, ConsentKind, DriveFault, FileDrive, Purpose
from models.identity import IdentityError, canonical_id, fold_width, parse_id
from models.problems import Unusable
from models.spreadsheets import csv_text, safe_cell

MOST_ROWS = 20_000
LONGEST_CELL = 1_000
REQUIRED = ("subject", "kind", "recipient", "purposes", "valid_from", "valid_to")
HEADINGS: dict[str, tuple[str, str]] = {
    "subject": ("主体编号", "subject"),
    "kind": ("授权种类", "kind"),
    "recipient": ("授权给", "recipient"),
    "purposes": ("用途", "purposes"),
    "field_sets": ("数据类别", "field_sets"),
    "sensitive_fields": ("敏感字段", "sensitive_fields"),
    "valid_from": ("生效日", "valid_from"),
    "valid_to": ("截止日", "valid_to"),
    "officer": ("经办人", "officer"),
    "witness": ("见证人", "witness"),
    "reference": ("备注", "reference"),
    "evidence_digest": ("扫描件摘要", "evidence_digest"),
}
"""Column, Chinese heading, English heading; lists within a cell are separated by semicolons."""
LINE, REASON = ("行号", "line"), ("原因", "reason")
"""What a file of left-out rows has in front; it may be corrected and filed again as it is."""
_KINDS = {"采集": "collection", "建模": "modelling", "查询": "query"}
_PURPOSES = {"贷款审批": "loan-approval", "贷后管理": "post-loan", "联合建模": "modelling", "全部": ANY}
_EVERYTHING = {"全部": ANY, "": ""}


@dataclass(frozen=True, repr=False)
class DriveRow:
    """One row: its line in the table, and its cells by column."""

    line: int
    cells: Mapping[str, str] = field(repr=False)

    def of(self, column: str) -> str:
        """A cell, with full-width characters made plain and blanks around it removed."""
        return fold_width(self.cells.get(column, ""))


def template(*, english: bool = False) -> bytes:
    """The empty table, UTF-8 with the mark that spreadsheets look for."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\r\n").writerow([heading[int(english)] for heading in HEADINGS.values()])
    return text.getvalue().encode("utf-8-sig")


def read_rows(table: bytes) -> list[DriveRow]:
    """The rows of a table that are not blank; raises `Unusable` for what is no such table at all."""
    lines = list(_lines(table))
    if not lines:
        raise Unusable("the table is empty; begin with the template")
    columns = _columns(lines[0][1])
    rows = [DriveRow(number, dict(zip(columns, cells, strict=False))) for number, cells in lines[1:] if any(cells)]
    if not 1 <= len(rows) <= MOST_ROWS:
        raise Unusable(f"a table has 1 to {MOST_ROWS} rows below its headings; split a longer one")
    return rows


def left_out(table: bytes, faults: Sequence[DriveFault]) -> bytes:
    """The rows at fault as they came, each with line and reasons in front: to be corrected and filed again."""
    reasons: dict[int, list[str]] = {}
    for fault in faults:
        reasons.setdefault(fault.line, []).append(fault.reason)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    known: list[int] = []
    for number, (line, cells) in enumerate(_lines(table)):
        if number == 0:
            known = [place for place, cell in enumerate(cells) if fold_width(cell) not in {*LINE, *REASON}]
            writer.writerow([LINE[0], REASON[0], *(safe_cell(cells[place]) for place in known)])
        elif line in reasons:
            writer.writerow(
                [line, "; ".join(reasons[line]), *(safe_cell(cells[place]) for place in known if place < len(cells))]
            )
    return text.getvalue().encode("utf-8-sig")


def consent_of(row: DriveRow, drive: FileDrive, consent_id: str, identity: str, zone: ZoneInfo) -> Consent:
    """The consent that a row states; raises ValueError with what is wrong, without a value of the row."""
    if any(len(cell) > LONGEST_CELL for cell in row.cells.values()):
        raise ValueError(f"a cell has more than {LONGEST_CELL} characters / 单元格过长")
    for column in REQUIRED:
        if not row.of(column):
            raise ValueError(f"{HEADINGS[column][1]} is empty / “{HEADINGS[column][0]}”为空")
    kind = _KINDS.get(row.of("kind"), row.of("kind"))
    if kind not in set(ConsentKind):
        raise ValueError(f"kind is one of {', '.join(ConsentKind)} / 授权种类应为 {'、'.join(_KINDS)}")
    purposes = tuple(_PURPOSES.get(one, one) for one in _split(row.of("purposes")))
    if set(purposes) - {ANY, *Purpose}:
        raise ValueError(f"purposes are of {', '.join(Purpose)} / 用途应为 {'、'.join(_PURPOSES)}")
    return Consent(
        id=consent_id,
        subject=_subject(row.of("subject"), identity),
        kind=ConsentKind(kind),
        recipient=_EVERYTHING.get(row.of("recipient"), row.of("recipient")),
        purposes=purposes,
        field_sets=tuple(_EVERYTHING.get(one, one) for one in _split(row.of("field_sets"))),
        sensitive_fields=tuple(_split(row.of("sensitive_fields"))),
        valid_from=_day(row.of("valid_from"), zone),
        valid_to=_day(row.of("valid_to"), zone, after=1),
        capture=Capture.OFFICER,
        captured_by=row.of("officer") or drive.officer,
        witness=row.of("witness") or drive.witness,
        reference=row.of("reference"),
        evidence_digest=row.of("evidence_digest") or drive.evidence_digest,
    )


def _subject(text: str, identity: str) -> str:
    try:
        return canonical_id("opaque", text.removeprefix("opaque:")) if identity == "opaque" else parse_id(text)
    except IdentityError as error:
        raise ValueError(f"subject: {error} / 主体编号有误") from None


def _day(text: str, zone: ZoneInfo, after: int = 0) -> int:
    try:
        day = date.fromisoformat(text.replace("/", "-")) + timedelta(days=after)
        return int(datetime(day.year, day.month, day.day, tzinfo=zone).timestamp())
    except (ValueError, OverflowError):
        raise ValueError("a day is written 2026-03-31 / 日期应写作 2026-03-31") from None


def _columns(headings: Sequence[str]) -> list[str]:
    known = {word: column for column, words in HEADINGS.items() for word in (column, *words)}
    known |= dict.fromkeys((*LINE, *REASON), "")
    plain = [fold_width(heading) for heading in headings]
    if unknown := [heading for heading in plain if heading not in known]:
        raise Unusable(f"the table has unknown columns: {', '.join(unknown)[:200]}; use the headings of the template")
    columns = [known[heading] for heading in plain]
    named = [column for column in columns if column]
    if len(set(named)) != len(named):
        raise Unusable("a column stands twice in the table")
    if missing := [HEADINGS[column][0] for column in REQUIRED if column not in columns]:
        raise Unusable(f"the table lacks the columns {', '.join(missing)}; use the template")
    return columns


def _lines(table: bytes) -> Iterator[tuple[int, list[str]]]:
    try:
        text = csv_text(table, "the table")
    except ValueError as error:
        raise Unusable(str(error)) from None
    # One row is one line, so that a stray quotation mark spoils a row and not the rest of the table.
    for number, line in enumerate(text.splitlines(), 1):
        if "\0" in line:
            raise Unusable(f"line {number} holds NUL bytes; save the table as CSV (UTF-8)")
        cells = next(csv.reader([line])) if line else []
        if cells:
            yield number, cells


def _split(cell: str) -> list[str]:
    return [part.strip() for part in cell.replace("；", ";").split(";") if part.strip()]
