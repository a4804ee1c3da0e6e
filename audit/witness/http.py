"""A witness over HTTP (tlog-witness). Unauthenticated by design: only what a known log has signed is considered."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

from fastapi import APIRouter, Request, Response
from fastapi.concurrency import run_in_threadpool

from audit.witness.machine import MAX_REQUEST_BYTES, TEXT, Witness

Forks = Callable[[str], list[tuple[str, str]]]
"""The evidence kept against a log, by origin: pairs of notes that it signed, with one size and two roots."""


def witness_router(witness: Witness, prefix: str = "/witness", forks: Forks | None = None) -> APIRouter:
    """POST add-checkpoint, and GET <hash of origin>/checkpoint for monitors, below `prefix`.

    With `forks` also GET <hash of origin>/forks: the evidence, for anyone, since both notes prove themselves.
    """
    router = APIRouter(prefix=prefix)
    origins = {hashlib.sha256(origin.encode()).hexdigest(): origin for origin in witness.origins}

    @router.post("/add-checkpoint")
    async def add_checkpoint(request: Request) -> Response:
        body = bytearray()
        async for chunk in request.stream():
            body += chunk
            if len(body) > MAX_REQUEST_BYTES:
                return Response("the request is above 1 MiB\n", 413, media_type=TEXT)
        reply = await run_in_threadpool(witness.add_checkpoint, bytes(body))
        # As a header, since a media_type of text/… would get a charset that the protocol does not have.
        return Response(reply.body, reply.status, headers={"Content-Type": reply.content_type})

    @router.get("/{origin_hash}/checkpoint")
    def checkpoint(origin_hash: str) -> Response:
        note = witness.checkpoint(origins.get(origin_hash, ""))
        if note is None:
            return Response("this witness has cosigned nothing of that log\n", 404, media_type=TEXT)
        return Response(note, media_type=TEXT)

    if forks is not None:
        evidence = forks

        @router.get("/{origin_hash}/forks")
        def show_forks(origin_hash: str) -> list[tuple[str, str]]:
            return evidence(origins[origin_hash]) if origin_hash in origins else []

    return router
