"""A service is killed in the middle of a training, on PostgreSQL where it runs: what was promised stays, nothing else came out.

The same village shows the whole main job on PostgreSQL, and a second worker of the node beside the first.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx2
import msgspec
import numpy as np
import psycopg
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from audit.verifier.merkle import leaf_hash
from bank_client import JointScorecard, PrivateQuery
from bank_client.demo.town import Service, free_port
from bank_client.long_jobs import cancel_job, long_jobs
from bank_client.receipts import RECEIPT_SECONDS
from models import wire
from models.http_signatures import Request, sign_request
from models.logged import Empty
from models.problems import PeerUnavailable
from tests.e2e.conftest import MainRun, main_job, open_checks
from tests.e2e.village import Sizes, Village, Watch, village

pytestmark = pytest.mark.e2e
SIZES = Sizes(borrowers=1_600, others=1_200, applicants=12)
DATABASES = ("office", "node")


@pytest.fixture(scope="module")
def hardy(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Village]:
    """A village of its own, whose services may be killed; on PostgreSQL unless none can start here."""
    folder: Path = tmp_path_factory.mktemp("hardy")
    try:
        server: str = request.getfixturevalue("postgresql_server")
    except pytest.skip.Exception:
        with village(folder, SIZES) as made:
            yield made
        return
    names = {name: f"village_{name}" for name in DATABASES}
    with psycopg.connect(server, autocommit=True) as connection:
        for name in names.values():
            connection.execute(f"CREATE DATABASE {name}")
    address = server.replace("postgresql://", "postgresql+psycopg://")
    with village(folder, SIZES, databases={k: address.replace("/postgres?", f"/{v}?") for k, v in names.items()}) as made:
        yield made
    with psycopg.connect(server, autocommit=True) as connection:
        for name in names.values():
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(scope="module")
def hardy_run(hardy: Village) -> Iterator[MainRun]:
    yield from main_job(hardy, max_bins=3)


def test_the_main_job_on_postgresql(hardy: Village, hardy_run: MainRun) -> None:
    assert hardy_run.model.metrics_.auc > 0.6
    project = open_checks(hardy)
    with hardy.bank("bank-a/officer") as bank:
        query = PrivateQuery(bank, project, hardy.checks[1])
        assert query.ask(hardy.applicants[0]).record is not None
        assert query.ask(hardy.special("absent")).record is None
    assert_whole(hardy, hardy_run.watch)


def assert_whole(hardy: Village, watch: Watch) -> None:
    """Both logs are whole, and whatever was promised before a crash stands in them."""
    for name in DATABASES:
        promised = [leaf for service, leaf in watch.leaves if service == name]
        deadline = time.monotonic() + RECEIPT_SECONDS  # until then the witness must have come round
        while hardy.check_log(name).size <= max((leaf.index for leaf in promised), default=-1):
            assert time.monotonic() < deadline, "a promised leaf never came under a cosigned checkpoint"
            time.sleep(0.2)
        entries: list[bytes] = []
        hardy.check_log(name, on_entry=lambda _, entry: entries.append(entry))  # noqa: B023
        assert all(leaf_hash(entries[leaf.index]) == leaf.leaf_hash for leaf in promised)


class Killer:
    """A progress callback that pulls a service's plug when one of some steps is reached, each time once."""

    def __init__(self, service: Service, *steps: str) -> None:
        self.service, self.steps = service, list(steps)

    def __call__(self, what: str, done: int, of: int) -> None:
        if what in self.steps:
            self.steps.remove(what)
            self.service.kill()


def test_the_node_killed_between_the_steps_of_one_training(hardy: Village, hardy_run: MainRun) -> None:
    """Each time the restarted node goes on where it stood: one training, one budget, the figures of an undisturbed one."""
    node, watch = hardy.service("node"), Watch()
    X, y = hardy.rows(hardy.borrowers)
    with hardy.bank("bank-a/modeller", watch) as bank:
        model = JointScorecard(hardy_run.model.project, bank, hardy_run.model.cohort_, max_bins=3)
        killer = Killer(node, "round 1: product", "replay at the office")
        model.set_params(progress=killer)
        run: Callable[[], JointScorecard] = lambda: model.fit(X, y)  # noqa: E731
        while killer.steps:
            with pytest.raises(PeerUnavailable) as caught:
                run()
            assert "no answer from" in caught.value.detail
            assert "Call resume" in caught.value.next_step
            assert not hasattr(model, "figures_"), "nothing came out"
            node.start()
            node.wait_ready()
            run = model.resume
        run()
        assert [path for _, _, path, *_ in watch.calls].count("/jobs") == 1, "one training, one budget"
        assert_whole(hardy, watch)
        undisturbed = hardy_run.model
        assert _rows(model) == pytest.approx(_rows(undisturbed), abs=2), "the node's noise is the same, but for rounding"
        assert model.iv_.to_dict() == pytest.approx(undisturbed.iv_.to_dict(), abs=0.1), "the product's noise is new"
        # Killed once more, between the figures and the release.
        node.kill()
        with pytest.raises(PeerUnavailable, match="no answer from"):
            model.release()
        node.start()
        node.wait_ready()
        assert len(model.release().band_means_) > 1
        assert_whole(hardy, watch)


def _rows(model: JointScorecard) -> dict[str, int]:
    """Rows of each node field, over all bins: where one ends and the next begins, the product's noise has its say."""
    return {field.name: sum(one.rows or 0 for one in field.table) for field in model.figures_.fields}


def test_the_office_killed_in_the_middle_of_fit(hardy: Village, hardy_run: MainRun) -> None:
    """The bank may also give it up and begin anew: the half-finished training stays without figures."""
    office, watch = hardy.service("office"), Watch()
    X, y = hardy.rows(hardy.others)
    with hardy.bank("bank-b/modeller", watch) as bank:
        model = JointScorecard(hardy.joint_project("bank-b"), bank, max_bins=3)
        model.set_params(progress=Killer(office, "round 1: answer"))
        with pytest.raises(PeerUnavailable, match="no answer from"):
            model.fit(X, y)
        office.start()
        office.wait_ready()
        assert_whole(hardy, watch)
        [interrupted] = long_jobs(bank)
        cancel_job(bank, interrupted.name)
        before = len(watch.calls)
        model.fit(X, y)
        assert not any("/alignment/" in path for _, _, path, *_ in watch.calls[before:]), "the cohort stays good"
        assert model.figures_.usable
        assert_whole(hardy, watch)
    assert_nothing_came_out_unlogged(hardy)


def assert_nothing_came_out_unlogged(hardy: Village) -> None:
    """Each training that was opened is in the log; figures left only those that went to their end."""
    actions: dict[str, set[str]] = {}

    def note(_: int, entry: bytes) -> None:
        leaf = msgspec.json.decode(entry)
        if leaf["outcome"] == "done" and "job" in leaf["facts"]:
            actions.setdefault(leaf["facts"]["job"], set()).add(leaf["action"])

    hardy.check_log("node", on_entry=note)
    assert all("job.open" in found for found in actions.values())
    cut_off = [found for found in actions.values() if "job.figures" not in found]
    assert cut_off
    assert not any("job.release" in found for found in cut_off)


def test_a_second_worker_of_the_node_takes_what_the_first_did_not_see(hardy: Village, hardy_run: MainRun) -> None:
    """Two processes on one database and one address: each request counts once, whichever of the two gets it."""
    first = hardy.service("node")
    port = free_port()
    second = dataclasses.replace(
        first,
        port=port,
        environment=first.environment | {"XINQIAO_NODE_PORT": str(port)},
        output=first.output.with_name("node-2.log"),
        process=None,
    )
    second.start()
    try:
        second.wait_ready()
        key = Ed25519PrivateKey.from_private_bytes(hardy.town.key_file("bank-a/modeller").read_bytes())
        path = f"/projects/{hardy_run.model.project}/alignment/published"
        headers = {"content-type": wire.CONTENT_TYPE, "idempotency-key": "two-workers"}
        answers = []
        for worker in (first, second):
            request = Request("POST", f"{first.url}{path}", dict(headers), wire.encode(Empty()))
            sign_request(request, "bank-a/modeller", key)
            for target, status in ((worker, 200), (first, 401), (second, 401)):
                response = httpx2.post(
                    f"{target.url}{path}", content=request.body, headers=request.headers, timeout=60.0, trust_env=False
                )
                assert response.status_code == status, response.text
                if status == 200:
                    answers.append(response.content)
                else:
                    assert response.json()["type"].endswith(":replayed")
        assert answers[0] == answers[1], "the same key gives the same bytes, from either worker"
    finally:
        second.stop()
    hardy.check_log("node")


def test_scores_are_the_same_after_the_crashes(hardy: Village, hardy_run: MainRun) -> None:
    """The table, its epoch's key and the log survived: a new session reads the same bands."""
    applicants, _ = hardy.rows(hardy.applicants)
    with hardy.bank("bank-a/modeller") as bank:
        table = hardy_run.model.table_
        bands = [PrivateQuery(bank, hardy_run.model.project, table).ask_many(list(applicants.index))]
    assert all(result.record is not None for result in bands[0])
    assert np.isfinite(hardy_run.scores).all()
