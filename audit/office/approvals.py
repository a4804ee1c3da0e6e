"""The second approval within a bank: an approver of the same bank, who is not the one who asks, has signed."""

from __future__ import annotations

from typing import TypeVar

from sqlalchemy import Connection

from audit.office.store import parties
from audit.service.outcome import Call
from models.parties import Role
from models.problems import BadSignature, NotApproved, OwnRequest, Suspended
from models.wire import Message, Signed, open_signed

M = TypeVar("M", bound=Message)


def second_approval(connection: Connection, call: Call, signed: Signed | None, kind: type[M], of: str) -> M:
    """What the approver signed; raises `NotApproved`, `Suspended` or `OwnRequest`. `of` names what needs approval."""
    if signed is None:
        raise NotApproved(f"this bank requires a second approval for every {of}; have an approver sign it")
    approver = parties.get_person(connection, signed.signer)
    if approver is None or approver.institution != call.institution.id or approver.role is not Role.APPROVER:
        raise NotApproved("the second approval is not by an approver of this bank")
    if approver.suspended:
        raise Suspended("the approver is suspended by the credit office")
    if approver.id == call.person.id:
        raise OwnRequest()
    try:
        return open_signed(signed, kind, approver.id, approver.public_key())
    except BadSignature as error:
        raise NotApproved(f"the second approval cannot be believed: {error.detail}") from None
