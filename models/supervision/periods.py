"""Quarters: ``2026Q3`` and when it begins and ends in a time zone."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

_QUARTER = re.compile(r"(20[0-9]{2})Q([1-4])")


@dataclass(frozen=True, order=True)
class Quarter:
    """One quarter of a year."""

    year: int
    number: int

    @classmethod
    def parse(cls, text: str) -> Quarter:
        """From ``2026Q3``; raises ValueError."""
        found = _QUARTER.fullmatch(text)
        if found is None:
            raise ValueError("a quarter is written like 2026Q3")
        return cls(int(found[1]), int(found[2]))

    @classmethod
    def at(cls, moment: int, zone: ZoneInfo) -> Quarter:
        """The quarter of a POSIX second."""
        day = datetime.fromtimestamp(moment, zone)
        return cls(day.year, (day.month + 2) // 3)

    def __str__(self) -> str:
        return f"{self.year}Q{self.number}"

    def next(self) -> Quarter:
        """The quarter after this one."""
        return Quarter(self.year + 1, 1) if self.number == 4 else Quarter(self.year, self.number + 1)

    def previous(self) -> Quarter:
        """The quarter before this one."""
        return Quarter(self.year - 1, 4) if self.number == 1 else Quarter(self.year, self.number - 1)

    def begins(self, zone: ZoneInfo) -> int:
        """Its first POSIX second."""
        return int(datetime(self.year, 3 * self.number - 2, 1, tzinfo=zone).timestamp())

    def ends(self, zone: ZoneInfo) -> int:
        """The first POSIX second after it."""
        return self.next().begins(zone)


def quarters_of(year: int) -> tuple[Quarter, ...]:
    """The four quarters of a year."""
    return tuple(Quarter(year, number) for number in range(1, 5))
