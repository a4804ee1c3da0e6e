"""An auditor's settings: who signs, with which key, and what is trusted."""

from __future__ import annotations

from pathlib import Path
from zoneinfo import ZoneInfo

import msgspec

from audit.client.services import NodeSection, OfficeSection, Services
from models.zones import DEFAULT_ZONE, zone_named


class AuditorConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All settings of one auditor at the command line. Checked when made: raises `ConfigError`."""

    person: str
    key_file: Path
    office: OfficeSection
    node: NodeSection
    time_zone: str = DEFAULT_ZONE

    def __post_init__(self) -> None:
        """Check what the types do not say."""
        _ = self.services, self.zone

    @property
    def services(self) -> Services:
        """Office and node; raises `ConfigError` where a key does not fit."""
        return Services(self.office, self.node)

    @property
    def zone(self) -> ZoneInfo:
        """Where days begin and end; raises `ConfigError`."""
        return zone_named(self.time_zone)
