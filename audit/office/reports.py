"""Reports: what a bank says became of a check. It stands beside the question under "who looked at me"."""

from __future__ import annotations

from sqlalchemy import Connection

from audit.office.store import reports
from audit.service.leaves import LeafDraft
from audit.service.outcome import Call, Outcome
from models.logged import Empty
from models.problems import Conflict, NotFound, Unusable
from models.reports import CheckReport
from models.wire import Signed, open_signed

REFERENCE_LENGTH = 100
CLOCK_TOLERANCE = 300


class Reports:
    """The handler of reports."""

    def file(self, call: Call) -> Outcome:
        """POST /reports: a `CheckReport` signed by the caller, once for each ticket; a correction names the last one."""
        signed: Signed = call.body
        said = open_signed(signed, CheckReport, call.person.id, call.person.public_key())
        if len(said.reference) > REFERENCE_LENGTH or not (said.reference.isprintable() or not said.reference):
            raise Unusable(f"the reference has at most {REFERENCE_LENGTH} printable characters")
        if said.decided_at > call.now + CLOCK_TOLERANCE:
            raise Unusable("a decision is reported once it has been made")
        with call.engine.connect() as connection:
            context = reports.ticket_context(connection, said.ticket)
        # Of another bank's ticket one hears no more than of none.
        if context is None or context.bank != call.institution.id:
            raise NotFound("the office has given this bank no ticket with this digest")

        def record(connection: Connection) -> None:
            last = reports.last(connection, said.ticket)
            if last is None and said.corrects:
                raise Conflict("there is no report on this ticket that could be corrected")
            if last is not None and said.corrects != last.digest:
                raise Conflict("there is a report on this ticket; a correction names the digest of the last one")
            reports.add(connection, 0 if last is None else last.number + 1, said, signed, call.now)

        # What was decided about a person stands where it can be erased.
        opening = {"outcome": str(said.outcome), "reference": said.reference}
        leaf = LeafDraft("check.report", {"ticket": said.ticket, "report": signed.digest()}, opening)
        return Outcome(Empty(), [leaf], record)
