""" "Who looked at me": every question about a subject, granted or refused, for the office's window and its auditors."""

from __future__ import annotations

from sqlalchemy import Connection

from audit.office.acting import acting_for
from audit.office.office import Office
from audit.office.store import alarms, questions
from audit.service.leaves import LeafDraft
from audit.service.outcome import Call, Outcome
from models.alarms import Alarms
from models.logged import Empty
from models.problems import BadMessage
from models.tables import Evidence
from models.tickets import Accesses, AccessQuery
from models.wire import encode


class Oversight:
    """Handlers of the office's own duty: accesses, evidence, alarms."""

    def __init__(self, office: Office) -> None:
        self._office = office

    def accesses(self, call: Call) -> Outcome:
        """POST /accesses: all questions about one subject, with their batches and reports; this one is logged as well."""
        query: AccessQuery = call.body
        with call.engine.connect() as connection:
            subject, opening = acting_for(connection, call, query.subject)
            found = questions.of_subject(connection, subject, call.now - self._office.settings.report_days * 86400)
        return Outcome(Accesses(accesses=found), [LeafDraft("access.list", {}, opening)])

    def report(self, call: Call) -> Outcome:
        """POST /evidence: what a client found not to match what was signed; kept, with an alarm."""
        evidence: Evidence = call.body
        if not evidence.what or len(evidence.what) > 100 or len(evidence.table) > 128:
            raise BadMessage("the evidence says in 1 to 100 characters what it is about, and names a table in at most 128")

        def record(connection: Connection) -> None:
            alarms.raise_alarm(
                connection,
                at=call.now,
                kind="evidence",
                institution=call.institution.id,
                about=f"{evidence.what}: {evidence.table} epoch {evidence.epoch}",
                detail=evidence.detail,
                evidence=encode(evidence),
            )

        # The words are the bank's own, and a leaf is for ever: they stand where they can be erased.
        said = {"what": evidence.what, "table": evidence.table, "epoch": evidence.epoch}
        return Outcome(Empty(), [LeafDraft("evidence", {}, said)], record)

    def alarms(self, call: Call) -> Outcome:
        """GET /alarms: the newest thousand, with their evidence."""
        with call.engine.connect() as connection:
            newest = alarms.newest(connection)
        return Outcome(Alarms(alarms=newest), [LeafDraft("alarm.list", {"count": len(newest)})])
