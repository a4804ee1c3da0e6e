"""The endpoints of supervision: what is stated and reported, and the figures that are made of it and of the log."""

from __future__ import annotations

from audit.office.office import Office
from audit.office.statements import Statements
from audit.office.supervision import Supervision
from audit.service.gate import Gate
from models.parties import Role
from models.supervision.messages import AskFigures, IssueReport
from models.wire import Signed

LARGEST_STATEMENT = 4 << 20
SUPERVISOR = {Role.SUPERVISOR}


def bind_supervision(gate: Gate, office: Office) -> None:
    """Declare them. A supervisor's are about aggregates only; nothing here takes the name of a subject."""
    statements, supervision = Statements(office), Supervision(office)
    carriers, reporters = {Role.NODE, Role.STEWARD, Role.NODE_OPERATOR}, {Role.MODELLER, Role.APPROVER}
    gate.logged(
        "POST", "/statements/coverage", action="statement.coverage", roles=carriers, takes=Signed, limit=LARGEST_STATEMENT
    )(statements.coverage)
    gate.logged("POST", "/credit-reports", action="credit.report", roles=reporters, takes=Signed, limit=LARGEST_STATEMENT)(
        statements.credit
    )
    gate.logged("POST", "/supervision/figures", action="supervision.figures", roles=SUPERVISOR, takes=AskFigures)(
        supervision.figures
    )
    gate.logged("POST", "/supervision/reports", action="supervision.issue", roles=SUPERVISOR, takes=IssueReport)(
        supervision.issue
    )
    why = "official reports, which are meant to be read; each was logged when it was issued"
    readers = SUPERVISOR | {Role.AUDITOR, Role.CLERK}
    gate.unlogged("GET", "/supervision/reports", roles=readers, why=why)(supervision.all_issued)
    gate.unlogged("GET", "/supervision/reports/{year}/{number}", roles=readers, why=why)(supervision.issued)
