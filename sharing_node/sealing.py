"""Sealing what a database holds of a running job, so that no copy of the database alone can be read.

The key of a job is derived from a secret of the node's key folder, which no backup of the database holds. Each sealed
value is bound to its job and to its place there: a value put in another's place does not open.
"""

from __future__ import annotations

import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from crypto.xof import derive_key
from sharing_node.keys import KeyStore

SECRET = "trainings"  # noqa: S105 - the name of a key, not a key
_LABEL = b"xinqiao/node/sealed-job/"
_NONCE_BYTES = 12


class Unsealable(ValueError):
    """This was not sealed here under this node's key."""


class Sealer:
    """AES-256-GCM under the key of one job; nonces are random, and a job seals some hundred values at most."""

    def __init__(self, keys: KeyStore, job: str) -> None:
        self._aead = AESGCM(derive_key(keys.secret(SECRET), _LABEL + job.encode()))
        self._job = job

    def __repr__(self) -> str:
        return f"Sealer({self._job!r}, key=<secret>)"

    def seal(self, place: str, data: bytes) -> bytes:
        """nonce (12) ‖ ciphertext ‖ tag (16)."""
        nonce = os.urandom(_NONCE_BYTES)
        return nonce + self._aead.encrypt(nonce, data, self._bound(place))

    def open(self, place: str, sealed: bytes) -> bytes:
        """What was sealed for this place; raises `Unsealable`."""
        try:
            return self._aead.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], self._bound(place))
        except (InvalidTag, ValueError):
            raise Unsealable("this was not sealed for this place under this node's key") from None

    def _bound(self, place: str) -> bytes:
        return f"{self._job}/{place}".encode()
