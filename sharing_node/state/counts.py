"""Row counts of proven trainings, with the node's noise in them: what a later training's stability is measured against."""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy import Connection, insert, select

from models import wire
from models.scorecard.stability import CohortCounts
from sharing_node.state.tables import JobCountsRow, JobRow

MOST_COMPARED = 24


def add(connection: Connection, job: str, counts: CohortCounts) -> None:
    """Keep a training's counts."""
    connection.execute(insert(JobCountsRow).values(job=job, counts=wire.encode(counts)))


def earlier(connection: Connection, project: str, job: str) -> Iterator[tuple[str, CohortCounts]]:
    """Counts of the project's proven trainings that were opened before this one, the latest first."""
    opened = select(JobRow.opened_at).where(JobRow.id == job).scalar_subquery()
    query = (
        select(JobCountsRow.job, JobCountsRow.counts)
        .join(JobRow, JobRow.id == JobCountsRow.job)
        .where(JobRow.project == project, JobRow.id != job, JobRow.opened_at <= opened)
        .order_by(JobRow.opened_at.desc(), JobRow.id)
        .limit(MOST_COMPARED)
    )
    return ((row.job, wire.decode(row.counts, CohortCounts)) for row in connection.execute(query).all())
