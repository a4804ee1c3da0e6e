"""Whole-village checks (整村授信): one approval, then a ticket for everyone of the list.

::

    list ─> canonical ids ─> journal on disk ─> POST /batches ─> a clerk decides ─> run (`bank_client.batch_run`) ─> CSV

Every question is the same as a single check: both consents of the subject stand at its ticket, it has a leaf at office and
node, and the calls do not depend on what is found. A subject that is refused, absent or damaged does not stop the batch;
what stands against all of it does (suspension, an approval that was withdrawn, a budget), and it can go on later.

Leakage: as for single questions, and the office learns the list before it is asked. The node sees so many questions of one
officer in a row.
"""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from bank_client import batch_journal as journals
from bank_client.alignment import Progress, open_project, silent
from bank_client.batch_journal import Given, Journal
from bank_client.batch_results import is_disputed, write_results
from bank_client.batch_run import BatchRun
from bank_client.config import ConfigError
from bank_client.session import Bank
from models import wire
from models.batches import Batch, BatchApproval, BatchStatus
from models.consents import Purpose
from models.problems import NotApproved, NotFound, Suspended, Unavailable

_POLL_SECONDS = 5.0
_PLAIN = re.compile(r"[a-z0-9.-]{1,64}")


@dataclass(frozen=True)
class BatchSummary:
    """Where a batch stands. `counts` has the subjects by status; `lines` and `not_valid` are those of the list given.

    `disputed` counts records with a disputed field, `lost` results that were lost on their way and asked for again.
    """

    batch: str
    place: str
    lines: int
    not_valid: int
    subjects: int
    counts: dict[str, int]
    disputed: int
    lost: int

    @property
    def left(self) -> int:
        """How many subjects were not asked about yet."""
        return self.subjects - sum(self.counts.get(state, 0) for state in journals.FINAL)


class VillageBatch:
    """One batch of one officer, kept in a journal below the bank's data folder. Use as a context manager, or `close`."""

    def __init__(self, bank: Bank, journal: Journal) -> None:
        self._bank = bank
        self._journal = journal
        self._batch = journal.batch

    def __repr__(self) -> str:
        return f"VillageBatch({self.id!r})"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the journal."""
        self._journal.close()

    @property
    def id(self) -> str:
        """The batch's id."""
        return self._batch.id

    # ---------------------------------------------------------------- beginning

    @classmethod
    def file(
        cls,
        bank: Bank,
        project: str,
        subjects: Sequence[object],
        *,
        place: str,
        batch: str = "",
        purpose: str = Purpose.LOAN_APPROVAL,
        table: str = "",
        days: int = 7,
        approver: Bank | None = None,
    ) -> VillageBatch:
        """File a batch with the office, where a clerk decides on it.

        Args:
            bank: the loan officer's session; only they can run the batch.
            project: an approved project, whose table is asked, or the score table named in `table`.
            subjects: ids in any spelling; those that are not valid are left out and named in the result.
            place: the village, as people know it.
            batch: an id of your choice (a-z, 0-9, dots, hyphens) that names no person; by default one is made up.
            days: how long the approval is to last.
            approver: a second person's session, where the bank requires a second approval.

        Raises:
            ValueError: not one id is valid.
            Conflict: a batch with this id was begun before.
            Problem: the office refused it; nothing is kept then.
        """
        given = [_canonical(bank, subject) for subject in subjects]
        now = int(time.time())
        made = Batch(
            id=batch or f"{time.strftime('%Y%m%d')}-{secrets.token_hex(4)}",
            bank=bank.config.institution,
            officer=bank.config.person,
            project=project,
            purpose=purpose,
            place=place,
            subjects=tuple(sorted({one.subject for one in given if one.subject is not None})),
            valid_from=now,
            valid_to=now + days * 86_400,
        )
        if not made.subjects:
            raise ValueError("not one id of the list is valid; is it the right column?")
        if approver is not None:
            signer = approver.config.person
            approval = approver.sign(BatchApproval(batch=made.id, digest=made.digest(), approver=signer))
            made = wire.replace(made, approval=approval)
        filed = cls(bank, Journal.create(_path(bank, made.id), made, table, given))
        try:
            filed.status()
        except BaseException as error:
            filed.close()
            if not isinstance(error, Unavailable):  # then it may have been filed, and `resume` goes on from here
                filed.forget(bank, made.id)
            raise
        return filed

    @classmethod
    def resume(cls, bank: Bank, batch: str) -> VillageBatch:
        """Go on with a batch that was filed from this data folder; `NotFound`, or `Conflict` while another process has it."""
        return cls(bank, Journal(_path(bank, batch)))

    @staticmethod
    def forget(bank: Bank, batch: str) -> None:
        """Delete a batch's journal, and with it the records in it."""
        _path(bank, batch).unlink(missing_ok=True)

    def status(self) -> BatchStatus:
        """What the office says of the batch; files it where the office does not know it yet."""
        try:
            return self._bank.office.get(f"/batches/{self.id}", BatchStatus)
        except NotFound:
            return self._bank.office.logged("/batches", self._batch, BatchStatus).answer

    def wait(self, seconds: float) -> BatchStatus:
        """The office's status once it has decided, or after so many seconds."""
        end = time.monotonic() + seconds
        while (status := self.status()).state == "filed" and time.monotonic() < end:
            time.sleep(min(_POLL_SECONDS, max(0.0, end - time.monotonic())))
        return status

    # ---------------------------------------------------------------- asking

    def run(self, *, again: bool = False, progress: Progress = silent) -> BatchSummary:
        """Ask about everyone who has not been asked about; call it once more after an interruption.

        Args:
            again: ask once more about those who were refused, e.g. after consents were filed.

        Raises:
            NotApproved, Suspended: the office has not approved the batch, or stopped it; what was asked is kept.
            Problem: what else stands against all of it, after everything on its way was brought home.
            Damaged: the node did not keep a promise. Damaged answers do not raise: the summary counts them.
        """
        with self._bank.phase("village"):
            self._require_approval()
            self._journal.reopen(refused=again)
            table = self._journal.table or open_project(self._bank, self._batch.project).table
            if not table:
                raise NotApproved("this project is for joint modelling and has no table of records; name a score table")
            stopped = BatchRun(self._bank, self._batch, self._journal, table, progress).passes()
            self._bank.owed.wait()
        if stopped is not None:
            raise stopped
        return self.summary()

    def summary(self) -> BatchSummary:
        """Where the batch stands now."""
        return summarise(self._journal)

    def write(self, path: str | Path) -> None:
        """Write what was found so far as CSV (`bank_client.batch_results`): one line for each that was given."""
        write_results(self._journal, Path(path))

    def _require_approval(self) -> None:
        status = self.status()
        because = f": {status.reason}" if status.reason else ""
        if status.state == "suspended":
            raise Suspended(f"the batch {self.id} is suspended by the credit office{because}")
        if status.state != "approved":
            raise NotApproved(f"the batch {self.id} is {status.state} at the credit office{because}")


def summarise(journal: Journal) -> BatchSummary:
    """The figures of a journal."""
    batch, lines, not_valid, disputed = journal.batch, 0, 0, set[str]()
    for given, settled, _ in journal.results():
        lines += 1
        not_valid += settled is None
        if settled is not None and settled.record is not None and given.subject and is_disputed(settled.record):
            disputed.add(given.subject)
    counts = {state: count for state, count in journal.count().items() if state in journals.FINAL}
    return BatchSummary(batch.id, batch.place, lines, not_valid, len(batch.subjects), counts, len(disputed), journal.lost)


def _canonical(bank: Bank, subject: object) -> Given:
    text = str(subject).strip()
    try:
        return Given(text, bank.canonical(text))
    except ConfigError as error:
        return Given(text, None, f"bad-identity: {error}")


def _path(bank: Bank, batch: str) -> Path:
    if not _PLAIN.fullmatch(batch) or batch.startswith("."):
        raise ValueError("a batch's id has 1 to 64 lower-case letters, digits, dots and hyphens")
    return bank.config.data_dir / "batches" / f"{batch}.sqlite"
