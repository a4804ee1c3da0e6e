"""A witness as a service of its own: its own process, its own key, its own store, and nothing else in it.

A witness that lived in the log's own database would go back to an old backup together with the log. So the office, a bank and
whoever else wants to hold a log to its word run this beside their other services, on a disk of their own.
"""

from __future__ import annotations

from fastapi import FastAPI, Response

from audit.service.serving import begin_worker
from audit.witness.http import witness_router
from audit.witness.machine import TEXT, Witness
from audit.witness.settings import WitnessSettings
from audit.witness.setup import open_store, signer


def create_app(settings: WitnessSettings) -> FastAPI:
    """The ASGI app: the witness below /witness, and /healthz; raises `NotReady`."""
    store = open_store(settings)
    witness = Witness(signer(settings), settings.log_keys, store)
    app = FastAPI(title="Xinqiao witness", docs_url=None, redoc_url=None, openapi_url=None)
    app.include_router(witness_router(witness, forks=store.forks))

    @app.get("/healthz")
    def health() -> Response:
        for origin in witness.origins:
            store.last(origin)
        return Response("ok\n", media_type=TEXT)

    return app


def from_environment() -> FastAPI:
    """The application of the serving process, its settings from the environment."""
    begin_worker()
    return create_app(WitnessSettings.from_environment())
