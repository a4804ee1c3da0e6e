"""All SQL about exposure checks. The caller owns the transaction; nothing here commits."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, func, insert, select, update

from models.exposure import MOST_AT_ONCE, ExposureQuestion
from models.problems import Conflict, NotFound
from models.wire import Signed, decode, encode
from sharing_node.exposure.tables import ExposureAnswerRow as AnswerRow
from sharing_node.exposure.tables import ExposureRow


class State(StrEnum):
    """Where a question stands."""

    OPEN = "open"
    CLOSED = "closed"
    RELEASED = "released"


@dataclass(frozen=True)
class Asked:
    """A question as it stands; `sum` and `exponent` once it is closed."""

    signed: Signed = field(repr=False)
    question: ExposureQuestion = field(repr=False)
    digest: str
    ticket: str
    project: str
    bank: str
    asked: frozenset[str]
    state: State
    deadline: int
    exponent: bytes | None = field(repr=False)
    sum: bytes | None = field(repr=False)


@dataclass(frozen=True)
class Answer:
    """One bank's answer."""

    bank: str
    signed: Signed = field(repr=False)
    salt: bytes = field(repr=False)
    ciphertext: bytes = field(repr=False)


def add(connection: Connection, signed: Signed, question: ExposureQuestion, asked: frozenset[str], **facts: Any) -> None:
    """Store a question; IntegrityError where it, or its ticket, was there before."""
    row = {"id": question.id, "question": encode(signed), "digest": signed.digest(), "state": State.OPEN}
    connection.execute(insert(ExposureRow).values(**row, asked="\n".join(sorted(asked)), **facts))


def find(connection: Connection, question_id: str) -> Asked:
    """A question; raises `NotFound`."""
    row = connection.execute(select(ExposureRow.__table__).where(ExposureRow.id == question_id)).one_or_none()
    if row is None:
        raise NotFound("there is no such question")
    return _asked(row)


def by_digest(connection: Connection, digest: str) -> Asked:
    """The question of a digest; raises `NotFound`."""
    row = connection.execute(select(ExposureRow.__table__).where(ExposureRow.digest == digest)).one_or_none()
    if row is None:
        raise NotFound("there is no such question")
    return _asked(row)


def move(connection: Connection, question_id: str, since: State, **changes: Any) -> None:
    """Change a question that stands at `since`, and keep others from it; raises `Conflict` where it stands elsewhere."""
    change = update(ExposureRow).where(ExposureRow.id == question_id, ExposureRow.state == since).values(**changes)
    if connection.execute(change).rowcount != 1:
        raise Conflict("this question is closed")


def so_far(connection: Connection) -> int:
    """How many questions there have been."""
    return connection.scalar(select(func.count()).select_from(ExposureRow)) or 0


def waiting_for(connection: Connection, bank: str, now: int) -> list[Signed]:
    """The oldest questions that are open, were put to this bank, and have no answer of it."""
    answered = select(AnswerRow.question).where(AnswerRow.question == ExposureRow.id, AnswerRow.bank == bank).exists()
    found = select(ExposureRow.question, ExposureRow.asked).where(
        ExposureRow.state == State.OPEN, ExposureRow.deadline > now, ExposureRow.bank != bank, ~answered
    )
    rows = connection.execute(found.order_by(ExposureRow.opened_at, ExposureRow.id).limit(MOST_AT_ONCE))
    return [decode(row.question, Signed) for row in rows if bank in row.asked.split()]


def put(connection: Connection, question_id: str, answer: Answer, now: int) -> None:
    """Store an answer; IntegrityError where the bank has answered before."""
    row = {"question": question_id, "bank": answer.bank, "at": now}
    hidden = {"salt": answer.salt, "ciphertext": answer.ciphertext}
    connection.execute(insert(AnswerRow).values(**row, signed=encode(answer.signed), **hidden))


def has_answered(connection: Connection, question_id: str, bank: str) -> bool:
    """Whether this bank has answered."""
    found = select(AnswerRow.bank).where(AnswerRow.question == question_id, AnswerRow.bank == bank)
    return connection.execute(found).first() is not None


def count(connection: Connection, question_id: str) -> int:
    """How many banks have answered."""
    return connection.scalar(select(func.count()).where(AnswerRow.question == question_id)) or 0


def answers(connection: Connection, question_id: str) -> list[Answer]:
    """What banks have answered, by bank; nothing once the sum was released."""
    found = select(AnswerRow.__table__).where(AnswerRow.question == question_id, AnswerRow.ciphertext.is_not(None))
    rows = connection.execute(found.order_by(AnswerRow.bank))
    return [Answer(row.bank, decode(row.signed, Signed), row.salt, row.ciphertext) for row in rows]


def erase_old(connection: Connection, before: int) -> None:
    """Forget what banks have answered to questions that were over before then."""
    old = select(ExposureRow.id).where(ExposureRow.state != State.RELEASED, ExposureRow.deadline < before)
    late = update(AnswerRow).where(AnswerRow.question.in_(old), AnswerRow.ciphertext.is_not(None))
    connection.execute(late.values(salt=None, ciphertext=None))


def erase(connection: Connection, question_id: str) -> None:
    """Forget what banks have answered; what they have signed stays."""
    connection.execute(update(AnswerRow).where(AnswerRow.question == question_id).values(salt=None, ciphertext=None))


def _asked(row: Any) -> Asked:
    signed = decode(row.question, Signed)
    return Asked(
        signed=signed,
        question=decode(signed.payload, ExposureQuestion),
        digest=row.digest,
        ticket=row.ticket,
        project=row.project,
        bank=row.bank,
        asked=frozenset(row.asked.split()),
        state=State(row.state),
        deadline=row.deadline,
        exponent=row.exponent,
        sum=row.sum,
    )
