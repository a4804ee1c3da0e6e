"""Where a log's witnesses are, as settings name them, and asking them over HTTP (tlog-witness)."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

from audit.log.cosign import Cosigner
from audit.verifier.errors import FormatError
from audit.verifier.note import COSIGNATURE_V1, VerifierKey

SECONDS = 10.0


@dataclass(frozen=True)
class KnownWitness:
    """A witness: its verifier key, and the address below which add-checkpoint stands (empty: it is not asked)."""

    key: VerifierKey
    url: str

    @classmethod
    def parse(cls, text: str, url: str = "") -> KnownWitness:
        """Read `vkey` or `vkey address`; where no address is given, `url` is meant. ValueError says what is wrong."""
        vkey, _, address = text.strip().partition(" ")
        address = address.strip() or url
        try:
            key = VerifierKey.parse(vkey)
        except FormatError as error:
            raise ValueError(str(error)) from None
        if key.algorithm != COSIGNATURE_V1:
            raise ValueError("a log's verifier key has type 0x01 and a witness's type 0x04: two keys were mixed up")
        if address and not address.startswith(("http://", "https://")):
            raise ValueError("a witness is written as its verifier key, a space and an address that begins with http(s)://")
        return cls(key, address.rstrip("/"))

    def cosigner(self) -> Cosigner:
        """The way to it."""
        import httpx2  # only the process that sequences asks anybody

        client = httpx2.Client(timeout=SECONDS, trust_env=False)

        def post(body: bytes) -> tuple[int, bytes]:
            response = client.post(f"{self.url}/add-checkpoint", content=body)
            return response.status_code, response.content

        def last(origin: str) -> bytes | None:
            response = client.get(f"{self.url}/{hashlib.sha256(origin.encode()).hexdigest()}/checkpoint")
            if response.status_code == httpx2.codes.NOT_FOUND:
                return None
            response.raise_for_status()
            return response.content

        return Cosigner(self.key, post, last)


def parse_witnesses(text: str) -> tuple[KnownWitness, ...]:
    """Witnesses separated by commas, each `vkey address`; ValueError."""
    witnesses = tuple(KnownWitness.parse(part) for part in text.split(",") if part.strip())
    if any(not witness.url for witness in witnesses):
        raise ValueError("a witness is written as its verifier key, a space and its address; several stand between commas")
    return witnesses


def cosigners(witnesses: Iterable[KnownWitness]) -> list[Cosigner]:
    """The ways to all of them that have an address."""
    return [witness.cosigner() for witness in witnesses if witness.url]
