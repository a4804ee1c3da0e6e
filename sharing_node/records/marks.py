"""What of the stored records may be shown on a day: objections, repairs, sensitive fields, adverse information that expired."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Self

from models.catalogue import Field
from models.consents import ANY, Objection, Repair, SensitiveCollection

NOTHING: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Marks:
    """Fields of subjects that are not shown (`absent`: withheld or repaired) or marked (`disputed`); `ANY` is all of them.

    They are few: one subject in a hundred at most, so that they are held in memory. `sensitive` are the fields that need a
    collection consent of their own, and `collected` those of each subject that have one; the others are absent.
    """

    absent: Mapping[str, frozenset[str]] = field(default_factory=dict, repr=False)
    disputed: Mapping[str, frozenset[str]] = field(default_factory=dict, repr=False)
    sensitive: frozenset[str] = NOTHING
    collected: Mapping[str, frozenset[str]] = field(default_factory=dict, repr=False)

    @classmethod
    def of(
        cls,
        objections: Iterable[Objection],
        repairs: Iterable[Repair],
        sensitive: frozenset[str] = NOTHING,
        collections: Iterable[SensitiveCollection] = (),
    ) -> Self:
        """The marks of what stands in the office's list; `sensitive` are those of the fields in use that are sensitive."""
        absent: defaultdict[str, set[str]] = defaultdict(set)
        disputed: defaultdict[str, set[str]] = defaultdict(set)
        for objection in objections:
            if objection.open:
                (absent if objection.withheld else disputed)[objection.subject].add(objection.field)
        for repair in repairs:
            if repair.stands:
                absent[repair.subject].add(repair.field)
        # Many subjects share few sets of names.
        shared: dict[tuple[str, ...], frozenset[str]] = {}
        collected = {
            one.subject: shared.setdefault(one.fields, frozenset(one.fields) & sensitive) for one in collections if sensitive
        }
        return cls(_frozen(absent), _frozen(disputed), sensitive, collected)

    def __bool__(self) -> bool:
        """Whether there are any."""
        return bool(self.absent or self.disputed or self.sensitive)

    def touches(self, subject: str) -> bool:
        """Whether anything of this subject is not to be shown as it was delivered, or marked."""
        return (
            subject in self.absent
            or subject in self.disputed
            or bool(self.sensitive and self.sensitive != self.collected.get(subject, NOTHING))
        )

    def is_absent(self, subject: str, name: str) -> bool:
        """Whether this field of this subject is not to be shown or used."""
        names = self.absent.get(subject, NOTHING)
        return name in names or ANY in names or self.is_uncollected(subject, name)

    def is_uncollected(self, subject: str, name: str) -> bool:
        """Whether this field is sensitive and no consent of its own lets it be held of this subject."""
        return name in self.sensitive and name not in self.collected.get(subject, NOTHING)

    def is_disputed(self, subject: str, name: str) -> bool:
        """Whether an open objection is about this field of this subject."""
        names = self.disputed.get(subject, NOTHING)
        return name in names or ANY in names


def _frozen(found: Mapping[str, set[str]]) -> dict[str, frozenset[str]]:
    return {subject: frozenset(names) for subject, names in found.items()}


@dataclass(frozen=True)
class Expiry:
    """One day's rule for one field: it is gone where the day that dates it is `last_gone` or earlier.

    `dated_by` is the field of the same record that holds that day; where it is blank, or empty here, the record's own
    date counts, which is the last on which the department said so.
    """

    name: str
    dated_by: str
    last_gone: date

    def is_gone(self, dated: str | None, as_of: date) -> bool:
        """Whether the field is gone from a record of `as_of` in which `dated` (ISO) stands in the dating field."""
        return (date.fromisoformat(dated) if dated else as_of) <= self.last_gone


def expiries(fields: Sequence[Field], on: date) -> list[Expiry]:
    """The rules for those of these fields that are adverse, as they are on a day."""
    return [Expiry(f.name, f.dated_by, years_before(on, f.expires_years)) for f in fields if f.expires_years is not None]


def years_before(day: date, years: int) -> date:
    """The same day some years earlier; of 29 February the 28th. Year 1 at the earliest."""
    year = max(1, day.year - years)
    return day.replace(year=year, day=28) if (day.month, day.day) == (2, 29) else day.replace(year=year)
