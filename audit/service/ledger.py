"""State, leaf and answer together, and no answer before its leaf: what the gate does between handler and reply."""

from __future__ import annotations

import struct
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import structlog
from sqlalchemy import Connection, Engine, Table, bindparam, insert, select
from sqlalchemy.exc import IntegrityError, SQLAlchemyError

from audit.combining import Combiner
from audit.database import writing
from audit.log.log import Log, LogUnavailable
from audit.service.leaves import Leaf, LeafDraft
from audit.service.outcome import Outcome, Within
from models import problems, wire
from models.logged import LeafRef, Logged

logger = structlog.get_logger()
LEAF_TIMEOUT = 10.0
COSIGN_TIMEOUT = 30.0
MOST_TOGETHER = 64
"""Requests in one transaction."""


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
        # What every request runs is built once.
        self._find = select(answers).where(
            answers.c.key_id == bindparam("person"), answers.c.idempotency_key == bindparam("key")
        )
        self._keep = insert(answers)
        self._clock = clock
        self._file_brief = Combiner(self._file_together, most=MOST_TOGETHER)
        self._guard = threading.Lock()
        self._under_way: dict[tuple[str, str], tuple[threading.Lock, int]] = {}

    @contextmanager
    def alone(self, request: Request) -> Iterator[None]:
        """Until this is left, the same request waits, where it comes to this process twice at once.

        Worked on together, one of the two could be refused for what the other is about to do, and its sender would believe it.
        """
        name = (request.person, request.key)
        with self._guard:
            lock, number = self._under_way.get(name) or (threading.Lock(), 0)
            self._under_way[name] = lock, number + 1
        try:
            with lock:
                yield
        finally:
            with self._guard:
                lock, number = self._under_way.pop(name)
                if number > 1:
                    self._under_way[name] = lock, number - 1

    def stored(self, request: Request) -> Stored | None:
        """What was answered to this request before; raises `KeyReused` where the key came with another one."""
        with self._engine.connect() as connection:
            row = connection.execute(self._find, {"person": request.person, "key": request.key}).one_or_none()
        if row is None:
            return None
        if row.request_digest != request.digest:
            raise problems.KeyReused()
        queued = list(struct.unpack(f"<{len(row.queued) // 8}q", row.queued))
        return Stored(row.answer, queued, bool(row.cosigned))

    def commit(self, request: Request, result: Outcome | Within, leaf_of: Callable[[LeafDraft], Leaf]) -> Stored:
        """State change, leaves and answer in one transaction; what `record` raises takes all of it back."""
        if not isinstance(result, Outcome):
            return self._file(request, lambda connection: _Filing(request, result(connection), leaf_of))
        filing = _Filing(request, result, leaf_of)
        return self._file_brief(filing) if result.brief else self._file(request, lambda _: filing)

    def _file(self, request: Request, make: Callable[[Connection], _Filing]) -> Stored:
        try:
            with writing(self._engine) as connection:
                [stored] = self._store(connection, [make(connection)])
        except (IntegrityError, problems.Problem) as error:
            # The same request may have come twice at once, and the other one was first: give what it gave.
            earlier = self.stored(request)
            if earlier is not None:
                return earlier
            if isinstance(error, problems.Problem):
                raise
            raise problems.Conflict(
                "another request changed the same thing at the same moment; nothing was changed by this one"
            ) from None
        return stored

    def _file_together(self, filings: Sequence[_Filing]) -> Sequence[Stored | Exception]:
        """All in one transaction; where that fails, each in its own, so that nobody suffers for another's request."""
        if len(filings) > 1:
            # Rows are taken in the order of who asks, so that two processes seldom wait for each other in a circle.
            order = sorted(range(len(filings)), key=lambda place: filings[place].request.person)
            try:
                with writing(self._engine) as connection:
                    stored = self._store(connection, [filings[place] for place in order])
            except Exception as error:
                logger.info("requests are committed one by one", together=len(filings), reason=type(error).__name__)
            else:
                by_place = dict(zip(order, stored, strict=True))
                return [by_place[place] for place in range(len(filings))]
        return [self._attempt(filing) for filing in filings]

    def _attempt(self, filing: _Filing) -> Stored | Exception:
        try:
            return self._file(filing.request, lambda _: filing)
        except Exception as error:
            return error

    def release(self, stored: Stored) -> Logged:
        """The reply, once every leaf is durable (and cosigned, where it must be); raises LogUnavailable otherwise."""
        leaves = [self._log.place(queue_id, LEAF_TIMEOUT) for queue_id in stored.queued]
        if stored.cosigned:
            self._log.wait_cosigned(max(leaf.index for leaf in leaves), COSIGN_TIMEOUT)
        refs = (LeafRef(index=leaf.index, leaf_hash=leaf.leaf, promise=self._log.promise_of(leaf)) for leaf in leaves)
        return Logged(answer=stored.answer, leaves=tuple(refs))

    def refusal(self, leaf: Leaf, attach: Callable[[Connection, int], None] | None = None) -> None:
        """Log a refusal, with what it leaves behind. Nothing is released with one, so a log that is down only alarms."""
        try:
            with writing(self._engine) as connection:
                queue_id = self._log.enqueue(connection, leaf.entry)
                self._log.store_openings(connection, {leaf.commitment: leaf.opening})
                if attach is not None:
                    attach(connection, queue_id)
            self._log.wait(queue_id, LEAF_TIMEOUT)
        except (LogUnavailable, SQLAlchemyError):
            logger.error("a refusal could not be logged")

    def _store(self, connection: Connection, filings: Sequence[_Filing]) -> list[Stored]:
        leaves = [leaf for filing in filings for leaf in filing.leaves]
        self._log.store_openings(connection, {leaf.commitment: leaf.opening for leaf in leaves})
        queue_ids = iter(self._log.enqueue_all(connection, [leaf.entry for leaf in leaves]))
        together: dict[Callable[[Connection, Sequence[Any]], None], list[Any]] = {}
        for shared in (filing.outcome.shared for filing in filings):
            if shared is not None:
                together.setdefault(shared.record, []).append(shared.item)
        for record, items in together.items():
            record(connection, items)
        stored = []
        for filing in filings:
            outcome = filing.outcome
            queued = [next(queue_ids) for _ in filing.leaves]
            if outcome.record is not None:
                outcome.record(connection)
            if outcome.attach is not None:
                outcome.attach(connection, queued)
            stored.append(Stored(filing.answer, queued, outcome.cosigned))
        rows = [self._row(filing.request, kept) for filing, kept in zip(filings, stored, strict=True)]
        connection.execute(self._keep, rows)
        return stored

    def _row(self, request: Request, stored: Stored) -> dict[str, object]:
        return {
            "key_id": request.person,
            "idempotency_key": request.key,
            "request_digest": request.digest,
            "answer": stored.answer,
            "queued": struct.pack(f"<{len(stored.queued)}q", *stored.queued),
            "cosigned": int(stored.cosigned),
            "at": int(self._clock()),
        }


class _Filing:
    """A request's outcome on its way into the database: its leaves finished, its answer encoded."""

    def __init__(self, request: Request, outcome: Outcome, leaf_of: Callable[[LeafDraft], Leaf]) -> None:
        if not outcome.leaves:
            raise RuntimeError("a logged endpoint gave no leaf")
        self.request = request
        self.outcome = outcome
        self.leaves = [leaf_of(draft) for draft in outcome.leaves]
        self.answer = wire.encode(outcome.answer)
