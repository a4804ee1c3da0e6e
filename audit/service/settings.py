"""Settings of a service: from the environment, closed, and never with a default secret."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, ClassVar, Self
from urllib.parse import urlsplit

from pydantic import Field, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from audit.log.witnesses import KnownWitness, parse_witnesses

DEFAULT_SECRETS = frozenset({"", "admin", "changeme", "password", "postgres", "root", "secret", "test", "xinqiao"})


class UnknownSetting(ValueError):
    """The environment holds a setting that this service does not know: most likely a misspelt one."""


class ClosedSettings(BaseSettings):
    """Base of every service's settings. Unknown variables with the service's prefix stop the start-up."""

    model_config = SettingsConfigDict(extra="forbid")

    data_dir: Path
    """Folder of the database, keys, epochs and quarantine files; created with mode 0700."""
    database_url: str = ""
    """``sqlite:///path`` or ``postgresql://…``; empty: an SQLite file in the data folder."""
    host: str = "127.0.0.1"
    """Address to listen on."""
    port: int
    """Port to listen on."""

    sqlite_file: ClassVar[str]
    """Name of the default database in the data folder."""

    @property
    def database(self) -> str:
        """The database's URL, the default resolved."""
        return self.database_url or f"sqlite:///{self.data_dir / self.sqlite_file}"

    @field_validator("database_url")
    @classmethod
    def _no_default_secret(cls, url: str) -> str:
        parts = urlsplit(url)
        password = parts.password or ""
        default = password.lower() in DEFAULT_SECRETS or password == parts.username
        # Without a host the server is reached through a local socket and asks the system who is calling.
        if default and (password or parts.hostname):
            raise ValueError("the password in the database URL is missing or a default one; set one of your own")
        return url

    @classmethod
    def from_environment(cls) -> Self:
        """Read the settings; raises `UnknownSetting` or pydantic's ValidationError naming the variable."""
        prefix = cls.model_config.get("env_prefix", "")
        known = {f"{prefix}{name}".upper() for name in cls.model_fields}
        unknown = sorted(name for name in os.environ if name.upper().startswith(prefix) and name.upper() not in known)
        if unknown:
            raise UnknownSetting(f"unknown settings: {', '.join(unknown)}; known ones are in docs/settings.md")
        return cls()


class ServiceSettings(ClosedSettings):
    """What a service with a log of its own shares with the other one."""

    public_url: str
    """The URL that clients use and sign, without a trailing slash."""
    workers: Annotated[int, Field(ge=1, le=64)] = 1
    """Processes that serve; one of them holds the log's lease, the others stand by for it."""
    requests: Annotated[int, Field(ge=4, le=1024)] = 64
    """Requests that one process has in work at once; more are asked to come again in a moment."""
    answer_days: Annotated[int, Field(ge=1, le=366)] = 7
    """Days for which an answer is kept, so that a repeated request gets the same bytes."""
    witnesses: str = ""
    """Further witnesses that cosign this log, such as a bank's: ``vkey address``, several between commas."""
    witness_quorum: Annotated[int, Field(ge=0, le=64)] = 0
    """How many witnesses must have cosigned before anything is released; 0: all of them."""

    @field_validator("witnesses")
    @classmethod
    def _are_witnesses(cls, text: str) -> str:
        parse_witnesses(text)
        return text

    @property
    def further_witnesses(self) -> tuple[KnownWitness, ...]:
        """The further witnesses."""
        return parse_witnesses(self.witnesses)

    def quorum(self, witnesses: int) -> int:
        """How many of so many witnesses must have cosigned; ValueError where there are fewer than the settings ask for."""
        if self.witness_quorum > witnesses:
            raise ValueError(f"{self.witness_quorum} witnesses are to cosign the log, but only {witnesses} are named")
        return self.witness_quorum or max(witnesses, 1)
