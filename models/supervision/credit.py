"""A bank's quarterly report on agricultural credit: how it is written as a file, and what cannot be true of it."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Mapping

from models.spreadsheets import csv_text
from models.supervision.messages import COUNTY_DIGITS, TOWNSHIP_DIGITS, CreditLine, CreditReport
from models.supervision.steps import FEW, Step, advance, amount_step

COLUMNS = {
    "area": "地区代码",
    "agricultural": "涉农贷款余额",
    "agricultural_borrowers": "涉农贷款户数",
    "loans": "各项贷款余额",
    "borrowers": "各项贷款户数",
}
"""Names of a file's columns, English and Chinese; amounts in whole yuan."""
MOST_LINES = 5_000
LARGEST_AMOUNT = 10**15
MEAN_LOAN = (100, 10**9)
"""Yuan a borrower: outside of these, amounts were given in another unit."""
LARGEST_CHANGE = 10
"""Times by which a bank's total may grow or shrink within a quarter."""
MEASURES = ("agricultural", "agricultural_borrowers", "loans", "borrowers")
PEOPLE = {"agricultural": "agricultural_borrowers", "loans": "borrowers"}
"""Whose amounts these are."""


class ImplausibleReport(ValueError):
    """Numbers that cannot be a bank's credit; the message names the line and what to look at."""


def read_lines(content: bytes) -> tuple[CreditLine, ...]:
    """The lines of a CSV file in UTF-8 (with or without BOM) or GB18030; raises `ImplausibleReport`."""
    try:
        text = csv_text(content, "the report")
    except ValueError as error:
        raise ImplausibleReport(str(error)) from None
    rows = csv.DictReader(io.StringIO(text, newline=""))
    names = {zh: en for en, zh in COLUMNS.items()}
    found = {names.get(name.strip(), name.strip()): name for name in rows.fieldnames or ()}
    if set(found) != set(COLUMNS):
        raise ImplausibleReport(f"the columns are {', '.join(COLUMNS)}, or in Chinese {', '.join(COLUMNS.values())}")
    return tuple(_line(number, row, found) for number, row in enumerate(rows, 2))


def check_report(report: CreditReport, before: CreditReport | None) -> None:
    """Raise `ImplausibleReport` for numbers that cannot be; `before` is the bank's last report for the quarter before."""
    if not 1 <= len(report.lines) <= MOST_LINES:
        raise ImplausibleReport(f"a report has 1 to {MOST_LINES} lines")
    areas = [line.area for line in report.lines]
    for number, line in enumerate(report.lines, 1):
        _check_line(number, line)
    if len(set(areas)) != len(areas):
        raise ImplausibleReport("an area stands twice; add its lines up")
    if any(area[:COUNTY_DIGITS] in areas for area in areas if len(area) > COUNTY_DIGITS):
        raise ImplausibleReport("a county stands beside its own townships, which would count them twice; leave one of both out")
    total, last = _total(report), _total(before) if before else 0
    if last and not last / LARGEST_CHANGE <= total <= last * LARGEST_CHANGE:
        raise ImplausibleReport(
            f"all loans together are more than {LARGEST_CHANGE} times, or less than a {LARGEST_CHANGE}th of, those of the"
            " quarter before; amounts are in yuan. Correct the earlier report first if that one is wrong"
        )


def sums(reports: Iterable[CreditReport]) -> dict[tuple[str, str, str], int]:
    """Exact sums of reports by (measure, area, "") and (measure, "", bank)."""
    found: dict[tuple[str, str, str], int] = {}
    for report in reports:
        for line in report.lines:
            for measure in MEASURES:
                for place in ((measure, line.area, ""), (measure, "", report.bank)):
                    found[place] = found.get(place, 0) + int(getattr(line, measure))
    return found


def advance_credit(
    exact: Mapping[tuple[str, str, str], int], earlier: Callable[[tuple[str, str, str]], Step | None]
) -> dict[tuple[str, str, str], Step]:
    """The figures shown of exact sums: people in tens, amounts in steps of ten average loans, none where people are few."""
    shown = {place: advance(earlier(place), count) for place, count in exact.items() if place[0] not in PEOPLE}
    for (measure, area, bank), amount in exact.items():
        if measure in PEOPLE:
            people = (PEOPLE[measure], area, bank)
            step = advance(earlier((measure, area, bank)), amount, amount_step(amount, exact[people]))
            shown[measure, area, bank] = Step(step.exact, FEW) if shown[people].shown == FEW else step
    return shown


def _line(number: int, row: Mapping[str, str], columns: Mapping[str, str]) -> CreditLine:
    values = {}
    for name in MEASURES:
        text = (row[columns[name]] or "").strip().replace(",", "")
        if not text.isascii() or not text.isdigit():
            raise ImplausibleReport(f"line {number}: {name} is a whole number, in yuan where it is an amount")
        values[name] = int(text)
    return CreditLine(area=(row[columns["area"]] or "").strip(), **values)


def _check_line(number: int, line: CreditLine) -> None:
    if not line.area.isascii() or not line.area.isdigit() or len(line.area) not in (COUNTY_DIGITS, TOWNSHIP_DIGITS):
        raise ImplausibleReport(f"line {number}: an area is the code of a county (6 digits) or of a township (9 digits)")
    pairs = (("agricultural loans", line.agricultural, line.agricultural_borrowers), ("loans", line.loans, line.borrowers))
    for what, amount, people in pairs:
        if not 0 <= amount <= LARGEST_AMOUNT or not 0 <= people <= amount:
            raise ImplausibleReport(f"line {number}: the {what} or their borrowers are negative, or more than there can be")
        if bool(amount) != bool(people) or (people and not MEAN_LOAN[0] <= amount / people <= MEAN_LOAN[1]):
            raise ImplausibleReport(
                f"line {number}: the {what} and the number of their borrowers do not fit; amounts are in yuan"
            )
    if line.agricultural > line.loans or line.agricultural_borrowers > line.borrowers:
        raise ImplausibleReport(f"line {number}: agricultural loans are a part of all loans, and cannot be more than those")


def _total(report: CreditReport) -> int:
    return sum(line.loans for line in report.lines)
