"""What the office does by itself every night: the days that are over are reconciled, in the process that sequences the log."""

from __future__ import annotations

import threading
from collections.abc import Callable
from types import TracebackType

import structlog
from sqlalchemy.exc import SQLAlchemyError

from audit.office.office import Office
from audit.office.reconcile import due, reconcile
from models.problems import Problem
from models.reconciliation import INCOMPLETE

logger = structlog.get_logger()
ROUND_SECONDS = 60.0
AGAIN_ROUNDS = 30
"""After a day that could not be finished, the next attempt is made after so many rounds."""


class Nightly:
    """A thread that looks once a minute for days to reconcile; it runs while it is entered, and only where `is_ours` holds."""

    def __init__(self, office: Office, is_ours: Callable[[], bool]) -> None:
        self._office = office
        self._is_ours = is_ours
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="nightly", daemon=True)

    def __enter__(self) -> Nightly:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._stopping.set()
        self._thread.join()

    def run_once(self) -> bool:
        """Reconcile what is due; False where a day stays incomplete."""
        for day in due(self._office, self._office.clock()):
            if self._stopping.is_set() or not self._is_ours():
                break
            if reconcile(self._office, day).state == INCOMPLETE:
                return False
        return True

    def _run(self) -> None:
        rounds = 0
        while not self._stopping.wait(ROUND_SECONDS):
            rounds -= 1
            try:
                if rounds <= 0 and self._is_ours() and not self.run_once():
                    rounds = AGAIN_ROUNDS
            except (Problem, SQLAlchemyError, OSError) as error:
                logger.warning("the reconciliation waits", error=type(error).__name__)
                rounds = AGAIN_ROUNDS
