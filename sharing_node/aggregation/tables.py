"""Sums over banks as rows: a session, and each message that a bank has sent in it."""

from __future__ import annotations

from sqlalchemy import BigInteger, ForeignKey, LargeBinary, String
from sqlalchemy.orm import Mapped, mapped_column

from sharing_node.database import Base
from sharing_node.state.tables import ProjectRow


class AggregationRow(Base):
    """A session: its signed plan, the round and step that it waits for until `deadline`, and at the end the sum, sealed.

    `version` counts the steps: a step begins by raising it, so that steps come one after the other.
    """

    __tablename__ = "aggregation"

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    project: Mapped[str] = mapped_column(ForeignKey(ProjectRow.id), index=True)
    plan: Mapped[bytes] = mapped_column(LargeBinary)
    version: Mapped[int] = mapped_column(default=0)
    round: Mapped[int] = mapped_column(default=1)
    phase: Mapped[str] = mapped_column(String(8))
    deadline: Mapped[int] = mapped_column(BigInteger)
    survivors: Mapped[bytes] = mapped_column(LargeBinary, default=b"")
    """The survivor list of the present round, once there is one."""
    reason: Mapped[str] = mapped_column(String(400), default="")
    result: Mapped[bytes | None] = mapped_column(LargeBinary)
    opened_at: Mapped[int] = mapped_column(BigInteger)


class AggregationMessageRow(Base):
    """What a bank has sent in one step of one round, once; the bytes are erased when the session ends, the digest stays."""

    __tablename__ = "aggregation_message"

    session: Mapped[str] = mapped_column(ForeignKey(AggregationRow.id), primary_key=True)
    round: Mapped[int] = mapped_column(primary_key=True)
    step: Mapped[str] = mapped_column(String(8), primary_key=True)
    bank: Mapped[str] = mapped_column(String(64), primary_key=True)
    digest: Mapped[bytes] = mapped_column(LargeBinary(32))
    body: Mapped[bytes | None] = mapped_column(LargeBinary)
    at: Mapped[int] = mapped_column(BigInteger)
