"""State, leaf and answer together, and no answer before its leaf: what the gate does between handler and reply."""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass, field

import structlog
from sqlalchemy import Connection, Engine, Table, insert, select
from sqlalchemy.exc import DBAPIError, IntegrityError

from audit.database import writing
from audit.log.log import Log, LogUnavailable
from audit.service.leaves import Leaf, LeafDraft
from audit.service.outcome import Outcome, Within
from models import problems, wire
from models.logged import LeafRef, Logged

logger = structlog.get_logger()
LEAF_TIMEOUT = 10.0
COSIGN_TIMEOUT = 30.0


@dataclass(frozen=True)
class Request:
    """What makes a repeated request the same: who sent it, its idempotency key, and the digest of all of it."""

    person: str
    key: str
    digest: bytes


@dataclass(frozen=True)
class Stored:
    """An answer that is durable together with its queued leaves, and may leave once they have their indices."""

    answer: bytes = field(repr=False)
    queued: list[int]
    cosigned: bool


class Ledger:
    """One service's answers and their leaves."""

    def __init__(self, engine: Engine, log: Log, answers: Table, clock: Callable[[], float]) -> None:
        self._engine = engine
        self._log = log
        self._answers = answers
        self._clock = clock

    def stored(self, request: Request) -> Stored | None:
        """What was answered to this request before; raises `KeyReused` where the key came with another one."""
        answers = self._answers
        with self._engine.connect() as connection:
            row = connection.execute(
                select(answers).where(answers.c.key_id == request.person, answers.c.idempotency_key == request.key)
            ).one_or_none()
        if row is None:
            return None
        if row.request_digest != request.digest:
            raise problems.KeyReused()
        queued = list(struct.unpack(f"<{len(row.queued) // 8}q", row.queued))
        return Stored(row.answer, queued, bool(row.cosigned))

    def commit(self, request: Request, result: Outcome | Within, leaf_of: Callable[[LeafDraft], Leaf]) -> Stored:
        """State change, leaves and answer in one transaction; what `record` raises takes all of it back."""
        try:
            with writing(self._engine) as connection:
                outcome = result if isinstance(result, Outcome) else result(connection)
                if not outcome.leaves:
                    raise RuntimeError("a logged endpoint gave no leaf")
                stored = Stored(wire.encode(outcome.answer), self._enqueue(connection, outcome, leaf_of), outcome.cosigned)
                if outcome.record is not None:
                    outcome.record(connection)
                if outcome.attach is not None:
                    outcome.attach(connection, stored.queued)
                self._keep(connection, request, stored)
        except IntegrityError:
            # The same request came twice at once and the other one was first: give what it gave.
            earlier = self.stored(request)
            if earlier is None:
                raise problems.Conflict(
                    "another request changed the same thing at the same moment; nothing was changed by this one"
                ) from None
            return earlier
        return stored

    def release(self, stored: Stored) -> Logged:
        """The reply, once every leaf is durable (and cosigned, where it must be); raises LogUnavailable otherwise."""
        indices = [self._log.wait(queue_id, LEAF_TIMEOUT) for queue_id in stored.queued]
        if stored.cosigned:
            self._log.wait_cosigned(max(indices), COSIGN_TIMEOUT)
        refs = tuple(LeafRef(index=i, leaf_hash=h, promise=p) for i, h, p in self._log.promises(indices))
        return Logged(answer=stored.answer, leaves=refs)

    def refusal(self, leaf: Leaf, attach: Callable[[Connection, int], None] | None = None) -> None:
        """Log a refusal, with what it leaves behind. Nothing is released with one, so a log that is down only alarms."""
        try:
            with writing(self._engine) as connection:
                queue_id = self._log.enqueue(connection, leaf.entry)
                self._log.store_openings(connection, {leaf.commitment: leaf.opening})
                if attach is not None:
                    attach(connection, queue_id)
            self._log.wait(queue_id, LEAF_TIMEOUT)
        except (LogUnavailable, DBAPIError):
            logger.error("a refusal could not be logged")

    def _enqueue(self, connection: Connection, outcome: Outcome, leaf_of: Callable[[LeafDraft], Leaf]) -> list[int]:
        leaves = [leaf_of(draft) for draft in outcome.leaves]
        self._log.store_openings(connection, {leaf.commitment: leaf.opening for leaf in leaves})
        return [self._log.enqueue(connection, leaf.entry) for leaf in leaves]

    def _keep(self, connection: Connection, request: Request, stored: Stored) -> None:
        connection.execute(
            insert(self._answers).values(
                key_id=request.person,
                idempotency_key=request.key,
                request_digest=request.digest,
                answer=stored.answer,
                queued=struct.pack(f"<{len(stored.queued)}q", *stored.queued),
                cosigned=int(stored.cosigned),
                at=int(self._clock()),
            )
        )
