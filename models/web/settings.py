"""What every application of pages is told: where it listens, how browsers reach it, how long a seat lasts.

Over plain HTTP it listens on this machine alone: passphrases travel to it. For other machines give `certificate` and
`private_key`, or an https `public_url` whose front is on this machine.
"""

from __future__ import annotations

import ipaddress
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

import msgspec

from models.key_files import ConfigError
from models.zones import DEFAULT_ZONE, zone_named

IDLE_MINUTES, LONGEST_HOURS = 15, 10


class PageSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The settings that desk and console share. Checked when made: raises `ConfigError`."""

    port: int
    identity: Literal["national", "opaque"] = "national"
    host: str = "127.0.0.1"
    public_url: str = ""
    certificate: Path | None = None
    private_key: Path | None = None
    idle_minutes: int = IDLE_MINUTES
    session_hours: int = LONGEST_HOURS
    time_zone: str = DEFAULT_ZONE

    def __post_init__(self) -> None:
        """Check what the types do not say."""
        if (self.certificate is None) != (self.private_key is None):
            raise ConfigError("certificate and private_key go together")
        if not 1 <= self.idle_minutes <= IDLE_MINUTES or not 1 <= self.session_hours <= LONGEST_HOURS:
            raise ConfigError(f"idle_minutes is 1 to {IDLE_MINUTES} and session_hours 1 to {LONGEST_HOURS}")
        if not 1 <= self.port <= 65535:
            raise ConfigError("port is 1 to 65535")
        if urlsplit(self.address).scheme not in ("http", "https") or not urlsplit(self.address).hostname:
            raise ConfigError("public_url must begin with http:// or https:// and name a host")
        if self.certificate is None and not _loopback(self.host):
            raise ConfigError(
                f"{self.host} is reachable from other machines, and passphrases would travel in the clear: give certificate and"
                " private_key, or leave host at 127.0.0.1 with an https front on this machine"
            )
        _ = self.zone

    @property
    def own_address(self) -> str:
        """Where browsers of this machine reach it."""
        return f"{'https' if self.certificate else 'http'}://{self.host}:{self.port}"

    @property
    def address(self) -> str:
        """Where browsers reach it."""
        return (self.public_url or self.own_address).rstrip("/")

    @property
    def secure(self) -> bool:
        """Whether browsers reach it over https."""
        return self.address.startswith("https://")

    @property
    def zone(self) -> ZoneInfo:
        """Where days begin and end; raises `ConfigError`."""
        return zone_named(self.time_zone)


def _loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
