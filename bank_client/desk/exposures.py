"""What an applicant owes at other banks, asked from a case; one check a case, aside from the page that waits for it.

It has a session of its own, so that the officer's other pages need not wait while banks answer. What came is in memory alone
and ends with the seat; what stays is the leaf in the node's log. A bank that requires a second approval asks with the command
line.
"""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bank_client.desk.cases import Case
from bank_client.desk.seats import Seat
from bank_client.session import Bank
from models.problems import Problem
from models.web.notices import Notice

if TYPE_CHECKING:
    from bank_client.exposure import ExposureResult

STEPS = ("ticket", "answers", "release", "receipt")
logger = logging.getLogger(__name__)


@dataclass(repr=False)
class Exposure:
    """One check: under way at `step`, or ended with a result or a problem."""

    seat: Seat
    step: str = STEPS[0]
    result: ExposureResult | None = None
    problem: Problem | None = None

    @property
    def ended(self) -> bool:
        """Whether there is something to show."""
        return self.result is not None or self.problem is not None


class Exposures:
    """The checks of all seats of one desk, under one project; without a project there are none."""

    def __init__(self, project: str) -> None:
        self.project = project
        self._asked: dict[str, Exposure] = {}

    def find(self, seat: Seat, handle: str) -> Exposure | None:
        """What was asked from a case of this seat."""
        found = self._asked.get(handle)
        return found if found is not None and found.seat is seat else None

    def ask(self, seat: Seat, case: Case) -> None:
        """Begin the check of a case's applicant; raises `Notice` where there is none to be made."""
        if not self.project:
            raise Notice("exposure-none", 404)
        if case.handle in self._asked:
            raise Notice("exposure-asked", 409)
        asked = self._asked[case.handle] = Exposure(seat)
        session = Bank(seat.bank.config, seat.bank.signing_key)
        threading.Thread(target=self._run, args=(asked, session, case), name="desk-exposure", daemon=True).start()

    def leave(self, seat: Seat) -> None:
        """Forget everything of a seat that has ended."""
        self._asked = {handle: one for handle, one in self._asked.items() if one.seat is not seat}

    def _run(self, asked: Exposure, session: Bank, case: Case) -> None:
        from bank_client.exposure import ExposureCheck

        def step(name: str) -> None:
            asked.step = name

        try:
            with session:
                asked.result = ExposureCheck(session, self.project).ask(case.subject, case.purpose, step=step)
        except Problem as problem:
            asked.problem = problem
        except Exception:
            logger.exception("an exposure check ended in an error of the desk itself")
            asked.problem = Problem()
