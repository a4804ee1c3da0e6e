"""All SQL about trainings of several banks. The caller owns the transaction; nothing here commits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, insert, select, update

from models import wire
from models.group_training import GroupPhase, JoinGroup
from models.problems import Conflict, NotFound
from models.wire import Signed
from sharing_node.jobs.group_tables import GroupRow, GroupSeatRow


@dataclass(frozen=True)
class StoredGroup:
    """A training of several banks as it stands; `cohorts` and `jobs` by bank, of those that joined and were planned."""

    id: str
    terms: JoinGroup
    agreed: str
    phase: GroupPhase
    deadline: int
    session: str
    counts: Signed | None
    banks: tuple[str, ...]
    reason: str
    version: int
    cohorts: Mapping[str, str]
    jobs: Mapping[str, str]


def named(connection: Connection, project: str, name: str) -> str | None:
    """The id of a project's training of this name, if there is one."""
    return connection.scalar(select(GroupRow.id).where(GroupRow.project == project, GroupRow.name == name))


def find(connection: Connection, group: str) -> StoredGroup:
    """A training of several banks; raises `NotFound`."""
    row = connection.execute(select(GroupRow.__table__).where(GroupRow.id == group)).one_or_none()
    if row is None:
        raise NotFound("there is no such training of several banks")
    seats = connection.execute(select(GroupSeatRow.__table__).where(GroupSeatRow.group == group).order_by(GroupSeatRow.bank))
    found = [(seat.bank, seat.cohort, seat.job) for seat in seats]
    return StoredGroup(
        id=row.id,
        terms=wire.decode(row.terms, JoinGroup),
        agreed=row.agreed,
        phase=GroupPhase(row.phase),
        deadline=row.deadline,
        session=row.session,
        counts=None if row.counts is None else wire.decode(row.counts, Signed),
        banks=tuple(row.banks.split("\n")) if row.banks else (),
        reason=row.reason,
        version=row.version,
        cohorts={bank: cohort for bank, cohort, _ in found},
        jobs={bank: job for bank, _, job in found if job is not None},
    )


def add(connection: Connection, group: str, terms: JoinGroup, deadline: int) -> None:
    """Store a training that a first bank joins."""
    connection.execute(
        insert(GroupRow).values(
            id=group,
            project=terms.project,
            name=terms.name,
            agreed=terms.agreed(),
            terms=wire.encode(terms),
            phase=GroupPhase.JOINING,
            deadline=deadline,
        )
    )


def join(connection: Connection, group: str, bank: str, cohort: str) -> None:
    """Store a bank's seat."""
    connection.execute(insert(GroupSeatRow).values(group=group, bank=bank, cohort=cohort))


def give_job(connection: Connection, group: str, bank: str, job: str) -> None:
    """Store which job a bank's part is."""
    seat = (GroupSeatRow.group == group, GroupSeatRow.bank == bank)
    connection.execute(update(GroupSeatRow).where(*seat).values(job=job))


def move(connection: Connection, group: StoredGroup, **changes: Any) -> None:
    """Change where a training stands; raises `Conflict` where somebody else did so since it was read."""
    done = connection.execute(
        update(GroupRow)
        .where(GroupRow.id == group.id, GroupRow.version == group.version)
        .values(version=group.version + 1, **changes)
    )
    if done.rowcount != 1:
        raise Conflict("another bank took this training a step further at the same moment; look where it stands now")


def has_part(connection: Connection, job: str) -> bool:
    """Whether a job is one bank's part of a training of several."""
    return connection.scalar(select(GroupSeatRow.job).where(GroupSeatRow.job == job)) is not None
