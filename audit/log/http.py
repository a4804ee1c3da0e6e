"""A log over HTTP (tlog-tiles): files that anyone may fetch, cache and mirror. Unauthenticated by design."""

from __future__ import annotations

from fastapi import APIRouter, Response

from audit.log.log import Log
from audit.verifier.errors import FormatError, LogUnavailable
from audit.verifier.tiles import Tile
from audit.witness.http import witness_router

__all__ = ["log_router", "witness_router"]

TEXT = "text/plain; charset=utf-8"
BINARY = "application/octet-stream"
FOR_EVER = {"Cache-Control": "public, max-age=31536000, immutable"}
NOT_STORED = {"Cache-Control": "no-store"}


def log_router(log: Log, prefix: str = "/log") -> APIRouter:
    """GET checkpoint, tile/<L>/<N>[.p/<W>] and tile/entries/<N>[.p/<W>] below `prefix`."""
    router = APIRouter(prefix=prefix)

    @router.get("/checkpoint")
    def checkpoint() -> Response:
        try:
            return Response(log.published(), media_type=TEXT, headers=NOT_STORED)
        except LogUnavailable as error:
            return Response(f"{error}\n", 503, media_type=TEXT, headers=NOT_STORED | {"Retry-After": "1"})

    @router.get("/tile/{path:path}")
    def tile(path: str) -> Response:
        try:
            data = log.tile(Tile.parse(f"tile/{path}"))
        except FormatError as error:
            return Response(f"{error}\n", 400, media_type=TEXT, headers=NOT_STORED)
        except FileNotFoundError:
            return Response("the log does not reach this far yet\n", 404, media_type=TEXT, headers=NOT_STORED)
        return Response(data, media_type=BINARY, headers=FOR_EVER)

    return router
