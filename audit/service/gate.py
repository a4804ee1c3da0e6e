"""The gate: the only way from a handler to a reply. See the package's diagram.

Three kinds of endpoints, each declared as what it is:

- `logged`: every call, done or refused, leaves a leaf before its reply;
- `unlogged`: signed and role-checked, but gives nothing that was not released before or that is public; says why;
- `public`: no signature; says why.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import structlog
from anyio import CapacityLimiter
from anyio.to_thread import run_sync
from fastapi import FastAPI
from fastapi import Request as HttpRequest
from fastapi.responses import Response, StreamingResponse
from sqlalchemy import Engine, MetaData
from sqlalchemy.exc import DataError, DBAPIError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from starlette.routing import Route

from audit.log.log import Log, LogUnavailable
from audit.service import ledger
from audit.service.entrance import DirectorySource, Entrance, Visitor
from audit.service.leaves import Leaf, LeafDraft, finish
from audit.service.outcome import Call, Handler, Raw, Refused
from audit.service.places import Places
from audit.service.purge import Purge
from audit.service.tables import add_gate_tables
from crypto.errors import CryptoError
from models import problems, wire
from models.http_signatures import Request, verify_body
from models.parties import Role

logger = structlog.get_logger()
DEFAULT_LIMIT = 1 << 20
_PIECE = 1 << 20
DEFAULT_REQUESTS = 64
PUBLIC_THREADS = 8
BUSY_SECONDS = 1
"""After which somebody who was not taken is asked to come again."""
Reading = Callable[[Call], wire.Message | Raw]
Public = Callable[[dict[str, str]], wire.Message | Raw]
Takes = type[wire.Message] | str | None


@dataclass(frozen=True)
class Endpoint:
    """A declared endpoint. `takes` is a message class, a content type, or None; `limit` the most bytes of a body."""

    method: str
    path: str
    kind: str
    action: str = ""
    roles: frozenset[Role] = frozenset()
    why: str = ""
    takes: Takes = None
    limit: int = DEFAULT_LIMIT


@dataclass(frozen=True)
class _Admitted:
    """A signed request whose body has been read."""

    visitor: Visitor
    request: Request
    path: dict[str, str]
    query: dict[str, str]


class Gate:
    """Binds handlers to a FastAPI app so that authentication, roles, the leaf and its durability cannot be forgotten."""

    def __init__(
        self,
        *,
        app: FastAPI,
        engine: Engine,
        metadata: MetaData,
        log: Log,
        directory: DirectorySource,
        public_url: str,
        clock: Callable[[], float] = time.time,
        requests: int = DEFAULT_REQUESTS,
    ) -> None:
        self.endpoints: list[Endpoint] = []
        nonces, answers = add_gate_tables(metadata)
        self._app = app
        self._tables = nonces, answers
        self._engine = engine
        self._public_url = public_url.rstrip("/")
        self._clock = clock
        self._entrance = Entrance(engine, nonces, directory)
        self._ledger = ledger.Ledger(engine, log, answers, clock)
        self._strangers = 0
        self._counted_at = 0.0
        # Each request in work has a thread when it needs one; what is public never waits for those.
        self._places = Places(requests)
        self._threads = CapacityLimiter(requests)
        self._public_threads = CapacityLimiter(PUBLIC_THREADS)

    def purge(self, answer_days: int, is_ours: Callable[[], bool]) -> Purge:
        """The housekeeping of what this gate keeps; it runs while it is entered."""
        nonces, answers = self._tables
        return Purge(self._engine, nonces, answers, answer_days=answer_days, is_ours=is_ours, clock=self._clock)

    # ---------------------------------------------------------------- declaring endpoints

    def logged(
        self, method: str, path: str, *, action: str, roles: set[Role], takes: Takes, limit: int = DEFAULT_LIMIT
    ) -> Callable[[Handler], Handler]:
        """Declare an endpoint whose every call leaves a leaf. `takes` is a message class, a content type, or None."""
        endpoint = Endpoint(method, path, "logged", action, frozenset(roles), takes=takes, limit=limit)

        def declare(handler: Handler) -> Handler:
            self._add_signed(endpoint, lambda admitted: self._serve_logged(endpoint, handler, admitted))
            return handler

        return declare

    def unlogged(
        self, method: str, path: str, *, roles: set[Role], why: str, takes: Takes = None, limit: int = DEFAULT_LIMIT
    ) -> Callable[[Reading], Reading]:
        """Declare a signed endpoint without a leaf; `why` says what makes that right."""
        endpoint = Endpoint(method, path, "unlogged", "", frozenset(roles), why, takes, limit)

        def declare(handler: Reading) -> Reading:
            self._add_signed(endpoint, lambda admitted: _respond(handler(self._call(endpoint, admitted))))
            return handler

        return declare

    def public(self, method: str, path: str, *, why: str) -> Callable[[Public], Public]:
        """Declare an endpoint without a signature; `why` says what makes that right."""
        endpoint = Endpoint(method, path, "public", why=why)

        def declare(handler: Public) -> Public:
            def serve(path: dict[str, str]) -> Response:
                try:
                    return _respond(handler(path))
                except problems.Problem as problem:
                    return _refuse(problem)
                except Exception as error:
                    return _refuse(_unforeseen(endpoint, error))

            async def route(http: HttpRequest) -> Response:
                return await run_sync(serve, dict(http.path_params), limiter=self._public_threads)

            self._add(endpoint, route)
            return handler

        return declare

    def _add_signed(self, endpoint: Endpoint, serve: Callable[[_Admitted], Response]) -> None:
        async def route(http: HttpRequest) -> Response:
            if not self._places.take():
                await _drain(http)
                return _refuse(problems.Busy(retry_after=BUSY_SECONDS))
            try:
                return await self._receive(endpoint, serve, http)
            finally:
                self._places.give_back()

        self._add(endpoint, route)

    async def _receive(self, endpoint: Endpoint, serve: Callable[[_Admitted], Response], http: HttpRequest) -> Response:
        url = self._public_url + http.url.path + (f"?{http.url.query}" if http.url.query else "")
        head = Request(http.method, url, dict(http.headers.items()))
        visitor = await run_sync(self._enter, endpoint, head, limiter=self._threads)
        if isinstance(visitor, Response):
            await _drain(http)
            return visitor
        try:
            body = await _read(http, endpoint.limit)
        except problems.Problem as problem:
            return await run_sync(self._refuse_logged, endpoint, visitor, head, problem, limiter=self._threads)
        request = Request(head.method, head.url, head.headers, body)
        admitted = _Admitted(visitor, request, dict(http.path_params), dict(http.query_params))
        return await run_sync(self._answer, endpoint, serve, admitted, limiter=self._threads)

    def _add(self, endpoint: Endpoint, route: Callable[[HttpRequest], Any]) -> None:
        route.__name__ = f"{endpoint.method.lower()}{endpoint.path}".translate(str.maketrans("/", "_", "{}"))
        # A plain route: the gate reads requests itself, and needs nothing of what the framework does for typed handlers.
        added = Route(endpoint.path, route)
        added.methods = {endpoint.method}
        self._app.router.routes.append(added)
        self.endpoints.append(endpoint)

    # ---------------------------------------------------------------- before the body

    def _enter(self, endpoint: Endpoint, head: Request) -> Visitor | Response:
        try:
            visitor = self._entrance.authenticate(head)
        except problems.Problem as problem:
            if isinstance(problem, problems.BadSignature):
                self._count_stranger()
            return _refuse(problem)
        except Exception as error:
            return _refuse(_unforeseen(endpoint, error))
        try:
            self._entrance.admit(visitor, endpoint.roles)
        except problems.Problem as problem:
            return self._refuse_logged(endpoint, visitor, head, problem)
        except Exception as error:
            return _refuse(_unforeseen(endpoint, error))
        return visitor

    # ---------------------------------------------------------------- from body to reply

    def _answer(self, endpoint: Endpoint, serve: Callable[[_Admitted], Response], admitted: _Admitted) -> Response:
        visitor, request = admitted.visitor, admitted.request
        try:
            verify_body(visitor.proven, request.body)
            return serve(admitted)
        except Refused as refused:
            self._log_refusal(endpoint, visitor, request, refused.problem, refused)
            return _refuse(refused.problem)
        except problems.Problem as problem:
            return self._refuse_logged(endpoint, visitor, request, problem)
        except CryptoError as error:
            return self._refuse_logged(endpoint, visitor, request, problems.BadElement(str(error)))
        except LogUnavailable:
            return _refuse(problems.LogUnavailable(retry_after=BUSY_SECONDS))
        except Exception as error:
            # A request that breaks a handler is refused like any other: it must not go without a trace.
            return self._refuse_logged(endpoint, visitor, request, _unforeseen(endpoint, error))

    def _serve_logged(self, endpoint: Endpoint, handler: Handler, admitted: _Admitted) -> Response:
        key = admitted.request.headers["idempotency-key"]
        if not 8 <= len(key) <= 128:
            raise problems.BadRequest("Idempotency-Key must have 8 to 128 characters")
        request = ledger.Request(admitted.visitor.person.id, key, _digest(admitted.request))
        with self._ledger.alone(request):
            stored = self._ledger.stored(request)
            if stored is None:
                try:
                    result = handler(self._call(endpoint, admitted))
                    stored = self._ledger.commit(request, result, lambda d: self._leaf(d, admitted.visitor, admitted.request))
                except (problems.Problem, Refused):
                    # Refused, perhaps, because another process answered the same request meanwhile: then its answer is due.
                    stored = self._ledger.stored(request)
                    if stored is None:
                        raise
        return _respond(self._ledger.release(stored))

    def _call(self, endpoint: Endpoint, admitted: _Admitted) -> Call:
        request, takes = admitted.request, endpoint.takes
        content_type = request.headers.get("content-type", "").split(";")[0].strip()
        body: Any = request.body
        if takes is None:
            if request.body:
                raise problems.BadRequest("no body is expected here")
        else:
            wanted = takes if isinstance(takes, str) else wire.CONTENT_TYPE
            if content_type != wanted:
                raise problems.BadContentType(f"this address takes {wanted}")
            if not isinstance(takes, str):
                body = wire.decode(request.body, takes)
        visitor = admitted.visitor
        return Call(self._engine, visitor.person, visitor.institution, body, admitted.path, admitted.query, int(self._clock()))

    # ---------------------------------------------------------------- leaves

    def _leaf(self, draft: LeafDraft, visitor: Visitor, request: Request) -> Leaf:
        person = visitor.person
        who = {"person": person.id, "name": person.name, "role": str(person.role), "request": _digest(request).hex()}
        return finish(draft, institution=visitor.institution.id, at=int(self._clock()), who=who)

    def _refuse_logged(self, endpoint: Endpoint, visitor: Visitor, request: Request, problem: problems.Problem) -> Response:
        # Somebody who shall come again has been denied nothing, and a leaf would add to what there is too much of.
        if not isinstance(problem, problems.Busy):
            self._log_refusal(endpoint, visitor, request, problem)
        return _refuse(problem)

    def _log_refusal(
        self,
        endpoint: Endpoint,
        visitor: Visitor,
        request: Request,
        problem: problems.Problem,
        refused: Refused | None = None,
    ) -> None:
        opening = {**(refused.opening if refused else {}), "detail": problem.detail}
        action = endpoint.action or endpoint.path
        draft = LeafDraft(action, {}, opening, outcome="refused", problem=problem.slug())
        self._ledger.refusal(self._leaf(draft, visitor, request), refused.attach if refused else None)

    def _count_stranger(self) -> None:
        # One leaf a minute, so that a stranger cannot fill the log.
        self._strangers += 1
        if self._clock() - self._counted_at < 60:
            return
        count, self._strangers, self._counted_at = self._strangers, 0, self._clock()
        draft = LeafDraft("unauthenticated", {"count": count}, outcome="refused", problem="bad-signature")
        self._ledger.refusal(finish(draft, institution="", at=int(self._clock()), who={}))


def _digest(request: Request) -> bytes:
    return hashlib.sha256(f"{request.method}\n{request.url}\n".encode() + request.body).digest()


def _unforeseen(endpoint: Endpoint, error: Exception) -> problems.Problem:
    if isinstance(error, DataError | OverflowError):
        return problems.BadRequest("a number or text in the request is larger than what can be stored, or of another kind")
    if isinstance(error, OperationalError | PoolTimeout):
        logger.warning("the database is busy", path=endpoint.path, error=type(error).__name__)
        return problems.Busy("the database has as much to do as it takes at once", retry_after=BUSY_SECONDS)
    if isinstance(error, DBAPIError):
        logger.error("database error", path=endpoint.path, error=type(error.orig).__name__)
        return problems.Unavailable("the database did not answer; nothing was changed")
    logger.error("request failed", path=endpoint.path, error=type(error).__name__, exc_info=True)
    return problems.Problem()


async def _read(http: HttpRequest, limit: int) -> bytes:
    chunks: list[bytes] = []
    size = 0
    async for chunk in http.stream():
        size += len(chunk)
        if size > limit:
            raise problems.TooLarge(f"at most {limit} bytes are taken here")
        chunks.append(chunk)
    return b"".join(chunks)


async def _drain(http: HttpRequest) -> None:
    # A client that is still sending would not see a refusal; what it sends is dropped, up to what one may send unasked.
    size = 0
    async for chunk in http.stream():
        size += len(chunk)
        if size > DEFAULT_LIMIT:
            return


def _respond(answer: wire.Message | Raw) -> Response:
    if isinstance(answer, Raw) and answer.file is not None:
        return _stream(answer.file, answer.offset, answer.content_type)
    if isinstance(answer, Raw):
        return Response(answer.body, media_type=answer.content_type)
    return Response(wire.encode(answer), media_type=wire.CONTENT_TYPE)


def _stream(path: Path, offset: int, content_type: str) -> Response:
    file = path.open("rb")  # held open, so that a file that is removed meanwhile is still sent whole
    size = file.seek(0, os.SEEK_END) - offset
    file.seek(offset)

    def pieces() -> Iterator[bytes]:
        with file:
            while piece := file.read(_PIECE):
                yield piece

    return StreamingResponse(pieces(), headers={"Content-Length": str(size)}, media_type=content_type)


def _refuse(problem: problems.Problem) -> Response:
    headers = {"Retry-After": str(problem.retry_after)} if problem.retry_after is not None else {}
    return Response(problem.document(), problem.status, headers=headers, media_type=problems.CONTENT_TYPE)
