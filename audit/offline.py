"""What the commands that check a file offline share: the keys they are given, and how they say that something is wrong."""

from __future__ import annotations

import base64
import binascii
from typing import NoReturn

import typer
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey


def statement_key(text: str, whose: str = "office") -> Ed25519PublicKey:
    """The key that verifies a service's statements; raises ValueError."""
    try:
        return Ed25519PublicKey.from_public_bytes(base64.b64decode(text, validate=True))
    except (ValueError, binascii.Error):
        raise ValueError(f"the {whose}'s key is 32 bytes in base64, as `GET /keys` shows it") from None


def fail(reason: str) -> NoReturn:
    """Say on standard error that this is not verified, and end with 1."""
    typer.echo(f"NOT verified: {reason}", err=True)
    raise typer.Exit(1)
