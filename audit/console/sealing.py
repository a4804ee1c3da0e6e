"""Secrets at rest under the console's own key: sealed with AES-256-GCM for one purpose and owner each, found again by HMAC."""

from __future__ import annotations

import hashlib
import hmac
import os
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

from models.durable import write_new
from models.key_files import ConfigError

KEY_BYTES, NONCE_BYTES = 32, 12


class Sealing:
    """Seals and tags under the key in `file`, which is made where there is none (mode 0600)."""

    def __init__(self, file: Path) -> None:
        if not file.exists():
            write_new(file, os.urandom(KEY_BYTES))
        if file.stat().st_mode & 0o077:
            raise ConfigError(f"others may read {file}: set the file's mode to 0600")
        key = file.read_bytes()
        if len(key) != KEY_BYTES:
            raise ConfigError(f"{file} does not hold a key of {KEY_BYTES} bytes; restore it from the backup")
        self._cipher = AESGCM(_derived(key, b"xinqiao console seal v1"))
        self._tag_key = _derived(key, b"xinqiao console tag v1")

    def __repr__(self) -> str:
        return "Sealing(…)"

    def seal(self, purpose: str, owner: str, secret: bytes) -> bytes:
        """`secret` for one purpose and owner; it opens for no other."""
        nonce = os.urandom(NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, secret, _about(purpose, owner))

    def open(self, purpose: str, owner: str, sealed: bytes) -> bytes:
        """What was sealed; raises `ConfigError` where this key did not seal it."""
        try:
            return self._cipher.decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], _about(purpose, owner))
        except InvalidTag:
            raise ConfigError("a stored secret does not open: console.key is not the one that sealed it") from None

    def tag(self, purpose: str, value: str) -> str:
        """What finds a value again without storing it: 64 hex digits."""
        return hmac.new(self._tag_key, _about(purpose, value), hashlib.sha256).hexdigest()


def _derived(key: bytes, label: bytes) -> bytes:
    return HKDFExpand(hashes.SHA256(), KEY_BYTES, label).derive(key)


def _about(purpose: str, owner: str) -> bytes:
    return f"{purpose}\0{owner}".encode()
