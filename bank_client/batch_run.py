"""One run of a batch: chunks in stages that overlap, a journal that is always right, and damage that stops nothing.

::

    chunk i+1   blind, tickets         office      (1)(2) of `bank_client.questions`
    chunk i     evaluate               node        (3)
    chunk i−1   columns                node        (4)
    chunk i−2   look at what came      -           settle, journal

The calls to the node do not depend on what is found: what is damaged is reported from a thread of its own, so that not even
their pace tells which chunk had any, and the run goes on to its end either way. Blinds and keys are never written. A process
that is killed loses at most the answers of three chunks, which are asked for again, and counted.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from time import monotonic, sleep
from typing import TypeVar

from bank_client import batch_journal as journals
from bank_client.alignment import Progress
from bank_client.batch_journal import Journal, Settled
from bank_client.batch_results import form_of, to_json
from bank_client.epoch_cache import Epoch, EpochCache
from bank_client.pipeline import ahead
from bank_client.questions import Question, Questions
from bank_client.session import Bank
from models.batches import Batch
from models.problems import (
    BadMessage,
    BadTicket,
    Damaged,
    Forbidden,
    NoConsent,
    NotApproved,
    NotFound,
    OverBudget,
    Problem,
    Suspended,
    Unauthenticated,
    Unavailable,
    WrongRole,
)
from models.tables import Evidence

CHUNK = 128
TICKET_SECONDS = 30 * 60
PATIENCE = 10 * 60
AGAINST_ALL = (Suspended, NotApproved, OverBudget, WrongRole)
"""Refusals that say nothing of one subject: what would be asked next would be refused as well."""
T = TypeVar("T")


@dataclass
class _Chunk:
    epoch: Epoch = field(repr=False)
    questions: list[Question] = field(repr=False)

    @property
    def going(self) -> list[Question]:
        return [question for question in self.questions if question.on_its_way]


class BatchRun:
    """One run over the open subjects. The stages of `_pass` run in threads of their own; `_stop` ends the first of them."""

    def __init__(self, bank: Bank, batch: Batch, journal: Journal, table: str, progress: Progress) -> None:
        self._bank, self._batch, self._journal, self._progress = bank, batch, journal, progress
        self._epochs = EpochCache(bank, table)
        self._questions = Questions(bank, batch.project, table, batch=batch.id, patiently=patiently)
        self._stopped: Problem | None = None
        self._reports: list[Future[Damaged | None]] = []

    def passes(self) -> Problem | None:
        """Ask until nobody is open any more; what stopped it before that."""
        with ThreadPoolExecutor(1) as self._aside:
            for _ in range(journals.MOST_TRIES + 1):
                self._journal.reopen()
                if self._stopped is not None or not self._journal.count().get("open"):
                    break
                self._pass()
        for report in self._reports:
            report.result()  # an error of ours; what could not be reported is kept and says so itself
        return self._stopped

    def _pass(self) -> None:
        total = len(self._batch.subjects)
        for chunk in ahead(self._fetched(ahead(self._evaluated(ahead(self._ticketed()))))):
            self._settle(chunk)
            counts = self._journal.count()
            self._progress("village", sum(counts.get(state, 0) for state in journals.FINAL), total)

    # ---------------------------------------------------------------- stages

    def _ticketed(self) -> Generator[_Chunk]:
        last = ""
        while self._stopped is None and (subjects := self._journal.next_open(last, CHUNK)):
            last = subjects[-1]
            try:
                epoch = patiently(self._epochs.current)
            except Problem as problem:
                return self._stop(problem)
            form = form_of(epoch.manifest)
            self._journal.set_form(form.fields, form.categories)
            questions = self._questions.blind(epoch, subjects, self._batch.purpose, TICKET_SECONDS)
            self._journal.taking(subjects)
            try:
                self._questions.take_tickets(questions)
            except Problem as problem:
                if not isinstance(problem, Unavailable):
                    self._journal.not_asked(subjects, ticket=False)
                return self._stop(problem)
            self._sort_out(questions, ticket=False)
            yield _Chunk(epoch, questions)

    def _evaluated(self, chunks: Iterator[_Chunk]) -> Generator[_Chunk]:
        for chunk in chunks:
            going = chunk.going
            self._journal.asking(question.subject for question in going)
            try:
                self._questions.evaluate(chunk.epoch, going)
            except Problem as problem:
                if isinstance(problem, (Forbidden, Unauthenticated, NotFound)):
                    self._journal.not_asked([question.subject for question in going], ticket=True)
                if not isinstance(problem, NotFound):  # the epoch was closed: once more under the present one
                    self._stop(problem)
                continue  # after any other problem it may have evaluated them: they count as lost
            self._sort_out(going, ticket=True)
            yield chunk

    def _fetched(self, chunks: Iterator[_Chunk]) -> Generator[_Chunk]:
        for chunk in chunks:
            try:
                self._questions.fetch(chunk.epoch, chunk.questions)
            except NotFound:
                pass  # the epoch was closed: lost, and asked again under the present one
            except Problem as problem:
                self._stop(problem)
            yield chunk

    def _settle(self, chunk: _Chunk) -> None:
        leaves = [question.leaf for question in chunk.questions if question.leaf is not None]
        if leaves:
            self._bank.owed.owe(max(leaves, key=lambda leaf: leaf.index))  # whose checkpoint holds those before it
        lost = [question.subject for question in chunk.going if question.column is None]
        fetched = [question for question in chunk.going if question.column is not None]
        self._questions.settle(chunk.epoch, fetched)
        damaged = [question for question in chunk.questions if question.damage is not None]
        settled = [_settled(chunk.epoch, question) for question in {id(q): q for q in [*fetched, *damaged]}.values()]
        self._journal.settle(settled)
        if lost:
            self._journal.lose(lost)
        if any(question.damage is not None for question in chunk.questions):
            self._reports.append(self._aside.submit(self._questions.report, chunk.epoch, chunk.questions))

    # ---------------------------------------------------------------- refusals

    def _sort_out(self, questions: Sequence[Question], *, ticket: bool) -> None:
        """Keep refusals of single subjects; those against all of them, or for the epoch's sake, leave theirs open."""
        final: list[Settled] = []
        for question in questions:
            problem = question.refused
            if problem is None:
                continue
            if isinstance(problem, AGAINST_ALL):
                self._stop(problem)
            if isinstance(problem, (*AGAINST_ALL, BadTicket)):
                # A ticket that was not good counts as a try, so that this comes to an end.
                self._journal.not_asked([question.subject], ticket=ticket or isinstance(problem, BadTicket))
            else:
                state = journals.NO_CONSENT if isinstance(problem, NoConsent) else journals.REFUSED
                final.append(Settled(question.subject, state, f"{problem.slug()}: {problem.detail}"))
        if final:
            self._journal.settle(final)

    def _stop(self, problem: Problem) -> None:
        self._stopped = self._stopped or problem


def patiently(call: Callable[[], T]) -> T:
    """What `call` gives; waits for a service that is busy or away, beyond the client's own patience, up to ten minutes."""
    end, pause = monotonic() + PATIENCE, 1.0
    while True:
        try:
            return call()
        except Unavailable as problem:
            wait = max(pause, problem.retry_after or 0)
            if monotonic() + wait > end:
                raise
            sleep(wait)
            pause = min(2 * pause, 30.0)


def _settled(epoch: Epoch, question: Question) -> Settled:
    """What goes into the journal; a record that is not of its table's form is damage."""
    record: bytes | None = None
    if question.record is not None:
        try:
            record = to_json(epoch.manifest, question.record)
        except BadMessage as error:
            manifest, place = epoch.manifest, question.place.to_bytes(4)
            question.damage = Evidence(
                what="record", table=manifest.table, epoch=manifest.epoch, detail=error.detail, artefacts=(place,)
            )
    leaf = None if question.leaf is None else question.leaf.index
    if question.damage is not None:
        return Settled(question.subject, journals.DAMAGED, question.damage.detail, question.context.epoch, leaf)
    state = journals.NO_RECORD if record is None else journals.RECORD
    return Settled(question.subject, state, "", question.context.epoch, leaf, record)
