"""Banks that answer exposure checks, at an office and a node over real HTTP, and an officer of `bank-a` who asks."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event, Thread

from bank_client.exposure import ExposureCheck
from bank_client.exposure_keys import KeyPool, QuestionKey
from bank_client.exposure_responder import Responder
from bank_client.session import Bank
from models.consents import ConsentKind
from models.exposure import TABLE
from models.logged import Empty
from models.parties import Institution, InstitutionKind, Role
from models.projects import ProjectKind
from tests.services import OFFICER, Services, services

PROJECT = "exposure-1"
OTHERS = ("bank-b", "bank-c", "bank-d", "bank-e")


@dataclass
class Place:
    """A running pair with banks that answer; a test lets those answer that it wants to."""

    pair: Services
    folder: Path
    responders: dict[str, Responder] = field(default_factory=dict)
    sessions: list[Bank] = field(default_factory=list)

    def consent(self, *subjects: str, named: str = TABLE) -> None:
        """Both consents of these subjects, which name exposures."""
        office = self.pair.office
        kinds = (ConsentKind.COLLECTION, ConsentKind.QUERY)
        office.file(*(office.consent(one, kind, field_sets=(named,)) for one in subjects for kind in kinds))

    def owe(self, bank: str, amounts: Mapping[str, str | int]) -> Path:
        """A bank's book, and its service that answers from it."""
        file = self.folder / f"{bank}.csv"
        with file.open("w", newline="") as lines:
            csv.writer(lines).writerows([("id", "amount"), *amounts.items()])
        self.responders[bank] = Responder(self.session(f"{bank}/ex"), file, id_column="id")
        return file

    def session(self, person: str) -> Bank:
        made = self.pair.bank(person)
        self.sessions.append(made)
        return made

    def officer(self) -> Bank:
        return self.session(OFFICER)

    def check(self, keys: KeyPool | None = None) -> ExposureCheck:
        return ExposureCheck(self.officer(), PROJECT, keys=keys or pool())

    @contextmanager
    def answering(self, *but: str) -> Iterator[None]:
        """Let all banks answer by themselves, these left out, until the block ends."""
        stop = Event()
        threads = [
            Thread(target=one.serve, args=(stop,), kwargs={"every": 0.05})
            for bank, one in self.responders.items()
            if bank not in but
        ]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            stop.set()
            for thread in threads:
                thread.join()


_KEYS: list[QuestionKey] = []


def pool() -> KeyPool:
    """Always the same key, since making one costs more than a whole test; only here."""
    if not _KEYS:
        _KEYS.append(QuestionKey.fresh())
    made = KeyPool()
    made.take = lambda: _KEYS[0]  # type: ignore[method-assign]
    return made


@contextmanager
def place(folder: Path, others: tuple[str, ...] = OTHERS, seconds: int = 3) -> Iterator[Place]:
    """A pair with `bank-a` and these other banks, each with an answering service; `seconds` to answer."""
    with services(folder, node_settings={"exposure_seconds": seconds}) as pair:
        world = pair.office
        for name in ("bank-a", *others):
            if name not in ("bank-a", "bank-b"):
                bank = Institution(
                    id=name, name=name, kind=InstitutionKind.BANK, licence="4", bank_class="rural", declared_customers=100
                )
                world.clerk.logged("/institutions", bank, Empty)
            if f"{name}/ex" not in world.keys:
                world.enrol(f"{name}/ex", Role.RESPONDER)
        world.project(PROJECT, kind=ProjectKind.EXPOSURE, fields=(), purpose="loan-approval")
        made = Place(pair, folder)
        try:
            yield made
        finally:
            for session in made.sessions:
                session.close()
