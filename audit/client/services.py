"""Where office and node are, and the keys that verify what they say and log: two sections of any client's settings."""

from __future__ import annotations

import base64
import binascii
from typing import Literal

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from audit.verifier.errors import FormatError
from audit.verifier.note import COSIGNATURE_V1, ED25519, VerifierKey
from models.key_files import ConfigError

ServiceName = Literal["node", "office"]


class NodeSection(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where the node is, and the keys of its log. `witness_key`: all who must cosign the office's, separated by spaces."""

    url: str
    log_key: str
    witness_key: str = ""


class OfficeSection(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where the office is, and the keys that verify its word. `witness_key`: all who must cosign the node's log."""

    url: str
    statement_key: str
    log_key: str
    witness_key: str


class Services(msgspec.Struct, frozen=True):
    """Both sections. Checked when made: raises `ConfigError`."""

    office: OfficeSection
    node: NodeSection

    def __post_init__(self) -> None:
        """Check what the types do not say."""
        for section, settings in (("office", self.office), ("node", self.node)):
            if not settings.url.startswith(("http://", "https://")):
                raise ConfigError(f"{section}.url must begin with http:// or https://")
            _verifier_key(f"{section}.log_key", settings.log_key, ED25519)
            for vkey in settings.witness_key.split():
                _verifier_key(f"{section}.witness_key", vkey, COSIGNATURE_V1)
        if not self.office.witness_key:
            raise ConfigError("office.witness_key is missing: without it no receipt of the node can be checked")
        self.statement_key()

    def statement_key(self) -> Ed25519PublicKey:
        """The key that verifies the office's statements."""
        try:
            return Ed25519PublicKey.from_public_bytes(base64.b64decode(self.office.statement_key, validate=True))
        except (ValueError, binascii.Error):
            raise ConfigError("office.statement_key must be base64 of 32 bytes; ask the office for it") from None

    def log_key(self, service: ServiceName) -> VerifierKey:
        """The key of a service's log."""
        return VerifierKey.parse(self.node.log_key if service == "node" else self.office.log_key)

    def witness_keys(self, service: ServiceName) -> tuple[VerifierKey, ...]:
        """Who must have cosigned a service's log: the other one, and further witnesses such as a bank's."""
        vkeys = self.office.witness_key if service == "node" else self.node.witness_key
        return tuple(map(VerifierKey.parse, vkeys.split()))


def _verifier_key(name: str, vkey: str, algorithm: int) -> None:
    try:
        if VerifierKey.parse(vkey).algorithm != algorithm:
            raise ConfigError(f"{name}: a log's verifier key has type 0x01 and a witness's type 0x04; two were mixed up")
    except FormatError as error:
        raise ConfigError(f"{name}: {error}") from None
