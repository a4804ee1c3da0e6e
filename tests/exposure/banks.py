"""Banks that answer exposure checks, at an office and a node over real HTTP, and an officer of `bank-a` who asks."""

from __future__ import annotations

import csv
import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy import update

from bank_client.exposure import ExposureCheck, ExposureResult, PreparedExposure
from bank_client.exposure_keys import KeyPool, QuestionKey
from bank_client.exposure_responder import Responder, answering
from bank_client.session import Bank
from models.consents import ConsentKind
from models.exposure import (
    TABLE,
    AnswersTaken,
    ExposureLeave,
    ExposureQuestion,
    ExposureState,
    ExposureSum,
    FileAnswer,
    FileAnswers,
    OpenExposure,
    ReleaseExposure,
)
from models.logged import Empty
from models.parties import Institution, InstitutionKind, Role
from models.projects import ProjectKind
from models.wire import Signed
from sharing_node.exposure.tables import ExposureRow
from tests.noon import noon_zone
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

    def answer(self, *but: str) -> None:
        """Every bank answers what waits, these left out."""
        for bank in self.responders.keys() - set(but):
            self.responders[bank].answer_waiting()

    def answering(self) -> AbstractContextManager[None]:
        """Let all banks answer by themselves until the block ends."""
        return answering(self.responders.values(), every=0.05)


_KEYS: list[QuestionKey] = []


def pool() -> KeyPool:
    """Always the same key, since making one costs more than a whole test; only here."""
    if not _KEYS:
        _KEYS.append(QuestionKey.fresh())
    made = KeyPool()
    made.take = lambda: _KEYS[0]  # type: ignore[method-assign]
    return made


@contextmanager
def place(folder: Path, others: tuple[str, ...] = OTHERS) -> Iterator[Place]:
    """A pair with `bank-a` and these other banks, each with an answering service; five minutes to answer."""
    # What is reconciled by the day is of one day, and no day is reconciled by itself.
    office = {"time_zone": noon_zone(), "reconcile_at": "23:59"}
    with services(folder, node_settings={"exposure_seconds": 300}, office_settings=office) as pair:
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


@dataclass
class Opened:
    """A question that was put, and waits: a test does the steps one by one."""

    check: ExposureCheck
    officer: Bank
    prepared: PreparedExposure
    key: QuestionKey
    leave: ExposureLeave
    question: ExposureQuestion

    @property
    def digest(self) -> str:
        return self.leave.question.digest()

    def expire(self, here: Place) -> None:
        """Let the time to answer be over."""
        with here.pair.engine.begin() as connection:
            late = update(ExposureRow).where(ExposureRow.id == self.question.id)
            connection.execute(late.values(deadline=int(time.time())))

    def finish(self, tally: Signed) -> ExposureResult:
        """From the tally to the result."""
        return self.check._finish(self.prepared, self.key, self.leave, self.question, tally, lambda _: None)

    def close(self) -> Signed:
        return self.officer.node.logged(f"/exposures/{self.question.id}/close", Empty(), Signed).answer

    def released(self, tally: Signed) -> Signed:
        body = ReleaseExposure(id=self.question.id, tally=tally)
        return self.officer.office.logged("/exposures/releases", body, Signed).answer

    def summed(self, release: Signed) -> bytes:
        return self.officer.node.logged(f"/exposures/{self.question.id}/release", release, ExposureSum).answer.sum


def put(here: Place, subject: str, officer: Bank | None = None, key: QuestionKey | None = None) -> Opened:
    """Ask the office for leave and put the question at the node; nobody has answered yet."""
    officer, key = officer or here.officer(), key or pool().take()
    check = ExposureCheck(officer, PROJECT, keys=pool())
    prepared = check.prepare(subject)
    leave, question = check._leave(prepared, key, None)
    officer.node.logged("/exposures", OpenExposure(ticket=leave.ticket, question=leave.question), ExposureState)
    return Opened(check, officer, prepared, key, leave, question)


def answer_of(responder: Responder, opened: Opened) -> FileAnswer:
    """The answer that a bank would send, not sent."""
    made = responder._answer_one(opened.leave.question)
    assert made is not None
    return made


def send_answers(here: Place, bank: str, *answers: FileAnswer) -> tuple[str, ...]:
    """What the node says to each answer."""
    node = here.responders[bank]._bank.node
    return node.logged("/exposures/answers", FileAnswers(answers=answers), AnswersTaken).answer.problems
