"""A training belongs to the database: any worker takes the next step, once, and nothing of it can be read or used twice."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any, cast
from unittest.mock import patch

import msgspec
import numpy as np
import pytest
from sqlalchemy import delete, func, select, text, update

from audit.database import writing
from crypto.masked_product import NodeProduct
from crypto.xof import session_seed
from models import wire
from models.privacy import PrivacyWish
from models.problems import Conflict, Forbidden, InputsRefused, NotFound, Problem, TrainingRefused
from models.scorecard.limits import Limits
from models.scorecard.messages import macs_of
from models.scorecard.node import NodeSecrets, NodeTraining
from models.scorecard.snapshot import TrainingState
from models.training import OpenJob, OpenRound, ProductRequest, RoundAnswer, RoundInputs, session_of
from sharing_node.jobs import running as running_module
from sharing_node.jobs.running import KEPT_SECONDS, MOST_RUNNING, Opened, Running
from sharing_node.keys import KeyStore
from sharing_node.records import repository as records
from sharing_node.sealing import Sealer
from sharing_node.state import repository as state
from sharing_node.state.tables import JobRow, TrainingColumnRow, TrainingRow
from tests.node.trainings import OFFICE_KEY, Ask, County, Worker, drive, release, train


@pytest.fixture
def county(tmp_path: Path, database_url: str, monkeypatch: pytest.MonkeyPatch) -> County:
    made = County(tmp_path, database_url)
    monkeypatch.setattr(records, "numeric_columns", made.numeric_columns)
    return made


@pytest.fixture
def start(county: County) -> Iterator[Callable[[], Worker]]:
    """Start one more process of the node."""
    started: list[Worker] = []

    def make() -> Worker:
        started.append(Worker(county))
        return started[-1]

    yield make
    for worker in started:
        worker.close()


@pytest.fixture
def workers(start: Callable[[], Worker]) -> tuple[Worker, Worker]:
    return start(), start()


@pytest.fixture
def sqlite_only(database_url: str) -> None:
    if not database_url.startswith("sqlite"):
        pytest.skip("platform: looks into SQLite's file")


class Shadow:
    """The same training in one process that nothing happens to, fed with the same messages."""

    def __init__(self, worker: Worker) -> None:
        self.worker = worker
        self.training: NodeTraining | None = None
        self.opened: Opened | None = None

    def follow(self, ask: Ask, answer: Any) -> None:
        if ask.step == "open":
            self.opened = opened = stored(self.worker, job_of(answer)).opened
            secret = NodeSecrets(self.worker.node.keys.secret("noise"), opened.job_seed)
            root = msgspec.msgpack.decode(opened.signed_plan.payload)["subjects"]
            self.training = NodeTraining(
                opened.job, opened.plan, opened.columns, cohort_root=root, secrets=secret, limits=opened.limits
            )
            return
        assert self.training is not None
        assert self.opened is not None
        plan, number = self.opened.plan, int(ask.path.get("round", "1"))
        body: Any = ask.body
        if isinstance(body, OpenRound):
            inputs = wire.decode(body.inputs.payload, RoundInputs)
            seed = session_seed(session_of(self.opened.job, number), answer.nonce, body.nonce)
            self.training.open_round(seed, macs_of(inputs, plan))
        elif isinstance(body, ProductRequest):
            shape = plan.shape(number)
            h, c = self.training.respond(*(plan.backend.unpack(shape, name, getattr(body, name)) for name in ("b", "p")))
            assert (answer.h, answer.c) == (wire.pack(h), wire.pack(c))
        elif isinstance(body, RoundAnswer):
            shape, side = plan.shape(number), 0 if number == 1 else plan.bank_columns + 2
            w = plan.backend.unpack(shape, "w", body.w)
            self.training.receive(w, np.frombuffer(body.moments, "<i8").reshape(side, side))
        else:
            transcripts = msgspec.msgpack.decode(cast(wire.Signed, body).payload)["transcripts"]
            self.training.accept_verdict(cast(Any, body), "office", OFFICE_KEY.public_key(), transcripts)
            figures = self.training.figures()
            assert answer.correlation == wire.pack(figures.correlation)
            assert [(f.iv, f.vif) for f in answer.fields] == [(f.iv, f.vif) for f in figures.fields]


def job_of(signed: Any) -> str:
    return str(msgspec.msgpack.decode(signed.payload)["job"])


def stored(worker: Worker, job: str, bank: str = "bank-a") -> Running:
    with worker.engine.connect() as connection:
        return worker.trainings.store.load(connection, job, bank)


def kept(worker: Worker) -> tuple[int, int]:
    """Rows of trainings and of their columns."""
    with worker.engine.connect() as connection:
        counts = [connection.scalar(select(func.count()).select_from(row)) or 0 for row in (TrainingRow, TrainingColumnRow)]
    return counts[0], counts[1]


def until(step: str, number: int, county: County, worker: Worker) -> tuple[Any, Ask]:
    """A training played up to a step: its generator, and the request that comes now."""
    play, answer = train(county), None
    while True:
        ask = play.send(answer)
        if (ask.step, ask.path.get("round")) == (step, str(number)):
            return play, ask
        answer = worker.ask(ask)


def other(ask: Ask) -> Ask:
    """The same step with another body: one label more."""
    body = cast(ProductRequest, ask.body)
    b = np.frombuffer(body.b, "<u8").copy()
    b[7] += np.uint64(1 << 50)
    return replace(ask, body=ProductRequest(b=wire.pack(b), p=body.p))


@pytest.mark.parametrize("restarts", [False, True], ids=["two workers in turn", "a new process for every step"])
def test_any_process_takes_the_next_step(county: County, start: Callable[[], Worker], restarts: bool) -> None:
    """And the figures are, bit by bit, those of a process that nothing happened to."""
    pair, turns = [start(), start()], iter(range(100))
    job = taken_in_turn(county, pair, lambda: start() if restarts else pair[next(turns) % 2])
    with pytest.raises(Conflict, match="released before"):
        pair[1].ask(release(job), key="another-key")


def test_any_process_takes_the_next_step_under_paillier(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = County(tmp_path, f"sqlite:///{tmp_path}/test.db", rows=1_000, bank_fields=1)
    made.scheme = "paillier"
    monkeypatch.setattr(records, "numeric_columns", made.numeric_columns)
    with ExitStack() as stack:

        def start() -> Worker:
            worker = Worker(made)
            stack.callback(worker.close)
            return worker

        taken_in_turn(made, [start(), start()], start, fields=tuple(made.made.node)[:5])


def test_what_a_node_under_paillier_does_not_train_is_refused_before_anything_counts(
    county: County, start: Callable[[], Worker]
) -> None:
    county.scheme = "paillier"
    worker, ask = start(), next(train(county))
    opening = cast(OpenJob, ask.body)
    wish = PrivacyWish(epsilon=1.0, protects=("labels",))
    for changed, why in (
        ({"schemes": ("lwe",)}, "installed without"),
        ({"privacy": wish}, "Differential privacy is accounted for with the errors of LWE"),
    ):
        with pytest.raises(TrainingRefused, match=why) as refused:
            worker.ask(replace(ask, body=wire.replace(opening, **changed)), key=why)
        assert "LWE" in refused.value.next_step or "xinqiao[paillier]" in refused.value.next_step
    with pytest.raises(TrainingRefused, match="47 vectors"):
        worker.ask(replace(ask, body=wire.replace(opening, bank_columns=47)), key="too many columns")
    with worker.engine.connect() as connection:
        assert state.trainings_used(connection, opening.project) == 0


def taken_in_turn(county: County, pair: list[Worker], worker: Callable[[], Worker], fields: tuple[str, ...] = ()) -> str:
    """A training and its release, each step taken by another worker; the job's name."""
    shadow, asked_for = Shadow(pair[0]), len(fields) or 8

    def ask(one: Ask) -> Any:
        answer = worker().ask(one)
        assert wire.encode(pair[0].ask(one)) == wire.encode(answer), "the same request gets the same bytes anywhere"
        shadow.follow(one, answer)
        return answer

    figures = drive(train(county, fields=fields), ask)
    assert len(figures.fields) == asked_for
    assert kept(pair[0]) == (1, asked_for)
    assert shadow.opened is not None
    assert shadow.opened.plan.scheme == county.scheme
    released = worker().ask(release(figures.job))
    assert len(released.bands) == len(county.subjects)
    assert kept(pair[0]) == (0, 0), "what was learned is a model now, and nothing else stays"
    assert wire.encode(pair[1].ask(release(figures.job))) == wire.encode(released)
    return figures.job


def test_of_two_requests_for_one_step_one_wins(county: County, workers: tuple[Worker, Worker]) -> None:
    play, ask = until("product", 1, county, workers[0])
    first, second = workers[0].handle(ask), workers[1].handle(other(ask))
    answer = workers[0].commit(first, ask)
    with pytest.raises(Conflict, match="at the same moment"):
        workers[1].commit(second, other(ask), key="another-key")
    with pytest.raises(Conflict, match="respond does not come now"):
        workers[1].ask(other(ask), key="another-key")
    with workers[0].engine.connect() as connection:
        assert connection.scalar(select(TrainingRow.version)) == 2
    assert drive(play, workers[1].ask, answer).usable, "the training goes on from the one that won"


def test_one_request_at_two_workers_is_one_step(county: County, workers: tuple[Worker, Worker]) -> None:
    _, ask = until("product", 2, county, workers[0])
    halves = [worker.handle(ask) for worker in workers]
    answers = [wire.encode(worker.commit(half, ask)) for worker, half in zip(workers, halves, strict=True)]
    assert answers[0] == answers[1] == wire.encode(workers[1].ask(ask))


@pytest.mark.parametrize("naive", [False, True], ids=["as it is", "masks from the seed alone"])
def test_a_state_put_back_meets_another_request_with_other_masks(
    county: County, workers: tuple[Worker, Worker], naive: bool
) -> None:
    """Somebody restores yesterday's database: nothing but the step itself was undone, and no row is the difference."""
    _, ask = until("product", 1, county, workers[0])
    with workers[0].engine.connect() as connection:
        before = connection.execute(select(TrainingRow.progress, TrainingRow.version)).one()
    draw = NodeProduct._draw  # the naive build draws the same masks for every request of a round
    with patch.object(NodeProduct, "_draw", lambda self, _request: draw(self, bytes(32))) if naive else nullcontext():
        first = workers[0].ask(ask)
        with writing(workers[0].engine) as connection:
            connection.execute(update(TrainingRow).values(progress=before.progress, version=before.version))
        second = workers[1].ask(other(ask), key="another-key")
    difference = np.frombuffer(second.c, "<u8") - np.frombuffer(first.c, "<u8")
    read = {int(v) for v in difference} <= {0, 1 << 50}  # the row's bins, in some order
    assert read is naive


def test_what_is_stored_cannot_be_read(county: County, workers: tuple[Worker, Worker], sqlite_only: None) -> None:
    def found_in_files(secrets: dict[str, bytes]) -> set[str]:
        files = b"".join(path.read_bytes() for path in county.folder.glob("*.db*"))
        return {name for name, value in secrets.items() if value in files}

    def secrets_of(job: str) -> dict[str, bytes]:
        running = stored(workers[0], job)
        state = TrainingState.from_bytes(running.training.snapshot())
        assert state.open is not None
        assert state.open.answered is not None
        return {
            "masks": state.open.answered.masks,
            "order": state.open.answered.order,
            "session seed": state.open.session_seed,
            "job seed": running.opened.job_seed,
            "codes": running.opened.columns.codes[0].tobytes()[:64],
            "raw": running.opened.columns.raw[0].tobytes()[:64],
        }

    _, ask = until("answer", 1, county, workers[0])
    assert found_in_files(secrets_of(ask.path["job"])) == set()
    with (
        patch.object(Sealer, "seal", lambda _self, _place, data: data),
        patch.object(Sealer, "open", lambda _self, _place, sealed: sealed),
    ):
        play = train(county)
        answer = None
        while (asked := play.send(answer)).step != "answer":
            answer = workers[0].ask(asked, key=f"open-{asked.key}")
        assert found_in_files(secrets_of(asked.path["job"])) == {
            "masks", "order", "session seed", "job seed", "codes", "raw",
        }  # fmt: skip


def test_nothing_sealed_outlives_the_job(county: County, workers: tuple[Worker, Worker], sqlite_only: None) -> None:
    figures = drive(train(county), workers[0].ask)
    with workers[0].engine.connect() as connection:
        sealed = connection.scalars(select(TrainingColumnRow.sealed)).all()
    workers[1].ask(release(figures.job))
    for worker in workers:
        worker.engine.dispose()
    with workers[0].engine.connect() as connection:
        connection.execute(text("PRAGMA wal_checkpoint(TRUNCATE)"))
    files = b"".join(path.read_bytes() for path in county.folder.glob("*.db*"))
    assert not any(column[:256] in files for column in sealed)


def test_a_state_opens_only_in_its_place_and_under_its_key(county: County, start: Callable[[], Worker]) -> None:
    worker = start()
    _, ask = until("open_round", 1, county, worker)
    job = ask.path["job"]
    other_job = job_of(worker.ask(next(train(county)), key="another-opening"))

    def change(**values: Any) -> None:
        with writing(worker.engine) as connection:
            connection.execute(update(TrainingRow).where(TrainingRow.job == job).values(**values))

    def refused() -> str:
        with pytest.raises(NotFound) as caught:
            start().ask(ask)
        assert "same cohort" in caught.value.next_step
        return caught.value.detail

    with worker.engine.connect() as connection:
        own, foreign = (
            connection.execute(select(TrainingRow.progress, TrainingRow.version).where(TrainingRow.job == j)).one()
            for j in (job, other_job)
        )
        columns = connection.scalars(select(TrainingColumnRow.sealed).where(TrainingColumnRow.job == job)).all()
    change(progress=foreign.progress)
    assert "sealed" in refused()
    change(progress=own.progress, version=3)
    assert "sealed" in refused()
    change(progress=own.progress, version=own.version)
    with writing(worker.engine) as connection:
        place = update(TrainingColumnRow).where(TrainingColumnRow.job == job)
        connection.execute(place.where(TrainingColumnRow.position == 0).values(sealed=columns[1]))
    assert "sealed" in refused()
    with writing(worker.engine) as connection:
        connection.execute(place.where(TrainingColumnRow.position == 0).values(sealed=columns[0]))
    with patch.object(KeyStore, "secret", lambda _self, _name: b"x" * 32):
        assert "sealed" in refused()
    later = msgspec.msgpack.encode(msgspec.msgpack.decode(stored(worker, job).training.snapshot()) | {"form": 2})
    with patch.object(NodeTraining, "snapshot", lambda _self: later):
        change(progress=worker.trainings.store._sealed(stored(worker, job), own.version))
    assert "another version" in refused()
    change(progress=own.progress)
    start().ask(ask)


def test_a_bank_has_eight_under_way_at_all_workers_together(county: County, workers: tuple[Worker, Worker]) -> None:
    def begin(bank: str, number: int) -> str:
        county.now += 1
        return job_of(workers[number % 2].ask(next(train(county, bank)), bank, key=f"opening-{bank}-{number}"))

    another = begin("bank-b", 0)
    # The cohort's rows allow few label aggregates; that budget is not what is tested here.
    with patch("sharing_node.jobs.training.aggregates_asked", lambda *_: 0):
        jobs = [begin("bank-a", number) for number in range(MOST_RUNNING + 2)]
    for job in jobs[:2]:
        with pytest.raises(NotFound, match="given up for 8 newer ones"):
            stored(workers[1], job)
    assert [stored(workers[0], job).opened.job for job in jobs[2:]] == jobs[2:]
    assert stored(workers[0], another, "bank-b").opened.job == another
    assert kept(workers[0]) == (MOST_RUNNING + 1, 8 * (MOST_RUNNING + 1))
    with workers[0].engine.connect() as connection:
        states = connection.scalars(select(JobRow.state).order_by(JobRow.opened_at)).all()
    assert states == ["open", *["given-up"] * 2, *["open"] * MOST_RUNNING]
    county.now += KEPT_SECONDS + 1
    with patch("sharing_node.jobs.training.aggregates_asked", lambda *_: 0):
        last = begin("bank-b", 99)
    assert kept(workers[0]) == (1, 8), "a month without a step ends anybody's"
    assert stored(workers[0], last, "bank-b").opened.job == last


def test_a_step_of_a_training_given_up_at_that_moment_leaves_nothing(county: County, workers: tuple[Worker, Worker]) -> None:
    _, ask = until("product", 1, county, workers[0])
    half = workers[0].handle(ask)
    with writing(workers[1].engine) as connection:
        connection.execute(delete(TrainingColumnRow))
        connection.execute(delete(TrainingRow))
    with pytest.raises(Conflict):
        workers[0].commit(half, ask)
    with pytest.raises(NotFound, match="not under way"):
        workers[0].ask(ask)


def test_ended_trainings_and_foreign_ones_say_what_they_are(county: County, workers: tuple[Worker, Worker]) -> None:
    play, answer = train(county, usable=False), None
    while (ask := play.send(answer)).step != "verdict":
        answer = workers[0].ask(ask)
    halves: list[Problem | Exception] = []
    for worker in workers:  # both were handed the bad verdict before either closed the job
        with pytest.raises(Exception, match="unusable") as caught:
            worker.handle(ask)
        halves.append(caught.value)
    for worker, refused in zip(workers, halves, strict=True):
        with writing(worker.engine) as connection:
            cast(Any, refused).attach(connection, 0)
    assert kept(workers[0]) == (0, 0)
    with pytest.raises(InputsRefused, match="unusable"):
        workers[1].ask(ask)
    with pytest.raises(NotFound, match="no such training"):
        workers[0].ask(replace(ask, path={"job": "another"}))
    with pytest.raises(Forbidden, match="another bank"):
        workers[0].ask(ask, "bank-b")


def test_a_restart_with_stricter_limits_holds_for_trainings_under_way(county: County, start: Callable[[], Worker]) -> None:
    _, ask = until("open_round", 1, county, start())
    worker = start()
    worker.node.limits = Limits(r2_column=0.5, cohort_rows=1_100)
    limits = stored(worker, ask.path["job"]).opened.limits
    assert (limits.r2_column, limits.cohort_rows, limits.levels) == (0.5, 1_100, 5)


def test_the_cache_is_bounded_and_nothing_rests_on_it(
    county: County, workers: tuple[Worker, Worker], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(running_module, "CACHED_BYTES", 1)
    jobs = [job_of(workers[0].ask(next(train(county, bank)), bank)) for bank in ("bank-a", "bank-b")]
    store = workers[0].trainings.store
    assert list(store._cache) == jobs[1:]
    first = stored(workers[0], jobs[0])
    assert list(store._cache) == jobs[:1]
    again = stored(workers[0], jobs[0])
    assert again.opened is first.opened
    assert again.training is not first.training, "what changes is never shared"
    for thing in (first, first.opened, first.training, store):
        assert first.opened.job_seed.hex() not in repr(thing)
        assert repr(first.opened.job_seed) not in repr(thing)
