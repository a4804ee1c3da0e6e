"""All SQL about builds of epochs and the builder's lease. The caller owns the transaction; nothing here commits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, Row, delete, func, insert, select, update

from models.problems import NotFound
from models.tables import BuildState
from sharing_node.state.tables import BuilderRow, BuildRow, EpochRow

QUEUED, RUNNING, OPEN, FAILED = "queued", "running", "open", "failed"
_UNFINISHED = (QUEUED, RUNNING)
_LEASE = 1
_LONGEST_DETAIL = 1000


def ask(connection: Connection, table_id: str, now: int) -> BuildState:
    """Queue a build of a table's next epoch; the one that is queued or running already, where there is one."""
    unfinished = _one(connection, BuildRow.table == table_id, BuildRow.state.in_(_UNFINISHED))
    if unfinished is not None:
        return unfinished
    epochs = select(func.max(EpochRow.epoch)).where(EpochRow.table == table_id)
    builds = select(func.max(BuildRow.epoch)).where(BuildRow.table == table_id)
    epoch = max(connection.scalar(epochs) or 0, connection.scalar(builds) or 0) + 1
    connection.execute(insert(BuildRow).values(table_id=table_id, epoch=epoch, state=QUEUED, asked_at=now))
    return get(connection, table_id, epoch)


def get(connection: Connection, table_id: str, epoch: int) -> BuildState:
    """How far a build is; raises `NotFound`."""
    found = _one(connection, BuildRow.table == table_id, BuildRow.epoch == epoch)
    if found is None:
        raise NotFound("nobody asked for this build")
    return found


def unfinished(connection: Connection) -> list[BuildState]:
    """Builds that are queued or were begun and have not ended, those begun first."""
    query = select(BuildRow.__table__).where(BuildRow.state.in_(_UNFINISHED))
    query = query.order_by(BuildRow.state.desc(), BuildRow.asked_at, BuildRow.table)
    return [_state(row) for row in connection.execute(query)]


def begin(connection: Connection, table_id: str, epoch: int, now: int) -> None:
    """A build is taken up."""
    _change(connection, table_id, epoch, state=RUNNING, detail="", begun_at=func.coalesce(BuildRow.begun_at, now))


def progress(connection: Connection, table_id: str, epoch: int, stage: str, done: int, total: int) -> None:
    """How far a running build is."""
    _change(connection, table_id, epoch, BuildRow.state == RUNNING, stage=stage, done=done, total=total)


def wait_for(connection: Connection, table_id: str, epoch: int, detail: str) -> None:
    """A running build cannot go on now; `detail` says what it waits for."""
    _change(connection, table_id, epoch, BuildRow.state == RUNNING, detail=detail[:_LONGEST_DETAIL])


def remember_leaf(connection: Connection, table_id: str, epoch: int, queue_id: int) -> None:
    """The manifest stands in the log's queue under this id."""
    _change(connection, table_id, epoch, leaf=queue_id)


def leaf(connection: Connection, table_id: str, epoch: int) -> int:
    """Where in the log's queue the manifest of a build stands; raises `NotFound`."""
    found = connection.scalar(select(BuildRow.leaf).where(BuildRow.table == table_id, BuildRow.epoch == epoch))
    if found is None:
        raise NotFound("this build has no manifest yet")
    return found


def end(connection: Connection, table_id: str, epoch: int, state: str, now: int, detail: str = "") -> None:
    """A build has ended as ``open`` or ``failed``."""
    _change(connection, table_id, epoch, state=state, stage="", detail=detail[:_LONGEST_DETAIL], ended_at=now)


@dataclass(frozen=True)
class LastBuild:
    """When a table's last build was asked for, when it failed (else 0), and how long the last that succeeded took."""

    asked_at: int
    failed_at: int
    seconds: int


def last(connection: Connection, table_id: str) -> LastBuild:
    """The last build of a table; zeros where there was none."""
    mine = BuildRow.table == table_id
    newest = select(BuildRow.asked_at, BuildRow.state, BuildRow.ended_at).where(mine)
    row = connection.execute(newest.order_by(BuildRow.epoch.desc()).limit(1)).first()
    took = select(BuildRow.ended_at - BuildRow.begun_at).where(mine, BuildRow.state == OPEN)
    seconds = connection.scalar(took.order_by(BuildRow.epoch.desc()).limit(1)) or 0
    if row is None:
        return LastBuild(0, 0, seconds)
    return LastBuild(row.asked_at, row.ended_at if row.state == FAILED else 0, seconds)


def used_since(connection: Connection, since: int) -> list[tuple[str, int]]:
    """Tables with an opened epoch that expires, or expired, after `since`, and when the last of them does."""
    query = select(EpochRow.table, func.max(EpochRow.expires_at)).where(EpochRow.seal.is_not(None))
    query = query.group_by(EpochRow.table).having(func.max(EpochRow.expires_at) > since).order_by(EpochRow.table)
    return [(table, expires_at) for table, expires_at in connection.execute(query)]


def any_expired(connection: Connection, now: int) -> bool:
    """Whether an epoch has expired and is not closed."""
    query = select(EpochRow.epoch).where(EpochRow.state != "closed", EpochRow.expires_at <= now).limit(1)
    return connection.execute(query).first() is not None


# ---------------------------------------------------------------- the lease


def lease_holder(connection: Connection, now: float) -> str:
    """Who holds the lease now; empty where nobody does."""
    query = select(BuilderRow.holder).where(BuilderRow.id == _LEASE, BuilderRow.expires > now)
    return connection.scalar(query) or ""


def give_lease(connection: Connection, holder: str, expires: float) -> None:
    """Write down who may build; the caller has looked that nobody else may, in this transaction."""
    connection.execute(delete(BuilderRow).where(BuilderRow.id == _LEASE))
    connection.execute(insert(BuilderRow).values(id=_LEASE, holder=holder, expires=expires))


def renew_lease(connection: Connection, holder: str, expires: float) -> bool:
    """Prolong (or, with 0, give back) the lease; False where another one holds it. Locks it until the transaction ends."""
    renewed = update(BuilderRow).where(BuilderRow.id == _LEASE, BuilderRow.holder == holder).values(expires=expires)
    return connection.execute(renewed).rowcount == 1


def _one(connection: Connection, *conditions: ColumnElement[bool]) -> BuildState | None:
    row = connection.execute(select(BuildRow.__table__).where(*conditions)).first()
    return None if row is None else _state(row)


def _state(row: Row[Sequence[object]]) -> BuildState:
    return BuildState(
        table=row.table_id, epoch=row.epoch, state=row.state, stage=row.stage, done=row.done, total=row.total, detail=row.detail
    )


def _change(connection: Connection, table_id: str, epoch: int, *also: ColumnElement[bool], **values: object) -> None:
    mine = (BuildRow.table == table_id, BuildRow.epoch == epoch)
    connection.execute(update(BuildRow).where(*mine, *also).values(**values))
