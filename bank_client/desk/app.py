"""The desk's application: its pages, its shield, what is shown when something is refused, and how it is served."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, Response
from fastapi.staticfiles import StaticFiles
from starlette.exceptions import HTTPException

from bank_client.desk import pages_approver, pages_entry, pages_officer
from bank_client.desk.forms import LARGEST_FORM
from bank_client.desk.notices import Notice
from bank_client.desk.refusals import refusal_of
from bank_client.desk.seats import Clock
from bank_client.desk.settings import DeskConfig
from bank_client.desk.shield import HEADERS, Shield, TooMuch
from bank_client.desk.web import FOLDER, Desk, SignedOut, desk_of, language_of, see
from models.problems import Problem

LARGEST_BODY = LARGEST_FORM + (64 << 10)
SWEEP_SECONDS = 30.0


def create_app(config: DeskConfig, clock: Clock = time.time) -> FastAPI:
    """The ASGI app of one branch; `clock` gives POSIX seconds. Raises `ConfigError` where a key file is not as it must be."""
    config.check_files()
    desk, stop = Desk(config, clock), threading.Event()

    def sweep() -> None:
        while not stop.wait(SWEEP_SECONDS):
            desk.seats.sweep()  # a seat that nobody asks for must end too: its key is in memory

    @asynccontextmanager
    async def run(_app: FastAPI) -> AsyncIterator[None]:
        threading.Thread(target=sweep, name="sweep", daemon=True).start()
        yield
        stop.set()
        desk.close()

    app = FastAPI(title="Xinqiao desk", lifespan=run, docs_url=None, redoc_url=None, openapi_url=None)
    app.state.desk = desk
    for pages in (pages_entry, pages_officer, pages_approver):
        app.include_router(pages.router)
    app.mount("/static", StaticFiles(directory=FOLDER / "static"))
    for kind, handler in _HANDLERS.items():
        app.add_exception_handler(kind, handler)
    app.add_middleware(Shield, host=urlsplit(config.address).netloc.lower(), largest=LARGEST_BODY, secure=config.secure)
    return app


def serve(config: DeskConfig) -> None:
    """Serve until interrupted. Addresses hold no id, and still none is logged."""
    import uvicorn

    certificate, private_key = config.certificate, config.private_key
    uvicorn.run(
        create_app(config),
        host=config.host,
        port=config.port,
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
    return _page(request, error.status, pages_officer.said(request, error))


def _problem(request: Request, error: Exception) -> Response:
    assert isinstance(error, Problem)
    desk, refusal = desk_of(request), refusal_of(error, language_of(request))
    status = error.status if error.status >= 500 else 409
    return desk.page(request, "problem.html", status=status, refusal=refusal, here="/")


def _not_a_page(request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 422
    return _page(request, status, pages_officer.said(request, Notice("not-found" if status in (404, 405) else "bad-form")))


def _too_much(request: Request, _error: Exception) -> Response:
    return _page(request, 413, pages_officer.said(request, Notice("too-large")))


def _fault(request: Request, error: Exception) -> Response:
    logging.getLogger(__name__).error("a page ended in an error of the desk itself", exc_info=error)
    page = _page(request, 500, pages_officer.said(request, Notice("fault")))
    page.headers.update(HEADERS)  # an unforeseen error is answered outside of the shield
    return page


def _page(request: Request, status: int, notice: str) -> HTMLResponse:
    return desk_of(request).page(request, "problem.html", status=status, notice=notice, refusal=None, here="/")


_HANDLERS = {
    SignedOut: _signed_out,
    Notice: _notice,
    Problem: _problem,
    HTTPException: _not_a_page,
    RequestValidationError: _not_a_page,
    TooMuch: _too_much,
    Exception: _fault,
}
