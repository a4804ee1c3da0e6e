"""The bank's service that answers exposure checks of other banks by itself: `xinqiao bank exposure serve`.

It asks the node for questions (so that a bank needs no open port), and answers each with a fresh encryption under the
question's key: what its book says of whom the question is about, or zero. Both look alike and take the same steps, so that
neither the node nor the asking bank sees who owes here. Before an answer goes out it is on the disk with what opens it: after a
crash the same bytes are sent again, and where the office demands that an answer be opened, this opens it.
"""

from __future__ import annotations

import hashlib
import logging
import secrets
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread

import httpx2
import msgspec

from bank_client.exposure_book import Book, BookError, ends_in, read_book, tag_book
from bank_client.session import Bank
from crypto.errors import CryptoError
from crypto.paillier import PublicKey
from crypto.paillier.bounded import encrypt_bounded
from models import wire
from models.durable import write_private
from models.exposure import (
    EXPONENT_BYTES,
    MOST_AT_ONCE,
    SALT_BYTES,
    AnswersTaken,
    ExposureAnswer,
    ExposureQuestion,
    FileAnswer,
    FileAnswers,
    OpenAnswer,
    OpeningDemands,
    OpenQuestions,
    QuestionsSoFar,
    committed,
)
from models.logged import Empty
from models.problems import Problem
from models.wire import Signed

logger = logging.getLogger(__name__)
KEPT_DAYS = 400
DEMANDS_EVERY = 60.0
LONGEST_PAUSE = 30.0
LOOK_EVERY = 10.0
GATHER = 2.0
"""Seconds between two looks where one after the other finds questions: those that come meanwhile are answered together."""
ANSWERS_A_REQUEST = 8


class Made(msgspec.Struct, frozen=True):
    """An answer and what opens it, as it lies on the disk."""

    filed: bytes
    amount: int
    exponent: bytes


class Responder:
    """Answers for one bank, by the session of its enrolled answering service."""

    def __init__(self, bank: Bank, book: Path, *, id_column: str, amount_column: str = "amount") -> None:
        self._bank = bank
        self._file, self._columns = book, (id_column, amount_column)
        self._read_at: float = -1
        self._owed: dict[str, int] = {}
        self._book: Book | None = None
        self._public = httpx2.Client(base_url=bank.config.node.url, timeout=10.0, trust_env=False)
        self._seen, self._look_at = -1, 0.0
        self._busy, self._rests_until = False, 0.0
        self._folder = bank.config.data_dir / "exposure" / "answers"
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def __repr__(self) -> str:
        return f"Responder({self._bank.config.person!r})"

    def book(self) -> Book:
        """The book under the present tags: read again where the file has changed, tagged again where the epoch has."""
        changed = self._file.stat().st_mtime
        if changed != self._read_at:
            self._owed, self._read_at, self._book = read_book(self._file, self._bank.canonical, *self._columns), changed, None
        if self._book is None or ends_in(self._book) <= 0:
            self._book = tag_book(self._bank, self._owed)
        return self._book

    def answer_new(self) -> int:
        """`answer_waiting` where there was a question since the last time, or that is a while ago; else nothing.

        Two requests cost more than an answer, so that a bank which finds questions again and again looks less often.
        """
        now = time.monotonic()
        if now < self._rests_until:
            return 0
        count = wire.decode(self._public.get("/exposures/count").content, QuestionsSoFar).count
        taken = 0
        if count != self._seen or now >= self._look_at:
            self._look_at = now + LOOK_EVERY
            taken = self.answer_waiting()
            if taken < MOST_AT_ONCE:
                self._seen = count
        if self._busy and taken:
            self._rests_until = time.monotonic() + GATHER
        self._busy = taken > 0
        return taken

    def answer_waiting(self) -> int:
        """Answer what waits, some questions at a time; how many were taken."""
        waiting = self._bank.node.get("/exposures", OpenQuestions).questions
        taken = 0
        for start in range(0, len(waiting), ANSWERS_A_REQUEST):
            taken += self._answer(waiting[start : start + ANSWERS_A_REQUEST])
        return taken

    def open_demanded(self) -> int:
        """Open the answers that the office demands; how many."""
        demands = self._bank.office.get("/exposures/demands", OpeningDemands).demands
        opened = 0
        for demand in demands:
            file = self._kept(demand.question)
            if not file.exists():
                logger.error("the office demands an answer that is not kept here: question %s", demand.question)
                continue
            made = msgspec.msgpack.decode(file.read_bytes(), type=Made)
            said = OpenAnswer(
                question=demand.question,
                amount=made.amount,
                counted=made.amount > 0,
                exponent=made.exponent,
                salt=wire.decode(made.filed, FileAnswer).salt,
            )
            self._bank.office.logged("/exposures/openings", said, Empty)
            opened += 1
        return opened

    def serve(self, stop: Event, *, every: float = 0.5, tell: Callable[[int], None] = lambda _taken: None) -> None:
        """Answer until `stop` is set. A service that does not answer is asked again, later and later."""
        self._forget_old()
        demands_at, failures = 0.0, 0
        while not stop.is_set():
            try:
                self.book()
                if taken := self.answer_new():
                    tell(taken)
                if time.monotonic() >= demands_at:
                    self.open_demanded()
                    demands_at = time.monotonic() + DEMANDS_EVERY
                failures = 0
            except (Problem, OSError, BookError, httpx2.HTTPError) as problem:
                failures += 1
                logger.warning("exposure checks are not answered now: %s", problem)
            stop.wait(min(every * 2**failures, LONGEST_PAUSE))

    # ---------------------------------------------------------------- one answer

    def _answer(self, signed: Sequence[Signed]) -> int:
        answers = [answer for answer in map(self._answer_one, signed) if answer is not None]
        if not answers:
            return 0
        problems = self._bank.node.logged("/exposures/answers", FileAnswers(answers=tuple(answers)), AnswersTaken)
        refused = [problem for problem in problems.answer.problems if problem]
        if refused:
            logger.warning("answers were not taken: %s", ", ".join(refused))
        return len(answers) - len(refused)

    def _answer_one(self, signed: Signed) -> FileAnswer | None:
        """The answer to one question, made now or kept from before; None where the question is not to be answered."""
        try:
            question = self._bank.from_office(signed, ExposureQuestion)
            file = self._kept(question.id)
            if file.exists():
                return wire.decode(msgspec.msgpack.decode(file.read_bytes(), type=Made).filed, FileAnswer)
            if question.expires <= time.time():
                return None
            amount, key = self.book().found(question), PublicKey.decode(question.key)
        except (Problem, CryptoError, BookError) as problem:
            logger.warning("a question is not answered: %s", problem)
            return None
        bank, digest, salt = self._bank.config.institution, signed.digest(), secrets.token_bytes(SALT_BYTES)
        made = encrypt_bounded(key, amount, amount > 0, f"{digest}/{bank}".encode())
        said = ExposureAnswer(question=digest, bank=bank, commitment=committed(salt, made.ciphertext))
        filed = FileAnswer(answer=self._bank.sign(said), salt=salt, ciphertext=made.ciphertext, proof=made.proof)
        kept = Made(filed=wire.encode(filed), amount=amount, exponent=made.exponent.to_bytes(EXPONENT_BYTES))
        write_private(file, msgspec.msgpack.encode(kept))
        return filed

    def _kept(self, question_id: str) -> Path:
        # The id is the office's, but a name from outside is no path.
        return self._folder / f"{hashlib.sha256(question_id.encode()).hexdigest()[:32]}.msgpack"

    def _forget_old(self) -> None:
        for file in self._folder.glob("*.msgpack"):
            if file.stat().st_mtime < time.time() - KEPT_DAYS * 86400:
                file.unlink()


@contextmanager
def answering(responders: Iterable[Responder], *, every: float) -> Iterator[None]:
    """Let several banks answer by themselves, looking every so many seconds, until the block ends."""
    stop = Event()
    threads = [Thread(target=one.serve, args=(stop,), kwargs={"every": every}) for one in responders]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join()
