"""The endpoints of what waits for clerks: the worklist, asked budgets, and acts for a second clerk."""

from __future__ import annotations

from audit.office import worklist
from audit.office.acts import SecondClerks
from audit.office.budget_requests import BudgetRequestDesk
from audit.office.office import Office
from audit.service.gate import Gate
from models.approvals import ActKind, AskBudget, FileAct
from models.parties import Role
from models.projects import Decision

CLERK, MODELLER, OVERSEER = {Role.CLERK}, {Role.MODELLER}, {Role.CLERK, Role.AUDITOR}


def bind_approvals(gate: Gate, office: Office, second: SecondClerks) -> None:
    """Declare them."""
    budgets, post = BudgetRequestDesk(office), gate.logged
    why = "what banks filed and clerks decided; filing and decision are logged, and no subject is named"
    gate.unlogged("GET", "/approvals", roles=CLERK, why=why)(worklist.waiting)
    gate.unlogged("GET", "/projects", roles=OVERSEER, why=why)(worklist.all_projects)
    gate.unlogged("GET", "/projects/{id}/budget", roles=CLERK | MODELLER, why=why)(budgets.of_project)
    post("POST", "/projects/{id}/budget", action="budget.ask", roles=MODELLER, takes=AskBudget)(budgets.ask)
    decide = second.guard(
        ActKind.BUDGET_RAISE,
        Decision,
        budgets.decide,
        needs=budgets.needs_second,
        path=lambda decision: {"id": decision.subject},
    )
    post("POST", "/budgets/{id}/decision", action="budget.decide", roles=CLERK, takes=Decision)(decide)
    post("POST", "/acts", action="act.file", roles=CLERK, takes=FileAct, limit=16 << 20)(second.file)
    post("POST", "/acts/{id}/decision", action="act.decide", roles=CLERK, takes=Decision)(second.decide)
    post("GET", "/acts/{id}", action="act.open", roles=OVERSEER, takes=None)(second.opened)
    gate.unlogged("GET", "/acts", roles=OVERSEER, why="acts between clerks, without what they are about")(second.listed)
