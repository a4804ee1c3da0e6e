"""Running a service: one process or several, each with an app of its own over the same database.

Several processes share one listening socket. Each has a sequencer; the one that holds the log's lease sequences for all, and
another takes over when it ends. Nothing else is shared but the database and the data folder, so that any of them answers any
request, also a repeated one.

The parent of several processes starts them, replaces one that dies, and ends them in order. When the parent itself is killed,
they end at once: a service that nobody watches would go on holding its port and its lease.
"""

from __future__ import annotations

import multiprocessing
import os
import threading
from multiprocessing.connection import wait

import uvicorn

from audit.service.logs import configure_logging
from audit.service.settings import ServiceSettings

GRACE_SECONDS = 12
"""For requests in work when the service is told to stop; a leaf that is waited for takes at most ten."""
SILENT_SECONDS = 30
"""A worker that does not answer its parent for so long is replaced."""
ALONE = {"poll_seconds": 0.05, "cosign_seconds": 0.25}
SHARED = {"poll_seconds": 0.004, "cosign_seconds": 0.05}


def serve(factory: str, settings: ServiceSettings) -> None:
    """Serve until stopped. `factory` names the function, ``module:function``, that reads the settings and makes the app."""
    configure_logging()
    uvicorn.run(
        factory,
        factory=True,
        host=settings.host,
        port=settings.port,
        workers=settings.workers,
        log_config=None,
        access_log=False,
        lifespan="on",
        server_header=False,
        timeout_graceful_shutdown=GRACE_SECONDS,
        timeout_worker_healthcheck=SILENT_SECONDS,
    )


def begin_worker() -> None:
    """What a process does before it makes its app: its own logging, and an eye on its parent where it has one."""
    configure_logging()
    parent = multiprocessing.parent_process()
    if parent is None:
        return

    def watch() -> None:
        wait([parent.sentinel])
        os._exit(1)

    threading.Thread(target=watch, name="parent-watch", daemon=True).start()


def pace(settings: ServiceSettings) -> dict[str, float]:
    """How soon the sequencer sees what other processes wait for: soon where there are any besides builder and commands."""
    return ALONE if settings.workers == 1 else SHARED
