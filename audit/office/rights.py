"""A subject's accounts at the window, leave to see an archive, and the cohorts that banks asked to use the subject in.

Messages: `models.rights`, `models.archives`.
"""

from __future__ import annotations

import re
import secrets

from sqlalchemy import Connection

from audit.office.acting import acting_for
from audit.office.consents import canonical
from audit.office.office import Office
from audit.office.store import accounts, alignments, models, projects
from audit.service.leaves import LeafDraft
from audit.service.outcome import Call, Outcome
from audit.verifier.cohorts import inclusion_path
from models.archives import LEGAL_BASIS, ArchiveLeave, AskArchive
from models.logged import Empty
from models.parties import Role
from models.problems import Conflict, Forbidden, NotFound, Unusable
from models.rights import AlignmentUse, AlignmentUses, AskSubject, CloseAccount, ModelLine, OpenAccount
from models.scorecard.card import NodeCard
from models.wire import decode, split

LEAVE_SECONDS = 600
ELEMENT_BYTES = 32
_ACCOUNT = re.compile(r"[A-Za-z0-9][A-Za-z0-9.-]{2,63}")


class Rights:
    """Handlers of the window and of the clerks who serve a subject."""

    def __init__(self, office: Office) -> None:
        self._office = office

    def open_account(self, call: Call) -> Outcome:
        """POST /accounts: a clerk who has checked the person's identity opens an account at the window."""
        body: OpenAccount = call.body
        if not _ACCOUNT.fullmatch(body.account):
            raise Unusable("an account's name has 3 to 64 letters, digits, dots and hyphens; it says nothing about the person")
        if not 1 <= len(body.checked) <= 200 or not body.checked.isprintable():
            raise Unusable("say in 1 to 200 characters by which document the person was identified")
        new = OpenAccount(account=body.account, subject=canonical(body.subject, "the subject"), checked=body.checked)

        def record(connection: Connection) -> None:
            standing = accounts.open_account(connection, new.subject)
            if standing == new.account:
                return accounts.begin_anew(connection, new, call.person.id)  # with a new passphrase
            if accounts.get(connection, new.account) is not None:
                raise Conflict("an account of this name was opened before; choose another name")
            if standing is not None:
                raise Conflict("this subject has an open account; close it before another is opened")
            return accounts.add(connection, new, call.person.id, call.now)

        opening = {"account": new.account, "subject": new.subject, "checked": new.checked}
        return Outcome(Empty(), [LeafDraft("account.open", {}, opening)], record)

    def close_account(self, call: Call) -> Outcome:
        """POST /accounts/close: the window acts for this subject no more."""
        body: CloseAccount = call.body

        def record(connection: Connection) -> None:
            if not accounts.close(connection, body.account, call.now):
                raise NotFound("there is no open account of this name")

        return Outcome(Empty(), [LeafDraft("account.close", {}, {"account": body.account})], record)

    def archive_leave(self, call: Call) -> Outcome:
        """POST /archives: the office's signed leave to be shown an archive, with its legal ground; the node shows it."""
        body: AskArchive = call.body
        if call.person.role is Role.WINDOW and body.ground != "own-archive":
            raise Forbidden("through the window a subject sees the own archive; other grounds are the clerks'")
        with call.engine.connect() as connection:
            subject, opening = acting_for(connection, call, body.subject)
        leave = ArchiveLeave(
            subject=subject,
            ground=body.ground,
            legal_basis=LEGAL_BASIS[body.ground],
            asked_by=call.person.id,
            issued_at=call.now,
            expires=call.now + LEAVE_SECONDS,
            nonce=secrets.token_bytes(16),
        )
        facts = {"ground": str(body.ground)}
        return Outcome(self._office.sign(leave), [LeafDraft("archive.leave", facts, opening)])

    def cohorts(self, call: Call) -> Outcome:
        """POST /cohorts: every alignment that a bank filed this subject for, proven, with the models of its project."""
        body: AskSubject = call.body
        with call.engine.connect() as connection:
            subject, opening = acting_for(connection, call, body.subject)
            found = tuple(_use(connection, row) for row in alignments.rows_of(connection, subject))
        answer = AlignmentUses(subject=subject, alignments=found)
        return Outcome(answer, [LeafDraft("cohort.list", {}, {**opening, "count": len(found)})])


def _use(connection: Connection, row: alignments.FiledRow) -> AlignmentUse:
    elements = split(row.elements, ELEMENT_BYTES, "elements")
    stored = projects.get_project(connection, row.project)
    return AlignmentUse(
        project=row.project,
        title=stored.project.title if stored else "",
        bank=row.bank,
        filed_at=row.filed_at,
        root=row.root,
        rows=len(elements),
        place=row.place,
        element=elements[row.place],
        proof=row.proof,
        context=row.context,
        path=inclusion_path(elements, row.place),
        models=tuple(_line(model) for model in models.of_project(connection, row.project, row.bank)),
    )


def _line(model: models.StoredModel) -> ModelLine:
    card = decode(model.cards.node_card.payload, NodeCard)
    return ModelLine(
        model=model.id,
        version=model.version,
        state=model.state,
        cohort_root=card.cohort_root,
        fields=tuple(field.name for field in card.fields),
        rows=card.rows,
        registered_at=model.registered_at,
        serves_until=model.serves_until,
    )
