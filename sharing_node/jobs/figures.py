"""What a proven training shows: figures that name no row, with tables and stability while the subjects' limit allows it.

Each table is a noisy count of the same people, and many of them, over cohorts that differ in people whom a bank knows, add
up. So a subject is counted in the tables of few different questions a year, all banks together. Asking the same again
(the same people, bins and labels, compared with the same earlier training) gives the same noise and is not counted.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from sqlalchemy import Connection

from models import wire
from models.problems import Conflict
from models.scorecard.learner import Learner
from models.scorecard.node import NodeTraining
from models.scorecard.stability import CohortCounts, same_rows
from models.training import FieldFigure, Figures, JobPlan
from models.wire import pack
from sharing_node.jobs.running import Opened
from sharing_node.state import counts
from sharing_node.state import repository as state

YEAR = 365 * 24 * 3600


@dataclass(frozen=True)
class Shown:
    """The figures, and what is stored with them, in the transaction of the answer."""

    figures: Figures
    record: Callable[[Connection], None]


def show(connection: Connection, opened: Opened, training: NodeTraining, now: int) -> Shown:
    """Figures of a training whose verdict was good."""
    found, learned = training.figures(), training.learned()
    subjects = wire.decode(opened.signed_plan.payload, JobPlan).subjects
    subject_ids, since = opened.cohort.subjects, now - YEAR
    compared, psi = _drift(learned, counts.earlier(connection, opened.project.id, opened.job))
    question = hashlib.sha256(subjects + learned.question() + compared.encode()).digest()
    # Where rows are protected by differential privacy, the tables were paid for when the training was opened.
    paid = opened.plan.privacy is not None and opened.plan.privacy.rows
    allowed = opened.limits.field_tables
    open_ = paid or counts.most_questions(connection, subject_ids, question, since) < allowed
    figures = Figures(
        job=opened.job,
        usable=True,
        rows=found.rows,
        fields=tuple(
            FieldFigure(
                name=f.name,
                iv=f.iv,
                bins=f.bins,
                vif=f.vif,
                table=f.table if open_ else (),
                psi=psi.get(f.name) if open_ else None,
            )
            for f in found.fields
        ),
        columns=tuple(entry.name for entry in opened.columns.fields),
        correlation=pack(found.correlation),
        compared_with=compared if open_ else "",
        notes=() if open_ else (tables_left_out(allowed),),
    )

    def record(writing: Connection) -> None:
        state.one_at_a_time(writing)
        counted = question if open_ and not paid else counts.NOT_SHOWN
        if counted and counts.most_questions(writing, subject_ids, question, since) >= allowed:
            raise Conflict("another training's tables were shown at the same moment; hand over the verdict again")
        counts.add(writing, opened.job, learned.counted(), counted, now)

    return Shown(figures, record)


def tables_left_out(allowed: int) -> str:
    """What a bank is told where tables are left out."""
    return (
        f"Tables and stability of the node's fields are left out: within a year subjects of this cohort were counted in the "
        f"tables of {allowed} other questions. Train with the cohort, labels and bins of an earlier one, or wait."
    )


def _drift(learned: Learner, earlier: Iterable[tuple[str, CohortCounts]]) -> tuple[str, dict[str, float]]:
    """The last earlier training that had other rows, and the stability of each field against it."""
    for job, cohort in earlier:
        found = learned.drift(cohort)
        if not same_rows(found):
            return job, found
    return "", {}
