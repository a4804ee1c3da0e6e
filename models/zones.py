"""Where an application's days begin and end: one setting for all that it shows, not that of the machine it runs on."""

from __future__ import annotations

from datetime import date, datetime, time, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from models.key_files import ConfigError

DEFAULT_ZONE = "Asia/Shanghai"


def zone_named(name: str) -> ZoneInfo:
    """A time zone of the IANA database; raises `ConfigError`."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):
        raise ConfigError("time_zone is a name of the IANA database, such as Asia/Shanghai") from None


def day_at(seconds: float, zone: tzinfo) -> date:
    """The day on which a moment (POSIX seconds) lies."""
    return datetime.fromtimestamp(seconds, zone).date()


def begin_of(day: date, zone: tzinfo) -> int:
    """When a day begins, in POSIX seconds."""
    return int(datetime.combine(day, time(), zone).timestamp())
