"""Batches (整村授信): a loan officer files whom of one place the bank means to ask about; a clerk decides, with a reason.

An approved batch takes the place of the officer's budget and of the second approval for each ticket, nothing else: every
subject still needs both consents, and every question is a ticket with a leaf of its own. Messages: `models.batches`.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict

from sqlalchemy import Connection

from audit.office.approvals import second_approval
from audit.office.budgets import Budget
from audit.office.consents import canonical
from audit.office.permissions import purposes
from audit.office.projects import check_decision
from audit.office.store import batches, projects
from audit.office.store.batches import A_SUBJECT, StoredBatch
from audit.office.store.projects import APPROVED, FILED, REFUSED, SUSPENDED
from audit.service.leaves import LeafDraft
from audit.service.outcome import Call, Outcome
from models.batches import Batch, BatchApproval, BatchStatus
from models.parties import InstitutionKind, Role
from models.problems import BadIdentity, Conflict, Forbidden, NotApproved, NotFound, Suspended, TooLarge, Unusable
from models.projects import Decision, ProjectKind
from models.tickets import TicketContext

MOST_SUBJECTS = 20_000
LONGEST = 31 * 24 * 3600
PLACE_LENGTH = 100
_PLAIN = re.compile(r"[a-z0-9.-]{1,64}")


class Batches:
    """Handlers about batches."""

    def file(self, call: Call) -> Outcome:
        """POST /batches: answers with the `BatchStatus`."""
        batch: Batch = call.body
        if batch.bank != call.institution.id or batch.officer != call.person.id:
            raise Forbidden("a batch is filed for one's own bank, in one's own name")
        _check_content(batch, call.now)
        with call.engine.connect() as connection:
            _check_project(connection, batch, call.now)
            if call.institution.second_approval or batch.approval is not None:
                _check_approval(connection, call, batch)

        def record(connection: Connection) -> None:
            if batches.get(connection, batch.id) is not None:
                raise Conflict("a batch with this id was filed before; choose another id")
            batches.add(connection, batch, call.now)

        facts = {"batch": batch.id, "project": batch.project, "purpose": batch.purpose, "count": len(batch.subjects)}
        leaf = LeafDraft("batch.file", facts, {"digest": batch.digest(), "place": batch.place})
        named = ("bank", "officer", "project", "purpose", "place", "valid_from", "valid_to")
        told = {name: getattr(batch, name) for name in named}
        answer = BatchStatus(id=batch.id, state=FILED, reason="", count=len(batch.subjects), asked=0, **told)
        return Outcome(answer, [leaf], record)

    def decide(self, call: Call) -> Outcome:
        """POST /batches/{id}/decision: a clerk approves or refuses; answers with the `BatchStatus`."""
        decision: Decision = call.body
        with call.engine.connect() as connection:
            stored = _get(connection, call.path["id"])
        check_decision(decision, stored.id, stored.officer, stored.state, call)
        state = APPROVED if decision.approve else REFUSED

        def record(connection: Connection) -> None:
            if not batches.decide(connection, stored.id, state, decision.reason):
                raise Conflict("this batch has been decided already")

        answer = status_of(stored, state, decision.reason)
        leaf = LeafDraft("batch.decide", {"batch": stored.id, "state": state}, {"reason": decision.reason})
        return Outcome(answer, [leaf], record)

    def status(self, call: Call) -> BatchStatus:
        """GET /batches/{id}: its state, for the bank that filed it and for clerks. It lists nobody."""
        with call.engine.connect() as connection:
            stored = _get(connection, call.path["id"])
            asked = batches.count_asked(connection, stored.id)
        if call.institution.kind is InstitutionKind.BANK and stored.bank != call.institution.id:
            raise Forbidden("this batch belongs to another bank")
        return status_of(stored, SUSPENDED if stored.suspended else stored.state, stored.reason, asked)


class OpenBatch:
    """An approved batch as the tickets of one request are held against it. Raises the `Problem` against the whole of it."""

    def __init__(self, connection: Connection, call: Call, batch_id: str, subjects: list[str]) -> None:
        self.id = batch_id
        what = "a subject's budget of tickets in this batch"
        self.budget = Budget("batch", batch_id, 0, A_SUBJECT, what, "it does not renew")
        self._call = call
        self._stored = _check_open(connection, call, batch_id)
        self._asked = Counter(batches.asked(connection, batch_id, subjects))

    def check(self, subject: str, context: TicketContext) -> None:
        """Raise `NotApproved` where the batch does not cover this question."""
        if (context.project, context.purpose) != (self._stored.project, self._stored.purpose):
            raise NotApproved("the batch was approved for another project or purpose")
        if subject not in self._asked:
            raise NotApproved("this subject is not in the batch")

    def take(self, subject: str) -> bool:
        """Count one ticket; False where the subject has none left."""
        self._asked[subject] += 1
        return self._asked[subject] <= A_SUBJECT

    def spend(self, connection: Connection, subjects: list[str]) -> bool:
        """Count tickets that are stored in this transaction; False where others were first."""
        # The batch is locked: requests under one batch count one after the other, and none while it is suspended.
        _check_open(connection, self._call, self.id, lock=True)
        times: defaultdict[int, list[str]] = defaultdict(list)
        for subject, number in Counter(subjects).items():
            times[number].append(subject)
        return all(batches.ask(connection, self.id, asked, number) for number, asked in times.items())


def _get(connection: Connection, batch_id: str) -> StoredBatch:
    stored = batches.get(connection, batch_id)
    if stored is None:
        raise NotFound("there is no such batch")
    return stored


def status_of(stored: StoredBatch, state: str = "", reason: str = "", asked: int = 0) -> BatchStatus:
    """A batch as it is told; it lists nobody."""
    named = ("id", "count", "bank", "officer", "project", "purpose", "place", "valid_from", "valid_to")
    return BatchStatus(
        state=state or stored.state, reason=reason, asked=asked, **{name: getattr(stored, name) for name in named}
    )


def _check_content(batch: Batch, now: int) -> None:
    if not _PLAIN.fullmatch(batch.id):
        raise Unusable("a batch's id has 1 to 64 lower-case letters, digits, dots and hyphens; it names no person")
    if not batch.place.strip() or len(batch.place) > PLACE_LENGTH or not batch.place.isprintable():
        raise Unusable(f"a batch names its place in 1 to {PLACE_LENGTH} printable characters")
    if not now < batch.valid_to or not 0 < batch.valid_to - batch.valid_from <= LONGEST:
        raise Unusable(f"a batch's period lasts at most {LONGEST // 86400} days and is not over yet")
    if not 1 <= len(batch.subjects) <= MOST_SUBJECTS:
        raise TooLarge(f"a batch has 1 to {MOST_SUBJECTS} subjects")
    for place, (subject, following) in enumerate(zip(batch.subjects, (*batch.subjects[1:], None), strict=True), 1):
        if canonical(subject, f"subject {place}") != subject:
            raise BadIdentity(f"subject {place}: it is not in its canonical form")
        if following is not None and not subject < following:
            raise Unusable(f"subject {place + 1}: the subjects of a batch are sorted, and each stands once")


def _check_project(connection: Connection, batch: Batch, now: int) -> None:
    stored = projects.get_project(connection, batch.project)
    if stored is None or stored.project.bank != batch.bank:
        raise NotApproved("this bank has no such project")
    if stored.state != APPROVED:
        raise NotApproved(f"this project is {stored.state}, not approved")
    if stored.suspended:
        raise Suspended("this project is suspended by the credit office")
    if max(now, batch.valid_from, stored.project.valid_from) >= min(batch.valid_to, stored.project.valid_to):
        raise NotApproved("this project's period and the batch's have no day in common")
    # Whether a modelling project has a table of scores is asked again for every ticket.
    if batch.purpose not in purposes(stored.project, scores=stored.project.kind is ProjectKind.JOINT_SCORECARD):
        raise NotApproved("this project is not approved for this purpose")


def _check_approval(connection: Connection, call: Call, batch: Batch) -> None:
    approval = second_approval(connection, call, batch.approval, BatchApproval, "batch")
    if (approval.batch, approval.digest) != (batch.id, batch.digest()):
        raise NotApproved("the second approval is for another batch, or for another content of it")


def _check_open(connection: Connection, call: Call, batch_id: str, *, lock: bool = False) -> StoredBatch:
    """The batch, if tickets may be asked for under it now."""
    if call.person.role is not Role.LOAN_OFFICER:
        raise Forbidden("a batch is a loan officer's; a modeller asks in bulk without one")
    stored = batches.get(connection, batch_id, lock=lock)
    if stored is None or (stored.bank, stored.officer) != (call.institution.id, call.person.id):
        raise NotApproved("this officer has filed no such batch")
    if stored.state != APPROVED:
        raise NotApproved(f"this batch is {stored.state}, not approved")
    if stored.suspended:
        raise Suspended("this batch is suspended by the credit office")
    if not stored.valid_from <= call.now < stored.valid_to:
        raise NotApproved("this batch's period has not begun or is over")
    if call.institution.second_approval and not stored.approved_twice:
        raise NotApproved("this bank requires a second approval, and this batch was filed without one; file it again")
    return stored
