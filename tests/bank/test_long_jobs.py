"""A bank's process may be killed between any two requests, and a training may be given up at any of them, over real HTTP."""

from __future__ import annotations

import hashlib
import multiprocessing
import os
import random
import shutil
import signal
import threading
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pandas as pd
import pytest
from sqlalchemy import delete, func, select

from bank_client import Bank, BankConfig, JointScorecard
from bank_client import alignment as bank_alignment
from bank_client.exchange import Resumable
from bank_client.job_journal import JobJournal
from bank_client.long_jobs import Cancelled, cancel_job, long_jobs
from models import wire
from models.consents import ConsentKind, Purpose
from models.http_client import SignedClient
from models.logged import Empty
from models.problems import Conflict, Damaged, Forbidden, KeyReused, NotFound, PeerUnavailable
from models.projects import ProjectKind
from models.training import Receipt
from sharing_node.state.tables import JobRow, TrainingColumnRow, TrainingRow
from tests.services import FIELDS, MODELLER, Services, services

ROWS = 1_200  # of which a training of two bins a field asks 24 of 120 label sums: enough for five
CUSTOMERS = [f"c{n:04d}" for n in range(ROWS)]
FORKSERVER = multiprocessing.get_context("forkserver")
KILLED_AFTER = 5  # answered requests of a process; the last one's answer is lost with it


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Services]:
    rng = random.Random(6)
    with services(tmp_path_factory.mktemp("long")) as made:
        made.load([(i, {f: round(rng.gauss(0, 1), 2) for f in FIELDS}) for i in CUSTOMERS])
        made.willing([f"opaque:{i}" for i in CUSTOMERS], ConsentKind.MODELLING)
        yield made


def own_rows() -> tuple[pd.DataFrame, Any]:
    rng = np.random.default_rng(6)
    X = pd.DataFrame({"own": rng.normal(size=ROWS)}, index=pd.Index(CUSTOMERS))
    return X, (rng.random(ROWS) < 0.3).astype(np.uint8)


def open_project(pair: Services, name: str) -> None:
    pair.open_project(name, kind=ProjectKind.JOINT_SCORECARD, purpose=Purpose.LOAN_APPROVAL)


# ---------------------------------------------------------------------- killed


def fit(config: BankConfig, project: str, sent: Path, killed_after: int, result: Any) -> None:
    """A bank's process: fit, note each request, and die with the answer to the `killed_after`th in hand (0: never)."""
    answered, logged = 0, SignedClient.logged

    def noted(client: SignedClient, path: str, message: Any, answer: Any, *, key: str | None = None, **rest: Any) -> Any:
        nonlocal answered
        body = hashlib.sha256(wire.encode(message)).hexdigest()
        with sent.open("a") as file:
            file.write(f"{path} {key} {body}\n")
        reply = logged(client, path, message, answer, key=key, **rest)
        answered += 1
        if answered == killed_after:
            os.kill(os.getpid(), signal.SIGKILL)
        return reply

    receipt = Bank.receipt

    def first_receipt(bank: Bank, peer: Any, leaf: Any) -> Receipt:
        # It is proven under the checkpoint of the moment, so that another one would make another request to the office.
        kept = sent.with_name(f"receipt-{leaf.index}")
        if not kept.exists():
            kept.write_bytes(wire.encode(receipt(bank, peer, leaf)))
        return wire.decode(kept.read_bytes(), Receipt)

    bank_alignment.CHUNK = 500  # three chunks
    with (
        patch.object(SignedClient, "logged", noted),
        patch.object(Bank, "receipt", first_receipt),
        Bank(config) as bank,
    ):
        model = JointScorecard(project, bank, max_bins=2).fit(*own_rows())
        result.send((model.job_, wire.encode(model.figures_), model.cohort_.id))


def run(config: BankConfig, project: str, sent: Path, killed_after: int) -> Any:
    here, there = FORKSERVER.Pipe()
    process = FORKSERVER.Process(target=fit, args=(config, project, sent, killed_after, there))
    process.start()
    there.close()
    try:
        found = here.recv()
    except EOFError:
        found = None
    process.join()
    assert process.exitcode == (0 if found else -signal.SIGKILL)
    return found


def test_a_bank_that_is_killed_again_and_again_comes_to_the_very_training_of_one_that_was_not(
    pair: Services, tmp_path: Path
) -> None:
    FORKSERVER.set_forkserver_preload(["tests.bank.test_long_jobs"])
    open_project(pair, "killed")
    with pair.bank(MODELLER) as bank:
        config, folder = bank.config, bank.config.data_dir / "jobs"
    since, sent, kills, copied = pair.logged(), tmp_path / "sent", 0, False
    while (found := run(config, "killed", sent, KILLED_AFTER)) is None:
        kills += 1
        [journal] = folder.glob("*.sqlite")
        assert journal.stat().st_mode & 0o777 == 0o600
        if "/jobs " in sent.read_text() and not copied:  # the training was just asked for
            shutil.copytree(folder, tmp_path / "jobs")
            copied = True
    assert kills >= 4
    assert copied
    assert not list(folder.iterdir())
    # Each request was sent as it was the first time, and taken once.
    bodies = defaultdict(set)
    for line in sent.read_text().splitlines():
        path, key, body = line.split()
        if path not in {"/projects", "/projects/killed/alignment/published"}:
            bodies[path, key].add(body)
    assert {len(of_one_key) for of_one_key in bodies.values()} == {1}
    actions = Counter(leaf["action"] for leaf in pair.leaves(since))
    assert [actions[f"align.{step}"] for step in ("evaluate", "match")] == [3, 1]
    assert [actions[step] for step in ("job.open", "round.open", "round.product", "round.close", "job.figures")] == [
        1,
        2,
        2,
        2,
        1,
    ]
    # A process that nothing happened to, from the same secret, comes to the same: the same requests, the same answers.
    shutil.copytree(tmp_path / "jobs", folder, dirs_exist_ok=True)
    straight = run(config, "killed", sent, 0)
    assert straight == found
    assert Counter(leaf["action"] for leaf in pair.leaves(since))["job.figures"] == 1
    # Naive build: seeds and nonces are drawn anew, so that what is sent does not go with what was answered.
    shutil.copytree(tmp_path / "jobs", folder, dirs_exist_ok=True)
    with (
        patch.object(Resumable, "_derived", lambda *_: os.urandom(32)),
        pair.bank(MODELLER) as bank,
        pytest.raises((KeyReused, Damaged)),
    ):
        JointScorecard("killed", bank, max_bins=2).fit(*own_rows())
    assert not list(folder.iterdir())


# ---------------------------------------------------------------------- given up


def nothing_left(pair: Services, bank: Bank, states: list[str]) -> None:
    assert not list((bank.config.data_dir / "jobs").iterdir())
    with pair.engine.connect() as connection:
        for table in (TrainingRow, TrainingColumnRow):
            assert connection.scalar(select(func.count()).select_from(table)) == 0
        found = connection.scalars(select(JobRow.state).where(JobRow.project == "cancelled").order_by(JobRow.opened_at))
        assert sorted(found) == sorted(states)


def test_a_training_may_be_given_up_at_any_request(pair: Services) -> None:
    open_project(pair, "cancelled")
    logged = SignedClient.logged
    X, y = own_rows()
    with pair.bank(MODELLER) as bank:
        model = JointScorecard("cancelled", bank, max_bins=2)
        with pytest.raises(ValueError, match="nothing to give up"):
            model.cancel()
        pair.engine.dispose()
        since = pair.logged()

        def at(end: str, act: Any) -> Any:
            def acting(client: SignedClient, path: str, *args: Any, **rest: Any) -> Any:
                reply = logged(client, path, *args, **rest)
                if path.endswith(end):
                    act()
                return reply

            return patch.object(SignedClient, "logged", acting)

        def raising(error: BaseException) -> Any:
            def act() -> None:
                raise error

            return act

        with pair.engine.begin() as connection:  # what the other test left proven
            connection.execute(delete(TrainingColumnRow))
            connection.execute(delete(TrainingRow))
        # The answer to the very first request is lost: whether there is a training is found out, and it is given up.
        with at("/jobs", raising(PeerUnavailable("no answer"))), pytest.raises(PeerUnavailable, match="the training stopped"):
            model.fit(X, y)
        model.cancel()
        nothing_left(pair, bank, ["cancelled"])
        with pytest.raises(ValueError, match="no training of this model stopped"):
            model.resume()
        # From another thread, while a product is under way.
        others: list[threading.Thread] = []

        def cancel_elsewhere() -> None:
            others.append(threading.Thread(target=model.cancel))
            others[0].start()
            assert model._journal is not None
            assert model._journal._stopping.wait(120)

        with at("/rounds/1/product", cancel_elsewhere), pytest.raises(Cancelled):
            model.fit(X, y)
        others[0].join()
        nothing_left(pair, bank, ["cancelled"] * 2)
        # Ctrl-C before the verdict leaves a job that can go on; here it is found in the list and given up.
        with at("/rounds/2/answer", raising(KeyboardInterrupt())), pytest.raises(KeyboardInterrupt):
            model.fit(X, y)
        [job] = long_jobs(bank)
        assert (job.project, job.answered, job.running) == ("cancelled", 8, False)
        assert "secret" in repr(JobJournal.all(bank.config.data_dir)[0])
        with pytest.raises(Forbidden):
            pair.client("bank-b/mo").logged(f"/jobs/{job.job}/cancel", Empty(), Empty)
        with pytest.raises(NotFound, match="holds no job"):
            cancel_job(bank, "another")
        assert cancel_job(bank, job.name) == job.job
        nothing_left(pair, bank, ["cancelled"] * 3)
        with pytest.raises(Conflict, match="it is cancelled"):
            pair.client(MODELLER).logged(f"/jobs/{job.job}/cancel", Empty(), Empty)
        # What was used stays used; the next training is another one.
        model = JointScorecard("cancelled", bank, model.cohort_, max_bins=2).fit(X, y)
        assert model.figures_.usable
        assert not list((bank.config.data_dir / "jobs").iterdir())
        actions = Counter(leaf["action"] for leaf in pair.leaves(since) if leaf["outcome"] == "done")
        assert [actions[action] for action in ("job.open", "job.cancel", "job.figures")] == [4, 3, 1]


def test_one_process_at_a_time_works_with_a_journal_and_only_what_was_kept_lasts(tmp_path: Path) -> None:
    one, other = (JobJournal.of(tmp_path, "a", "b") for _ in range(2))
    assert one.path == other.path != JobJournal.of(tmp_path, "ab").path
    with one.held():
        one.begin(b"inputs")
        one.add_answer(0, ("x", "y"))
        secret = one.derived("a")
        with pytest.raises(Conflict, match="another process"), other.held():
            pass
    with other.held():
        other.begin(b"inputs")
        assert (other.answered, other.answer(0), other.answer(1), other.derived("a")) == (1, ("x", "y"), None, secret)
        other.begin(b"other inputs")
        assert other.answered == 0
        assert other.derived("a") != secret
    one.stop()
    with pytest.raises(Cancelled), one.held():
        pass
    with one.held(to_cancel=True):
        one.forget()
    assert not list((tmp_path / "jobs").iterdir())
