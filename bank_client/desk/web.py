"""What all pages of the desk share: the desk of the application, and who is signed in."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

from fastapi import Depends, Request
from fastapi.responses import HTMLResponse

from bank_client.desk.approvals import Approvals
from bank_client.desk.branch import Branch
from bank_client.desk.cases import Cases
from bank_client.desk.exposures import Exposures
from bank_client.desk.ledger import Ledger
from bank_client.desk.seats import Seat, Seats, directory_of
from bank_client.desk.settings import DeskConfig
from bank_client.desk.texts import TEXTS
from models.web.notices import Notice
from models.web.pages import Pages, looking, signed_in
from models.web.seats import Clock

FOLDER = Path(__file__).parent


@dataclass
class Desk:
    """One running desk."""

    config: DeskConfig
    clock: Clock = time.time
    branch: Branch = field(init=False)
    approvals: Approvals = field(init=False)
    ledger: Ledger = field(init=False)
    cases: Cases = field(init=False)
    exposures: Exposures = field(init=False)
    seats: Seats = field(init=False)
    pages: Pages = field(init=False)

    def __post_init__(self) -> None:
        """Open the ledger; nobody is signed in."""
        self.branch, self.approvals = Branch(self.config), Approvals(self.clock)
        self.ledger = Ledger(self.config.data_dir / "desk.sqlite", int(self.clock()))
        self.cases = Cases(self.branch, self.approvals, self.ledger, self.clock)
        self.exposures = Exposures(self.config.exposure)
        self.seats = Seats(self.config, self.clock, self._leave)
        names = {person.id: person.name or person.id for person in self.config.people}
        self.pages = Pages(FOLDER, TEXTS, cookie="desk", secure=self.config.secure, zone=self.config.zone, names=names)

    def sweep(self) -> None:
        """End the seats whose time is over, whoever asks or not: their keys are in memory. Suspended people leave, too."""
        self.seats.sweep()
        self.seats.follow(directory_of)

    def _leave(self, seat: Seat) -> None:
        self.cases.leave(seat)
        self.exposures.leave(seat)

    def close(self) -> None:
        """Sign everybody out and close the ledger."""
        self.seats.close()
        self.cases.close()
        self.ledger.close()

    def page(self, request: Request, template: str, *, status: int = 200, **values: Any) -> HTMLResponse:
        """Render a template in the browser's language."""
        return self.pages.page(request, template, status=status, **values)


def desk_of(request: Request) -> Desk:
    """The application's desk."""
    desk: Desk = request.app.state.desk
    return desk


def officer(seat: Annotated[Seat, Depends(signed_in)]) -> Seat:
    """A loan officer's seat."""
    if not seat.is_officer:
        raise Notice("officers-only", 403)
    return seat


def approver(seat: Annotated[Seat, Depends(signed_in)]) -> Seat:
    """An approver's seat."""
    if seat.is_officer:
        raise Notice("approvers-only", 403)
    return seat


DeskOf = Annotated[Desk, Depends(desk_of)]
Looking = Annotated[Seat, Depends(looking)]
SignedIn = Annotated[Seat, Depends(signed_in)]
Officer = Annotated[Seat, Depends(officer)]
Approver = Annotated[Seat, Depends(approver)]
