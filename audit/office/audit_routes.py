"""The endpoints of audit work, all for auditors alone; every one leaves a leaf, also those that only read."""

from __future__ import annotations

from audit.office.audit_work import AuditWork
from audit.office.cases import CaseWork
from audit.office.office import Office
from audit.office.search import Search
from audit.service.gate import Gate
from models.alarms import AskAlarm, AskAlarms, HandleAlarm
from models.cases import AddItem, AskCase, AskCases, CloseCase, OpenCase
from models.oversight import AskDossier, SearchAccesses
from models.parties import Role
from models.reconciliation import AskReconciliation, AskReconciliations

AUDITOR = {Role.AUDITOR}


def bind_audit(gate: Gate, office: Office) -> None:
    """Declare them."""
    search, work, cases, post = Search(office), AuditWork(office), CaseWork(office), gate.logged
    post("POST", "/audit/search", action="audit.search", roles=AUDITOR, takes=SearchAccesses)(search.search)
    post("POST", "/audit/dossier", action="audit.dossier", roles=AUDITOR, takes=AskDossier)(search.dossier)
    post("POST", "/audit/alarms", action="audit.alarms", roles=AUDITOR, takes=AskAlarms)(work.alarms)
    post("POST", "/audit/alarm", action="audit.alarm", roles=AUDITOR, takes=AskAlarm)(work.alarm)
    post("POST", "/audit/alarm/state", action="alarm.state", roles=AUDITOR, takes=HandleAlarm)(work.handle)
    path = "/audit/reconciliation"
    post("POST", f"{path}s", action="audit.reconciliations", roles=AUDITOR, takes=AskReconciliations)(work.reconciliations)
    post("POST", path, action="audit.reconciliation", roles=AUDITOR, takes=AskReconciliation)(work.reconciliation)
    post("POST", "/audit/cases", action="case.open", roles=AUDITOR, takes=OpenCase)(cases.open)
    post("POST", "/audit/cases/items", action="case.add", roles=AUDITOR, takes=AddItem)(cases.add)
    post("POST", "/audit/cases/close", action="case.close", roles=AUDITOR, takes=CloseCase)(cases.close)
    post("POST", "/audit/cases/search", action="case.list", roles=AUDITOR, takes=AskCases)(cases.listed)
    post("POST", "/audit/cases/show", action="case.show", roles=AUDITOR, takes=AskCase)(cases.show)
    post("POST", "/audit/cases/bundle", action="case.export", roles=AUDITOR, takes=AskCase)(cases.export)
