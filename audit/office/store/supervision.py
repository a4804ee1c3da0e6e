"""Statements, reports on credit, counted periods and issued reports; and the log's entries with what they open to."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
from sqlalchemy import Connection, delete, func, insert, select

from audit.office.supervision_tables import credit_report, period, statement, step, yearly_report
from audit.office.tables import log
from models.supervision.messages import Basis, CreditReport, Figure, IssuedReport, YearlyReport
from models.supervision.steps import Step
from models.supervision.tally import Entry, Tally
from models.wire import Message, Signed, decode, encode

CHUNK = 2_000
SALT_BYTES = 32
"""Before an opening's JSON (`audit.service.leaves`)."""
COVERAGE = "coverage"


class Exact(Message):
    """A period's exact counts, which stay in the office: what was tallied, and where figures in tens were set."""

    flows: tuple[tuple[str, str, str, str, int], ...]
    acts: tuple[tuple[str, str, int], ...]
    open: dict[str, int]
    steps: dict[str, tuple[int, int]]

    @classmethod
    def of(cls, found: Tally, steps: Mapping[str, Step]) -> Exact:
        """To be stored."""
        return cls(
            flows=tuple((*cell, count) for cell, count in sorted(found.flows.items())),
            acts=tuple((*cell, count) for cell, count in sorted(found.acts.items())),
            open=found.open,
            steps={name: (one.exact, one.shown) for name, one in steps.items()},
        )

    def tally(self) -> Tally:
        """As it was counted."""
        found = Tally(open=dict(self.open))
        for *cell, count in self.flows:
            found.flows[tuple(cell)] = count  # type: ignore[index]
        for measure, bank, count in self.acts:
            found.acts[measure, bank] = count
        return found

    def stepped(self) -> dict[str, Step]:
        """Where figures in tens stand."""
        return {name: Step(*at) for name, at in self.steps.items()}


class _Figures(Message):
    figures: tuple[Figure, ...]


@dataclass(frozen=True)
class Period:
    """A counted period; `day` is empty once it is over."""

    period: str
    day: str
    basis: Basis
    exact: Exact
    figures: tuple[Figure, ...]


@dataclass(frozen=True)
class FiledReport:
    """A bank's report that no other one corrects."""

    bank: str
    number: int
    digest: str
    report: CreditReport


# ------------------------------------------------------------------ the log


def first_index(connection: Connection, moment: int, size: int) -> int:
    """The index of the first of `size` entries of this second or later; times in the log hardly ever run back."""
    low, high = 0, size
    while low < high:
        middle = (low + high) // 2
        entry = connection.execute(select(log.entries.c.entry).where(log.entries.c.index == middle)).scalar_one()
        low, high = (middle + 1, high) if entry_time(entry) < moment else (low, middle)
    return low


class Opened:
    """Entries of the log from index `first` to before `end`, read as they are counted, and what they open to."""

    def __init__(self, connection: Connection, first: int, end: int) -> None:
        self._connection = connection
        self._range = range(first, end, CHUNK)
        self._end = end
        self._found: dict[str, bytes] = {}

    def entries(self) -> Iterator[bytes]:
        """All of them, in order."""
        decoder = msgspec.json.Decoder(Entry)
        for start in self._range:
            rows = log.entries.c.index.between(start, min(start + CHUNK, self._end) - 1)
            query = select(log.entries.c.entry).where(rows).order_by(log.entries.c.index)
            entries = [bytes(entry) for entry in self._connection.execute(query).scalars()]
            self._open([bytes.fromhex(decoder.decode(entry).opening) for entry in entries])
            yield from entries

    def opening(self, commitment: str) -> Mapping[str, Any] | None:
        """What an entry that was just read opens to; None where that was erased."""
        found = self._found.get(commitment)
        return None if found is None else msgspec.json.decode(found[SALT_BYTES:], type=dict[str, Any])

    def _open(self, commitments: Sequence[bytes]) -> None:
        self._found.clear()
        for place in range(0, len(commitments), 500):
            some = log.openings.c.commitment.in_(commitments[place : place + 500])
            for commitment, opening in self._connection.execute(select(log.openings).where(some)):
                self._found[bytes(commitment).hex()] = bytes(opening)


def entry_time(entry: bytes) -> int:
    """The POSIX second that an entry names."""
    return msgspec.json.decode(entry, type=Entry).at


# ------------------------------------------------------------------ what was stated and reported


def add_statement(connection: Connection, kind: str, month: str, signed: Signed, now: int) -> None:
    """Keep a statement; IntegrityError where the month has one."""
    row = {"kind": kind, "period": month, "digest": signed.digest(), "document": encode(signed), "filed_at": now}
    connection.execute(insert(statement).values(**row))


def statement_of(connection: Connection, kind: str, month: str) -> Signed | None:
    """A month's statement, or None."""
    query = select(statement.c.document).where(statement.c.kind == kind, statement.c.period == month)
    document = connection.execute(query).scalar()
    return None if document is None else decode(document, Signed)


def statements(connection: Connection, kind: str, first: str, last: str) -> list[tuple[str, Signed]]:
    """The statements of these months and those between, in order."""
    query = select(statement.c.period, statement.c.document).where(
        statement.c.kind == kind, statement.c.period.between(first, last)
    )
    return [(row.period, decode(row.document, Signed)) for row in connection.execute(query.order_by(statement.c.period))]


def add_report(connection: Connection, number: int, report: CreditReport, signed: Signed, now: int) -> None:
    """Keep a bank's report; IntegrityError where there is one of this number."""
    row = {"bank": report.bank, "period": report.period, "number": number, "digest": signed.digest()}
    values = {**row, "document": encode(signed), "filed_by": signed.signer, "filed_at": now}
    connection.execute(insert(credit_report).values(**values))


def last_report(connection: Connection, bank: str, of: str) -> FiledReport | None:
    """A bank's last report for a quarter, or None."""
    return next((filed for filed in last_reports(connection, of) if filed.bank == bank), None)


def last_reports(connection: Connection, of: str) -> list[FiledReport]:
    """The last report of each bank for a quarter, by bank."""
    query = select(credit_report).where(credit_report.c.period == of)
    rows = connection.execute(query.order_by(credit_report.c.bank, credit_report.c.number)).all()
    last = {row.bank: row for row in rows}
    return [
        FiledReport(bank, row.number, row.digest, decode(decode(row.document, Signed).payload, CreditReport))
        for bank, row in last.items()
    ]


def steps(connection: Connection, of: str) -> dict[tuple[str, str, str], Step]:
    """Where the figures of a quarter stand, by measure, area and key."""
    rows = connection.execute(select(step).where(step.c.period == of))
    return {(row.measure, row.area, row.key): Step(row.exact, row.shown) for row in rows}


def set_steps(connection: Connection, of: str, now: Mapping[tuple[str, str, str], Step]) -> None:
    """Put all figures of a quarter in place of the earlier ones."""
    connection.execute(delete(step).where(step.c.period == of))
    rows = [
        {"period": of, "measure": measure, "area": area, "key": key, "exact": one.exact, "shown": one.shown}
        for (measure, area, key), one in now.items()
    ]
    if rows:
        connection.execute(insert(step), rows)


# ------------------------------------------------------------------ counted periods


def periods(connection: Connection) -> dict[str, Period]:
    """All counted periods, by name, in order."""
    rows = connection.execute(select(period).order_by(period.c.period))
    return {
        row.period: Period(
            row.period,
            row.day,
            decode(row.basis, Basis),
            decode(row.exact, Exact),
            decode(row.figures, _Figures).figures,
        )
        for row in rows
    }


def set_period(connection: Connection, counted: Period) -> None:
    """Keep a counted period, in the place of what was counted on an earlier day."""
    connection.execute(delete(period).where(period.c.period == counted.period))
    row = {"period": counted.period, "day": counted.day, "basis": encode(counted.basis), "exact": encode(counted.exact)}
    connection.execute(insert(period).values(**row, figures=encode(_Figures(figures=counted.figures))))


# ------------------------------------------------------------------ issued reports


def issued_numbers(connection: Connection, year: int) -> int:
    """How many reports of a year were issued."""
    query = select(func.count()).select_from(yearly_report).where(yearly_report.c.year == year)
    return connection.execute(query).scalar_one()


def add_issued(connection: Connection, report: YearlyReport, issued: IssuedReport, by: str) -> None:
    """Keep an issued report; IntegrityError where there is one of this number."""
    row = {"year": report.year, "number": report.number, "issued_by": by, "issued_at": report.issued_at}
    connection.execute(insert(yearly_report).values(**row, document=encode(issued)))


def issued(connection: Connection, year: int, number: int) -> IssuedReport | None:
    """An issued report with its files, or None."""
    query = select(yearly_report.c.document).where(yearly_report.c.year == year, yearly_report.c.number == number)
    document = connection.execute(query).scalar()
    return None if document is None else decode(document, IssuedReport)


def all_issued(connection: Connection) -> Sequence[Signed]:
    """The signed words on all issued reports, newest first."""
    query = select(yearly_report.c.document).order_by(yearly_report.c.issued_at.desc(), yearly_report.c.number.desc())
    return [decode(document, IssuedReport).report for document in connection.execute(query).scalars()]
