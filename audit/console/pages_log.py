"""The logs' health: how they stand, live verification from where it ended last, and what was purged by rule."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import Response

from audit.console.log_check import LOGS, LogCheck
from audit.console.registry import Entry, Topic
from audit.console.seats import OFFICIALS
from audit.console.texts_log import DETAILS, TEXTS
from audit.console.web import Console, ConsoleOf, Genuine, Official, see
from models.log_health import LogHealth
from models.retention import Retention

router = APIRouter()
LATE_SECONDS = 60


@router.get("/log")
def overview(request: Request, console: ConsoleOf, seat: Official) -> Response:
    """Both logs as they stand."""
    with seat.session() as office:
        health, kept = office.get("/log-health", LogHealth), office.get("/retention", Retention)
    check = _check(request, console)
    heads = {log: check.head(log) for log in LOGS}
    return console.page(
        request,
        "log_health.html",
        health=health,
        heads=heads,
        states=check.states(),
        retention=kept,
        now=int(console.clock()),
        late=LATE_SECONDS,
    )


@router.post("/log/verify", dependencies=[Genuine])
def verify(request: Request, console: ConsoleOf, seat: Official) -> Response:
    """Verify what is new of both logs; a page without scripts comes back to the overview."""
    check = _check(request, console)
    check.start()
    if "hx-request" in request.headers:
        return console.page(request, "log_progress.html", states=check.states())
    return see("/log")


@router.get("/log/progress")
def progress(request: Request, console: ConsoleOf, seat: Official) -> Response:
    """How far the verification has come: a part of the page, which asks again while it runs."""
    return console.page(request, "log_progress.html", states=_check(request, console).states())


def _check(request: Request, console: Console) -> LogCheck:
    """The console's one verification; pages are served by threads, and a state that nobody started twice is harmless."""
    state = request.app.state
    if not hasattr(state, "log_check"):
        state.log_check = LogCheck(console.config.services, console.config.data_dir, console.clock)
    check: LogCheck = state.log_check
    return check


TOPIC = Topic(router, TEXTS, entries=(Entry("/log", "log-title", OFFICIALS, 60),), details=DETAILS)
