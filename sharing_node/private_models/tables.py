"""Private models and the places of subjects in their blocks, as rows."""

from __future__ import annotations

from sqlalchemy import BigInteger, ForeignKey, LargeBinary, String
from sqlalchemy.orm import Mapped, mapped_column

from sharing_node.database import Base
from sharing_node.state.tables import ProjectRow


class PrivateModelRow(Base):
    """A bank's private model: its layout and bins from the start, `filed` (weights, encrypted) and `approval` as they come."""

    __tablename__ = "private_model"

    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    project: Mapped[str] = mapped_column(ForeignKey(ProjectRow.id))
    bank: Mapped[str] = mapped_column(String(64), index=True)
    layout: Mapped[bytes] = mapped_column(LargeBinary)
    bins: Mapped[bytes] = mapped_column(LargeBinary)
    node_card: Mapped[bytes] = mapped_column(LargeBinary)
    filed: Mapped[bytes | None] = mapped_column(LargeBinary)
    approval: Mapped[bytes | None] = mapped_column(LargeBinary)
    opened_at: Mapped[int] = mapped_column(BigInteger)
    served_at: Mapped[int | None] = mapped_column(BigInteger)


class PrivatePlaceRow(Base):
    """Where a subject stands in the blocks of all private models: at random, and for good, so that columns can be kept."""

    __tablename__ = "private_place"

    subject: Mapped[str] = mapped_column(String(80), primary_key=True)
    place: Mapped[int] = mapped_column(BigInteger, unique=True)
