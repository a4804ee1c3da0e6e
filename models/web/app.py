"""An application of pages: its addresses, its shield, what is shown when something is refused, and how it is served."""

from __future__ import annotations

import logging
import threading
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from fastapi import APIRouter, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, Response
from starlette.exceptions import HTTPException

from models.problems import Problem
from models.web import entry
from models.web.notices import Notice, SignedOut
from models.web.pages import Pages, pages_of, see
from models.web.seats import Seats
from models.web.shield import HEADERS, Shield, TooMuch

SWEEP_SECONDS = 20.0


def web_app(
    title: str,
    pages: Pages,
    seats: Seats[Any],
    routers: Iterable[APIRouter],
    *,
    address: str,
    largest_body: int,
    sweep: Callable[[], None],
    close: Callable[[], None],
) -> FastAPI:
    """The ASGI app. `sweep` is called every 20 s while it is up, `close` at its end; `address` is where browsers reach it."""
    stop = threading.Event()

    def sweeping() -> None:
        while not stop.wait(SWEEP_SECONDS):
            try:
                sweep()
            except Exception:
                logging.getLogger(__name__).exception("a look at who is signed in failed")

    @asynccontextmanager
    async def run(_app: FastAPI) -> AsyncIterator[None]:
        threading.Thread(target=sweeping, name="sweep", daemon=True).start()
        yield
        stop.set()
        close()

    app = FastAPI(title=title, lifespan=run, docs_url=None, redoc_url=None, openapi_url=None)
    app.state.pages, app.state.seats = pages, seats
    for router in (entry.router, *routers):
        app.include_router(router)
    app.mount("/static", pages.static())
    for kind, handler in _HANDLERS.items():
        app.add_exception_handler(kind, handler)
    app.add_middleware(Shield, host=urlsplit(address).netloc.lower(), largest=largest_body, secure=pages.secure)
    return app


def serve(app: FastAPI, host: str, port: int, certificate: Path | None, private_key: Path | None) -> None:
    """Serve until interrupted. Addresses hold no id, and still none is logged."""
    import uvicorn

    uvicorn.run(
        app,
        host=host,
        port=port,
        access_log=False,
        log_level="warning",
        server_header=False,
        ssl_certfile=None if certificate is None else str(certificate),
        ssl_keyfile=None if private_key is None else str(private_key),
    )


def _signed_out(request: Request, _error: Exception) -> Response:
    return see("/signin", request)


def _notice(request: Request, error: Exception) -> Response:
    assert isinstance(error, Notice)
    if error.status == 401:
        return see("/signin", request)
    return _page(request, error.status, error)


def _problem(request: Request, error: Exception) -> Response:
    assert isinstance(error, Problem)
    pages, status = pages_of(request), error.status if error.status >= 500 else 409
    return pages.page(request, "problem.html", status=status, refusal=pages.refusal(request, error), here="/")


def _not_a_page(request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 422
    return _page(request, status, Notice("not-found" if status in (404, 405) else "bad-form"))


def _too_much(request: Request, _error: Exception) -> Response:
    return _page(request, 413, Notice("too-large"))


def _fault(request: Request, error: Exception) -> Response:
    logging.getLogger(__name__).error("a page ended in an error of its own", exc_info=error)
    page = _page(request, 500, Notice("fault"))
    page.headers.update(HEADERS)  # an unforeseen error is answered outside of the shield
    return page


def _page(request: Request, status: int, notice: Notice) -> HTMLResponse:
    pages = pages_of(request)
    return pages.page(request, "problem.html", status=status, notice=pages.said(request, notice), refusal=None, here="/")


_HANDLERS = {
    SignedOut: _signed_out,
    Notice: _notice,
    Problem: _problem,
    HTTPException: _not_a_page,
    RequestValidationError: _not_a_page,
    TooMuch: _too_much,
    Exception: _fault,
}
