"""Work goes on only while project, consents and budgets stand: at every step, and however two requests interleave."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import Engine

from audit.database import open_engine, writing
from audit.service.outcome import Call, Outcome
from models import wire
from models.catalogue import Catalogue, Field
from models.consents import Eligibility
from models.http_client import SignedClient
from models.parties import Directory, Institution, InstitutionKind, Person, Role
from models.problems import CohortRefused, Conflict, NotApproved, PeerUnavailable, ReleaseRefused, Suspended
from models.projects import Project, ProjectApproval, ProjectKind
from models.scorecard.limits import Limits
from models.scorecard.node import NodeTraining
from models.training import OpenJob
from sharing_node.alignment import Alignment
from sharing_node.jobs import release as release_module
from sharing_node.jobs.release import Releases
from sharing_node.jobs.training import Trainings
from sharing_node.migrate import upgrade
from sharing_node.node import Node
from sharing_node.office import STALE, OfficeLink
from sharing_node.records import Marks
from sharing_node.records import repository as records
from sharing_node.state import repository as state
from sharing_node.state.repository import StoredCohort

NOW = 1_800_000_000
ROWS = 1_000
KEY = Ed25519PrivateKey.from_private_bytes(b"k" * 32)
BANK = Institution(id="bank-a", name="A", kind=InstitutionKind.BANK, licence="1", declared_customers=5_000)
MODELLER = Person(id="bank-a/mo", institution="bank-a", name="M", role=Role.MODELLER, key=bytes(32))
SUBJECTS = tuple(f"opaque:{n}" for n in range(ROWS))


class World:
    """A node's state in SQLite, with an office whose word on suspension and consents the test sets."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.suspended = False
        self.willing = set(SUBJECTS)
        self.project = Project(
            id="p1", bank="bank-a", kind=ProjectKind.JOINT_SCORECARD, title="t", purpose="modelling", fields=("f0", "f1"),
            valid_from=NOW - 10, valid_to=NOW + 10, requested_by="bank-a/mo", releases=1,
        )  # fmt: skip
        approval = wire.sign(ProjectApproval(project=self.project, decided_by="c", decided_at=NOW, reason="r"), "office", KEY)
        cohort = StoredCohort("c1", "p1", "bank-a", b"r" * 32, SUBJECTS)
        with writing(engine) as connection:
            state.add_project(connection, self.project, approval, NOW)
            state.add_cohort(connection, cohort, NOW)
        world = self

        class OneNode(Node):
            def joint_subjects(self, project: Project, bank: Institution) -> list[str]:
                return sorted(world.willing)

            def marks(self) -> Marks:
                return Marks()

        office = SimpleNamespace(project_suspended=lambda _id: self.suspended)
        keys = SimpleNamespace(secret=lambda _name: b"n" * 32)
        settings = SimpleNamespace(identity="opaque", masked_product="lwe")
        catalogue = Catalogue(tuple(Field(name=n, category="c", label_zh=n, mode="O", grade="L1") for n in self.project.fields))
        self.node = OneNode(
            cast(Any, settings), engine, cast(Any, keys), KEY, cast(OfficeLink, office), catalogue,
            Limits(),
            cast(Any, None), cast(Any, None),
        )  # fmt: skip
        self.trainings = Trainings(self.node)

    def call(self, body: object = None, *, now: int = NOW, **path: str) -> Call:
        return Call(self.engine, MODELLER, BANK, body, path, {}, now)

    def open(self, now: int = NOW) -> Outcome:
        outcome = self.trainings.open(self.call(OpenJob(project="p1", cohort="c1", bank_columns=0), now=now))
        assert isinstance(outcome, Outcome)
        return outcome

    def record(self, outcome: Outcome) -> None:
        assert outcome.record is not None
        with writing(self.engine) as connection:
            outcome.record(connection)

    def job(self) -> str:
        outcome = self.open()
        self.record(outcome)
        return str(outcome.leaves[0].facts["job"])


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    engine = open_engine(f"sqlite:///{tmp_path / 'node.db'}")
    upgrade(engine)
    values = np.random.default_rng(1).normal(size=(ROWS, 2)).round(2)
    monkeypatch.setattr(records, "numeric_columns", lambda *_: values)
    return World(engine)


def _steps(world: World, job: str) -> list[Callable[[int], object]]:
    trainings, releases = world.trainings, Releases(world.node, world.trainings)
    return [
        world.open,
        lambda now: trainings.running(world.call(now=now, job=job)),
        lambda now: releases.release(world.call(now=now, job=job)),
        lambda now: Alignment(world.node)._project(world.call(now=now, project="p1")),
    ]


def test_a_suspended_or_ended_project_stops_at_every_step(world: World) -> None:
    steps = _steps(world, world.job())
    for step in steps:
        with pytest.raises(NotApproved):
            step(NOW + 10)
    world.suspended = True
    for step in steps:
        with pytest.raises(Suspended):
            step(NOW)


def test_nobody_is_trained_on_after_withdrawing(world: World) -> None:
    job = world.job()
    world.willing.discard(SUBJECTS[7])
    with pytest.raises(CohortRefused, match="consent"):
        world.open()
    with pytest.raises(CohortRefused, match="consent"):
        Releases(world.node, world.trainings).release(world.call(job=job))


def test_two_trainings_at_once_do_not_share_one_budget(world: World) -> None:
    first, second = world.open(), world.open()
    world.record(first)
    with pytest.raises(Conflict, match="at the same time"):
        world.record(second)


def test_what_was_measured_holds_only_if_nothing_else_went_out(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two releases at once would each be measured without the other's bands."""
    first, second = world.job(), world.job()
    made = SimpleNamespace(bands=SimpleNamespace(means=(0.0,)), codes=np.zeros(ROWS, np.uint8), leakage=None)
    learner = SimpleNamespace(weights_=np.zeros(2), levels_=[])
    for name, value in {
        "release": lambda *_, **__: made,
        "served_columns": lambda *_: SimpleNamespace(subjects=[], columns=None),
        "NodeModel": SimpleNamespace(of=lambda *_: SimpleNamespace(to_bytes=lambda: b"")),
        "field_cards": lambda *_: (),
        "statement": lambda *_: "",
        "NodeCard": lambda **_: MODELLER,
    }.items():
        monkeypatch.setattr(release_module, name, value)
    monkeypatch.setattr(NodeTraining, "learned", lambda _self: learner)
    monkeypatch.setattr(NodeTraining, "figures", lambda _self: None)
    outcomes = []
    for job in (first, second):
        with writing(world.engine) as connection:
            state.set_job_state(connection, job, "open", "proven")
        outcomes.append(Releases(world.node, world.trainings).release(world.call(job=job)))
    world.record(outcomes[0])
    with pytest.raises(Conflict, match="another model was released"):
        world.record(outcomes[1])
    with pytest.raises(ReleaseRefused, match="approved for this project"):
        Releases(world.node, world.trainings).release(world.call(job=second))


def test_an_old_word_of_the_office_is_not_believed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever stands between may send an old signed directory or list again, from before a suspension or withdrawal."""
    now = time.time()
    link = OfficeLink("http://office.invalid", KEY.public_key(), KEY, clock=lambda: now)
    old = int(now - STALE - 1)
    directory = wire.sign(Directory(version=1, issued_at=old, institutions=(), people=()), "office", KEY)
    listed = wire.sign(Eligibility(version=1, issued_at=old, collection=(), modelling=(), objections=()), "office", KEY)
    response = SimpleNamespace(status_code=200, content=wire.encode(directory))
    monkeypatch.setattr(link, "_public", SimpleNamespace(get=lambda _path: response))
    monkeypatch.setattr(SignedClient, "get", lambda *_: listed)
    with pytest.raises(PeerUnavailable):
        link.find("bank-a/mo")
    with pytest.raises(PeerUnavailable):
        next(link.eligibility())
