"""The node's secrets, as files of mode 0600 outside of the database, so that no backup of it holds them.

An OPRF key lives exactly as long as its project or epoch: `destroy` overwrites and unlinks its file.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from crypto.voprf import VoprfServer, generate_key_pair
from crypto.xof import derive_key
from models.durable import write_new


class MissingKey(KeyError):
    """A key that was never made or has been destroyed."""


class KeyStore:
    """Keys by name below one folder; `repr` shows the folder only."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    @property
    def folder(self) -> Path:
        """Where the keys lie."""
        return self._folder

    def __repr__(self) -> str:
        return f"KeyStore({str(self._folder)!r})"

    def signing_key(self, name: str) -> Ed25519PrivateKey:
        """The Ed25519 key of this name, made on first use."""
        return Ed25519PrivateKey.from_private_bytes(self._load_or_make(f"{name}.ed25519", lambda: secrets.token_bytes(32)))

    def secret(self, name: str) -> bytes:
        """A 32-byte secret of this name, made on first use."""
        return self._load_or_make(f"{name}.secret", lambda: secrets.token_bytes(32))

    def new_oprf(self, name: str) -> VoprfServer:
        """A fresh VOPRF key; FileExistsError where the name was used before, since a key is never made twice."""
        self._write(f"{name}.oprf", bytes(generate_key_pair()[0]))
        return self.oprf(name)

    def oprf(self, name: str) -> VoprfServer:
        """The VOPRF key of this name; raises `MissingKey`."""
        try:
            return VoprfServer(self._path(f"{name}.oprf").read_bytes())
        except FileNotFoundError:
            raise MissingKey("this key does not exist any more") from None

    def has_oprf(self, name: str) -> bool:
        """Whether there is a VOPRF key of this name."""
        return self._path(f"{name}.oprf").exists()

    def derived(self, name: str, info: bytes) -> bytes:
        """32 secret bytes for the purpose `info`, from the VOPRF key of this name and gone with it; raises `MissingKey`."""
        try:
            return derive_key(self._path(f"{name}.oprf").read_bytes(), info)
        except FileNotFoundError:
            raise MissingKey("this key does not exist any more") from None

    def destroy_oprf(self, name: str) -> None:
        """Overwrite and remove a VOPRF key; silently done where it is gone already."""
        path = self._path(f"{name}.oprf")
        if path.exists():
            with path.open("r+b") as file:
                file.write(secrets.token_bytes(32))
                file.flush()
                os.fsync(file.fileno())
            path.unlink()

    def _path(self, name: str) -> Path:
        if name.startswith(".") or not name.replace(".", "").replace("-", "").replace("_", "").isalnum():
            raise ValueError("key names are plain words")
        return self._folder / name

    def _load_or_make(self, name: str, make: Callable[[], bytes]) -> bytes:
        try:
            return self._path(name).read_bytes()
        except FileNotFoundError:
            with suppress(FileExistsError):  # another worker was first
                self._write(name, make())
            return self._path(name).read_bytes()

    def _write(self, name: str, value: bytes) -> None:
        write_new(self._path(name), value)
