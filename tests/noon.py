"""A time zone in which it is noon: no midnight falls into a test of what an office counts or reconciles by the day."""

from __future__ import annotations

from datetime import UTC, datetime


def noon_zone() -> str:
    """The name of a zone in which the clock shows between 12:00 and 13:00 now."""
    return f"Etc/GMT{datetime.now(UTC).hour - 12:+d}"  # these names count westward
