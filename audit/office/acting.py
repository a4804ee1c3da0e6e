"""For whom somebody acts: a clerk for a person at the counter, the window for a subject who has an account and signed in."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection

from audit.office.store import accounts
from audit.office.subjects import canonical
from audit.service.outcome import Call
from models.parties import Role
from models.problems import Forbidden

BY_SUBJECT = "subject"


def acting_for(connection: Connection, call: Call, subject: str) -> tuple[str, dict[str, Any]]:
    """The canonical subject, and what the opening of the leaf says of who acted; raises `Forbidden` or `BadIdentity`."""
    subject = canonical(subject, "the subject")
    if call.person.role is not Role.WINDOW:
        return subject, {"subject": subject, "acting": str(call.person.role)}
    account = accounts.open_account(connection, subject)
    if account is None:
        raise Forbidden(
            "the window acts only for subjects who have an open account",
            advice="Have a clerk open the account at the counter, with the person's identity document.",
        )
    return subject, {"subject": subject, "acting": BY_SUBJECT, "account": account}
