"""All SQL about trainings under way. What is stored is sealed before it comes here; the caller owns the transaction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from sqlalchemy import Connection, Select, delete, insert, select, update

from models import wire
from models.problems import Conflict
from models.wire import Signed
from sharing_node.state.tables import JobRow, TrainingColumnRow, TrainingRow


@dataclass(frozen=True)
class StoredTraining:
    """A job and, while it is under way, its sealed progress after `version` steps."""

    job: str
    project: str
    cohort: str
    bank: str
    state: str
    plan: Signed
    version: int
    progress: bytes | None = field(repr=False)


def add(connection: Connection, job: str, opened: bytes, progress: bytes, columns: Sequence[bytes], at: int) -> None:
    """Store a training that was just opened, after its job."""
    connection.execute(insert(TrainingRow).values(job=job, opened=opened, progress=progress, version=0, touched_at=at))
    for position, sealed in enumerate(columns):
        connection.execute(insert(TrainingColumnRow).values(job=job, position=position, sealed=sealed))


def find(connection: Connection, job: str) -> StoredTraining | None:
    """A job as it stands; `progress` is None where it is not under way."""
    row = connection.execute(
        select(JobRow.project, JobRow.cohort, JobRow.bank, JobRow.state, JobRow.plan, TrainingRow.version, TrainingRow.progress)
        .join_from(JobRow, TrainingRow, isouter=True)
        .where(JobRow.id == job)
    ).one_or_none()
    if row is None:
        return None
    plan = wire.decode(row.plan, Signed)
    return StoredTraining(job, row.project, row.cohort, row.bank, row.state, plan, row.version or 0, row.progress)


def opened(connection: Connection, job: str) -> tuple[bytes, list[bytes]]:
    """What never changes of a training, and the columns in their order, all sealed."""
    fixed = connection.scalar(select(TrainingRow.opened).where(TrainingRow.job == job)) or b""
    columns = select(TrainingColumnRow.sealed).where(TrainingColumnRow.job == job).order_by(TrainingColumnRow.position)
    return fixed, list(connection.scalars(columns))


def advance(connection: Connection, job: str, version: int, progress: bytes, at: int) -> None:
    """Store the state after the step that follows `version`; raises `Conflict` where another step was first."""
    done = connection.execute(
        update(TrainingRow)
        .where(TrainingRow.job == job, TrainingRow.version == version)
        .values(progress=progress, version=version + 1, touched_at=at)
    )
    if done.rowcount != 1:
        raise Conflict("another request took this training a step further at the same moment; nothing was changed by this one")


def remove(connection: Connection, jobs: Sequence[str]) -> None:
    """Delete all that is stored of trainings under way."""
    connection.execute(delete(TrainingColumnRow).where(TrainingColumnRow.job.in_(jobs)))
    connection.execute(delete(TrainingRow).where(TrainingRow.job.in_(jobs)))


def give_up(connection: Connection, bank: str, *, most: int, before: int) -> None:
    """End a bank's trainings but the newest `most`, and anybody's that took no step since `before`."""
    own = _under_way().where(JobRow.bank == bank).order_by(JobRow.opened_at.desc(), JobRow.id).offset(most)
    old = _under_way().where(TrainingRow.touched_at < before)
    jobs = sorted({*connection.scalars(own), *connection.scalars(old)})
    if jobs:
        connection.execute(update(JobRow).where(JobRow.id.in_(jobs)).values(state="given-up"))
        remove(connection, jobs)


def _under_way() -> Select[str]:
    return select(TrainingRow.job).join(JobRow, JobRow.id == TrainingRow.job)
