"""The bank's settings: one TOML file that names the two services and the person who works with them.

::

    institution = "bank-a"
    person = "bank-a/liu"            # who signs; one person, one role
    key_file = "liu.key"             # 32 bytes, mode 0600, made by `xinqiao bank keygen`
    identity = "national"            # or "opaque", for data without national codes
    data_dir = "bank-data"           # hints of tables, evidence, receipts

    [office]
    url = "http://127.0.0.1:8700"
    statement_key = "…"              # base64 of the 32 bytes that verify what the office says
    log_key = "…"                    # verifier key (vkey) of its log
    witness_key = "…"                # verifier keys of all who must cosign the node's log: its own, and the bank's witness's

    [node]
    url = "http://127.0.0.1:8701"
    log_key = "…"
    witness_key = "…"                # likewise of those who must cosign the office's log

The node's statement key is not set here: it stands in the directory that the office signs. Paths are relative to the
file. An unknown key stops the start.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from audit.client.services import NodeSection, OfficeSection, ServiceName, Services
from audit.verifier.note import VerifierKey
from models.identity import IdentityError, canonical_id, parse_id
from models.key_files import ConfigError, load_key, make_key
from models.settings_files import load_settings

__all__ = ["BankConfig", "ConfigError", "NodeSection", "OfficeSection", "load_key", "make_key"]


class BankConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All settings of one person at one bank. Checked when made: raises `ConfigError`."""

    institution: str
    person: str
    key_file: Path
    office: OfficeSection
    node: NodeSection
    identity: Literal["national", "opaque"] = "national"
    data_dir: Path = Path("bank-data")

    def __post_init__(self) -> None:
        """Check what the types do not say."""
        if not self.person.startswith(f"{self.institution}/"):
            raise ConfigError(f"person must be written as {self.institution}/NAME: a person acts for their own institution")
        _ = self.services

    @property
    def services(self) -> Services:
        """Both services; raises `ConfigError` where a key does not fit."""
        return Services(self.office, self.node)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> BankConfig:
        """Read a TOML file; raises `ConfigError` naming the key that does not fit."""
        return load_settings(cls, path, "--config or XINQIAO_BANK_CONFIG")

    def office_statement_key(self) -> Ed25519PublicKey:
        """The key that verifies the office's statements."""
        return self.services.statement_key()

    def log_key(self, service: ServiceName) -> VerifierKey:
        """The key of a service's log."""
        return self.services.log_key(service)

    def witness_keys(self, service: ServiceName) -> tuple[VerifierKey, ...]:
        """Who cosigns a service's log: the other one."""
        return self.services.witness_keys(service)

    def load_key(self) -> Ed25519PrivateKey:
        """The person's signing key; raises `ConfigError` where the file is missing, open to others or of another size."""
        return load_key(self.key_file)

    def canonical(self, subject: str) -> str:
        """A subject's canonical identity; raises `ConfigError` without showing the value."""
        try:
            if self.identity == "opaque":
                return canonical_id("opaque", subject.removeprefix("opaque:"))
            return parse_id(subject)
        except IdentityError as error:
            raise ConfigError(f"an id is not valid: {error}") from None
