"""A build's pulse: the lease is kept and what is done is written down, whatever long step the build is in."""

from __future__ import annotations

import threading
from types import TracebackType

from sqlalchemy.exc import SQLAlchemyError

from audit.database import writing
from models.tables import BuildState
from sharing_node.epochs.lease import Lease, LeaseLost
from sharing_node.node import Node
from sharing_node.state import builds

PULSE_SECONDS = 1.0


class Stopped(Exception):
    """The builder was told to stop; the build is taken up again at the next start."""


class Pulse:
    """Held around a build; `report` is what the build's steps call."""

    def __init__(self, node: Node, lease: Lease, build: BuildState, stop: threading.Event) -> None:
        self._node, self._lease, self._build, self._stop = node, lease, build, stop
        self._now = ("", 0, 0)
        self._written = ("", 0, 0)
        self._lost = False
        self._beating = threading.Lock()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="build-pulse", daemon=True)

    def __enter__(self) -> Pulse:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._ended.set()
        self._thread.join()

    def report(self, stage: str, done: int, total: int) -> None:
        """Where the build is; raises `Stopped` or `LeaseLost` where it must not go on."""
        if self._stop.is_set():
            raise Stopped
        if self._lost:
            raise LeaseLost
        changed = stage != self._now[0]
        self._now = (stage, done, total)
        if changed:
            self._beat()

    def _run(self) -> None:
        while not self._ended.wait(PULSE_SECONDS):
            try:
                self._beat()
            except LeaseLost:
                self._lost = True
                return
            except SQLAlchemyError:
                continue  # the lease is prolonged at the next beat, or lost

    def _beat(self) -> None:
        with self._beating:  # or a beat that began earlier would write an earlier stage over a later one
            now = self._now
            with writing(self._node.engine) as connection:
                self._lease.hold(connection)
                if now != self._written:
                    builds.progress(connection, self._build.table, self._build.epoch, *now)
            self._written = now
