"""Who is at the gate: signature over the head first, then the nonce, standing and role, and only then the body.

A nonce is committed before anything is done, where all processes see it, but SQLite does not wait for the disk. A machine
that fails may forget the last nonces, and then forgets as well what was recorded after them: a request that left a leaf has
its nonce on the disk. Mere reading leaves nothing: so what was signed before the machine started is refused.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from sqlalchemy import Engine, Table, insert
from sqlalchemy.exc import IntegrityError

from audit.combining import Combiner
from audit.database import writing
from models import problems
from models.http_signatures import SKEW_SECONDS, Proven, Request, verify_head
from models.parties import Institution, Person, Role

MOST_TOGETHER = 64


def machine_started() -> float:
    """When this machine started, POSIX seconds by the present clock."""
    return time.time() - time.clock_gettime(time.CLOCK_BOOTTIME)


class DirectorySource(Protocol):
    """Where the gate looks up who signs; raises `PeerUnavailable` when its knowledge is too old to trust."""

    def find(self, key_id: str) -> tuple[Person, Institution] | None:
        """The person and institution behind a key id, or None."""


@dataclass(frozen=True)
class Visitor:
    """Somebody whose signature over a request's head holds."""

    person: Person
    institution: Institution
    proven: Proven = field(repr=False)


class Entrance:
    """Authenticates and admits; remembers nonces in the database, so that workers and restarts share them."""

    def __init__(
        self,
        engine: Engine,
        nonces: Table,
        directory: DirectorySource,
        started: Callable[[], float] = machine_started,
    ) -> None:
        self._engine = engine
        self._started = started
        self._keep = insert(nonces)
        self._directory = directory
        self._remember = Combiner(self._remember_all, most=MOST_TOGETHER)

    def authenticate(self, request: Request) -> Visitor:
        """Who signed this request's head; raises `BadSignature`."""
        found: dict[str, tuple[Person, Institution]] = {}

        def find_key(key_id: str) -> Ed25519PublicKey | None:
            entry = self._directory.find(key_id)
            if entry is None:
                return None
            found[key_id] = entry
            return entry[0].public_key()

        proven = verify_head(request, find_key)
        if proven.created <= self._started() + SKEW_SECONDS:
            raise problems.BadSignature("this was signed before the service's machine started: sign the request anew")
        return Visitor(*found[proven.key_id], proven)

    def admit(self, visitor: Visitor, roles: frozenset[Role]) -> None:
        """Refuse a nonce seen before, a suspended visitor and a wrong role."""
        proven = visitor.proven
        self._remember({"key_id": proven.key_id, "nonce": proven.nonce, "expires": proven.expires})
        if visitor.person.suspended or visitor.institution.suspended:
            raise problems.Suspended("this person or institution is suspended by the credit office")
        if visitor.person.role not in roles:
            allowed = ", ".join(sorted(roles))
            raise problems.WrongRole(f"the role {visitor.person.role} may not do this; allowed: {allowed}")

    def _remember_all(self, nonces: Sequence[dict[str, object]]) -> Sequence[Exception | None]:
        try:
            with writing(self._engine, synced=False) as connection:
                connection.execute(self._keep, list(nonces))
        except IntegrityError:
            if len(nonces) == 1:
                return [problems.Replayed()]
            return [outcome for nonce in nonces for outcome in self._remember_all([nonce])]
        return [None] * len(nonces)
