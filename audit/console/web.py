"""What a page asks for: the running console, and the seat of whoever asks, by role."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

from fastapi import Depends, Request
from fastapi import Path as Part
from fastapi.responses import HTMLResponse

from audit.console.accounts import Accounts
from audit.console.factors import Factors
from audit.console.registry import Entry, Topic, topics
from audit.console.seats import Seat, Seats, SubjectSeat, directory_of
from audit.console.session import OfficeSession
from audit.console.settings import ConsoleConfig
from audit.console.texts import TEXTS
from models.catalogue import Catalogue, default_catalogue
from models.detail_words import in_chinese
from models.parties import Role
from models.retention import FormsGone
from models.scans import drop_scans
from models.web.notices import Notice
from models.web.pages import Genuine, Pages, language_of, looking, see, signed_in
from models.web.seats import Clock
from models.web.texts import Texts

__all__ = [
    "Auditor", "Clerk", "Console", "ConsoleOf", "Genuine", "Looking", "Official", "Overseer", "SignedIn", "Subject",
    "Supervisor",    "having", "language_of", "see", "words_of",
]  # fmt: skip
FOLDER = Path(__file__).parent
DAY = 24 * 3600


@dataclass
class Console:
    """One running console."""

    config: ConsoleConfig
    clock: Clock = time.time
    accounts: Accounts = field(init=False)
    factors: Factors = field(init=False)
    seats: Seats = field(init=False)
    pages: Pages = field(init=False)
    topics: list[Topic] = field(init=False)
    catalogue: Catalogue = field(init=False)
    _forms_at: float = 0.0

    def __post_init__(self) -> None:
        """Open the store; nobody is signed in."""
        config = self.config
        self.accounts = Accounts(config.data_dir, self.clock)
        self.factors = Factors(self.accounts, config.address)
        self.seats = Seats(config, self.accounts, self.factors, self.clock)
        self.catalogue = default_catalogue() if config.catalogue is None else Catalogue.from_csv(config.catalogue)
        self.topics = topics()
        details: dict[str, str] = {}
        for topic in self.topics:
            details |= topic.details
        self.pages = Pages(
            FOLDER,
            Texts(TEXTS, *(topic.texts for topic in self.topics)),
            cookie="console",
            secure=config.secure,
            zone=config.zone,
            details=details,
            entries_of=self.entries_of,
        )

    def entries_of(self, role: Role) -> list[Entry]:
        """The navigation of a role."""
        entries = [entry for topic in self.topics for entry in topic.entries if role in entry.roles]
        return sorted(entries, key=lambda entry: (entry.order, entry.path))

    def close_account(self, subject: str) -> None:
        """Delete a subject's account, if there is one, and sign them out."""
        account = self.accounts.account_of(subject)
        if account is not None:
            self.accounts.close_account(subject)
            self.seats.end_of(account.owner)

    def drop_forms(self, office: OfficeSession) -> None:
        """Delete the scans of forms that no consent rests on any more; a clerk's session is asked with."""
        gone = office.get("/retention/forms", FormsGone).forms
        drop_scans(self.config.data_dir / "forms", {form.digest: form.at for form in gone})
        self._forms_at = self.clock()

    def drop_forms_daily(self, office: OfficeSession) -> None:
        """The same, once a day: consents also go by rule, and by what is decided elsewhere."""
        if self.clock() - self._forms_at >= DAY:
            self.drop_forms(office)

    def sweep(self) -> None:
        """End the seats whose time is over, and those of suspended people."""
        self.seats.sweep()
        self.seats.follow(directory_of)

    def close(self) -> None:
        """Sign everybody out and close the store."""
        self.seats.close()
        self.accounts.close()

    def page(self, request: Request, template: str, *, status: int = 200, **values: Any) -> HTMLResponse:
        """Render a template in the browser's language."""
        return self.pages.page(request, template, status=status, **values)


def words_of(request: Request) -> Callable[[str], str]:
    """Details that the office has stored, in the browser's language where they are known."""
    return in_chinese if language_of(request) == "zh" else str


def console_of(request: Request) -> Console:
    """The application's console."""
    console: Console = request.app.state.console
    return console


def having(*roles: Role) -> Callable[..., Seat]:
    """A dependency: the seat of whoever asks, who must have one of these roles."""

    def seat_of(seat: Annotated[Seat, Depends(signed_in)]) -> Seat:
        if seat.role not in roles:
            raise Notice("role-other", 403)
        return seat

    return seat_of


def subject_seat(seat: Annotated[Seat, Depends(signed_in)]) -> SubjectSeat:
    """The seat of a subject with an account."""
    if not isinstance(seat, SubjectSeat):
        raise Notice("role-other", 403)
    return seat


Ref = Annotated[str, Part(pattern=r"^[^./?#%\\\s][^/?#%\\\s]*$")]
"""A name out of an address: it goes into the addresses that a page asks the services for, so it cannot lead elsewhere."""
ConsoleOf = Annotated[Console, Depends(console_of)]
Looking = Annotated[Seat, Depends(looking)]
SignedIn = Annotated[Seat, Depends(signed_in)]
Clerk = Annotated[Seat, Depends(having(Role.CLERK))]
Auditor = Annotated[Seat, Depends(having(Role.AUDITOR))]
Overseer = Annotated[Seat, Depends(having(Role.CLERK, Role.AUDITOR))]
Supervisor = Annotated[Seat, Depends(having(Role.SUPERVISOR))]
Official = Annotated[Seat, Depends(having(Role.CLERK, Role.AUDITOR, Role.SUPERVISOR))]
Subject = Annotated[SubjectSeat, Depends(subject_seat)]
