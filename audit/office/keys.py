"""The office's keys, as files of mode 0600 outside of the database. `xinqiao office init` makes them, once.

=============== ============================================================================================
``statement``   signs what the office says: directory, approvals, tickets, seals, verdicts (signer ``office``)
``service``     signs the office's own HTTP requests (key id ``office/service``)
``log``         signs the office's log
``witness``     cosigns the node's log; never the key of a log
``inputs``      the secret under which the office knows a bank's vectors again without keeping them
=============== ============================================================================================
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from models.durable import write_new

SIGNING = ("statement", "service", "log", "witness")
INPUTS = "inputs"
KEY_BYTES = 32


class KeysError(RuntimeError):
    """Key files that are missing, there already, or readable by others; the message says what to do."""


@dataclass(frozen=True)
class OfficeKeys:
    """The five keys, loaded."""

    statement: Ed25519PrivateKey = field(repr=False)
    service: Ed25519PrivateKey = field(repr=False)
    log: Ed25519PrivateKey = field(repr=False)
    witness: Ed25519PrivateKey = field(repr=False)
    inputs: bytes = field(repr=False)

    @classmethod
    def create(cls, data_dir: Path) -> OfficeKeys:
        """Make all keys below ``data_dir/keys``; raises `KeysError` where one is there already."""
        folder = data_dir / "keys"
        if any(path.exists() for path in _paths(folder)):
            raise KeysError(f"{folder} holds keys already: an office keeps its keys for life, so none was made")
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for path in _paths(folder):
            write_new(path, secrets.token_bytes(KEY_BYTES))
        return cls.load(data_dir)

    @classmethod
    def load(cls, data_dir: Path) -> OfficeKeys:
        """Read the keys; raises `KeysError`."""
        values: list[bytes] = []
        for path in _paths(data_dir / "keys"):
            try:
                mode, value = path.stat().st_mode, path.read_bytes()
            except FileNotFoundError:
                raise KeysError(f"{path} is missing: run `xinqiao office init`, or restore the key from its backup") from None
            if mode & 0o077:
                raise KeysError(f"others may read {path}: change its key, then set the file's mode to 0600")
            if len(value) != KEY_BYTES:
                raise KeysError(f"{path} does not hold {KEY_BYTES} bytes: restore the key from its backup")
            values.append(value)
        *signing, inputs = values
        statement, service, log, witness = (Ed25519PrivateKey.from_private_bytes(value) for value in signing)
        return cls(statement, service, log, witness, inputs)


def _paths(folder: Path) -> Iterator[Path]:
    return (folder / f"{name}.key" for name in (*SIGNING, INPUTS))
