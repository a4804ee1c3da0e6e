"""The console's application: the pages of all topics, and how it is served."""

from __future__ import annotations

import time

from fastapi import FastAPI

from audit.console.settings import ConsoleConfig
from audit.console.web import Console
from models.web.app import serve as serve_pages
from models.web.app import web_app
from models.web.seats import Clock

LARGEST_BODY = 12 << 20
"""A scanned form or a village's list, with room for the other fields."""


def create_app(config: ConsoleConfig, clock: Clock = time.time) -> FastAPI:
    """The ASGI app; `clock` gives POSIX seconds. Raises `ConfigError` where a key file is not as it must be."""
    console = Console(config, clock)
    app = web_app(
        "Xinqiao console",
        console.pages,
        console.seats,
        [topic.router for topic in console.topics],
        address=config.address,
        largest_body=LARGEST_BODY,
        sweep=console.sweep,
        close=console.close,
    )
    app.state.console = console
    return app


def serve(config: ConsoleConfig) -> None:
    """Serve until interrupted."""
    serve_pages(create_app(config), config.host, config.port, config.certificate, config.private_key)
