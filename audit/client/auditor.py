"""What an auditor does, over one session: for the console's pages and the command line alike.

Evidence is checked here, on the auditor's own machine and under the keys of its settings: what the office hands out is
material, and what it says about it is not believed.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo

from audit.client.services import ServiceName
from audit.client.session import OfficeSession
from audit.dossier.bundle import Verdict, verify_bundle
from audit.dossier.checks import check_access
from audit.dossier.evidence import FAILED, Check, LogTrust, Trust
from models.alarms import AlarmHistory, Alarms, AskAlarm, AskAlarms, HandleAlarm
from models.cases import AddItem, AskCase, AskCases, Bundle, Case, Cases, CloseCase, ItemKind, OpenCase
from models.exposure import AskExposureAsked, DemandOpening, ExposureAsked
from models.logged import Empty
from models.oversight import MOST_FOUND, AskDossier, Dossier, FoundAccess, FoundAccesses, SearchAccesses
from models.reconciliation import (
    AskReconciliation,
    AskReconciliations,
    Reconciliation,
    Reconciliations,
)
from models.spreadsheets import safe_cell
from models.wire import replace

COLUMNS = (
    "id", "time", "bank", "officer", "subject", "purpose", "project", "table", "epoch", "outcome", "batch", "ticket", "report",
    "reported", "overdue",
)  # fmt: skip


@dataclass(frozen=True)
class Examined:
    """An access with every check on what stands behind it, and the files that were checked."""

    access: FoundAccess
    checks: list[Check]
    files: dict[str, bytes]

    @property
    def failed(self) -> list[Check]:
        """The checks that do not hold."""
        return [check for check in self.checks if check.state == FAILED]


def trust_of(session: OfficeSession) -> Trust:
    """The keys that this machine's settings name; every witness they name must have cosigned."""
    services = session.services

    def log(name: ServiceName) -> LogTrust:
        witnesses = services.witness_keys(name)
        return LogTrust(services.log_key(name), witnesses, len(witnesses))

    return Trust(services.statement_key(), (log("office"), log("node")))


class Auditor:
    """One auditor's questions and acts; all raise `models.problems.Problem` as the office refuses."""

    def __init__(self, session: OfficeSession) -> None:
        self._session = session

    # ---------------------------------------------------------------- accesses

    def search(self, ask: SearchAccesses) -> FoundAccesses:
        """One page of accesses, newest first."""
        return self._session.logged("/audit/search", ask, FoundAccesses)

    def all(self, ask: SearchAccesses) -> Iterator[FoundAccess]:
        """Every access that is found, page by page; each page leaves its leaf."""
        ask = replace(ask, most=MOST_FOUND)
        while True:
            page = self.search(ask)
            yield from page.accesses
            if not page.next:
                return
            ask = replace(ask, after=page.next)

    def csv(self, ask: SearchAccesses, zone: tzinfo = UTC) -> Iterator[str]:
        """Every access that is found as CSV, a line at a time, the column names first."""
        return csv_lines(self.all(ask), zone)

    def examine(self, access: int) -> Examined:
        """Everything behind one access, checked."""
        found = self._session.logged("/audit/dossier", AskDossier(access=access), Dossier)
        files = {one.name: one.data for one in found.files}
        return Examined(found.access, check_access(files, trust_of(self._session)), files)

    # ---------------------------------------------------------------- exposure checks

    def exposure(self, access: int) -> ExposureAsked:
        """The exposure check behind an access: whose answers are in its sum, and what was opened of them."""
        return self._session.logged("/exposures/asked", AskExposureAsked(access=access), ExposureAsked)

    def demand(self, question: str, bank: str, reason: str) -> None:
        """Have a bank open its answer."""
        self._session.logged("/exposures/demands", DemandOpening(question=question, bank=bank, reason=reason), Empty)

    # ---------------------------------------------------------------- alarms and days

    def alarms(self, ask: AskAlarms) -> Alarms:
        """A page of alarms."""
        return self._session.logged("/audit/alarms", ask, Alarms)

    def alarm(self, number: int) -> AlarmHistory:
        """One alarm, and what was done about it."""
        return self._session.logged("/audit/alarm", AskAlarm(alarm=number), AlarmHistory)

    def handle(self, number: int, state: str, reason: str) -> AlarmHistory:
        """Acknowledge, close or open an alarm again."""
        return self._session.logged("/audit/alarm/state", HandleAlarm(alarm=number, state=state, reason=reason), AlarmHistory)

    def days(self, since: str = "", until: str = "") -> Reconciliations:
        """How each day came out."""
        return self._session.logged("/audit/reconciliations", AskReconciliations(since=since, until=until), Reconciliations)

    def day(self, day: str) -> Reconciliation:
        """One day in full."""
        return self._session.logged("/audit/reconciliation", AskReconciliation(day=day), Reconciliation)

    # ---------------------------------------------------------------- cases

    def open_case(self, title: str) -> Case:
        """Open a case."""
        return self._session.logged("/audit/cases", OpenCase(title=title), Case)

    def cases(self, state: str = "", before: int = 0) -> Cases:
        """A page of cases."""
        return self._session.logged("/audit/cases/search", AskCases(state=state, before=before), Cases)

    def case(self, number: int) -> Case:
        """One case."""
        return self._session.logged("/audit/cases/show", AskCase(case=number), Case)

    def add(self, number: int, kind: ItemKind, ref: int = 0, text: str = "") -> Case:
        """Add an access, an alarm, a finding or a note."""
        return self._session.logged("/audit/cases/items", AddItem(case=number, kind=kind, ref=ref, text=text), Case)

    def close(self, number: int, finding: str) -> Case:
        """Close a case with what was found."""
        return self._session.logged("/audit/cases/close", CloseCase(case=number, finding=finding), Case)

    def bundle(self, number: int) -> tuple[Bundle, Verdict]:
        """A case's evidence as one file, verified before it is handed on; raises as `open_bundle`."""
        made = self._session.logged("/audit/cases/bundle", AskCase(case=number), Bundle)
        return made, verify_bundle(made.data, trust_of(self._session))


def csv_lines(accesses: Iterable[FoundAccess], zone: tzinfo) -> Iterator[str]:
    """Accesses as CSV, a line at a time, the column names first."""
    yield _line(COLUMNS)
    for one in accesses:
        yield _line(_cells(one, zone))


def _cells(one: FoundAccess, zone: tzinfo) -> list[object]:
    at = datetime.fromtimestamp(one.at, zone).isoformat()
    reported = datetime.fromtimestamp(one.reported_at, zone).isoformat() if one.reported_at else ""
    return [
        one.id, at, one.bank, one.officer, one.subject, one.purpose, one.project, one.table, one.epoch, one.outcome, one.batch,
        one.ticket, one.report, reported, "yes" if one.overdue else "no",
    ]  # fmt: skip


def _line(cells: Iterable[object]) -> str:
    out = io.StringIO()
    csv.writer(out).writerow([safe_cell(cell) if isinstance(cell, str) else cell for cell in cells])
    return out.getvalue()
