"""Counting a report's figures again from a mirror of the log: all that the log tells without the office's openings.

That is everything but counties, and for which purpose somebody was refused. Coverage and credit are not counted but stated;
their rows name the digests of signed statements, which stand in leaves.
"""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Sequence
from zoneinfo import ZoneInfo

from models.supervision.messages import ALL, Shown, YearlyReport
from models.supervision.periods import quarters_of
from models.supervision.tally import ACTS, FLOWS, REFUSED, Tally, tally
from models.supervision.words import word

Cell = tuple[str, str, str, str]
"""(measure, period, key, second)."""
_TOTAL = word(ALL, "en")


class WrongFigure(ValueError):
    """A figure of a report that the log does not give; the message names both."""


def recount(report: YearlyReport, table: bytes, entries: Sequence[bytes]) -> int:
    """Count again and compare; how many figures were found right. `entries` are the log's, up to the report's size.

    Raises:
        WrongFigure: the table says something else than the log.
    """
    counted = _count(report, entries)
    rows = list(csv.DictReader(io.StringIO(table.decode("utf-8-sig"))))[1:]
    right = 0
    for row in rows:
        measure, key, second = row["measure"], row["key"], row["second"]
        if measure not in (*FLOWS, *ACTS) or row["area"] or row["shown"] != Shown.EXACT:
            continue
        if measure == REFUSED and second != _TOTAL:
            continue
        found = counted[measure, row["period"], ALL if key == _TOTAL else key, ALL if second == _TOTAL else second]
        if found != int(row["value"]):
            what = " ".join(part for part in (measure, row["period"], key, second) if part)
            raise WrongFigure(f"{what}: the report says {row['value']}, the log gives {found}")
        right += 1
    return right


def _count(report: YearlyReport, entries: Sequence[bytes]) -> Counter[Cell]:
    zone = ZoneInfo(report.time_zone)
    known = {basis.period for basis in report.bases}
    counted: Counter[Cell] = Counter()
    begin = quarters_of(report.year)[0].begins(zone)
    still_open = tally(entries, lambda _: None, 0, begin, zone).open
    for quarter in quarters_of(report.year):
        found = tally(entries, lambda _: None, quarter.begins(zone), quarter.ends(zone), zone, still_open)
        still_open = found.open
        if str(quarter) in known:
            for period in (str(quarter), str(report.year)):
                _add(counted, period, found)
    return counted


def _add(counted: Counter[Cell], period: str, found: Tally) -> None:
    for (measure, key, second, _area), count in found.flows.items():
        for a in {key or ALL, ALL}:
            for b in {second or ALL, ALL}:
                counted[measure, period, a, b] += count
    for (measure, bank), count in found.acts.items():
        counted[measure, period, bank, ""] += count
        counted[measure, period, ALL, ""] += count
