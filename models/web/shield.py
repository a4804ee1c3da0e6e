"""What holds for every address: one host, bounded bodies, and headers that keep pages out of caches, frames and other sites."""

from __future__ import annotations

from starlette.datastructures import MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "content-security-policy": POLICY,
    "cache-control": "no-store",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
}


class TooMuch(Exception):
    """A body beyond the limit."""


class Shield:
    """ASGI middleware. `host` is the one that browsers use, `largest` bounds a body in bytes, `secure` adds HSTS."""

    def __init__(self, app: ASGIApp, *, host: str, largest: int, secure: bool) -> None:
        self._app, self._host, self._largest = app, host, largest
        self._headers = HEADERS | ({"strict-transport-security": "max-age=31536000"} if secure else {})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        received = 0

        async def bounded() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > self._largest:
                raise TooMuch
            return message

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in self._headers.items():
                    headers[name] = value
            await send(message)

        headers = dict(scope["headers"])
        if headers.get(b"host", b"").decode("latin-1").lower() != self._host:
            # A page of another name that was made to point here must not speak to the desk.
            await PlainTextResponse("This desk is served under another address.\n", 421)(scope, receive, guarded)
        elif int(headers.get(b"content-length", b"0") or 0) > self._largest:
            await PlainTextResponse("上传的内容太大。 What was sent is too large.\n", 413)(scope, receive, guarded)
        else:
            await self._app(scope, bounded, guarded)
