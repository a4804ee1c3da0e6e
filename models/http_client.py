"""A client that signs every request, retries safely and raises what the server refused with.

A retry is signed afresh but keeps its Idempotency-Key, so the server gives the same bytes and does nothing twice. Where the
server says when to come again (503 with Retry-After), the client does so, a little later than told and not all at the same
moment, until its patience ends. No answer is taken into memory beyond a stated size.
"""

from __future__ import annotations

import secrets
import ssl
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import BinaryIO, Generic, TypeVar
from urllib.parse import urlsplit

import httpx2
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from models import problems, wire
from models.http_signatures import Request, sign_request
from models.logged import LeafRef, Logged

M = TypeVar("M", bound=wire.Message)
R = TypeVar("R")
ATTEMPTS = 3
"""How often a request is sent that gets no answer, or one that does not say when to come again."""
PATIENCE_SECONDS = 60.0
"""From the first attempt on: afterwards no further one is begun."""
LONGEST_PAUSE = 20
LARGEST_ANSWER = 1 << 30
_PIECE = 1 << 20
_random = secrets.SystemRandom()


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


@lru_cache(maxsize=1)
def _authorities() -> ssl.SSLContext:
    """Whom to believe about other hosts: read once a process, since that takes as long as several requests."""
    return httpx2.create_ssl_context(trust_env=False)


class SignedClient:
    """One person's (or service's) view of one service."""

    def __init__(
        self,
        base_url: str,
        key_id: str,
        key: Ed25519PrivateKey,
        *,
        timeout: float = 600.0,
        patience: float = PATIENCE_SECONDS,
    ) -> None:
        self.base_url = base_url.rstrip("/")
        self.key_id = key_id
        self.traffic = Traffic()
        self._key = key
        self._patience = patience
        self._http = httpx2.Client(timeout=httpx2.Timeout(timeout, connect=5.0), trust_env=False, verify=_authorities())

    def __repr__(self) -> str:
        return f"SignedClient({self.base_url!r}, {self.key_id!r})"

    def __enter__(self) -> SignedClient:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def logged(
        self, path: str, message: wire.Message, answer: type[M], *, key: str | None = None, limit: int = LARGEST_ANSWER
    ) -> Reply[M]:
        """POST to an endpoint that leaves a leaf; `key` repeats an earlier request safely.

        This and every other call raises `TooLarge` for an answer of more than `limit` bytes, and does not read on.
        """
        envelope = wire.decode(self._send("POST", path, wire.encode(message), wire.CONTENT_TYPE, key, limit), Logged)
        return Reply(wire.decode(envelope.answer, answer), envelope.leaves)

    def logged_raw(
        self,
        path: str,
        body: bytes,
        content_type: str,
        answer: type[M],
        *,
        key: str | None = None,
        limit: int = LARGEST_ANSWER,
    ) -> Reply[M]:
        """POST raw content (e.g. a CSV file) to an endpoint that leaves a leaf."""
        envelope = wire.decode(self._send("POST", path, body, content_type, key, limit), Logged)
        return Reply(wire.decode(envelope.answer, answer), envelope.leaves)

    def post(self, path: str, message: wire.Message, answer: type[M], *, limit: int = LARGEST_ANSWER) -> M:
        """POST to an endpoint without a leaf."""
        return wire.decode(self._send("POST", path, wire.encode(message), wire.CONTENT_TYPE, None, limit), answer)

    def get(self, path: str, answer: type[M], *, limit: int = LARGEST_ANSWER) -> M:
        """GET a message."""
        return wire.decode(self.get_raw(path, limit=limit), answer)

    def get_raw(self, path: str, *, limit: int = LARGEST_ANSWER) -> bytes:
        """GET bytes."""
        return self._send("GET", path, b"", "application/octet-stream", None, limit)

    def download(self, path: str, file: BinaryIO, limit: int) -> None:
        """GET bytes into an open file, piece by piece, from its beginning; an attempt that is cut off is repeated.

        Raises:
            TooLarge: the service sends more than `limit` bytes; no more than that was written.
        """

        def copy(response: httpx2.Response) -> None:
            file.seek(0)
            file.truncate()
            for piece in self._pieces(response, limit):
                file.write(piece)

        self._attempt("GET", path, b"", "application/octet-stream", None, copy)

    def _send(self, method: str, path: str, body: bytes, content_type: str, key: str | None, limit: int) -> bytes:
        def collect(response: httpx2.Response) -> bytes:
            return b"".join(self._pieces(response, limit))

        return self._attempt(method, path, body, content_type, key, collect)

    def _attempt(
        self,
        method: str,
        path: str,
        body: bytes,
        content_type: str,
        key: str | None,
        take: Callable[[httpx2.Response], R],
    ) -> R:
        """What `take` makes of the answer; raises the server's refusal, or `PeerUnavailable` where none comes."""
        headers = {"content-type": content_type, "idempotency-key": key or secrets.token_urlsafe(16)}
        end = time.monotonic() + self._patience
        attempt = 0
        while True:
            request = Request(method, self.base_url + path, dict(headers), body)
            sign_request(request, self.key_id, self._key)
            wait, unavailable = 0, True
            try:
                with self._http.stream(method, request.url, content=body, headers=request.headers) as response:
                    self.traffic.up += len(body)
                    if response.status_code < 400:
                        return take(response)
                    failure = self._refusal(response)
                    wait, unavailable = failure.retry_after or 0, response.status_code == 503
            except httpx2.TransportError:
                failure = problems.PeerUnavailable(self._unreachable())
            if not unavailable or not (wait or attempt + 1 < ATTEMPTS):
                raise failure
            # A crowd that was told the same second would come back as a crowd.
            pause = wait * _random.uniform(1.0, 1.5) if wait else 0.2 * 4**attempt
            if time.monotonic() + pause > end:
                raise failure
            time.sleep(pause)
            attempt += 1

    def _refusal(self, response: httpx2.Response) -> problems.Problem:
        failure = problems.from_document(response.status_code, b"".join(self._pieces(response, _PIECE)))
        after = response.headers.get("retry-after", "")
        # Of what may stand there, our services send seconds; a date is another server's and counts as nothing.
        failure.retry_after = min(int(after), LONGEST_PAUSE) if after.isascii() and after.isdigit() else None
        return failure

    def _pieces(self, response: httpx2.Response, limit: int) -> Iterator[bytes]:
        size = 0
        for piece in response.iter_bytes(_PIECE):
            size += len(piece)
            self.traffic.down += len(piece)
            if size > limit:
                raise problems.TooLarge(f"the service sends more than the {limit} bytes that are taken here")
            yield piece

    def _unreachable(self) -> str:
        parts = urlsplit(self.base_url)
        return f"no answer from {parts.hostname}:{parts.port} after {ATTEMPTS} attempts; the same request may be repeated"
