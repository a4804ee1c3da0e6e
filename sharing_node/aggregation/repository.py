"""All SQL about sums over banks. The caller owns the transaction; nothing here commits."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, func, insert, select, update

from models import wire
from models.aggregation import ENDED, AggregationPlan, Phase
from models.problems import Conflict, NotFound
from models.projects import ProjectApproval
from models.wire import Signed
from sharing_node.aggregation.tables import AggregationMessageRow as MessageRow
from sharing_node.aggregation.tables import AggregationRow
from sharing_node.state.tables import ProjectRow


@dataclass(frozen=True)
class Session:
    """A session as it stands. `survivor_list` is that of the present round, `result` the sealed sum of one that is done."""

    signed_plan: Signed
    plan: AggregationPlan
    round: int
    phase: Phase
    deadline: int
    survivor_list: bytes
    reason: str
    result: bytes | None = field(repr=False)

    @property
    def id(self) -> str:
        """Its name."""
        return self.plan.session


def approval(connection: Connection, project_id: str) -> tuple[Signed, ProjectApproval]:
    """The office's approval of an opened project; raises `NotFound`."""
    stored = connection.scalar(select(ProjectRow.approval).where(ProjectRow.id == project_id))
    if stored is None:
        raise NotFound("no such project is open at the node; open it with the office's approval")
    signed = wire.decode(stored, Signed)
    return signed, wire.decode(signed.payload, ProjectApproval)


def add(connection: Connection, plan: Signed, terms: AggregationPlan, deadline: int, at: int) -> None:
    """Store a session that was just opened."""
    connection.execute(
        insert(AggregationRow).values(
            id=terms.session, project=terms.project, plan=wire.encode(plan), phase=Phase.KEYS, deadline=deadline, opened_at=at
        )
    )


def find(connection: Connection, session: str) -> Session:
    """A session; raises `NotFound`."""
    row = connection.execute(select(AggregationRow.__table__).where(AggregationRow.id == session)).one_or_none()
    if row is None:
        raise NotFound("there is no such sum over banks")
    signed = wire.decode(row.plan, Signed)
    return Session(
        signed_plan=signed,
        plan=wire.decode(signed.payload, AggregationPlan),
        round=row.round,
        phase=Phase(row.phase),
        deadline=row.deadline,
        survivor_list=row.survivors,
        reason=row.reason,
        result=row.result,
    )


def lock(connection: Connection, session: str) -> Session:
    """A session that nobody else changes until this transaction ends; raises `NotFound`."""
    connection.execute(update(AggregationRow).where(AggregationRow.id == session).values(version=AggregationRow.version + 1))
    return find(connection, session)


def move(connection: Connection, session: str, **changes: Any) -> None:
    """Change where a locked session stands."""
    connection.execute(update(AggregationRow).where(AggregationRow.id == session).values(**changes))


def open_sessions(connection: Connection, project: str) -> list[str]:
    """A project's sessions that have not ended, oldest first."""
    found = select(AggregationRow.id).where(AggregationRow.project == project, AggregationRow.phase.not_in(sorted(ENDED)))
    return list(connection.scalars(found.order_by(AggregationRow.opened_at, AggregationRow.id)))


def give_up(connection: Connection, before: int, reason: str) -> None:
    """End sessions, of any project, whose present step was over time before then, and forget what banks have sent in them."""
    late = select(AggregationRow.id).where(AggregationRow.phase.not_in(sorted(ENDED)), AggregationRow.deadline < before)
    for session in list(connection.scalars(late)):
        move(connection, session, phase=Phase.FAILED, reason=reason)
        erase(connection, session)


def plans(connection: Connection, project: str) -> list[AggregationPlan]:
    """The plans of a project's sessions, but for those that have failed."""
    found = select(AggregationRow.plan).where(AggregationRow.project == project, AggregationRow.phase != Phase.FAILED)
    return [wire.decode(wire.decode(plan, Signed).payload, AggregationPlan) for plan in connection.scalars(found)]


def one_at_a_time(connection: Connection, project: str) -> None:
    """Until this transaction ends no other one begins a sum of this project: for limits over all that there are."""
    connection.execute(select(ProjectRow.id).where(ProjectRow.id == project).with_for_update())


def count_sessions(connection: Connection, project: str) -> int:
    """How many sessions a project has had."""
    return connection.scalar(select(func.count()).where(AggregationRow.project == project)) or 0


def put(connection: Connection, session: Session, step: Phase, bank: str, body: bytes, at: int) -> None:
    """Store a bank's message of the present round; raises `Conflict` where it has sent one in this step."""
    if bank in digests(connection, session, step):
        raise Conflict("this bank has taken this step of the round; a step is taken once")
    key = {"session": session.id, "round": session.round, "step": step, "bank": bank}
    connection.execute(insert(MessageRow).values(**key, digest=hashlib.sha256(body).digest(), body=body, at=at))


def digests(connection: Connection, session: Session, step: Phase) -> dict[str, bytes]:
    """SHA-256 of what was sent in a step of the present round, by bank."""
    found = select(MessageRow.bank, MessageRow.digest).where(
        MessageRow.session == session.id, MessageRow.round == session.round, MessageRow.step == step
    )
    return {row.bank: row.digest for row in connection.execute(found.order_by(MessageRow.bank))}


def bodies(connection: Connection, session: Session, step: Phase) -> dict[str, bytes]:
    """What was sent in a step of the present round, by bank; nothing where the session has ended."""
    found = select(MessageRow.bank, MessageRow.body).where(
        MessageRow.session == session.id, MessageRow.round == session.round, MessageRow.step == step
    )
    return {row.bank: row.body for row in connection.execute(found.order_by(MessageRow.bank)) if row.body is not None}


def body(connection: Connection, session: Session, step: Phase, bank: str) -> bytes:
    """What one bank has sent in a step of the present round; raises `NotFound`."""
    key = (session.id, session.round, step, bank)
    columns = (MessageRow.session, MessageRow.round, MessageRow.step, MessageRow.bank)
    found = connection.scalar(
        select(MessageRow.body).where(*(column == value for column, value in zip(columns, key, strict=True)))
    )
    if found is None:
        raise NotFound("this bank has not taken this step, or the sum has ended")
    return found


def erase(connection: Connection, session: str) -> None:
    """Forget what banks have sent in a session; digests stay."""
    connection.execute(update(MessageRow).where(MessageRow.session == session).values(body=None))
