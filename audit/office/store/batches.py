"""Batches: what was filed, how it was decided, and about whom how often was asked."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import Connection, func, insert, select, update

from audit.office.store.consents import chunks
from audit.office.store.projects import FILED
from audit.office.tables import batch, batch_subject
from models.batches import Batch
from models.wire import encode

A_SUBJECT = 3
"""Granted tickets of one subject in one batch."""


@dataclass(frozen=True)
class StoredBatch:
    """A batch with the office's decision on it; `approved_twice` says that an approver of the bank signed it."""

    id: str
    bank: str
    officer: str
    project: str
    purpose: str
    place: str
    count: int
    valid_from: int
    valid_to: int
    approved_twice: bool
    state: str
    reason: str
    suspended: bool


def add(connection: Connection, new: Batch, now: int) -> None:
    """Store a filed batch and its subjects; IntegrityError where the id is taken."""
    named = ("id", "bank", "officer", "project", "purpose", "place", "valid_from", "valid_to")
    approval = None if new.approval is None else encode(new.approval)
    facts = {"digest": new.digest(), "size": len(new.subjects), "approval": approval, "filed_at": now}
    decision = {"state": FILED, "reason": "", "suspended": 0}
    connection.execute(insert(batch).values(**{name: getattr(new, name) for name in named}, **facts, **decision))
    connection.execute(insert(batch_subject), [{"batch": new.id, "subject": s, "asked": 0} for s in new.subjects])


def get(connection: Connection, batch_id: str, *, lock: bool = False) -> StoredBatch | None:
    """One batch, or None; `lock` keeps others from asking under it or deciding about it until the transaction ends."""
    query = select(batch).where(batch.c.id == batch_id)
    row = connection.execute(query.with_for_update() if lock else query).one_or_none()
    if row is None:
        return None
    return StoredBatch(
        id=row.id,
        bank=row.bank,
        officer=row.officer,
        project=row.project,
        purpose=row.purpose,
        place=row.place,
        count=row.size,
        valid_from=row.valid_from,
        valid_to=row.valid_to,
        approved_twice=row.approval is not None,
        state=row.state,
        reason=row.reason,
        suspended=bool(row.suspended),
    )


def decide(connection: Connection, batch_id: str, state: str, reason: str) -> bool:
    """Record the decision on a filed batch; False where it is decided already."""
    change = update(batch).where(batch.c.id == batch_id, batch.c.state == FILED).values(state=state, reason=reason)
    return connection.execute(change).rowcount == 1


def suspend(connection: Connection, batch_id: str, suspended: bool) -> bool:
    """Suspend or reinstate a batch; False where there is none."""
    return connection.execute(update(batch).where(batch.c.id == batch_id).values(suspended=int(suspended))).rowcount == 1


def asked(connection: Connection, batch_id: str, subjects: Iterable[str]) -> dict[str, int]:
    """For those of the subjects that are in the batch, how many tickets were granted."""
    found: dict[str, int] = {}
    for chunk in chunks(dict.fromkeys(subjects)):
        query = select(batch_subject.c.subject, batch_subject.c.asked)
        where = query.where(batch_subject.c.batch == batch_id, batch_subject.c.subject.in_(chunk))
        found.update((row.subject, row.asked) for row in connection.execute(where))
    return found


def ask(connection: Connection, batch_id: str, subjects: Iterable[str], times: int) -> bool:
    """Count `times` tickets for each of the (distinct) subjects; False where one of them would have too many."""
    counted = True
    for chunk in chunks(sorted(subjects)):
        mine = (batch_subject.c.batch == batch_id, batch_subject.c.subject.in_(chunk))
        change = update(batch_subject).where(*mine, batch_subject.c.asked <= A_SUBJECT - times)
        counted &= connection.execute(change.values(asked=batch_subject.c.asked + times)).rowcount == len(chunk)
    return counted


def count_asked(connection: Connection, batch_id: str) -> int:
    """For how many subjects a ticket was granted."""
    query = select(func.count()).where(batch_subject.c.batch == batch_id, batch_subject.c.asked > 0)
    return connection.execute(query).scalar_one()
