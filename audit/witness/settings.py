"""The witness's settings: environment variables with the prefix ``XINQIAO_WITNESS_``; each is explained in docs/settings.md."""

from __future__ import annotations

from typing import ClassVar

from pydantic import field_validator
from pydantic_settings import SettingsConfigDict

from audit.service.settings import ClosedSettings
from audit.verifier.errors import FormatError
from audit.verifier.note import ED25519, VerifierKey


class WitnessSettings(ClosedSettings):
    """What the witness's operator decides. Its database must not lie in the backup of a log that it cosigns."""

    model_config = SettingsConfigDict(env_prefix="XINQIAO_WITNESS_", extra="forbid")
    sqlite_file: ClassVar[str] = "witness.sqlite"

    port: int = 8703
    name: str
    """The name under which it cosigns, such as ``bank.example/witness``; never change it once it has cosigned."""
    logs: str = ""
    """The verifier keys (vkey) of the logs that it cosigns, separated by spaces."""

    @field_validator("logs")
    @classmethod
    def _are_logs(cls, text: str) -> str:
        for vkey in text.split():
            try:
                if VerifierKey.parse(vkey).algorithm != ED25519:
                    raise ValueError("a log's verifier key has type 0x01 and a witness's type 0x04: two keys were mixed up")
            except FormatError as error:
                raise ValueError(str(error)) from None
        return text

    @property
    def log_keys(self) -> dict[str, list[VerifierKey]]:
        """The logs' keys by origin; a log that changes its key has several."""
        keys: dict[str, list[VerifierKey]] = {}
        for key in map(VerifierKey.parse, self.logs.split()):
            keys.setdefault(key.name, []).append(key)
        return keys
