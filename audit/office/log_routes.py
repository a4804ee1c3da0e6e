"""The endpoints of the log's health, of retention, and of erasing a subject."""

from __future__ import annotations

from audit.office.acts import SecondClerks
from audit.office.log_health import Health
from audit.office.office import Office
from audit.office.retention import Retaining
from audit.service.gate import Gate
from models.approvals import ActKind
from models.parties import Role
from models.retention import EraseSubject

CLERK = {Role.CLERK}
OVERSEERS = {Role.CLERK, Role.AUDITOR, Role.SUPERVISOR}


def bind_log(gate: Gate, office: Office, second: SecondClerks) -> None:
    """Declare them."""
    retaining = Retaining(office)
    why = "counts and sizes of the log, which anybody may read off it; rules and counts of what was purged, each logged"
    gate.unlogged("GET", "/log-health", roles=OVERSEERS, why=why)(Health(office).shown)
    gate.unlogged("GET", "/retention", roles=OVERSEERS, why=why)(retaining.shown)
    why = "digests of forms whose consents were erased or purged, so that their scans are deleted; the digests tell nothing"
    gate.unlogged("GET", "/retention/forms", roles={Role.CLERK}, why=why)(retaining.forms_gone)
    erase = second.guard(ActKind.SUBJECT_ERASE, EraseSubject, retaining.erase)
    gate.logged("POST", "/subjects/erase", action="subject.erase", roles=CLERK, takes=EraseSubject)(erase)
