"""Jobs of a bank that were not brought to an end, and how one is given up.

A journal tells of a job what both need: its project, whether a training was asked for, and its id once the node has said so.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime

from bank_client.exchange import request_key
from bank_client.job_journal import Cancelled, JobJournal
from bank_client.session import Bank
from models import wire
from models.logged import Empty
from models.problems import Conflict, NotFound, Problem, Unavailable
from models.training import JobPlan, OpenJob
from models.wire import Signed

__all__ = ["Cancelled", "LongJob", "cancel_job", "long_jobs"]


@dataclass(frozen=True)
class LongJob:
    """A job that is under way or was interrupted.

    Attributes:
        name: of its journal.
        project: that it is for; empty where another process is working with it.
        job: the node's name of the training, once there is one.
        answered: requests of the training that have their answer.
        touched: when it last went on.
        running: whether another process is working with it.
    """

    name: str
    project: str
    job: str
    answered: int
    touched: datetime
    running: bool


def long_jobs(bank: Bank) -> list[LongJob]:
    """All that the data folder holds, the one that went on last at the end."""
    found = []
    for journal in JobJournal.all(bank.config.data_dir):
        touched = datetime.fromtimestamp(journal.path.stat().st_mtime, UTC)
        try:
            with journal.held():
                project = (journal.fact("project") or b"").decode()
                found.append(LongJob(journal.path.stem, project, _job(bank, journal), journal.answered, touched, False))
        except Conflict:
            found.append(LongJob(journal.path.stem, "", "", 0, touched, running=True))
    return found


def cancel_job(bank: Bank, job: JobJournal | str) -> str:
    """Give a job up: the node deletes what it holds of it, and so does this bank. What it used of a budget stays used.

    Args:
        bank: the session of whoever began it.
        job: its journal, or a `LongJob.name`. Where another thread works with that journal, it raises `Cancelled` there.

    Returns:
        the node's name of the training, or nothing where none was begun.

    Raises:
        NotFound: there is no such job here.
        Conflict: another process is working with it.
        Unavailable: the node did not answer; nothing is forgotten, so that it can be called again.
    """
    if isinstance(job, str):
        found = {journal.path.stem: journal for journal in JobJournal.all(bank.config.data_dir)}
        if job not in found:
            raise NotFound(f"this data folder holds no job {job}")
        job = found[job]
    job.stop()
    with job.held(to_cancel=True):
        name = _begun(bank, job)
        if name:
            with suppress(NotFound, Conflict):  # it has ended by itself
                bank.node.logged(f"/jobs/{name}/cancel", Empty(), Empty, key=f"cancel-{name}")
        job.forget()
    return name


def _begun(bank: Bank, journal: JobJournal) -> str:
    """The training that was asked for, also where the answer is not here."""
    if journal.answered or (kept := journal.fact("open")) is None:
        return _job(bank, journal)
    request = wire.decode(kept, OpenJob)
    key = request_key(journal.derived("exchange"), 0, "/jobs")
    try:
        signed = bank.node.logged("/jobs", request, Signed, key=key).answer
    except Unavailable:
        raise
    except Problem:
        return ""  # refused, so there is none
    return bank.from_node(signed, JobPlan).job


def _job(bank: Bank, journal: JobJournal) -> str:
    if not journal.answered or journal.fact("open") is None:
        return ""
    return bank.from_node(journal.answer(0).answer, JobPlan).job
