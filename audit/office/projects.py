"""Projects: a modeller files what the bank wants to do with which fields; a clerk decides, with a reason."""

from __future__ import annotations

import re

from sqlalchemy import Connection

from audit.office import acceptances
from audit.office.office import Office
from audit.office.store import projects
from audit.office.store.projects import APPROVED, FILED, REFUSED, SUSPENDED, StoredProject
from audit.service.leaves import LeafDraft
from audit.service.outcome import Call, Outcome
from models.catalogue import Catalogue, Use, shareable
from models.consents import Purpose
from models.identity import Kind
from models.logged import Empty
from models.parties import InstitutionKind
from models.privacy import OutsideRange, PrivacyWish, rho_of
from models.problems import BadMessage, Conflict, Forbidden, NotFound, OwnRequest, Unusable
from models.projects import Decision, Project, ProjectApproval, ProjectKind, ProjectStatus
from models.wire import Signed

# It names a key's file at the node and stands in the leaves of both logs.
_PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
MOST_TRAININGS = 12
MOST_RELEASES = 4
MOST_CHECKS = 10_000_000
MOST_TABLES = 24  # releases of a project of statistics


class Projects:
    """Handlers about projects."""

    def __init__(self, office: Office) -> None:
        self._office = office

    def file(self, call: Call) -> Outcome:
        """POST /projects: a modeller files a project of its own bank."""
        project: Project = call.body
        if project.bank != call.institution.id or project.requested_by != call.person.id:
            raise Forbidden("a project is filed for one's own bank, in one's own name")
        self._check(project, call.now)

        def record(connection: Connection) -> None:
            acceptances.check_banks(connection, project)
            if projects.get_project(connection, project.id) is not None:
                raise Conflict("a project with this id was filed before; choose another id")
            projects.add_project(connection, project)

        facts = {"project": project.id, "kind": str(project.kind), "purpose": project.purpose, "fields": len(project.fields)}
        return Outcome(Empty(), [LeafDraft("project.file", facts, {"fields": list(project.fields)})], record)

    def decide(self, call: Call) -> Outcome:
        """POST /projects/{id}/decision: a clerk approves or refuses; answers with the `ProjectStatus`."""
        decision: Decision = call.body
        with call.engine.connect() as connection:
            stored = self.get(connection, call.path["id"])
            check_decision(decision, stored.project.id, stored.project.requested_by, stored.state, call)
            seats = acceptances.seats(connection, stored.project) if decision.approve else ()
        approval: Signed | None = None
        if decision.approve:
            approval = self._office.sign(
                ProjectApproval(
                    project=stored.project,
                    decided_by=call.person.id,
                    decided_at=call.now,
                    reason=decision.reason,
                    seats=seats,
                )
            )
        state = APPROVED if decision.approve else REFUSED

        def record(connection: Connection) -> None:
            if not projects.decide_project(connection, stored.project.id, state, decision.reason, approval):
                raise Conflict("this project has been decided already")

        facts = {"project": stored.project.id, "state": state, "approval": approval.digest() if approval else ""}
        answer = ProjectStatus(state=state, reason=decision.reason, approval=approval)
        return Outcome(answer, [LeafDraft("project.decide", facts, {"reason": decision.reason})], record)

    def status(self, call: Call) -> ProjectStatus:
        """GET /projects/{id}: its state, for the bank that filed it and for clerks."""
        with call.engine.connect() as connection:
            stored = self.get(connection, call.path["id"])
            accepted = acceptances.accepted(connection, stored.project)
        if call.institution.kind is InstitutionKind.BANK and call.institution.id not in stored.project.members:
            raise Forbidden("this project belongs to another bank")
        return ProjectStatus(
            state=SUSPENDED if stored.suspended else stored.state,
            reason=stored.reason,
            approval=None if stored.suspended else stored.approval,
            project=stored.project if accepted else None,
            accepted=accepted,
        )

    def accept(self, call: Call) -> Outcome:
        """POST /projects/{id}/acceptance: another bank of a project of several says that it takes part, and who acts for it."""
        with call.engine.connect() as connection:
            stored = self.get(connection, call.path["id"])
            if stored.state != FILED:
                raise Conflict("this project has been decided already")
            acceptance = acceptances.check_acceptance(connection, stored.project, call)

        def record(connection: Connection) -> None:
            acceptances.add(connection, acceptance, call.body, call.now)

        facts = {"project": stored.project.id, "digest": acceptance.digest}
        return Outcome(Empty(), [LeafDraft("project.accept", facts, {"modeller": acceptance.modeller})], record)

    @staticmethod
    def get(connection: Connection, project_id: str) -> StoredProject:
        """The project; raises `NotFound`."""
        stored = projects.get_project(connection, project_id)
        if stored is None:
            raise NotFound("there is no such project")
        return stored

    def _check(self, project: Project, now: int) -> None:
        if not _PLAIN.fullmatch(project.id):
            raise Unusable("a project's id has 1 to 64 letters, digits, dots, hyphens or underscores, and begins with no sign")
        if project.purpose not in set(Purpose):
            raise Unusable(f"the purpose is one of {', '.join(Purpose)}")
        if not now < project.valid_to or not project.valid_from < project.valid_to:
            raise Unusable("the project's period is over, or ends before it begins")
        most = MOST_TABLES if project.kind is ProjectKind.STATISTICS else MOST_RELEASES
        if not (0 <= project.trainings <= MOST_TRAININGS and 0 <= project.releases <= most):
            raise Unusable(f"a project of this kind has at most {MOST_TRAININGS} trainings and {most} releases")
        if not 0 <= project.checks <= MOST_CHECKS:
            raise Unusable(f"a project has at most {MOST_CHECKS} checks")
        if project.privacy is not None:
            check_privacy(project, project.privacy)
        check_fields(self._office.catalogue, project)


def check_privacy(project: Project, budget: PrivacyWish) -> None:
    """Refuse a privacy budget where no training keeps to one, or that promises nothing or too much."""
    if project.kind is not ProjectKind.JOINT_SCORECARD or project.banks:
        raise Unusable("a privacy budget is for a joint scorecard of one bank")
    if not budget.protects or len(set(budget.protects)) != len(budget.protects):
        raise Unusable("a privacy budget protects labels, rows or both, and names none twice")
    try:
        rho_of(budget.epsilon, budget.delta)
    except OutsideRange as error:
        raise Unusable(str(error)) from None


def check_fields(catalogue: Catalogue, project: Project) -> None:
    """Refuse fields that do not exist, that stand twice, or that this kind of project may never use."""
    if project.kind in {ProjectKind.STATISTICS, ProjectKind.EXPOSURE}:
        if project.fields:
            raise Unusable(f"a project of {project.kind} sums what banks have themselves, and names no field of the node")
        return
    if not project.fields or len(set(project.fields)) != len(project.fields):
        raise Unusable("a project names at least one field, and none twice")
    if unknown := [name for name in project.fields if name not in catalogue]:
        raise Unusable(f"the catalogue has no field {', '.join(unknown)}")
    kinds: tuple[Kind, ...] = ("opaque",) if catalogue.identity == "opaque" else ("citizen", "organisation")
    use: Use = "joint" if project.kind is ProjectKind.JOINT_SCORECARD else "check"
    barred = [name for name in project.fields if not any(shareable(catalogue[name], kind, use) for kind in kinds)]
    if barred:
        raise Unusable(f"the sharing mode of {', '.join(barred)} forbids {use} use; ask for other fields")


def field_sets(catalogue: Catalogue, fields: tuple[str, ...]) -> tuple[str, ...]:
    """The catalogue categories that these fields belong to: what a consent must cover."""
    return tuple(dict.fromkeys(field.category for field in catalogue.select(fields)))


def check_decision(decision: Decision, subject: str, requested_by: str, state: str, call: Call) -> None:
    """What holds for every decision: about this subject, not one's own, once, and with a reason."""
    if decision.subject != subject:
        raise BadMessage("the decision is about something else than the address names")
    if requested_by == call.person.id:
        raise OwnRequest()
    if not decision.reason.strip():
        raise Unusable("a decision has a reason")
    if state != FILED:
        raise Conflict("this has been decided already")
