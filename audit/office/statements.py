"""What others state for supervision: the node its coverage, each month; banks their agricultural credit, each quarter.

Both come signed, are kept as they were signed, and stand in the log by their digest, so that every figure made of them leads
back to whoever said it.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime

from sqlalchemy import Connection

from audit.office.office import Office
from audit.office.store import supervision as store
from audit.service.leaves import LeafDraft
from audit.service.outcome import Call, Outcome
from models.logged import Empty
from models.problems import Conflict, Forbidden, Unusable
from models.supervision.credit import ImplausibleReport, check_report
from models.supervision.messages import CoverageStatement, CreditFiled, CreditReport
from models.supervision.periods import Quarter
from models.wire import Signed, open_signed

CLOCK_TOLERANCE = 300
OLDEST_QUARTERS = 8
MOST_AREAS = 5_000


class Statements:
    """Handlers of what is stated and reported."""

    def __init__(self, office: Office) -> None:
        self._office = office

    def coverage(self, call: Call) -> Outcome:
        """POST /statements/coverage: the node's `CoverageStatement`, whoever of its people carries it here; one a month."""
        signed: Signed = call.body
        stated = self._office.node_statement(signed, CoverageStatement)
        present = datetime.fromtimestamp(call.now + CLOCK_TOLERANCE, UTC)
        if not re.fullmatch(r"20[0-9]{2}-(0[1-9]|1[0-2])", stated.month) or stated.month > present.strftime("%Y-%m"):
            raise Unusable("a statement is of a month, like 2026-07, and not of a later time than now")
        if len(stated.areas) > MOST_AREAS or len(stated.freshness) > MOST_AREAS:
            raise Unusable(f"a statement has at most {MOST_AREAS} areas")

        def record(connection: Connection) -> None:
            known = store.statement_of(connection, store.COVERAGE, stated.month)
            if known is None:
                store.add_statement(connection, store.COVERAGE, stated.month, signed, call.now)
            elif known.digest() != signed.digest():
                raise Conflict("the node stated something else for this month before; a month is stated once")

        facts = {"month": stated.month, "statement": signed.digest()}
        return Outcome(Empty(), [LeafDraft("statement.coverage", facts)], record)

    def credit(self, call: Call) -> Outcome:
        """POST /credit-reports: a `CreditReport` signed by the caller for the own bank; a correction names the last one."""
        signed: Signed = call.body
        report = open_signed(signed, CreditReport, call.person.id, call.person.public_key())
        if report.bank != call.institution.id:
            raise Forbidden("a bank reports its own credit")
        quarter = self._quarter(report.period, call.now)
        with call.engine.connect() as connection:
            before = store.last_report(connection, report.bank, str(quarter.previous()))
        try:
            check_report(report, before.report if before else None)
        except ImplausibleReport as error:
            raise Unusable(f"this report is not taken: {error}") from None
        with call.engine.connect() as connection:
            last = store.last_report(connection, report.bank, report.period)
        number = 0 if last is None else last.number + 1
        if last is None and report.corrects:
            raise Conflict("there is no report for this quarter that could be corrected")
        if last is not None and report.corrects != last.digest:
            raise Conflict("there is a report for this quarter; a correction names the digest of the last one")

        def record(connection: Connection) -> None:
            store.add_report(connection, number, report, signed, call.now)

        facts = {"period": report.period, "report": signed.digest(), "number": number, "corrects": report.corrects}
        return Outcome(CreditFiled(digest=signed.digest(), number=number), [LeafDraft("credit.report", facts)], record)

    def _quarter(self, text: str, now: int) -> Quarter:
        try:
            quarter = Quarter.parse(text)
        except ValueError as error:
            raise Unusable(str(error)) from None
        zone = self._office.settings.zone
        if quarter.ends(zone) > now:
            raise Unusable(f"{quarter} is not over; credit is reported as it stood at a quarter's end")
        if datetime.fromtimestamp(now, zone).year - quarter.year > OLDEST_QUARTERS // 4:
            raise Unusable(f"{quarter} is too long ago to be reported or corrected")
        return quarter
