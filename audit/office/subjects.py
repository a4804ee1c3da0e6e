"""Identities as requests name them."""

from __future__ import annotations

from models.identity import IdentityError, parse_id
from models.problems import BadIdentity


def canonical(subject: str, what: str) -> str:
    """The canonical identity of a subject; raises `BadIdentity` naming the place, never the value."""
    try:
        return parse_id(subject)
    except IdentityError as error:
        raise BadIdentity(f"{what}: {error}") from None
