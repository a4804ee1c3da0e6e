"""The desk's application: its pages, and how it is served."""

from __future__ import annotations

import time

from fastapi import FastAPI

from bank_client.desk import pages_approver, pages_entry, pages_exposure, pages_officer
from bank_client.desk.settings import DeskConfig
from bank_client.desk.web import Desk
from models.scans import LARGEST_SCAN
from models.web.app import serve as serve_pages
from models.web.app import web_app
from models.web.seats import Clock

LARGEST_BODY = LARGEST_SCAN + (64 << 10)


def create_app(config: DeskConfig, clock: Clock = time.time) -> FastAPI:
    """The ASGI app of one branch; `clock` gives POSIX seconds. Raises `ConfigError` where a key file is not as it must be."""
    config.check_files()
    desk = Desk(config, clock)
    app = web_app(
        "Xinqiao desk",
        desk.pages,
        desk.seats,
        [pages.router for pages in (pages_entry, pages_officer, pages_exposure, pages_approver)],
        address=config.address,
        largest_body=LARGEST_BODY,
        sweep=desk.sweep,
        close=desk.close,
    )
    app.state.desk = desk
    return app


def serve(config: DeskConfig) -> None:
    """Serve until interrupted."""
    serve_pages(create_app(config), config.host, config.port, config.certificate, config.private_key)
