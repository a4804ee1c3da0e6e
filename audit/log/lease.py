"""The lease that makes one process the log's sequencer: a row in the database, which the holder renews.

Clocks and the word of the operating system only decide how soon another process tries. That two never append is the row's
doing: a batch locks it, and stores nothing where it names somebody else.
"""

from __future__ import annotations

import logging
import os
import secrets
import socket
import time

from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

from audit.database import writing
from audit.log.log import Log

logger = logging.getLogger(__name__)
EVER = 1e12


class LeaseLost(Exception):
    """Another process holds the lease."""


class Lease:
    """One sequencer's hold on the lease of `log`; `seconds` is how long a silent holder keeps it."""

    def __init__(self, log: Log, seconds: float) -> None:
        self._log = log
        self.seconds = seconds
        # Where the holder runs is told, so that who runs beside it sees at once that it has ended.
        self._holder = f"{socket.gethostname()[:24]} {os.getpid()} {secrets.token_hex(8)}"
        self._until = 0.0

    @property
    def held(self) -> bool:
        """Whether it was taken here and has not run out."""
        return time.time() < self._until

    def take(self) -> None:
        """Take it if nobody has it, if it ran out, or if its holder was a process of this machine that has ended; LeaseLost."""
        now = time.time()
        with writing(self._log.engine) as connection:
            ended = _has_ended(self._log.store.lease_holder(connection))
            if not self._log.store.take_lease(connection, self._holder, EVER if ended else now, now + self.seconds):
                raise LeaseLost
        self._until = now + self.seconds

    def renew(self, connection: Connection) -> None:
        """Prolong it in this transaction; LeaseLost."""
        until = time.time() + self.seconds
        if not self._log.store.renew_lease(connection, self._holder, until):
            raise LeaseLost
        self._until = until

    def hold(self, connection: Connection) -> None:
        """Make sure, at the start of a transaction, that nobody else can sequence until its end; LeaseLost."""
        if self._is_due():
            self.renew(connection)
        elif not self._log.store.holds_lease(connection, self._holder):
            raise LeaseLost

    def renew_when_due(self) -> None:
        """Prolong it where a third of it is over; LeaseLost."""
        if self._is_due():
            with writing(self._log.engine) as connection:
                self.renew(connection)

    def give_back(self) -> None:
        """Let the next one take it at once."""
        self._until = 0.0
        try:
            with writing(self._log.engine) as connection:
                self._log.store.renew_lease(connection, self._holder, 0.0)
        except SQLAlchemyError:
            logger.warning("the lease could not be given back; it expires by itself")

    def _is_due(self) -> bool:
        return time.time() > self._until - self.seconds * 2 / 3


def _has_ended(holder: str) -> bool:
    """Whether a holder was a process of this machine that is no more; False where that cannot be told."""
    host, _, rest = holder.rpartition(" ")[0].rpartition(" ")
    if host != socket.gethostname()[:24] or not rest.isdigit():
        return False
    try:
        os.kill(int(rest), 0)
    except ProcessLookupError:
        return True
    except OSError:
        return False
    return False
