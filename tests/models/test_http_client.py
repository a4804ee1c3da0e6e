"""The signed client: comes again when told to, gives up in the end, and takes no answer beyond a stated size."""

from __future__ import annotations

import io
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from models import http_client, wire
from models.http_client import SignedClient
from models.logged import Empty
from models.problems import BadRequest, Busy, PeerUnavailable, Problem, TooLarge

Answer = tuple[int, dict[str, str], bytes]
DONE: Answer = (200, {}, wire.encode(Empty()))


def refused(problem: Problem, after: str | None = None) -> Answer:
    return problem.status, {} if after is None else {"Retry-After": after}, problem.document()


class Server:
    """Gives the answers it is told to, in order, the last one for ever; notes what came and how long the client paused."""

    def __init__(self) -> None:
        self.answers: list[Answer] = [DONE]
        self.seen: list[dict[str, str]] = []
        self.pauses: list[float] = []
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                self.rfile.read(int(self.headers.get("content-length", 0)))
                server.seen.append({name.lower(): value for name, value in self.headers.items()})
                status, headers, body = server.answers[min(len(server.seen), len(server.answers)) - 1]
                self.send_response(status)
                for name, value in {"Content-Length": str(len(body)), **headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            def do_GET(self) -> None:
                self.do_POST()

            def log_message(self, format: str, *args: Any) -> None:
                """Nothing is printed."""

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self._http.serve_forever, daemon=True).start()

    def client(self, patience: float = 1000.0) -> SignedClient:
        return SignedClient(f"http://127.0.0.1:{self._http.server_port}", "p", Ed25519PrivateKey.generate(), patience=patience)

    def close(self) -> None:
        self._http.shutdown()
        self._http.server_close()


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server()
    # The client's clock alone: other threads of this process sleep as they did.
    with patch.object(http_client, "time", SimpleNamespace(monotonic=time.monotonic, sleep=made.pauses.append)):
        yield made
    made.close()


def post(server: Server, **changes: Any) -> Empty:
    with server.client(**changes) as client:
        return client.post("/x", Empty(), Empty)


def test_it_comes_again_when_told_with_the_same_key_and_another_nonce(server: Server) -> None:
    server.answers = [*[refused(Busy(), "2")] * 7, DONE]
    assert post(server) == Empty()
    assert len(server.seen) == 8, "more often than it would by itself"
    assert all(2 <= pause <= 3 for pause in server.pauses)
    assert len(set(server.pauses)) > 1, "a crowd does not come back as a crowd"
    assert len({seen["idempotency-key"] for seen in server.seen}) == 1
    assert len({seen["signature"] for seen in server.seen}) == 8


@pytest.mark.parametrize("patience", [1.0, 0.0])
def test_its_patience_ends(server: Server, patience: float) -> None:
    server.answers = [refused(Busy(), "2")]
    with pytest.raises(Busy) as caught:
        post(server, patience=patience)
    assert len(server.seen) == 1
    assert caught.value.retry_after == 2, "whoever asked may still follow it"


def test_a_pause_is_never_longer_than_sensible(server: Server) -> None:
    server.answers = [refused(Busy(), "99999999"), DONE]
    post(server)
    assert server.pauses[0] <= 1.5 * http_client.LONGEST_PAUSE


@pytest.mark.parametrize("after", [None, "Wed, 21 Oct 2026 07:28:00 GMT", "-1", "0"])
def test_without_a_time_it_tries_a_few_times(server: Server, after: str | None) -> None:
    server.answers = [refused(PeerUnavailable(), after)]
    with pytest.raises(PeerUnavailable):
        post(server)
    assert len(server.seen) == http_client.ATTEMPTS


def test_another_refusal_is_final(server: Server) -> None:
    server.answers = [refused(BadRequest(), "1")]
    with pytest.raises(BadRequest):
        post(server)
    assert len(server.seen) == 1


CALLS: dict[str, Callable[[SignedClient], object]] = {
    "post": lambda client: client.post("/x", Empty(), Empty, limit=1000),
    "get": lambda client: client.get("/x", Empty, limit=1000),
    "get_raw": lambda client: client.get_raw("/x", limit=1000),
    "logged": lambda client: client.logged("/x", Empty(), Empty, limit=1000),
    "download": lambda client: client.download("/x", io.BytesIO(), 1000),
}


@pytest.mark.parametrize("call", CALLS)
def test_no_answer_is_taken_beyond_its_size(server: Server, call: str) -> None:
    server.answers = [(200, {}, bytes(1001))]
    with server.client() as client, pytest.raises(TooLarge, match="1000 bytes"):
        CALLS[call](client)
    assert len(server.seen) == 1


def test_a_refusal_is_bounded_too(server: Server) -> None:
    server.answers = [(503, {"Retry-After": "1"}, bytes((1 << 20) + 1))]
    with pytest.raises(TooLarge):
        post(server)
