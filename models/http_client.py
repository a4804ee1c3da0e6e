"""A client that signs every request, retries safely and raises what the server refused with.

A retry is signed afresh but keeps its Idempotency-Key, so the server gives the same bytes and does nothing twice.
"""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass
from typing import BinaryIO, Generic, TypeVar
from urllib.parse import urlsplit

import httpx2
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from models import problems, wire
from models.http_signatures import Request, sign_request
from models.logged import LeafRef, Logged

M = TypeVar("M", bound=wire.Message)
ATTEMPTS = 3
_PIECE = 1 << 20


@dataclass(frozen=True)
class Reply(Generic[M]):
    """A logged answer with the leaves that stand for it."""

    answer: M
    leaves: tuple[LeafRef, ...]


@dataclass
class Traffic:
    """Bytes of bodies sent and received."""

    up: int = 0
    down: int = 0


class SignedClient:
    """One person's (or service's) view of one service."""

    def __init__(self, base_url: str, key_id: str, key: Ed25519PrivateKey, *, timeout: float = 600.0) -> None:
        self.base_url = base_url.rstrip("/")
        self.key_id = key_id
        self.traffic = Traffic()
        self._key = key
        self._http = httpx2.Client(timeout=httpx2.Timeout(timeout, connect=5.0), trust_env=False)

    def __repr__(self) -> str:
        return f"SignedClient({self.base_url!r}, {self.key_id!r})"

    def __enter__(self) -> SignedClient:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def logged(self, path: str, message: wire.Message, answer: type[M], *, key: str | None = None) -> Reply[M]:
        """POST to an endpoint that leaves a leaf; `key` repeats an earlier request safely."""
        envelope = wire.decode(self._send("POST", path, wire.encode(message), wire.CONTENT_TYPE, key), Logged)
        return Reply(wire.decode(envelope.answer, answer), envelope.leaves)

    def logged_raw(self, path: str, body: bytes, content_type: str, answer: type[M], *, key: str | None = None) -> Reply[M]:
        """POST raw content (e.g. a CSV file) to an endpoint that leaves a leaf."""
        envelope = wire.decode(self._send("POST", path, body, content_type, key), Logged)
        return Reply(wire.decode(envelope.answer, answer), envelope.leaves)

    def post(self, path: str, message: wire.Message, answer: type[M]) -> M:
        """POST to an endpoint without a leaf."""
        return wire.decode(self._send("POST", path, wire.encode(message), wire.CONTENT_TYPE, None), answer)

    def get(self, path: str, answer: type[M]) -> M:
        """GET a message."""
        return wire.decode(self.get_raw(path), answer)

    def get_raw(self, path: str) -> bytes:
        """GET bytes."""
        return self._send("GET", path, b"", "application/octet-stream", None)

    def download(self, path: str, file: BinaryIO, limit: int) -> None:
        """GET bytes into an open file, piece by piece, from its beginning; an attempt that is cut off is repeated.

        Raises:
            TooLarge: the service sends more than `limit` bytes; no more than that was written.
        """
        failure: problems.Problem = problems.PeerUnavailable(self._unreachable())
        for attempt in range(ATTEMPTS):
            request = Request("GET", self.base_url + path, {"content-type": "application/octet-stream"}, b"")
            sign_request(request, self.key_id, self._key)
            try:
                with self._http.stream("GET", request.url, headers=request.headers) as response:
                    if response.status_code < 400:
                        return self._copy(response, file, limit)
                    failure = problems.from_document(response.status_code, response.read())
                    if response.status_code != 503:
                        raise failure
            except httpx2.TransportError:
                failure = problems.PeerUnavailable(self._unreachable())
            if attempt + 1 < ATTEMPTS:
                time.sleep(0.2 * 4**attempt)
        raise failure

    def _copy(self, response: httpx2.Response, file: BinaryIO, limit: int) -> None:
        file.seek(0)
        file.truncate()
        for piece in response.iter_bytes(_PIECE):
            self.traffic.down += len(piece)
            if file.tell() + len(piece) > limit:
                raise problems.TooLarge(f"the service sends more than the {limit} bytes that this file has")
            file.write(piece)

    def _send(self, method: str, path: str, body: bytes, content_type: str, key: str | None) -> bytes:
        idempotency_key = key or secrets.token_urlsafe(16)
        failure: problems.Problem = problems.PeerUnavailable(self._unreachable())
        for attempt in range(ATTEMPTS):
            headers = {"content-type": content_type, "idempotency-key": idempotency_key}
            request = Request(method, self.base_url + path, headers, body)
            sign_request(request, self.key_id, self._key)
            try:
                response = self._http.request(method, request.url, content=body, headers=request.headers)
            except httpx2.TransportError:
                failure = problems.PeerUnavailable(self._unreachable())
            else:
                self.traffic.up += len(body)
                self.traffic.down += len(response.content)
                if response.status_code < 400:
                    return response.content
                failure = problems.from_document(response.status_code, response.content)
                if response.status_code != 503:
                    raise failure
            if attempt + 1 < ATTEMPTS:
                time.sleep(0.2 * 4**attempt)
        raise failure

    def _unreachable(self) -> str:
        parts = urlsplit(self.base_url)
        return f"no answer from {parts.hostname}:{parts.port} after {ATTEMPTS} attempts; the same request may be repeated"
