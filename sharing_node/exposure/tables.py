"""Exposure checks as rows: a question, and the answer of each bank to it."""

from __future__ import annotations

from sqlalchemy import BigInteger, ForeignKey, Index, LargeBinary, String
from sqlalchemy.orm import Mapped, mapped_column

from sharing_node.database import Base


class ExposureRow(Base):
    """A question: ``open`` until it is ``closed``, and ``released`` at last.

    `asked` are the banks that it was shown to, one a line. `exponent` blinds the sum; the office multiplies anew with it.
    """

    __tablename__ = "exposure"
    __table_args__ = (Index("ix_exposure_state_deadline", "state", "deadline"),)

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    question: Mapped[bytes] = mapped_column(LargeBinary)
    digest: Mapped[str] = mapped_column(String(64), unique=True)
    ticket: Mapped[str] = mapped_column(String(64), unique=True)
    project: Mapped[str] = mapped_column(String(64))
    bank: Mapped[str] = mapped_column(String(64))
    asked: Mapped[str] = mapped_column(String)
    state: Mapped[str] = mapped_column(String(8))
    deadline: Mapped[int] = mapped_column(BigInteger)
    opened_at: Mapped[int] = mapped_column(BigInteger)
    exponent: Mapped[bytes | None] = mapped_column(LargeBinary)
    sum: Mapped[bytes | None] = mapped_column(LargeBinary)


class ExposureAnswerRow(Base):
    """A bank's answer, once. Salt and ciphertext are erased with the release, or when nobody comes; what was signed stays."""

    __tablename__ = "exposure_answer"

    question: Mapped[str] = mapped_column(ForeignKey(ExposureRow.id), primary_key=True)
    bank: Mapped[str] = mapped_column(String(64), primary_key=True)
    signed: Mapped[bytes] = mapped_column(LargeBinary)
    salt: Mapped[bytes | None] = mapped_column(LargeBinary)
    ciphertext: Mapped[bytes | None] = mapped_column(LargeBinary)
    at: Mapped[int] = mapped_column(BigInteger)
