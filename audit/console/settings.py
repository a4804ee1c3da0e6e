"""The console's settings: one TOML file. An unknown key stops the start.

::

    data_dir = "console-data"            # who may sign in, keys, kept scans
    port = 8720                          # host is 127.0.0.1 unless set
    public_url = "https://office.county" # where browsers reach it, if not at http://localhost:port
    time_zone = "Asia/Shanghai"          # of all days and moments shown and entered; as the office's
    identity = "national"                # or "opaque", for data without national codes
    window = "office/window"             # the self-service window, where subjects have accounts
    window_key = "window.key"            # 32 bytes, mode 0600

    [office]                             # as in a bank's own settings
    url = "http://127.0.0.1:8700"
    statement_key = "…"
    log_key = "…"
    witness_key = "…"

    [node]
    url = "http://127.0.0.1:8701"
    log_key = "…"
    witness_key = "…"

Over plain HTTP the console listens on this machine alone: passphrases travel to it. For other machines give `certificate`
and `private_key`, or an https `public_url` whose front is on this machine. Passkeys belong to the host of the address.
"""

from __future__ import annotations

import ipaddress
import os
import tomllib
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

import msgspec

from audit.client.services import NodeSection, OfficeSection, Services
from models.identity import canonical_id, parse_id
from models.key_files import ConfigError
from models.web.zones import DEFAULT_ZONE, zone_named

IDLE_MINUTES, LONGEST_HOURS = 15, 10


class ConsoleConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All settings of one console. Checked when made: raises `ConfigError`."""

    office: OfficeSection
    node: NodeSection
    identity: Literal["national", "opaque"] = "national"
    catalogue: Path | None = None
    data_dir: Path = Path("console-data")
    host: str = "127.0.0.1"
    port: int = 8720
    public_url: str = ""
    certificate: Path | None = None
    private_key: Path | None = None
    idle_minutes: int = IDLE_MINUTES
    session_hours: int = LONGEST_HOURS
    time_zone: str = DEFAULT_ZONE
    window: str = ""
    window_key: Path | None = None

    def __post_init__(self) -> None:
        """Check what the types do not say."""
        if (self.certificate is None) != (self.private_key is None):
            raise ConfigError("certificate and private_key go together")
        if bool(self.window) != (self.window_key is not None):
            raise ConfigError("window and window_key go together")
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
        _ = self.services, self.zone

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> ConsoleConfig:
        """Read a TOML file, paths relative to it; raises `ConfigError` naming the key that does not fit."""
        file = Path(path)
        try:
            values = tomllib.loads(file.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise ConfigError(f"there is no settings file {file}; name one with --config") from None
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise ConfigError(f"{file.name} is not TOML: {error}") from None
        folder = file.resolve().parent
        try:
            config = msgspec.convert(values, cls, dec_hook=lambda _kind, value: folder / str(value))
        except msgspec.ValidationError as error:
            raise ConfigError(f"{file.name}: {error}") from None
        return config if "data_dir" in values else msgspec.structs.replace(config, data_dir=folder / "console-data")

    @property
    def services(self) -> Services:
        """Office and node; raises `ConfigError` where a key does not fit."""
        return Services(self.office, self.node)

    @property
    def zone(self) -> ZoneInfo:
        """Where days begin and end; raises `ConfigError`."""
        return zone_named(self.time_zone)

    @property
    def address(self) -> str:
        """Where browsers reach the console. A passkey belongs to a name, never to a number: hence localhost."""
        scheme = "https" if self.certificate else "http"
        return (self.public_url or f"{scheme}://localhost:{self.port}").rstrip("/")

    @property
    def secure(self) -> bool:
        """Whether browsers reach it over https."""
        return self.address.startswith("https://")

    def canonical(self, subject: str) -> str:
        """A subject's canonical identity; raises `models.identity.IdentityError`."""
        if self.identity == "opaque":
            return canonical_id("opaque", subject.removeprefix("opaque:"))
        return parse_id(subject)


def _loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
