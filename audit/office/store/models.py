"""Registered models: their cards, how they were decided, until when they may serve, and every step of their lives."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, Row, func, insert, or_, select, update

from audit.office.tables import model, model_event
from models.parties import EndedModel
from models.registry import APPROVED, FILED, REPLACED, ModelEvent
from models.tables import ModelApproval, RegisterModel
from models.wire import Signed, decode, encode


@dataclass(frozen=True)
class StoredModel:
    """A registered model; `card` is the hex digest of the bank's card.

    `review_by` is 0 until it is approved; `ends_at` is when it stops serving before that, if it does.
    """

    id: str
    bank: str
    project: str
    card: str
    cards: RegisterModel
    registered_by: str
    state: str
    reason: str
    approval: Signed | None
    parent: str = ""
    version: int = 1
    registered_at: int = 0
    review_by: int = 0
    ends_at: int | None = None

    @property
    def serves_until(self) -> int:
        """When it stops serving, POSIX seconds; 0 for a model that was never approved."""
        return self.review_by if self.ends_at is None else min(self.ends_at, self.review_by)

    def serves(self, now: int) -> bool:
        """Whether scores of it may be served."""
        return self.state in {APPROVED, REPLACED} and now < self.serves_until


def add(connection: Connection, new: StoredModel) -> None:
    """Store a registered model; IntegrityError where the id is taken."""
    row = {"id": new.id, "bank": new.bank, "project": new.project, "card": new.card, "document": encode(new.cards)}
    line = {"parent": new.parent, "version": new.version, "registered_at": new.registered_at}
    connection.execute(insert(model).values(**row, **line, registered_by=new.registered_by, state=FILED, reason=""))


def get(connection: Connection, model_id: str) -> StoredModel | None:
    """One model, or None."""
    row = connection.execute(select(model).where(model.c.id == model_id)).one_or_none()
    return None if row is None else _model(row)


def of_project(connection: Connection, project_id: str, bank: str) -> list[StoredModel]:
    """A bank's models of a project, oldest first."""
    query = select(model).where(model.c.project == project_id, model.c.bank == bank)
    return [_model(row) for row in connection.execute(query.order_by(model.c.registered_at, model.c.id))]


def search(connection: Connection, *, bank: str, state: str, text: str, after: str, most: int) -> list[StoredModel]:
    """Models newest first: of one bank or all, in one state or any, with a text in an id; those behind the model `after`."""
    query = select(model).order_by(model.c.registered_at.desc(), model.c.id.desc()).limit(most)
    if bank:
        query = query.where(model.c.bank == bank)
    if state:
        query = query.where(model.c.state == state)
    if text:
        columns = (model.c.id, model.c.project, model.c.bank, model.c.parent)
        query = query.where(or_(*(column.contains(text, autoescape=True) for column in columns)))
    if after:
        last = select(model.c.registered_at).where(model.c.id == after).scalar_subquery()
        older = (model.c.registered_at < last) | ((model.c.registered_at == last) & (model.c.id < after))
        query = query.where(older)
    return [_model(row) for row in connection.execute(query)]


def lineage(connection: Connection, start: StoredModel, most: int) -> list[StoredModel]:
    """The model's line: ancestors up to the first, itself, and all that came of it, by version; at most so many."""
    found = {start.id: start}
    above = start
    while above.parent and len(found) < most and (parent := get(connection, above.parent)) is not None:
        found[parent.id] = above = parent
    generation = [start.id]
    while generation and len(found) < most:
        rows = connection.execute(select(model).where(model.c.parent.in_(generation)).limit(most - len(found)))
        children = [_model(row) for row in rows]
        generation = [child.id for child in children]
        found |= {child.id: child for child in children}
    return sorted(found.values(), key=lambda one: (one.version, one.registered_at, one.id))


def decide(
    connection: Connection, model_id: str, state: str, reason: str, approval: Signed | None, review_by: int
) -> bool:  # fmt: skip
    """Record the decision on a registered model; False where it is decided already."""
    return change(connection, model_id, FILED, state, reason, approval=approval, review_by=review_by, ends_at=None)


def change(
    connection: Connection,
    model_id: str,
    before: str,
    state: str,
    reason: str,
    *,
    approval: Signed | None,
    review_by: int,
    ends_at: int | None,
) -> bool:
    """Move a model from the state `before` to another; False where it is in another one by now."""
    values = {"state": state, "reason": reason, "review_by": review_by, "ends_at": ends_at}
    values["approval"] = None if approval is None else encode(approval)
    done = connection.execute(update(model).where(model.c.id == model_id, model.c.state == before).values(**values))
    return done.rowcount == 1


def note(connection: Connection, model_id: str, event: ModelEvent) -> None:
    """Keep a step in the model's life."""
    row = {"model": model_id, "at": event.at, "state": event.state, "reason": event.reason}
    connection.execute(insert(model_event).values(**row, decided_by=event.by, review_by=event.review_by))


def history(connection: Connection, model_id: str) -> tuple[ModelEvent, ...]:
    """All steps of a model's life, oldest first."""
    found = connection.execute(select(model_event).where(model_event.c.model == model_id).order_by(model_event.c.id))
    return tuple(
        ModelEvent(at=row.at, state=row.state, reason=row.reason, by=row.decided_by, review_by=row.review_by) for row in found
    )


def ended(connection: Connection, now: int) -> tuple[EndedModel, ...]:
    """Models that stop serving before their review date, as long as somebody might still go by that."""
    query = select(model.c.id, model.c.state, model.c.ends_at).where(model.c.ends_at.is_not(None)).order_by(model.c.id)
    # Approvals from before there were review dates stand in no row: they are listed for good.
    lasting = or_(func.coalesce(model.c.review_by, 0) == 0, model.c.review_by > now)
    return tuple(
        EndedModel(model=row.id, state=row.state, since=row.ends_at) for row in connection.execute(query.where(lasting))
    )


def _model(row: Row[tuple[object, ...]]) -> StoredModel:
    approval = None if row.approval is None else decode(bytes(row.approval), Signed)
    review_by = row.review_by or 0
    if approval is not None and not review_by:
        review_by = decode(approval.payload, ModelApproval).ends
    return StoredModel(
        id=row.id,
        bank=row.bank,
        project=row.project,
        card=row.card,
        cards=decode(bytes(row.document), RegisterModel),
        registered_by=row.registered_by,
        state=row.state,
        reason=row.reason,
        approval=approval,
        parent=row.parent,
        version=row.version,
        registered_at=row.registered_at,
        review_by=review_by,
        ends_at=row.ends_at,
    )
