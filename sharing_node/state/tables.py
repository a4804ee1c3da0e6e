"""Projects, cohorts, jobs, releases, models and epochs as rows."""

from __future__ import annotations

from sqlalchemy import BigInteger, Float, ForeignKey, Index, LargeBinary, String
from sqlalchemy.orm import Mapped, mapped_column

from sharing_node.database import Base


class ProjectRow(Base):
    """An approved project as the office signed it."""

    __tablename__ = "project"

    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    bank: Mapped[str] = mapped_column(String(64))
    kind: Mapped[str] = mapped_column(String(24))
    approval: Mapped[bytes] = mapped_column(LargeBinary)
    trainings: Mapped[int] = mapped_column(default=0)
    opened_at: Mapped[int] = mapped_column(BigInteger)


class CohortRow(Base):
    """An agreed cohort; `subjects` holds the ids in row order, a line each."""

    __tablename__ = "cohort"

    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    project: Mapped[str] = mapped_column(ForeignKey(ProjectRow.id))
    bank: Mapped[str] = mapped_column(String(64))
    rows: Mapped[int]
    root: Mapped[bytes] = mapped_column(LargeBinary(32))
    subjects: Mapped[bytes] = mapped_column(LargeBinary)
    agreed_at: Mapped[int] = mapped_column(BigInteger)


class JobRow(Base):
    """A training: ``open``, ``proven``, ``unusable``, ``released``, ``cancelled`` or ``given-up``.

    `aggregates` counts its label sums.
    """

    __tablename__ = "job"

    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    project: Mapped[str] = mapped_column(ForeignKey(ProjectRow.id))
    cohort: Mapped[str] = mapped_column(ForeignKey(CohortRow.id))
    bank: Mapped[str] = mapped_column(String(64))
    state: Mapped[str] = mapped_column(String(16))
    plan: Mapped[bytes] = mapped_column(LargeBinary)
    aggregates: Mapped[int]
    opened_at: Mapped[int] = mapped_column(BigInteger)


class JobCountsRow(Base):
    """Row counts of a proven training's bins, with noise: what later ones are compared with.

    `question` names what its tables counted, and is empty where they were not shown; equal questions have equal noise.
    """

    __tablename__ = "job_counts"

    job: Mapped[str] = mapped_column(ForeignKey(JobRow.id), primary_key=True)
    counts: Mapped[bytes] = mapped_column(LargeBinary)
    question: Mapped[bytes] = mapped_column(LargeBinary)
    shown_at: Mapped[int] = mapped_column(BigInteger)


class PrivacySpendingRow(Base):
    """What a training has spent of its project's privacy budget, for the ``labels`` or the ``rows``; never deleted."""

    __tablename__ = "privacy_spending"

    job: Mapped[str] = mapped_column(ForeignKey(JobRow.id), primary_key=True)
    side: Mapped[str] = mapped_column(String(8), primary_key=True)
    project: Mapped[str] = mapped_column(ForeignKey(ProjectRow.id), index=True)
    rho: Mapped[float] = mapped_column(Float)
    epsilon: Mapped[float] = mapped_column(Float)
    delta: Mapped[float] = mapped_column(Float)
    at: Mapped[int] = mapped_column(BigInteger)


class TrainingRow(Base):
    """A training under way, sealed: `opened` never changes, `progress` with every step; `version` counts the steps.

    The row lasts from the opening of the job to its release, or until it is unusable or given up.
    """

    __tablename__ = "training"

    job: Mapped[str] = mapped_column(ForeignKey(JobRow.id), primary_key=True)
    opened: Mapped[bytes] = mapped_column(LargeBinary)
    progress: Mapped[bytes] = mapped_column(LargeBinary)
    version: Mapped[int]
    touched_at: Mapped[int] = mapped_column(BigInteger)


class TrainingColumnRow(Base):
    """One of the node's columns of a training under way, in the cohort's order, sealed."""

    __tablename__ = "training_column"

    job: Mapped[str] = mapped_column(ForeignKey(TrainingRow.job), primary_key=True)
    position: Mapped[int] = mapped_column(primary_key=True)
    sealed: Mapped[bytes] = mapped_column(LargeBinary)


class ModelRow(Base):
    """A released model: the node's half (bins, weights, band edges), the bands given out, the cards, and the office's word."""

    __tablename__ = "model"

    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    job: Mapped[str] = mapped_column(ForeignKey(JobRow.id), unique=True)
    project: Mapped[str] = mapped_column(ForeignKey(ProjectRow.id))
    cohort: Mapped[str] = mapped_column(ForeignKey(CohortRow.id))
    bank: Mapped[str] = mapped_column(String(64))
    half: Mapped[bytes] = mapped_column(LargeBinary)
    bands: Mapped[bytes] = mapped_column(LargeBinary)
    node_card: Mapped[bytes] = mapped_column(LargeBinary)
    bank_card: Mapped[bytes | None] = mapped_column(LargeBinary)
    approval: Mapped[bytes | None] = mapped_column(LargeBinary)
    released_at: Mapped[int] = mapped_column(BigInteger)


class TableRow(Base):
    """A table that epochs are built of: a field set to check, or the scores of a model."""

    __tablename__ = "served_table"

    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    kind: Mapped[str] = mapped_column(String(8))
    fields: Mapped[str] = mapped_column(String)
    model: Mapped[str] = mapped_column(String(64), default="")
    project: Mapped[str] = mapped_column(String(64), default="")


class EpochRow(Base):
    """One epoch of a table: ``built`` until the office's seal is there, then ``open``, at last ``closed``."""

    __tablename__ = "epoch"

    table: Mapped[str] = mapped_column("table_id", ForeignKey(TableRow.id), primary_key=True)
    epoch: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    state: Mapped[str] = mapped_column(String(8))
    manifest: Mapped[bytes] = mapped_column(LargeBinary)
    seal: Mapped[bytes | None] = mapped_column(LargeBinary)
    expires_at: Mapped[int] = mapped_column(BigInteger)


class BuildRow(Base):
    """A build of an epoch: ``queued``, ``running``, ``open`` or ``failed``, with what is being done now and how far it is."""

    __tablename__ = "epoch_build"

    table: Mapped[str] = mapped_column("table_id", ForeignKey(TableRow.id), primary_key=True)
    epoch: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    state: Mapped[str] = mapped_column(String(8), index=True)
    stage: Mapped[str] = mapped_column(String(32), default="")
    done: Mapped[int] = mapped_column(BigInteger, default=0)
    total: Mapped[int] = mapped_column(BigInteger, default=0)
    detail: Mapped[str] = mapped_column(String(1000), default="")
    asked_at: Mapped[int] = mapped_column(BigInteger)
    begun_at: Mapped[int | None] = mapped_column(BigInteger)
    ended_at: Mapped[int | None] = mapped_column(BigInteger)
    leaf: Mapped[int | None] = mapped_column(BigInteger)
    """The queue id of the leaf that holds the manifest."""


class BuilderRow(Base):
    """Which process may build now; one row. Another one stands by until `expires`, POSIX seconds."""

    __tablename__ = "builder_lease"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    holder: Mapped[str] = mapped_column(String(64))
    expires: Mapped[float] = mapped_column(Float)


class SpentRow(Base):
    """An element that was evaluated once under some key, and so never again under any."""

    __tablename__ = "spent_element"

    element: Mapped[bytes] = mapped_column(LargeBinary(32), primary_key=True)
    table: Mapped[str] = mapped_column("table_id", String(64))
    at: Mapped[int] = mapped_column(BigInteger)


class BudgetRow(Base):
    """How much of a budget is used: of a year's, by bank and kind (``evaluations``), or of an epoch's, where `kind` stands for
    the table and `year` is the epoch's number."""

    __tablename__ = "budget"

    bank: Mapped[str] = mapped_column(String(64), primary_key=True)
    kind: Mapped[str] = mapped_column(String(24), primary_key=True)
    year: Mapped[int] = mapped_column(primary_key=True)
    used: Mapped[int]


Index(None, JobRow.cohort)
Index(None, CohortRow.bank)
