"""The desk's settings: one TOML file for a branch. An unknown key stops the start.

::

    institution = "fumin-bank"
    data_dir = "desk-data"              # forms, receipts, hints of tables, open decisions
    port = 8710                         # host is 127.0.0.1 unless set
    public_url = "https://desk.branch"  # where browsers reach it, if not at http://host:port
    time_zone = "Asia/Shanghai"         # of all days and moments shown and entered
    exposure = "exposure-2026"          # an approved project of exposure checks, where the branch makes them

    [office]                            # as in the bank's own settings
    [node]

    [[people]]
    id = "fumin-bank/chen.jianguo"
    name = "陈建国"
    key_file = "chen.pem"               # made by `xinqiao bank keygen --protect`

    [[projects]]
    id = "window-checks"
    label_zh = "春耕贷款受理"
    label_en = "Spring loans"
    # model = "own.model"               # of a joint project: its private model's scores are checked instead

Over plain HTTP the desk listens on this machine alone: passphrases travel to it. For other machines give `certificate` and
`private_key`, or an https `public_url` whose front is on this machine.
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

from bank_client.config import BankConfig, ConfigError, NodeSection, OfficeSection
from models.protected_keys import check_protected
from models.web.zones import DEFAULT_ZONE, zone_named

IDLE_MINUTES, LONGEST_HOURS = 15, 10


class DeskPerson(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Someone of the branch; the role is the one that the office has enrolled."""

    id: str
    key_file: Path
    name: str = ""


class DeskProject(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An approved check project, and how the desk calls it; without labels by its title.

    With `model`, the file of a private model, it is the model's joint project, and a check gives the model's score.
    """

    id: str
    label_zh: str = ""
    label_en: str = ""
    model: Path | None = None


class DeskConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All settings of one branch's desk. Checked when made: raises `ConfigError`."""

    institution: str
    office: OfficeSection
    node: NodeSection
    people: tuple[DeskPerson, ...]
    projects: tuple[DeskProject, ...]
    identity: Literal["national", "opaque"] = "national"
    data_dir: Path = Path("desk-data")
    host: str = "127.0.0.1"
    port: int = 8710
    public_url: str = ""
    exposure: str = ""
    certificate: Path | None = None
    private_key: Path | None = None
    idle_minutes: int = IDLE_MINUTES
    session_hours: int = LONGEST_HOURS
    time_zone: str = DEFAULT_ZONE

    def __post_init__(self) -> None:
        """Check what the types do not say."""
        if not self.people or not self.projects:
            raise ConfigError("name at least one of [[people]] and one of [[projects]]")
        for what, ids in (("people", [p.id for p in self.people]), ("projects", [p.id for p in self.projects])):
            if len(set(ids)) != len(ids):
                raise ConfigError(f"{what}: an id stands more than once")
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
        for person in self.people:
            self.of(person.id)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> DeskConfig:
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
        return config if "data_dir" in values else msgspec.structs.replace(config, data_dir=folder / "desk-data")

    @property
    def zone(self) -> ZoneInfo:
        """Where days begin and end; raises `ConfigError`."""
        return zone_named(self.time_zone)

    @property
    def address(self) -> str:
        """Where browsers reach the desk."""
        scheme = "https" if self.certificate else "http"
        return (self.public_url or f"{scheme}://{self.host}:{self.port}").rstrip("/")

    @property
    def secure(self) -> bool:
        """Whether browsers reach it over https."""
        return self.address.startswith("https://")

    def of(self, person: str) -> BankConfig:
        """The settings of one person's session."""
        key_file = next(entry.key_file for entry in self.people if entry.id == person)
        return BankConfig(
            institution=self.institution,
            person=person,
            key_file=key_file,
            office=self.office,
            node=self.node,
            identity=self.identity,
            data_dir=self.data_dir,
        )

    def check_files(self) -> None:
        """Check that every key file is there and protected; raises `ConfigError`."""
        for person in self.people:
            check_protected(person.key_file)


def _loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
