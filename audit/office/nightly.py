"""What the office does by itself every night: the days that are over are reconciled, in the process that sequences the log."""

from __future__ import annotations

from collections.abc import Callable

from audit.office.office import Office
from audit.office.reconcile import due, reconcile
from audit.service.rounds import Rounds
from models.reconciliation import INCOMPLETE

ROUND_SECONDS = 60.0
AGAIN_ROUNDS = 30
"""After a day that could not be finished, the next attempt is made after so many rounds."""


class Nightly(Rounds):
    """Looks once a minute for days to reconcile."""

    def __init__(self, office: Office, is_ours: Callable[[], bool]) -> None:
        super().__init__("nightly", ROUND_SECONDS, is_ours)
        self._office = office
        self._wait = 0

    def run_once(self) -> bool:
        """Reconcile what is due; False where a day stays incomplete."""
        for day in due(self._office, self._office.clock()):
            if self._stopping.is_set() or not self._is_ours():
                break
            if reconcile(self._office, day).state == INCOMPLETE:
                return False
        return True

    def look(self) -> None:
        """Reconcile what is due, and after a day that was not finished only some rounds later."""
        if self._wait:
            self._wait -= 1
            return
        self._wait = AGAIN_ROUNDS
        if self.run_once():
            self._wait = 0
