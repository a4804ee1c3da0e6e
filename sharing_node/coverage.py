"""The node's monthly word on its archives: how many there are in each township, and how old what departments send is.

::

    steward, operator                         node                                       office
    ── POST /statements/coverage ──────────> counts in tens, signed; a leaf first
    <── Signed(CoverageStatement) ──────────
    ── POST /statements/coverage, the same ──────────────────────────────────────────> believes the node's signature; a leaf

Leakage: whoever reads statements learns, of each township, the number of subjects on record and served, in tens, and that ten
or more have come or gone where a figure moved (`models.supervision.steps`). The exact counts stay in the node's database.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

import msgspec
from sqlalchemy import BigInteger, Connection, LargeBinary, String, func, insert, select
from sqlalchemy.orm import Mapped, mapped_column

from audit.service.leaves import LeafDraft
from audit.service.outcome import Call, Outcome
from models import wire
from models.problems import Conflict
from models.supervision.messages import ELSEWHERE, TOWNSHIP_DIGITS, AreaCoverage, CoverageStatement, Freshness
from models.supervision.steps import Step, advance_all
from models.wire import Signed
from sharing_node.database import Base
from sharing_node.node import Node
from sharing_node.records.repository import iterate_payloads
from sharing_node.records.tables import Record, Subject

CYCLE_DAYS = {"daily": 1, "week": 7, "month": 31, "quarter": 92, "halfyear": 184, "year": 366}
"""What is sent only at an event has no cycle to be held against."""
HOUSEHOLD, VILLAGE = "H", "V"
COUNTS = ("households", "households_served", "organisations", "organisations_served")
AGES = ("fresh", "late", "old")


class CoverageRow(Base):
    """One month's statement as it was signed, and the exact counts behind its figures, which never leave."""

    __tablename__ = "coverage_statement"

    month: Mapped[str] = mapped_column(String(7), primary_key=True)
    stated_at: Mapped[int] = mapped_column(BigInteger)
    document: Mapped[bytes] = mapped_column(LargeBinary)
    steps: Mapped[bytes] = mapped_column(LargeBinary)


@dataclass(frozen=True)
class _Age:
    """How old the records of a category are on a day, as (age in days, records); the newest day described."""

    newest: str
    ages: tuple[tuple[int, int], ...]


class Coverage:
    """The handler of statements."""

    def __init__(self, node: Node) -> None:
        self._node = node

    def state(self, call: Call) -> Outcome:
        """POST /statements/coverage: this month's signed `CoverageStatement`; a second call gives the same one."""
        month = self._node.today().strftime("%Y-%m")
        with call.engine.connect() as connection:
            stored = connection.scalar(select(CoverageRow.document).where(CoverageRow.month == month))
            if stored is not None:
                return self._told(month, wire.decode(stored, Signed))
            last = connection.scalar(select(CoverageRow.steps).order_by(CoverageRow.month.desc()).limit(1))
            declared, counts = self._count(connection)
            ages = _ages(connection, self._node.today())
        earlier = msgspec.json.decode(last, type=dict[str, Step]) if last else {}
        # Every figure is one of a name: what is counted, and where.
        exact = {f"{name} {area}": counts[name, area] for name, area in counts}
        exact |= self._count_ages(ages)
        steps = advance_all(earlier, exact)
        statement = CoverageStatement(
            month=month,
            stated_at=call.now,
            areas=tuple(_area(area, declared, steps) for area in _areas(declared, steps)),
            freshness=tuple(self._freshness(ages, steps)),
        )
        signed = self._node.sign(statement)

        def record(connection: Connection) -> None:
            if connection.scalar(select(CoverageRow.month).where(CoverageRow.month == month)):
                raise Conflict("this month was stated in the meantime; ask again")
            row = {"month": month, "stated_at": call.now, "document": wire.encode(signed), "steps": msgspec.json.encode(steps)}
            connection.execute(insert(CoverageRow).values(**row))

        return self._told(month, signed, record)

    @staticmethod
    def _told(month: str, signed: Signed, record: Any = None) -> Outcome:
        leaf = LeafDraft("statement.coverage", {"month": month, "statement": signed.digest()})
        return Outcome(signed, [leaf], record)

    def _count(self, connection: Connection) -> tuple[dict[str, int], Counter[tuple[str, str]]]:
        """Households that villages declare by township; subjects by (what, township)."""
        served = set(self._node.eligibility().collection)
        types: dict[str, str] = dict(connection.execute(select(Subject.subject_id, Subject.subject_type)).all())
        counts: Counter[tuple[str, str]] = Counter()
        villages: dict[str, str] = {}
        for subject, record in _decoded(connection, "basic"):
            area = str(record.get("division_code") or ELSEWHERE)[:TOWNSHIP_DIGITS]
            letter = types.get(subject, "*")
            if letter == VILLAGE:
                villages[subject] = area
                continue
            what = "households" if letter == HOUSEHOLD else "organisations"
            counts[what, area] += 1
            counts[f"{what}_served", area] += subject in served
        declared: Counter[str] = Counter()
        for subject, record in _decoded(connection, "village"):
            declared[villages.get(subject, ELSEWHERE)] += int(record.get("village_household_count") or 0)
        return declared, counts

    def _rows(self) -> list[tuple[str, str, str]]:
        """Department, category and cycle of all fields that have a cycle, each once."""
        found = {(item.source_department, item.category, item.cycle) for item in self._node.catalogue}
        return sorted(row for row in found if row[2] in CYCLE_DAYS)

    def _count_ages(self, ages: Mapping[str, _Age]) -> dict[str, int]:
        counts: Counter[str] = Counter()
        for department, category, cycle in self._rows():
            for age, records in ages[category].ages if category in ages else ():
                cycles = max(0, age - 1) // CYCLE_DAYS[cycle]
                counts[f"{AGES[min(cycles, 2)]} {department} {category} {cycle}"] += records
        return counts

    def _freshness(self, ages: Mapping[str, _Age], steps: Mapping[str, Step]) -> Iterable[Freshness]:
        for department, category, cycle in self._rows():
            if category in ages:
                fresh, late, old = (_shown(steps, f"{name} {department} {category} {cycle}") for name in AGES)
                yield Freshness(
                    department=department,
                    category=category,
                    cycle=cycle,
                    days=CYCLE_DAYS[cycle],
                    newest=ages[category].newest,
                    fresh=fresh,
                    late=late,
                    old=old,
                )


def _decoded(connection: Connection, category: str) -> Iterable[tuple[str, dict[str, Any]]]:
    for subject, _, _, payload in iterate_payloads(connection, category):
        yield subject, msgspec.json.decode(payload)


def _ages(connection: Connection, today: date) -> dict[str, _Age]:
    query = select(Record.field_set, Record.as_of, func.count()).group_by(Record.field_set, Record.as_of)
    found: dict[str, list[tuple[date, int]]] = {}
    for category, as_of, records in connection.execute(query):
        found.setdefault(category, []).append((as_of, records))
    return {
        category: _Age(
            max(as_of for as_of, _ in days).isoformat(),
            tuple(((today - as_of).days, records) for as_of, records in days),
        )
        for category, days in found.items()
    }


def _areas(declared: Mapping[str, int], steps: Mapping[str, Step]) -> list[str]:
    stated = {name.split(" ", 1)[1] for name in steps if name.split(" ", 1)[0] in COUNTS}
    return sorted({*declared, *stated})


def _area(area: str, declared: Mapping[str, int], steps: Mapping[str, Step]) -> AreaCoverage:
    figures = {name: _shown(steps, f"{name} {area}") for name in COUNTS}
    return AreaCoverage(area=area, declared=declared.get(area, 0), **figures)


def _shown(steps: Mapping[str, Step], name: str) -> int:
    return steps.get(name, Step(0, -1)).shown
