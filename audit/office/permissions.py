"""What a caller may ask about at all: steps (1) to (4) of a ticket, everything that does not depend on the subject."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection

from audit.office.approvals import second_approval
from audit.office.office import Office
from audit.office.served import check_served
from audit.office.standing import SCORE, Wanted, wanted
from audit.office.store import manifests, models, projects
from audit.office.store.projects import APPROVED
from audit.service.outcome import Call
from models.consents import Purpose
from models.parties import Role
from models.problems import BadTicket, NotApproved, Problem, Suspended
from models.projects import Project, ProjectKind
from models.tables import Manifest
from models.tickets import TicketApproval, TicketContext, TicketRequest

SCORE_PURPOSES = frozenset({Purpose.LOAN_APPROVAL, Purpose.POST_LOAN})
NONCE_BYTES = 16


@dataclass(frozen=True)
class Permission:
    """A context that passed: what the subject's consents must cover, and the checks its project has left."""

    wanted: Wanted
    checks: int
    checks_left: int


class Permissions:
    """Judges contexts for one call; equal ones once. `in_batch`: the questions are those of an approved batch."""

    def __init__(self, office: Office, connection: Connection, call: Call, *, in_batch: bool) -> None:
        self._office = office
        self._connection = connection
        self._call = call
        self._in_batch = in_batch
        self._known: dict[tuple[str, str, str, int], Permission | Problem] = {}

    def check(self, request: TicketRequest) -> Permission:
        """The permission for one request; raises the `Problem` that stands against it."""
        context = request.context
        self._check_own(context)
        key = (context.project, context.purpose, context.table, context.epoch)
        if key not in self._known:
            try:
                self._known[key] = self._judge(context)
            except Problem as problem:
                self._known[key] = problem
        judged = self._known[key]
        if isinstance(judged, Problem):
            raise judged
        # The second approval of a batch is that of each of its questions.
        if self._call.institution.second_approval and not self._in_batch:
            self._check_approval(request)
        return judged

    def _check_own(self, context: TicketContext) -> None:
        """(1) The context is the caller's own."""
        call, settings = self._call, self._office.settings
        if (context.bank, context.officer) != (call.institution.id, call.person.id):
            raise BadTicket("the context names another bank or officer than the one who asks")
        bulk = call.person.role is Role.MODELLER or self._in_batch
        longest = settings.bulk_hours * 3600 if bulk else settings.ticket_minutes * 60
        if not call.now < context.expires <= call.now + longest:
            raise BadTicket(
                f"this ticket of the role {call.person.role} ends within {longest} seconds from now, and not before"
            )
        if len(context.nonce) != NONCE_BYTES:
            raise BadTicket(f"the context's nonce has {NONCE_BYTES} bytes")

    def _judge(self, context: TicketContext) -> Permission:
        """(2) and (3): project and table."""
        stored = projects.get_project(self._connection, context.project)
        if stored is None or self._call.institution.id not in stored.project.members:
            raise NotApproved("this bank has no such project")
        if stored.state != APPROVED:
            raise NotApproved(f"this project is {stored.state}, not approved")
        if stored.suspended:
            raise Suspended("this project is suspended by the credit office")
        project = stored.project
        if not project.valid_from <= self._call.now < project.valid_to:
            raise NotApproved("this project's period has not begun or is over")
        sealed = manifests.get(self._connection, context.table, context.epoch)
        if sealed is None:
            raise BadTicket("the office has sealed no such table and epoch")
        # Before the epoch's end: that of a model's last one is the model's own, and there is no present one to ask.
        what = self._readable(project, sealed.manifest)
        if self._call.now >= sealed.manifest.expires_at:
            raise BadTicket("this epoch of the table is over; ask the node for the present one")
        if context.purpose not in purposes(project, scores=bool(sealed.manifest.model)):
            raise NotApproved("this project is not approved for this purpose")
        return Permission(what, project.checks, stored.checks_left)

    def _readable(self, project: Project, manifest: Manifest) -> Wanted:
        """What the subject's consents must cover; raises `NotApproved` for a table that is not the project's."""
        if not manifest.model:
            if set(manifest.fields) != set(project.fields) or project.kind is not ProjectKind.CHECK:
                raise NotApproved("this table holds other fields than the project was approved for")
            return wanted(self._office.catalogue, manifest.fields)
        model = models.get(self._connection, manifest.model)
        if model is None or model.project != project.id:
            raise NotApproved("this table holds the scores of another project's model")
        check_served(model, self._call.now, self._office.settings.zone)
        return Wanted((SCORE,))

    def _check_approval(self, request: TicketRequest) -> None:
        """(4) A second person of the bank has signed this subject and this context."""
        approval = second_approval(self._connection, self._call, request.approval, TicketApproval, "question")
        if (approval.subject, approval.context) != (request.subject, request.context.digest()):
            raise NotApproved("the second approval is for another subject or context")


def purposes(project: Project, *, scores: bool) -> set[str]:
    """What a project's tables may be asked for; `scores` where they are those of its model."""
    # A modelling project's purpose is the training; whoever approved its model approved that it scores applicants.
    trained = scores and project.purpose == Purpose.MODELLING
    return {project.purpose, *SCORE_PURPOSES} if trained else {project.purpose}
