"""When a table is built by itself: every night, and before its last epoch would expire without a successor."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

SAME_NIGHT = 2 * 3600
"""A build asked for so many seconds before the hour counts as the night's."""
RECENT = 7 * 86_400
"""A table whose last epoch expired so long ago is still in use: the node may have been down over a weekend."""


@dataclass(frozen=True)
class Nightly:
    """The hour at which tables are rebuilt, in a time zone; `zone` None is the machine's own."""

    at: time
    zone: ZoneInfo | None

    @classmethod
    def parse(cls, at: str, zone: str) -> Nightly | None:
        """From ``02:00`` and ``Asia/Shanghai``; None for an empty hour. Raises ValueError for anything else."""
        if not at:
            return None
        try:
            return cls(datetime.strptime(at, "%H:%M").time(), ZoneInfo(zone) if zone else None)
        except (ValueError, KeyError, OSError):
            raise ValueError("the nightly hour is like 02:00, and its zone like Asia/Shanghai") from None

    def last(self, now: int) -> int:
        """The last time that it was this hour, POSIX seconds."""
        here = datetime.fromtimestamp(now, self.zone)
        found = datetime.combine(here.date(), self.at, self.zone)
        if found.timestamp() > now:
            found = datetime.combine(here.date() - timedelta(days=1), self.at, self.zone)
        return int(found.timestamp())

    def is_due(self, now: int, asked_at: int, expires_at: int, lead: int) -> bool:
        """Whether a table is to be built now.

        `asked_at`: its last build; `expires_at`: its last epoch's end; `lead`: how long before that the next must begin. An
        epoch lasts a day at most, as a night and a day do: without the lead, a slower build than the last would leave a gap.
        """
        if asked_at < self.last(now) - SAME_NIGHT:
            return True
        return asked_at < expires_at - lead <= now < expires_at
