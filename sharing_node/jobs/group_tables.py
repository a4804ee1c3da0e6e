"""Trainings of several banks as rows: the training, and each bank's seat in it. Secrets are with the banks' own parts."""

from __future__ import annotations

from sqlalchemy import BigInteger, ForeignKey, LargeBinary, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from sharing_node.database import Base
from sharing_node.state.tables import CohortRow, JobRow, ProjectRow


class GroupRow(Base):
    """A training of several banks. `agreed` is the digest of what all joined for, `terms` how the first one said it.

    `session` is the sum over banks that is under way; `counts` the signed word on the common columns, `banks` whose they are,
    a line each.
    """

    __tablename__ = "group_training"
    __table_args__ = (UniqueConstraint("project", "name"),)

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    project: Mapped[str] = mapped_column(ForeignKey(ProjectRow.id))
    name: Mapped[str] = mapped_column(String(64))
    agreed: Mapped[str] = mapped_column(String(64))
    terms: Mapped[bytes] = mapped_column(LargeBinary)
    phase: Mapped[str] = mapped_column(String(8))
    deadline: Mapped[int] = mapped_column(BigInteger)
    session: Mapped[str] = mapped_column(String(32), default="")
    counts: Mapped[bytes | None] = mapped_column(LargeBinary)
    banks: Mapped[str] = mapped_column(String, default="")
    reason: Mapped[str] = mapped_column(String(400), default="")
    version: Mapped[int] = mapped_column(default=0)


class GroupSeatRow(Base):
    """One bank's part: the cohort that it joined with and, once there is a plan, its job."""

    __tablename__ = "group_seat"

    group: Mapped[str] = mapped_column("group_id", ForeignKey(GroupRow.id), primary_key=True)
    bank: Mapped[str] = mapped_column(String(64), primary_key=True)
    cohort: Mapped[str] = mapped_column(ForeignKey(CohortRow.id))
    job: Mapped[str | None] = mapped_column(ForeignKey(JobRow.id))
