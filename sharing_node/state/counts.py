"""Row counts of proven trainings, with the node's noise in them: what later ones are compared with, and whom tables counted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from sqlalchemy import Connection, insert, select

from models import wire
from models.scorecard.stability import CohortCounts
from sharing_node.state.repository import cohort
from sharing_node.state.tables import JobCountsRow, JobRow

MOST_COMPARED = 24
NOT_SHOWN = b""


def add(connection: Connection, job: str, counts: CohortCounts, question: bytes = NOT_SHOWN, at: int = 0) -> None:
    """Keep a training's counts; `question` is what its tables counted, or `NOT_SHOWN`."""
    row = {"job": job, "counts": wire.encode(counts), "question": question, "shown_at": at}
    connection.execute(insert(JobCountsRow).values(row))


def is_shown(connection: Connection, job: str) -> bool:
    """Whether a proven training's tables may be shown."""
    return bool(connection.scalar(select(JobCountsRow.question).where(JobCountsRow.job == job)))


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


def most_questions(connection: Connection, subjects: Sequence[str], question: bytes, since: int) -> int:
    """The most different questions, other than this one, whose tables any of these subjects was counted in since then."""
    query = (
        select(JobCountsRow.question, JobRow.cohort)
        .join(JobRow, JobRow.id == JobCountsRow.job)
        .where(JobCountsRow.shown_at > since, JobCountsRow.question.not_in([NOT_SHOWN, question]))
        .distinct()
    )
    asked: dict[str, int] = Counter(row.cohort for row in connection.execute(query))
    members, counted = set(subjects), Counter[str]()
    for cohort_id, questions in asked.items():
        for subject in members.intersection(cohort(connection, cohort_id).subjects):
            counted[subject] += questions
    return max(counted.values(), default=0)
