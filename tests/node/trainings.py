"""A node's trainings on a database, one or several workers of it, and a bank that trains: no network, all else as it runs.

What a worker is asked goes through the ledger, so that state, leaf and answer are one transaction as in the service.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import Connection

from audit.database import open_engine, writing
from audit.log import Log
from audit.service.leaves import LeafDraft, finish
from audit.service.ledger import Ledger, Request
from audit.service.outcome import Call, Outcome, Refused
from audit.service.tables import add_gate_tables
from audit.verifier.note import NoteSigner
from crypto.xof import session_seed
from models import wire
from models.catalogue import Catalogue, Field
from models.logged import Empty
from models.parties import Institution, InstitutionKind, Person, Role
from models.privacy import PrivacyWish
from models.problems import Problem
from models.projects import Project, ProjectApproval, ProjectKind
from models.scorecard.bank import BankTraining, bank_columns
from models.scorecard.limits import Limits
from models.scorecard.messages import vector_infos
from models.scorecard.rounds import ROUNDS, Plan
from models.scorecard.schemes import SCHEMES, Scheme
from models.training import (
    Figures,
    JobPlan,
    OpenJob,
    OpenRound,
    ProductAnswer,
    ProductRequest,
    Released,
    RoundAnswer,
    RoundClosed,
    RoundInputs,
    RoundOpened,
    Verdict,
    session_of,
)
from models.wire import Signed
from sharing_node.app import LOG_TABLES
from sharing_node.database import metadata
from sharing_node.jobs.release import Releases
from sharing_node.jobs.training import Trainings
from sharing_node.keys import KeyStore
from sharing_node.migrate import upgrade
from sharing_node.node import Node
from sharing_node.state import repository as state
from sharing_node.state.repository import StoredCohort
from tests.models.scorecard_job import LIMITS, MAC_KEY, Cohort, cohort

NOW = 1_800_000_000
OFFICE_KEY = Ed25519PrivateKey.from_private_bytes(b"o" * 32)
BANKS = {
    name: Institution(id=name, name=name, kind=InstitutionKind.BANK, licence="1", declared_customers=50_000)
    for name in ("bank-a", "bank-b")
}


@dataclass(frozen=True)
class Ask:
    """One request of a bank: which handler, what it takes, where, and what the answer is."""

    step: str
    body: wire.Message
    path: dict[str, str]
    answer: type[wire.Message]

    @property
    def key(self) -> str:
        return "-".join([self.step, *self.path.values()])


Play = Generator[Ask, Any, Figures]


class County:
    """What is known at the node, made once: a cohort of each bank, who is willing, and the values of their fields."""

    def __init__(
        self, folder: Path, url: str, *, rows: int = 1_200, bank_fields: int = 2, privacy: PrivacyWish | None = None
    ) -> None:
        self.scheme: Scheme = "lwe"
        self.folder, self.url = folder, url
        self.made: Cohort = cohort(5, rows=rows, bank_fields=bank_fields)
        self.subjects = tuple(f"opaque:{n:06d}" for n in range(rows))
        self.values = dict(zip(self.subjects, np.stack(list(self.made.node.values()), axis=1), strict=True))
        self.now = NOW
        engine = open_engine(url)
        upgrade(engine)
        with writing(engine) as connection:
            for bank in BANKS:
                project = Project(
                    id=f"p-{bank}", bank=bank, kind=ProjectKind.JOINT_SCORECARD, title="t", purpose="modelling",
                    fields=tuple(self.made.node), valid_from=NOW - 10, valid_to=NOW + 10**8, requested_by=f"{bank}/mo",
                    releases=4, trainings=12, privacy=privacy,
                )  # fmt: skip
                approval = ProjectApproval(project=project, decided_by="c", decided_at=NOW, reason="r")
                state.add_project(connection, project, wire.sign(approval, "office", OFFICE_KEY), NOW)
                state.add_cohort(connection, StoredCohort(f"c-{bank}", project.id, bank, b"r" * 32, self.subjects), NOW)
        engine.dispose()

    def numeric_columns(
        self, _connection: Connection, fields: Sequence[Field], subjects: Sequence[str], *_marks_and_day: object
    ) -> Any:
        """In the place of the records' SQL, which has tests of its own."""
        wanted = [list(self.made.node).index(f.name) for f in fields]
        return np.stack([self.values[s] for s in subjects])[:, wanted]


class Worker:
    """One process of the node."""

    def __init__(self, county: County) -> None:
        self.county = county
        self.engine = open_engine(county.url)
        keys = KeyStore(county.folder / "keys")

        class OneNode(Node):
            def joint_subjects(self, _project: Project, _bank: Institution) -> list[str]:
                return list(county.subjects)

        office = SimpleNamespace(
            project_suspended=lambda _id: False,
            statement=lambda signed, kind: wire.open_signed(signed, kind, "office", OFFICE_KEY.public_key()),
        )
        listed = SimpleNamespace(collection=county.subjects, objections=(), repairs=(), sensitive=())
        node = OneNode(
            settings=cast(
                Any,
                SimpleNamespace(office_public_key=OFFICE_KEY.public_key, identity="opaque", masked_product=county.scheme),
            ),
            engine=self.engine,
            keys=keys,
            signing_key=keys.signing_key("statements"),
            office=cast(Any, office),
            catalogue=cast(
                Any,
                Catalogue(tuple(Field(name=n, category="c", label_zh=n, mode="O", grade="L1") for n in county.made.node)),
            ),
            limits=Limits(),
            log=Log(self.engine, LOG_TABLES, NoteSigner.from_seed("log.example/node", b"l" * 32)),
            service_keys=cast(Any, None),
        )
        node.eligibility = lambda: listed  # type: ignore[method-assign,assignment,return-value]
        self.node = node
        self.trainings = Trainings(node)
        self.ledger = Ledger(self.engine, node.log, add_gate_tables(metadata)[1], time.time)
        self._handlers: dict[str, Callable[[Call], Any]] = {
            name: getattr(self.trainings, name) for name in ("open", "open_round", "product", "answer", "verdict")
        } | {"release": Releases(node, self.trainings).release}

    def ask(self, ask: Ask, bank: str = "bank-a", key: str = "") -> Any:
        """As the gate serves it, up to where it would wait for the leaf's index."""
        request = self._request(ask, bank, key)
        stored = self.ledger.stored(request)
        if stored is not None:
            return wire.decode(stored.answer, ask.answer)
        try:
            return self.commit(self.handle(ask, bank), ask, bank, key)
        except Refused as refused:
            if refused.attach is not None:
                with writing(self.engine) as connection:
                    refused.attach(connection, 0)
            raise refused.problem from None
        except Problem:
            stored = self.ledger.stored(request)
            if stored is None:
                raise
            return wire.decode(stored.answer, ask.answer)

    def handle(self, ask: Ask, bank: str = "bank-a") -> Outcome:
        """The first half: what the handler makes of it, nothing stored yet."""
        person = Person(id=f"{bank}/mo", institution=bank, name="M", role=Role.MODELLER, key=bytes(32))
        outcome = self._handlers[ask.step](Call(self.engine, person, BANKS[bank], ask.body, ask.path, {}, self.county.now))
        assert isinstance(outcome, Outcome)
        return outcome

    def commit(self, outcome: Outcome, ask: Ask, bank: str = "bank-a", key: str = "") -> Any:
        """The second half: state, leaf and answer."""
        return wire.decode(self.ledger.commit(self._request(ask, bank, key), outcome, self._leaf).answer, ask.answer)

    def close(self) -> None:
        self.engine.dispose()

    @staticmethod
    def _request(ask: Ask, bank: str, key: str) -> Request:
        return Request(f"{bank}/mo", key or ask.key, hashlib.sha256(wire.encode(ask.body)).digest())

    def _leaf(self, draft: LeafDraft) -> Any:
        return finish(draft, institution="bank-a", at=NOW, who={})


def train(
    county: County,
    bank: str = "bank-a",
    *,
    usable: bool = True,
    privacy: PrivacyWish | None = None,
    fields: tuple[str, ...] = (),
) -> Play:
    """A bank's whole training as the requests it makes, each answered by `send`; the office's part is played here."""
    own = bank_columns(county.made.bank, county.made.labels, LIMITS)
    opened = OpenJob(
        project=f"p-{bank}", cohort=f"c-{bank}", bank_columns=len(own), max_bins=5, node_fields=fields, privacy=privacy,
        schemes=SCHEMES,
    )  # fmt: skip
    signed: Signed = yield Ask("open", opened, {}, Signed)
    message = wire.decode(signed.payload, JobPlan)
    bins = tuple(entry.bins for entry in message.fields)
    plan = Plan(message.rows, bins, len(own), privacy=message.privacy, scheme=message.scheme)
    training = BankTraining(plan, county.made.labels, own, LIMITS, seeds=[b"1" * 32, b"2" * 32])
    transcripts = []
    for number in ROUNDS:
        path = {"job": message.job, "round": str(number)}
        opening = training.opening(number)
        inputs = RoundInputs(
            job=message.job, round=number, rows=plan.rows, bank=bank, plan=signed.digest(),
            vectors=vector_infos(opening, MAC_KEY),
        )  # fmt: skip
        word = wire.sign(inputs, "office", OFFICE_KEY)
        nonce = bytes([number]) * 32
        begun: RoundOpened = yield Ask("open_round", OpenRound(inputs=word, nonce=nonce), path, RoundOpened)
        training.open_round(session_seed(session_of(message.job, number), begun.nonce, nonce))
        b, p = training.encrypt()
        made: ProductAnswer = yield Ask("product", ProductRequest(b=wire.pack(b), p=wire.pack(p)), path, ProductAnswer)
        shape = plan.shape(number)
        w, moments = training.answer(*(plan.backend.unpack(shape, name, getattr(made, name)) for name in ("h", "c")))
        answer = RoundAnswer(w=wire.pack(w), moments=wire.pack(moments))
        closed: RoundClosed = yield Ask("answer", answer, path, RoundClosed)
        transcripts.append(closed.transcript.digest())
    verdict = Verdict(job=message.job, bank=bank, transcripts=tuple(transcripts), usable=usable, reason="")
    figures: Figures = yield Ask("verdict", wire.sign(verdict, "office", OFFICE_KEY), {"job": message.job}, Figures)
    return figures


def release(job: str) -> Ask:
    """The request for a proven training's bands."""
    return Ask("release", Empty(), {"job": job}, Released)


def drive(play: Play, ask: Callable[[Ask], Any], answer: Any = None) -> Figures:
    """A training to its end, from the answer to its last request on."""
    while True:
        try:
            asked = play.send(answer)
        except StopIteration as done:
            figures: Figures = done.value
            return figures
        answer = ask(asked)
