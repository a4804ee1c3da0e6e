"""The node's metadata: every table of the node hangs on it. Connections come from `audit.database`."""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy import DateTime, Dialect, MetaData
from sqlalchemy.orm import DeclarativeBase
from sqlalchemy.types import TypeDecorator

from audit.service.schema import NAMING

metadata = MetaData(naming_convention=NAMING)


class Base(DeclarativeBase):
    """Every table of the node hangs on this metadata; constraint names are fixed so that migrations can name them."""

    metadata = metadata


class UtcDateTime(TypeDecorator[datetime]):
    """An instant in UTC. SQLite forgets the zone, so it is put back on reading; naive values are refused on writing."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """To the database: UTC."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("an instant needs a time zone; use datetime.now(UTC)")
        return value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """From the database: UTC, whatever the session's zone is."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
