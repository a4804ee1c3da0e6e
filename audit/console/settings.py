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

Passkeys belong to the host of the address. What desk and console share stands in `models.web.settings`.
"""

from __future__ import annotations

import os
from pathlib import Path

from audit.client.services import NodeSection, OfficeSection, Services
from models.identity import canonical_id, parse_id
from models.key_files import ConfigError
from models.settings_files import load_settings
from models.web.settings import PageSettings


class ConsoleConfig(PageSettings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All settings of one console. Checked when made: raises `ConfigError`."""

    office: OfficeSection
    node: NodeSection
    port: int = 8720
    data_dir: Path = Path("console-data")
    catalogue: Path | None = None
    window: str = ""
    window_key: Path | None = None

    def __post_init__(self) -> None:
        """Check what the types do not say."""
        super().__post_init__()
        if bool(self.window) != (self.window_key is not None):
            raise ConfigError("window and window_key go together")
        _ = self.services

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> ConsoleConfig:
        """Read a TOML file, paths relative to it; raises `ConfigError` naming the key that does not fit."""
        return load_settings(cls, path)

    @property
    def services(self) -> Services:
        """Office and node; raises `ConfigError` where a key does not fit."""
        return Services(self.office, self.node)

    @property
    def own_address(self) -> str:
        """A passkey belongs to a name, never to a number: hence localhost."""
        return f"{'https' if self.certificate else 'http'}://localhost:{self.port}"

    def canonical(self, subject: str) -> str:
        """A subject's canonical identity; raises `models.identity.IdentityError`."""
        if self.identity == "opaque":
            return canonical_id("opaque", subject.removeprefix("opaque:"))
        return parse_id(subject)
