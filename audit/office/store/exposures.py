"""Exposure checks: what was asked, what was released, which answers were to be opened."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, insert, select, update

from audit.office.exposure_tables import exposure, exposure_demand
from models.exposure import ExposureQuestion, ExposureTally, OpeningDemand
from models.wire import Signed, decode, encode

OPEN, HOLDS, FALSE = "open", "holds", "false"


@dataclass(frozen=True, repr=False)
class Asked:
    """One question that the office gave leave to ask."""

    id: str
    subject: str
    bank: str
    project: str
    context: bytes
    question: bytes
    digest: str
    ticket: str
    query_consent: str
    collection_consent: str
    salt: bytes
    approval: bytes | None
    issued_at: int


@dataclass(frozen=True, repr=False)
class Stored:
    """A question as it stands: `answered` and `tally` once its sum was released."""

    id: str
    subject: str
    bank: str
    project: str
    consents: frozenset[str]
    question: ExposureQuestion
    digest: str
    released_at: int | None
    answered: tuple[str, ...]
    tally: ExposureTally | None


def add(connection: Connection, asked: Asked) -> None:
    """Store a question."""
    connection.execute(insert(exposure), [vars(asked)])


def asked_under(connection: Connection, subject: str, bank: str, context: bytes) -> bool:
    """Whether this bank was given leave to ask about this subject under this very context."""
    mine = (exposure.c.subject == subject, exposure.c.bank == bank, exposure.c.context == context)
    return connection.execute(select(exposure.c.id).where(*mine)).first() is not None


def one_at_a_time(connection: Connection, subject: str, bank: str) -> None:
    """Until this transaction ends no other one releases a sum about this subject to this bank. SQLite has one writer anyhow."""
    mine = (exposure.c.subject == subject, exposure.c.bank == bank)
    connection.execute(select(exposure.c.id).where(*mine).order_by(exposure.c.id).with_for_update()).all()


def find(connection: Connection, question_id: str) -> Stored | None:
    """A question by its id, or None."""
    row = connection.execute(select(exposure).where(exposure.c.id == question_id)).one_or_none()
    return None if row is None else _stored(row)


def released_since(connection: Connection, subject: str, bank: str, since: int) -> list[frozenset[str]]:
    """Of each sum about this subject that this bank was given since then: the banks it is of."""
    query = select(exposure.c.answered).where(
        exposure.c.subject == subject, exposure.c.bank == bank, exposure.c.released_at > since
    )
    return [frozenset(answered.split()) for answered in connection.execute(query).scalars()]


def release(connection: Connection, question_id: str, tally: Signed, answered: Iterable[str], now: int) -> bool:
    """Record that a sum may go out; False where it may already."""
    values = {"released_at": now, "tally": encode(tally), "answered": "\n".join(answered)}
    change = update(exposure).where(exposure.c.id == question_id, exposure.c.released_at.is_(None))
    return connection.execute(change.values(values)).rowcount == 1


def demand(connection: Connection, question_id: str, bank: str, reason: str, by: str, now: int) -> None:
    """Store a demand; IntegrityError where there is one."""
    row = {"question": question_id, "bank": bank, "at": now, "reason": reason, "demanded_by": by}
    connection.execute(insert(exposure_demand).values(**row, state=OPEN, amount=0, counted=0))


def demands(connection: Connection, **where: Any) -> tuple[OpeningDemand, ...]:
    """Demands with these values, oldest first."""
    table = exposure_demand.c
    query = select(exposure_demand).where(*(table[name] == value for name, value in where.items()))
    rows = connection.execute(query.order_by(table.at, table.question, table.bank))
    return tuple(
        OpeningDemand(
            question=row.question,
            bank=row.bank,
            at=row.at,
            reason=row.reason,
            state=row.state,
            amount=row.amount,
            counted=bool(row.counted),
        )
        for row in rows
    )


def settle(connection: Connection, question_id: str, bank: str, *, holds: bool, amount: int, counted: bool) -> bool:
    """Record how a demand ended; False where none is open."""
    table = exposure_demand.c
    change = update(exposure_demand).where(table.question == question_id, table.bank == bank, table.state == OPEN)
    values = {"state": HOLDS if holds else FALSE, "amount": amount, "counted": int(counted)}
    return connection.execute(change.values(**values)).rowcount == 1


def _stored(row: Row[Any]) -> Stored:
    tally = None if row.tally is None else decode(decode(bytes(row.tally), Signed).payload, ExposureTally)
    return Stored(
        id=row.id,
        subject=row.subject,
        bank=row.bank,
        project=row.project,
        consents=frozenset({row.query_consent, row.collection_consent}),
        question=decode(bytes(row.question), ExposureQuestion),
        digest=row.digest,
        released_at=row.released_at,
        answered=tuple(row.answered.split()),
        tally=tally,
    )
