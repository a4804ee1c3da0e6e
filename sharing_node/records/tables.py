"""Who is on record, what is known of them, and from which delivery."""

from __future__ import annotations

from datetime import date, datetime

from sqlalchemy import CheckConstraint, ForeignKey, Index, LargeBinary, String
from sqlalchemy.orm import Mapped, mapped_column

from sharing_node.database import Base, UtcDateTime


class Subject(Base):
    """One subject. The id is canonical (``models.identity``); the type is a letter of the catalogue, * if unknown."""

    __tablename__ = "subject"
    __table_args__ = (CheckConstraint("kind in ('citizen', 'organisation', 'opaque')", name="kind"),)

    subject_id: Mapped[str] = mapped_column(String(80), primary_key=True)
    kind: Mapped[str] = mapped_column(String(12))
    subject_type: Mapped[str] = mapped_column(String(1))
    first_seen: Mapped[datetime] = mapped_column(UtcDateTime)


class LoadBatch(Base):
    """One delivery: which file, how many rows went in and how many were set aside."""

    __tablename__ = "load_batch"

    batch: Mapped[str] = mapped_column(String(32), primary_key=True)
    field_set: Mapped[str] = mapped_column(String(32))
    source_department: Mapped[str] = mapped_column(String(64))
    as_of: Mapped[date]
    loaded_at: Mapped[datetime] = mapped_column(UtcDateTime)
    file_name: Mapped[str] = mapped_column(String(255))
    file_digest: Mapped[bytes] = mapped_column(LargeBinary(32))
    catalogue_digest: Mapped[bytes] = mapped_column(LargeBinary(32))
    rows_loaded: Mapped[int]
    rows_quarantined: Mapped[int]


class Record(Base):
    """What one field set says of one subject: canonical JSON, byte-stable, blanks left out."""

    __tablename__ = "record"
    # Reading a whole field set in subject order is what building a table does.
    __table_args__ = (Index(None, "field_set", "subject_id"),)

    subject_id: Mapped[str] = mapped_column(ForeignKey(Subject.subject_id), primary_key=True)
    field_set: Mapped[str] = mapped_column(String(32), primary_key=True)
    as_of: Mapped[date]
    payload: Mapped[bytes] = mapped_column(LargeBinary)
    source_department: Mapped[str] = mapped_column(String(64))
    loaded_at: Mapped[datetime] = mapped_column(UtcDateTime)
    batch: Mapped[str] = mapped_column(ForeignKey(LoadBatch.batch))
