"""Credit repair (信用修复): a subject applies, a clerk who did not file it decides. Messages: `models.disputes`."""

from __future__ import annotations

import secrets

from sqlalchemy import Connection

from audit.office.acting import acting_for
from audit.office.disputes import check_evidence, check_not_window, check_words
from audit.office.office import WINDOW_KEY_ID, Office
from audit.office.store import accounts, consents, parties, repair_cases
from audit.service.leaves import LeafDraft
from audit.service.outcome import Call, Outcome
from models.consents import Repair
from models.disputes import OPEN, ApplyRepair, AskFilings, DecideRepair, Filing, RepairCases
from models.parties import Role
from models.problems import Conflict, NotFound, OwnRequest, Unusable
from models.wire import replace

GRANTED, REFUSED = "granted", "refused"


class RepairDesk:
    """Handlers about applications for credit repair."""

    def __init__(self, office: Office) -> None:
        self._office = office

    def file(self, call: Call) -> Outcome:
        """POST /repairs/applications: an application with its grounds."""
        body: ApplyRepair = call.body
        if body.field not in self._office.catalogue:
            raise Unusable("the catalogue has no such field; a repair names one field")
        check_words(body.grounds, "the application says on what grounds")
        digest = check_evidence(body.evidence)
        with call.engine.connect() as connection:
            subject, opening = acting_for(connection, call, body.subject)
        new, case = replace(body, subject=subject), secrets.token_hex(8)

        def record(connection: Connection) -> None:
            if any(one.field == body.field and one.state == OPEN for one in repair_cases.listed(connection, subject)):
                raise Conflict("an application for this field is open already")
            repair_cases.add(connection, case, new, digest, call.person.id, call.now)

        said = {**opening, "field": body.field, "evidence": digest}
        return Outcome(Filing(id=case), [LeafDraft("repair.apply", {"case": case}, said)], record)

    def listed(self, call: Call) -> Outcome:
        """POST /repairs/list: all of one subject, or for clerks the open ones of everybody."""
        body: AskFilings = call.body
        opening = {"subject": ""}
        with call.engine.connect() as connection:
            if body.subject:
                _, opening = acting_for(connection, call, body.subject)
            else:
                check_not_window(call)
            found = repair_cases.listed(connection, opening["subject"])
        return Outcome(RepairCases(repairs=found), [LeafDraft("repair.list", {"count": len(found)}, opening)])

    def evidence(self, call: Call) -> Outcome:
        """POST /repairs/applications/{id}/evidence: the file that came with an application."""
        case = call.path["id"]
        with call.engine.connect() as connection:
            stored = repair_cases.get(connection, case)
            if stored is None:
                raise NotFound("there is no such application")
            _, opening = acting_for(connection, call, stored.subject)
            file = repair_cases.evidence(connection, case)
        if file is None:
            raise NotFound("no evidence came with this application")
        return Outcome(file, [LeafDraft("repair.evidence", {"case": case}, opening)])

    def decide(self, call: Call) -> Outcome:
        """POST /repairs/applications/{id}/decision: granted, the field is shown to nobody from the node's next epoch on."""
        body: DecideRepair = call.body
        case = call.path["id"]
        check_words(body.reason, "the decision gives its reason")
        with call.engine.connect() as connection:
            stored = repair_cases.get(connection, case)
            if stored is None:
                raise NotFound("there is no such application")
            if stored.filed_by == WINDOW_KEY_ID and self._gave_slip(connection, call, stored.subject):
                raise OwnRequest("an application from an account is decided by another clerk than the one who opened it")
        if stored.filed_by == call.person.id:
            raise OwnRequest("an application is decided by another clerk than the one who filed it")
        state = GRANTED if body.grant else REFUSED

        def record(connection: Connection) -> None:
            if not repair_cases.decide(connection, case, state, body.reason, call.person.id, call.now):
                raise Conflict("this application has been decided already")
            if body.grant:
                granted = Repair(subject=stored.subject, field=stored.field)
                consents.set_repair(connection, granted, case, call.person.id, call.now)

        opening = {"subject": stored.subject, "field": stored.field, "reason": body.reason}
        return Outcome(Filing(id=case), [LeafDraft("repair.decide", {"case": case, "state": state}, opening)], record)

    @staticmethod
    def _gave_slip(connection: Connection, call: Call, subject: str) -> bool:
        """Whether this clerk could have signed in as the subject, and there is another one to ask."""
        others = len(parties.people(connection, Role.CLERK)) > 1
        return others and call.person.id in accounts.opened_by(connection, subject)
