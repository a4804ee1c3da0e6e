"""A tap on the node's wire: it sees every exchange as the node's host does, and may put other bytes into an answer."""

from __future__ import annotations

import re
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from unittest.mock import patch

from fastapi import FastAPI

import sharing_node.app
import tests.services

Lie = Callable[["Exchange"], bytes | None]
_KEYID = re.compile(r'keyid="([^"]*)"')


@dataclass
class Exchange:
    """One request and its answer; times in seconds of a monotonic clock."""

    person: str
    method: str
    path: str
    headers: tuple[tuple[str, int], ...]  # names and lengths, in the order of arrival
    started: float
    body: bytes = field(default=b"", repr=False)
    status: int = 0
    answer: bytes = field(default=b"", repr=False)
    ended: float = 0.0

    @property
    def address(self) -> str:
        """The path without its query."""
        return self.path.partition("?")[0]


@dataclass
class Tap:
    """`lies` are asked in turn for every answer; the first that gives bytes is believed."""

    exchanges: defaultdict[str, list[Exchange]] = field(default_factory=lambda: defaultdict(list))
    lies: list[Lie] = field(default_factory=list)

    def take(self, person: str) -> list[Exchange]:
        """What this person has exchanged since the last time."""
        return self.exchanges.pop(person, [])

    @contextmanager
    def lying(self, lie: Lie) -> Iterator[None]:
        self.lies.append(lie)
        try:
            yield
        finally:
            self.lies.remove(lie)


class _TapMiddleware:
    def __init__(self, app: Any, tap: Tap) -> None:
        self._app, self._tap = app, tap

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"]]
        keyid = _KEYID.search(dict(headers).get("signature-input", ""))
        path = scope["path"] + (f"?{scope['query_string'].decode()}" if scope["query_string"] else "")
        seen = Exchange(
            keyid[1] if keyid else "", scope["method"], path, tuple((n, len(v)) for n, v in headers), time.perf_counter()
        )
        started: dict[str, Any] = {}

        async def tapped_receive() -> Any:
            message = await receive()
            if message["type"] == "http.request":
                seen.body += message.get("body", b"")
            return message

        async def tapped_send(message: Any) -> None:
            if message["type"] == "http.response.start":
                started.update(message)
                return
            seen.answer += message.get("body", b"")
            if message.get("more_body"):
                return
            seen.status, seen.ended = started["status"], time.perf_counter()
            body = next((lie for lie in (tell(seen) for tell in list(self._tap.lies)) if lie is not None), seen.answer)
            self._tap.exchanges[seen.person].append(seen)
            kept = [(n, v) for n, v in started["headers"] if n.lower() != b"content-length"]
            await send({**started, "headers": [*kept, (b"content-length", str(len(body)).encode())]})
            await send({"type": "http.response.body", "body": body})

        await self._app(scope, tapped_receive, tapped_send)


@contextmanager
def tapped(tap: Tap) -> Iterator[None]:
    """Nodes that `tests.services` starts while this is open carry the tap."""
    create = sharing_node.app.create_app

    def create_tapped(*args: Any, **kwargs: Any) -> FastAPI:
        app = create(*args, **kwargs)
        app.add_middleware(_TapMiddleware, tap=tap)
        return app

    with patch.object(tests.services, "create_app", create_tapped):
        yield
