"""Faults of the kind that departments send: wrong check characters, impossible dates, unknown words, two truths for one key.

They are planted in rows of households and organisations that the bank does not know, so that no outcome depends on them, and
each is listed, so that a test knows how many rows must end in quarantine.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np

from models.county.population import citizen_check

Rows = list[list[str]]
"""A file as texts: the header, then one list per row, all of equal length."""

QUARANTINE: Final = "quarantine"
CONFLICT: Final = "conflict"

# category, column, fault, text in its place (empty: made from the number itself)
_RECIPES: Final = (
    ("basic", "citizen_id_no", "wrong_check_character", ""),
    ("land", "citizen_id_no", "wrong_check_character", ""),
    ("subsidy", "citizen_id_no", "wrong_check_character", ""),
    ("judicial", "citizen_id_no", "birth_date_does_not_exist", ""),
    ("insurance", "citizen_id_no", "birth_date_does_not_exist", ""),
    ("supervision", "uscc", "wrong_check_character", ""),
    ("fiscal_utility", "uscc", "wrong_check_character", ""),
    ("credit", "citizen_id_no", "identity_missing", ""),
    ("land", "lease_end_date", "date_does_not_exist", "2027-02-30"),
    ("supervision", "publicity_end_date", "date_does_not_exist", "2026-13-01"),
    ("basic", "household_size", "out_of_range", "0"),
    ("basic", "labour_count", "out_of_range", "99"),
    ("land", "contracted_land_area", "out_of_range", "-5"),
    ("fiscal_utility", "utility_overdue_days_12m", "out_of_range", "400"),
    ("credit", "credit_points", "out_of_range", "1200"),
    ("basic", "main_product", "unknown_word", "恐龙蛋"),
    ("supervision", "penalty_severity", "unknown_word", "极其严重"),
    ("insurance", "insured_line", "unknown_word", "彩票险"),
    ("land", "facility_area", "not_a_number", "约两亩"),
    ("fiscal_utility", "power_usage_12m", "not_a_number", "见附件"),
    ("inputs", "machinery_count", "not_an_integer", "1.5"),
)
# category, column, the second truth
_CONFLICTS: Final = (
    ("land", "contracted_land_area", "17.3"),
    ("subsidy", "fertility_subsidy_y", "4321.5"),
    ("credit", "credit_points", "333"),
)


@dataclass(frozen=True)
class Defect:
    """One faulty line. ``line`` counts from 1 with the header; ``expect`` says where the row belongs."""

    file: str
    line: int
    field: str
    kind: str
    expect: str


def plant(rng: np.random.Generator, files: dict[str, Rows], spared: set[str]) -> list[Defect]:
    """Change and add rows of ``files`` (by category) in place; return what was done, by file and line.

    Rows whose number is in ``spared`` stay as they are. Raises ValueError if a file has no other row left.
    """
    found: list[tuple[str, list[str], str, str, str]] = []
    used = set(spared)
    for category, column, kind, text in _RECIPES:
        row = _victim(rng, files[category], "uscc" if column == "uscc" else "citizen_id_no", used)
        place = files[category][0].index(column)
        row[place] = text or _spoil(kind, row[place])
        found.append((category, row, column, kind, QUARANTINE))
    for category, column, text in _CONFLICTS:
        row = _victim(rng, files[category], "citizen_id_no", used)
        second = list(row)
        second[files[category][0].index(column)] = text
        files[category].insert(int(rng.integers(1, len(files[category]) + 1)), second)
        found += [(category, each, column, "conflicting_duplicate", CONFLICT) for each in (row, second)]
    return sorted(_located(files, found), key=lambda defect: (defect.file, defect.line))


def _located(files: dict[str, Rows], found: list[tuple[str, list[str], str, str, str]]) -> Iterator[Defect]:
    lines = {id(row): line for rows in files.values() for line, row in enumerate(rows, start=1)}
    for category, row, column, kind, expect in found:
        yield Defect(f"{category}.csv", lines[id(row)], column, kind, expect)


def _victim(rng: np.random.Generator, rows: Rows, key: str, used: set[str]) -> list[str]:
    """A row with a number that was not used yet."""
    place = rows[0].index(key)
    for index in rng.permutation(len(rows) - 1):
        row = rows[1 + int(index)]
        if row[place] and row[place] not in used:
            used.add(row[place])
            return row
    raise ValueError("too few households or organisations outside the bank to plant the listed faults; ask for more")


def _spoil(kind: str, number: str) -> str:
    """A number with that fault."""
    if kind == "wrong_check_character":
        return number[:-1] + ("1" if number[-1] != "1" else "2")
    if kind == "birth_date_does_not_exist":
        body = f"{number[:6]}19810230{number[14:17]}"
        return body + citizen_check(body)
    return ""
