"""The lease under which one process builds; others stand by."""

from __future__ import annotations

import os
import secrets
import socket
import time

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import IntegrityError

from audit.database import writing
from sharing_node.state import builds

LEASE_SECONDS = 10.0


class LeaseLost(Exception):
    """Another process builds now; whatever this one did without the lease is not committed."""


class Lease:
    """One process's claim to build. Times are the machine's, whatever clock the builds go by."""

    def __init__(self, engine: Engine, seconds: float = LEASE_SECONDS) -> None:
        self._engine = engine
        self._seconds = seconds
        self._holder = f"{socket.gethostname()[:24]} {os.getpid()} {secrets.token_hex(8)}"

    def take(self) -> bool:
        """Take the lease if nobody has it, or if the process of this machine that had it has ended."""
        try:
            with writing(self._engine) as connection:
                holder = builds.lease_holder(connection, time.time())
                if holder not in {"", self._holder} and not _ended(holder):
                    return False
                builds.give_lease(connection, self._holder, time.time() + self._seconds)
        except IntegrityError:
            return False  # another one was first
        return True

    def hold(self, connection: Connection) -> None:
        """Prolong the lease and lock it until the transaction ends; raises `LeaseLost`."""
        if not builds.renew_lease(connection, self._holder, time.time() + self._seconds):
            raise LeaseLost

    def give_back(self) -> None:
        """Let the next one build at once."""
        with writing(self._engine) as connection:
            builds.renew_lease(connection, self._holder, 0.0)


def _ended(holder: str) -> bool:
    host, pid, _ = holder.rsplit(" ", 2)
    if host != socket.gethostname()[:24]:
        return False
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return False
