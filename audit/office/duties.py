"""What the office must notice by itself: objections whose answer is due, and what banks owe: reports on checks, opened answers.

Runs in the process that sequences the log, every ten minutes and (for reports) at the turn of a day, or by
``xinqiao office duties``. Every warning is given once, however often and wherever this runs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, func, select

from audit.database import writing
from audit.office.office import OFFICE, Office
from audit.office.store import alarms, counts, disputes, exposures
from audit.office.tables import access, report
from audit.service.rounds import Rounds
from models.disputes import WARN_DAYS, due_day
from models.zones import day_at

ROUND_SECONDS = 600.0
DAY = 86_400
OPENING_DAYS = 3


@dataclass(frozen=True)
class Done:
    """How many warnings were given: about objections, banks whose reports are overdue, and answers that are not opened."""

    objections: int
    banks: int
    openings: int


class Duties(Rounds):
    """One office's duties."""

    def __init__(self, office: Office, is_ours: Callable[[], bool]) -> None:
        super().__init__("duties", ROUND_SECONDS, is_ours)
        self._office = office
        self._reported_on = 0

    def look(self) -> None:
        """Warn of objections; once a day of reports, too."""
        today = day_at(int(self._office.clock()), self._office.settings.zone).toordinal()
        run_once(self._office, reports=today != self._reported_on)
        self._reported_on = today


def run_once(office: Office, *, reports: bool = True) -> Done:
    """Do all that is due now; with `reports` also look for those that are overdue."""
    now = int(office.clock())
    with writing(office.engine) as connection:
        warned = sum(_warn(connection, office, days, now) for days in WARN_DAYS)
        banks = _overdue_reports(connection, office, now) if reports else 0
        openings = _overdue_openings(connection, now)
    return Done(warned, banks, openings)


def _warn(connection: Connection, office: Office, days: int, now: int) -> int:
    """Raise the warning of so many days for every open objection that has reached them; how many."""
    zone = office.settings.zone
    # Filed on or before the day that lies so many days back: before the midnight that ends it.
    last = day_at(now, zone) - timedelta(days=days - 1)
    midnight = int(datetime(last.year, last.month, last.day, tzinfo=zone).timestamp())
    given = 0
    for case, filed_at in disputes.to_warn(connection, days, midnight):
        if disputes.warned(connection, case, days):
            left = (due_day(filed_at, zone) - day_at(now, zone)).days
            when = f"is due in {left} days" if left > 0 else "is due today" if left == 0 else f"was due {-left} days ago"
            alarms.raise_alarm(
                connection,
                at=now,
                kind=f"objection-{days}-days",
                institution=OFFICE,
                about=f"objection {case}",
                detail=f"the answer in writing {when} ({due_day(filed_at, zone)})",
            )
            given += 1
    return given


def _overdue_reports(connection: Connection, office: Office, now: int) -> int:
    """One alarm a day for every bank of which checks are left without a report for longer than the rule says."""
    days = office.settings.report_days
    query = (
        select(access.c.bank, func.count().label("checks"), func.min(access.c.at).label("oldest"))
        .outerjoin(report, report.c.ticket == access.c.ticket)
        .where(access.c.ticket.is_not(None), access.c.at < now - days * DAY, report.c.ticket.is_(None))
        .group_by(access.c.bank)
        .order_by(access.c.bank)
    )
    today, zone, given = day_at(now, office.settings.zone), office.settings.zone, 0
    for row in connection.execute(query).all():
        if not _first(connection, "report-overdue", row.bank, today.toordinal()):
            continue
        alarms.raise_alarm(
            connection,
            at=now,
            kind="report-overdue",
            institution=row.bank,
            about=f"{row.checks} checks without a report",
            detail=f"what became of them was to be reported within {days} days; the oldest is of {day_at(row.oldest, zone)}",
        )
        given += 1
    return given


def _overdue_openings(connection: Connection, now: int) -> int:
    """One alarm for every answer to an exposure check that a bank was to open and has not for so many days."""
    given = 0
    for demand in exposures.demands(connection, state=exposures.OPEN):
        late = demand.at <= now - OPENING_DAYS * DAY
        if not late or not _first(connection, "opening-overdue", f"{demand.question}/{demand.bank}"):
            continue
        alarms.raise_alarm(
            connection,
            at=now,
            kind="opening-overdue",
            institution=demand.bank,
            about=f"exposure check {demand.question}",
            detail=f"an auditor demanded its answer more than {OPENING_DAYS} days ago, and it is not opened",
        )
        given += 1
    return given


def _first(connection: Connection, kind: str, about: str, day: int = 0) -> bool:
    """Whether this warning was not given before (on this day)."""
    key = (kind, about, day)
    return counts.add(connection, {key: 1})[key] == 1
