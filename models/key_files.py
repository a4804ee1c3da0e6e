"""Signing keys in files of their own: 32 bytes in the clear, mode 0600; `protected_keys` puts them under a passphrase."""

from __future__ import annotations

from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from models.durable import write_new

KEY_BYTES = 32


class ConfigError(ValueError):
    """Settings that cannot be used; the message names the key and what to do."""


def load_key(path: Path) -> Ed25519PrivateKey:
    """The key in a clear file; raises `ConfigError` where it is missing, open to others or of another size."""
    try:
        mode, value = path.stat().st_mode, path.read_bytes()
    except FileNotFoundError:
        raise ConfigError(f"there is no key file {path}; make one with `xinqiao bank keygen`") from None
    if mode & 0o077:
        raise ConfigError(f"others may read {path}: have a new key enrolled and set the file's mode to 0600")
    if len(value) != KEY_BYTES:
        raise ConfigError(f"{path} does not hold a key of {KEY_BYTES} bytes")
    return Ed25519PrivateKey.from_private_bytes(value)


def make_key(path: Path) -> bytes:
    """Write a fresh signing key (mode 0600) and return its public half, 32 bytes; FileExistsError where there is one."""
    key = Ed25519PrivateKey.generate()
    write_new(path, key.private_bytes_raw())
    return key.public_key().public_bytes_raw()
