"""Other budgets for an approved project: its bank asks with a reason, a clerk decides, and the project is approved anew.

Checks count here, at once. Trainings and releases count at the node, which takes the new approval in place of the old one.
"""

from __future__ import annotations

import secrets

from sqlalchemy import Connection

from audit.office.office import Office
from audit.office.projects import MOST_CHECKS, MOST_RELEASES, MOST_TRAININGS, Projects, check_decision
from audit.office.store import approvals
from audit.office.store.projects import APPROVED, REFUSED, StoredProject
from audit.service.leaves import LeafDraft
from audit.service.outcome import Call, Outcome
from models.approvals import FILED, AskBudget, BudgetRequest, BudgetRequests
from models.parties import InstitutionKind
from models.problems import Conflict, Forbidden, NotApproved, NotFound, Unusable
from models.projects import Decision, Project, ProjectApproval, ProjectStatus, Seat
from models.wire import decode, replace

LONGEST_REASON = 1000


class BudgetRequestDesk:
    """Handlers about asked budgets."""

    def __init__(self, office: Office) -> None:
        self._office = office

    def ask(self, call: Call) -> Outcome:
        """POST /projects/{id}/budget: the bank's modeller asks; answers with the `BudgetRequest`."""
        asked: AskBudget = call.body
        with call.engine.connect() as connection:
            stored = Projects.get(connection, call.path["id"])
            waiting = [each for each in approvals.requests(connection, stored.project.id) if each.state == FILED]
        if asked.project != stored.project.id:
            raise Unusable("the request is about another project than the address names")
        if stored.project.bank != call.institution.id:
            raise Forbidden("this project belongs to another bank")
        _check(asked, stored)
        if waiting:
            raise Conflict("a request about this project waits for its decision already")
        filed = BudgetRequest(
            id=secrets.token_hex(12),
            project=asked.project,
            bank=call.institution.id,
            asked_by=call.person.id,
            asked_at=call.now,
            trainings=asked.trainings,
            releases=asked.releases,
            checks=asked.checks,
            reason=asked.reason,
            state=FILED,
            before=_budgets(stored.project),
            checks_left=stored.checks_left,
        )
        facts = {"request": filed.id, "project": filed.project, "checks": filed.checks}
        facts |= {"trainings": filed.trainings, "releases": filed.releases}
        leaf = LeafDraft("budget.ask", facts, {"reason": asked.reason})
        return Outcome(filed, [leaf], lambda connection: approvals.add_request(connection, filed))

    def decide(self, call: Call) -> Outcome:
        """POST /budgets/{id}/decision: a clerk decides; answers with the project's new `ProjectStatus`."""
        decision: Decision = call.body
        with call.engine.connect() as connection:
            asked = self._get(connection, call.path["id"])
            stored = Projects.get(connection, asked.project)
        check_decision(decision, asked.id, asked.asked_by, asked.state, call)
        answer = ProjectStatus(state=stored.state, reason=decision.reason, approval=stored.approval)
        new, approved = stored.project, None
        if decision.approve:
            _check(asked, stored)
            new = replace(stored.project, trainings=asked.trainings, releases=asked.releases, checks=asked.checks)
            statement = ProjectApproval(
                project=new, decided_by=call.person.id, decided_at=call.now, reason=decision.reason, seats=_seats(stored)
            )
            approved = self._office.sign(statement)
            answer = ProjectStatus(state=APPROVED, reason=decision.reason, approval=approved)
        state = APPROVED if decision.approve else REFUSED

        def record(connection: Connection) -> None:
            if not approvals.decide_request(connection, asked.id, state, call.person.id, call.now, decision.reason):
                raise Conflict("this request has been decided already")
            if approved is not None and not approvals.set_budgets(connection, stored.project, new, approved):
                raise Conflict("more checks are used than would be left, or the project was changed at the same moment")

        facts = {"request": asked.id, "project": asked.project, "state": state}
        return Outcome(answer, [LeafDraft("budget.decide", facts, {"reason": decision.reason})], record)

    def of_project(self, call: Call) -> BudgetRequests:
        """GET /projects/{id}/budget: what was asked and decided about a project's budgets."""
        with call.engine.connect() as connection:
            stored = Projects.get(connection, call.path["id"])
            if call.institution.kind is InstitutionKind.BANK and call.institution.id not in stored.project.members:
                raise Forbidden("this project belongs to another bank")
            return BudgetRequests(requests=approvals.requests(connection, stored.project.id))

    def needs_second(self, call: Call) -> bool:
        """Whether a decision raises a budget beyond the office's factor."""
        decision: Decision = call.body
        with call.engine.connect() as connection:
            asked = self._get(connection, call.path["id"])
        factor = self._office.settings.budget_factor
        wanted = (asked.trainings, asked.releases, asked.checks)
        return decision.approve and any(new > factor * old for new, old in zip(wanted, asked.before, strict=True))

    @staticmethod
    def _get(connection: Connection, request_id: str) -> BudgetRequest:
        found = approvals.get_request(connection, request_id)
        if found is None:
            raise NotFound("there is no such request")
        return found


def _check(asked: AskBudget | BudgetRequest, stored: StoredProject) -> None:
    if stored.state != APPROVED or stored.suspended:
        raise NotApproved("only an approved project's budgets can be changed, and not while it is suspended")
    if stored.project.banks:
        raise Unusable("the other banks accepted this project as it was filed; file a new one")
    if not 0 <= asked.trainings <= MOST_TRAININGS or not 0 <= asked.releases <= MOST_RELEASES:
        raise Unusable(f"a project of this kind has at most {MOST_TRAININGS} trainings and {MOST_RELEASES} releases")
    if not 0 <= asked.checks <= MOST_CHECKS:
        raise Unusable(f"a project has at most {MOST_CHECKS} checks")
    if (asked.trainings, asked.releases, asked.checks) == _budgets(stored.project):
        raise Unusable("these are the budgets that the project has already")
    if not asked.reason.strip() or len(asked.reason) > LONGEST_REASON:
        raise Unusable(f"a reason is given, in at most {LONGEST_REASON} characters")


def _budgets(project: Project) -> tuple[int, int, int]:
    return project.trainings, project.releases, project.checks


def _seats(stored: StoredProject) -> tuple[Seat, ...]:
    return () if stored.approval is None else decode(stored.approval.payload, ProjectApproval).seats
