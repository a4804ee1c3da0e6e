"""The gate: the only way from a handler to a reply. See the package's diagram.

Three kinds of endpoints, each declared as what it is:

- `logged`: every call, done or refused, leaves a leaf before its reply;
- `unlogged`: signed and role-checked, but gives nothing that was not released before or that is public; says why;
- `public`: no signature; says why.
"""

from __future__ import annotations

import hashlib
import struct
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import structlog
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from fastapi import FastAPI
from fastapi import Request as HttpRequest
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import Response
from sqlalchemy import Connection, Engine, MetaData, delete, insert, select
from sqlalchemy.exc import DBAPIError, IntegrityError

from audit.database import writing
from audit.log.log import Log
from audit.log.log import LogUnavailable as LogDown
from audit.service.leaves import Leaf, LeafDraft, finish
from audit.service.tables import add_gate_tables
from crypto.errors import CryptoError
from models import problems, wire
from models.http_signatures import Proven, Request, verify_request
from models.logged import LeafRef, Logged
from models.parties import Institution, Person, Role

logger = structlog.get_logger()
LEAF_TIMEOUT = 10.0
COSIGN_TIMEOUT = 30.0
DEFAULT_LIMIT = 1 << 20


class DirectorySource(Protocol):
    """Where the gate looks up who signs; raises `PeerUnavailable` when its knowledge is too old to trust."""

    def find(self, key_id: str) -> tuple[Person, Institution] | None:
        """The person and institution behind a key id, or None."""


@dataclass(frozen=True)
class Raw:
    """An answer that is not a message, e.g. a hint's bytes."""

    body: bytes = field(repr=False)
    content_type: str = "application/octet-stream"


@dataclass(frozen=True)
class Call:
    """One authenticated request as a handler sees it. `body` is of the declared type, or bytes for raw content."""

    engine: Engine = field(repr=False)
    person: Person
    institution: Institution
    body: Any = field(repr=False)
    path: dict[str, str]
    query: dict[str, str]
    now: int


@dataclass(frozen=True)
class Outcome:
    """What a handler gives: the answer, the leaves that stand for it, and the state change that goes with them.

    `record` runs in the transaction that queues the leaves and stores the answer: all or nothing. It may raise a
    `Problem`. `cosigned` holds the reply back until the office has cosigned a checkpoint with the last leaf.
    """

    answer: wire.Message | Raw
    leaves: Sequence[LeafDraft]
    record: Callable[[Connection], None] | None = None
    cosigned: bool = False
    attach: Callable[[Connection, Sequence[int]], None] | None = None
    """Like `record`, and told the queue ids of the leaves, for state that must find its leaf again."""


Within = Callable[[Connection], Outcome]
"""What a handler gives instead where answer and leaves are known only in the transaction, e.g. counts of stored rows."""


Handler = Callable[[Call], Outcome | Within]


class Refused(Exception):
    """A refusal that leaves something behind: an attempt, an alarm, evidence. Others are plain `Problem`s.

    `opening` joins the refusal's leaf; `attach` runs in that leaf's transaction with its queue id.
    """

    def __init__(
        self,
        problem: problems.Problem,
        *,
        opening: dict[str, Any] | None = None,
        attach: Callable[[Connection, int], None] | None = None,
    ) -> None:
        super().__init__(str(problem))
        self.problem = problem
        self.opening = opening or {}
        self.attach = attach


@dataclass(frozen=True)
class Endpoint:
    """A declared endpoint, for the tests and the documentation."""

    method: str
    path: str
    kind: str
    action: str
    roles: frozenset[Role]
    why: str = ""


@dataclass(frozen=True)
class _Incoming:
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
    ) -> None:
        self.endpoints: list[Endpoint] = []
        self._app = app
        self._engine = engine
        self._log = log
        self._directory = directory
        self._public_url = public_url.rstrip("/")
        self._clock = clock
        self._nonces, self._answers = add_gate_tables(metadata)
        self._unauthenticated = 0
        self._counted_at = 0.0

    # ---------------------------------------------------------------- declaring endpoints

    def logged(
        self,
        method: str,
        path: str,
        *,
        action: str,
        roles: set[Role],
        takes: type[wire.Message] | str | None,
        limit: int = DEFAULT_LIMIT,
    ) -> Callable[[Handler], Handler]:
        """Declare an endpoint whose every call leaves a leaf. `takes` is a message class, a content type, or None."""

        def declare(handler: Handler) -> Handler:
            endpoint = Endpoint(method, path, "logged", action, frozenset(roles))

            def serve(incoming: _Incoming) -> Response:
                return self._serve_logged(endpoint, handler, takes, incoming)

            self._add(endpoint, serve, limit)
            return handler

        return declare

    def unlogged(
        self,
        method: str,
        path: str,
        *,
        roles: set[Role],
        why: str,
        takes: type[wire.Message] | None = None,
        limit: int = DEFAULT_LIMIT,
    ) -> Callable[[Callable[[Call], wire.Message | Raw]], Callable[[Call], wire.Message | Raw]]:
        """Declare a signed endpoint without a leaf; `why` says what makes that right."""

        def declare(handler: Callable[[Call], wire.Message | Raw]) -> Callable[[Call], wire.Message | Raw]:
            endpoint = Endpoint(method, path, "unlogged", "", frozenset(roles), why)

            def serve(incoming: _Incoming) -> Response:
                return self._serve_unlogged(endpoint, handler, takes, incoming)

            self._add(endpoint, serve, limit)
            return handler

        return declare

    def public(
        self, method: str, path: str, *, why: str
    ) -> Callable[[Callable[[dict[str, str]], wire.Message | Raw]], Callable[[dict[str, str]], wire.Message | Raw]]:
        """Declare an endpoint without a signature; `why` says what makes that right."""

        def declare(
            handler: Callable[[dict[str, str]], wire.Message | Raw],
        ) -> Callable[[dict[str, str]], wire.Message | Raw]:
            def serve(incoming: _Incoming) -> Response:
                return _respond(handler(incoming.path))

            self._add(Endpoint(method, path, "public", "", frozenset(), why), serve, DEFAULT_LIMIT)
            return handler

        return declare

    def _add(self, endpoint: Endpoint, serve: Callable[[_Incoming], Response], limit: int) -> None:
        async def route(http: HttpRequest) -> Response:
            try:
                body = await _read(http, limit)
                url = self._public_url + http.url.path + (f"?{http.url.query}" if http.url.query else "")
                headers = dict(http.headers.items())
                incoming = _Incoming(Request(http.method, url, headers, body), dict(http.path_params), dict(http.query_params))
                return await run_in_threadpool(serve, incoming)
            except problems.Problem as problem:
                return _refuse(problem)
            except Exception as error:
                logger.error("request failed", path=endpoint.path, error=type(error).__name__, exc_info=True)
                return _refuse(problems.Problem())

        route.__name__ = f"{endpoint.method.lower()}{endpoint.path}".replace("/", "_").replace("{", "").replace("}", "")
        self._app.add_api_route(endpoint.path, route, methods=[endpoint.method], include_in_schema=True)
        self.endpoints.append(endpoint)

    # ---------------------------------------------------------------- serving

    def _authenticate(self, incoming: _Incoming) -> tuple[Person, Institution, Proven]:
        found: dict[str, tuple[Person, Institution]] = {}

        def find_key(key_id: str) -> Ed25519PublicKey | None:
            entry = self._directory.find(key_id)
            if entry is None:
                return None
            found[key_id] = entry
            return entry[0].public_key()

        try:
            proven = verify_request(incoming.request, find_key)
        except problems.BadSignature:
            self._count_unauthenticated()
            raise
        person, institution = found[proven.key_id]
        return person, institution, proven

    def _admit(self, endpoint: Endpoint, person: Person, institution: Institution, proven: Proven) -> None:
        try:
            with writing(self._engine) as connection:
                connection.execute(
                    insert(self._nonces).values(key_id=proven.key_id, nonce=proven.nonce, expires=proven.expires)
                )
                # Past its expiry (and the clock's tolerance) a signature fails by itself, so its nonce may go.
                connection.execute(delete(self._nonces).where(self._nonces.c.expires < int(self._clock()) - 60))
        except IntegrityError:
            raise problems.Replayed() from None
        if person.suspended or institution.suspended:
            raise problems.Suspended("this person or institution is suspended by the credit office")
        if person.role not in endpoint.roles:
            allowed = ", ".join(sorted(endpoint.roles))
            raise problems.WrongRole(f"the role {person.role} may not do this; allowed: {allowed}")

    def _serve_unlogged(
        self,
        endpoint: Endpoint,
        handler: Callable[[Call], wire.Message | Raw],
        takes: type[wire.Message] | None,
        incoming: _Incoming,
    ) -> Response:
        person, institution, proven = self._authenticate(incoming)
        try:
            self._admit(endpoint, person, institution, proven)
            return _respond(handler(self._call(person, institution, incoming, takes)))
        except problems.Problem as problem:
            # What is given here needs no leaf; that somebody was refused it does.
            who = {"person": person.id, "name": person.name, "role": str(person.role)}
            draft = _refusal(endpoint, problem)
            self._log_refusal(finish(draft, institution=institution.id, at=int(self._clock()), who=who))
            return _refuse(problem)

    def _serve_logged(
        self,
        endpoint: Endpoint,
        handler: Handler,
        takes: type[wire.Message] | str | None,
        incoming: _Incoming,
    ) -> Response:
        person, institution, proven = self._authenticate(incoming)
        digest = hashlib.sha256(
            "\n".join((incoming.request.method, incoming.request.url, "")).encode() + incoming.request.body
        ).digest()
        who = {"person": person.id, "name": person.name, "role": str(person.role), "request": digest.hex()}

        def leaf_of(draft: LeafDraft) -> Leaf:
            return finish(draft, institution=institution.id, at=int(self._clock()), who=who)

        try:
            self._admit(endpoint, person, institution, proven)
            key = incoming.request.headers["idempotency-key"]
            if not 8 <= len(key) <= 128:
                raise problems.BadRequest("Idempotency-Key must have 8 to 128 characters")
            stored = self._stored(person.id, key, digest)
            if stored is None:
                outcome = handler(self._call(person, institution, incoming, takes))
                stored = self._commit(outcome, leaf_of, person.id, key, digest)
            return self._release(*stored)
        except Refused as refused:
            self._log_refusal(leaf_of(_refusal(endpoint, refused.problem, refused.opening)), refused.attach)
            return _refuse(refused.problem)
        except problems.Problem as problem:
            self._log_refusal(leaf_of(_refusal(endpoint, problem)))
            return _refuse(problem)
        except CryptoError as error:
            bad = problems.BadElement(str(error))
            self._log_refusal(leaf_of(_refusal(endpoint, bad)))
            return _refuse(bad)
        except LogDown:
            return _refuse(problems.LogUnavailable())
        except DBAPIError as error:
            logger.error("database error", path=endpoint.path, error=type(error.orig).__name__)
            return _refuse(problems.Unavailable("the database did not answer; nothing was changed"))

    def _call(
        self, person: Person, institution: Institution, incoming: _Incoming, takes: type[wire.Message] | str | None
    ) -> Call:
        request = incoming.request
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
        return Call(self._engine, person, institution, body, incoming.path, incoming.query, int(self._clock()))

    # ---------------------------------------------------------------- state, leaf and answer together

    def _stored(self, person: str, key: str, digest: bytes) -> tuple[bytes, list[int], bool] | None:
        answers = self._answers
        with self._engine.connect() as connection:
            row = connection.execute(
                select(answers).where(answers.c.key_id == person, answers.c.idempotency_key == key)
            ).one_or_none()
        if row is None:
            return None
        if row.request_digest != digest:
            raise problems.KeyReused()
        queued = list(struct.unpack(f"<{len(row.queued) // 8}q", row.queued))
        return row.answer, queued, bool(row.cosigned)

    def _commit(
        self, result: Outcome | Within, leaf_of: Callable[[LeafDraft], Leaf], person: str, key: str, digest: bytes
    ) -> tuple[bytes, list[int], bool]:
        try:
            with writing(self._engine) as connection:
                outcome = result if isinstance(result, Outcome) else result(connection)
                if isinstance(outcome.answer, Raw) or not outcome.leaves:
                    raise RuntimeError("a logged endpoint answers with a message and at least one leaf")
                answer = wire.encode(outcome.answer)
                leaves = [leaf_of(draft) for draft in outcome.leaves]
                queued = [self._log.enqueue(connection, leaf.entry) for leaf in leaves]
                self._log.store_openings(connection, {leaf.commitment: leaf.opening for leaf in leaves})
                if outcome.record is not None:
                    outcome.record(connection)
                if outcome.attach is not None:
                    outcome.attach(connection, queued)
                connection.execute(
                    insert(self._answers).values(
                        key_id=person,
                        idempotency_key=key,
                        request_digest=digest,
                        answer=answer,
                        queued=struct.pack(f"<{len(queued)}q", *queued),
                        cosigned=int(outcome.cosigned),
                        at=int(self._clock()),
                    )
                )
        except IntegrityError:
            # The same request came twice at once and the other one was first: give what it gave.
            stored = self._stored(person, key, digest)
            if stored is None:
                raise
            return stored
        return answer, queued, outcome.cosigned

    def _release(self, answer: bytes, queued: list[int], cosigned: bool) -> Response:
        indices = [self._log.wait(queue_id, LEAF_TIMEOUT) for queue_id in queued]
        if cosigned:
            self._log.wait_cosigned(max(indices), COSIGN_TIMEOUT)
        refs = tuple(LeafRef(index=i, leaf_hash=h, promise=p) for i, h, p in self._log.promises(indices))
        return _respond(Logged(answer=answer, leaves=refs))

    def _log_refusal(self, leaf: Leaf, attach: Callable[[Connection, int], None] | None = None) -> None:
        try:
            with writing(self._engine) as connection:
                queue_id = self._log.enqueue(connection, leaf.entry)
                self._log.store_openings(connection, {leaf.commitment: leaf.opening})
                if attach is not None:
                    attach(connection, queue_id)
            self._log.wait(queue_id, LEAF_TIMEOUT)
        except (LogDown, DBAPIError):
            # Nothing is released with a refusal, so the caller still gets it; the operator gets the alarm.
            logger.error("a refusal could not be logged")

    def _count_unauthenticated(self) -> None:
        # One leaf a minute, so that a stranger cannot fill the log.
        self._unauthenticated += 1
        if self._clock() - self._counted_at < 60:
            return
        count, self._unauthenticated, self._counted_at = self._unauthenticated, 0, self._clock()
        draft = LeafDraft("unauthenticated", {"count": count}, outcome="refused", problem="bad-signature")
        self._log_refusal(finish(draft, institution="", at=int(self._clock()), who={}))


def _refusal(endpoint: Endpoint, problem: problems.Problem, opening: dict[str, Any] | None = None) -> LeafDraft:
    return LeafDraft(
        endpoint.action or endpoint.path,
        {},
        {**(opening or {}), "detail": problem.detail},
        outcome="refused",
        problem=problem.slug(),
    )


async def _read(http: HttpRequest, limit: int) -> bytes:
    chunks: list[bytes] = []
    size = 0
    async for chunk in http.stream():
        size += len(chunk)
        if size > limit:
            raise problems.TooLarge(f"at most {limit} bytes are taken here")
        chunks.append(chunk)
    return b"".join(chunks)


def _respond(answer: wire.Message | Raw) -> Response:
    if isinstance(answer, Raw):
        return Response(answer.body, media_type=answer.content_type)
    return Response(wire.encode(answer), media_type=wire.CONTENT_TYPE)


def _refuse(problem: problems.Problem) -> Response:
    headers = {"Retry-After": str(problem.retry_after)} if problem.retry_after is not None else {}
    return Response(problem.document(), problem.status, headers=headers, media_type=problems.CONTENT_TYPE)
