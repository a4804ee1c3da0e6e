"""A model past its review date, suspended, retired or replaced is served no more: neither by new epochs nor by the open one."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from audit.database import writing
from models import wire
from models.consents import Purpose
from models.parties import EndedModel
from models.problems import Conflict, NotApproved, NotFound, Problem, Suspended
from models.projects import Project, ProjectApproval, ProjectKind, ProjectOpened
from models.registry import ChangeModel, ModelDecision
from models.scorecard.card import ModelCard
from models.tables import BuildState, BuildTable, ModelApproval, ModelStatus, RegisterModel, ServeModel, score_table
from models.tickets import EvaluateTickets, Evaluations, Ticket, TicketContext
from models.wire import Message, Signed
from sharing_node.epochs import inputs
from sharing_node.epochs.due import due_tables
from sharing_node.epochs.schedule import Nightly
from sharing_node.epochs.store import epoch_key
from sharing_node.served_models import served_until
from sharing_node.state import repository as state
from sharing_node.state.repository import StoredCohort, StoredModel, StoredTable
from tests.node.bureau import DAY, KEY, NOW, Bureau, bureau
from tests.office.test_models_register import METRICS, node_card
from tests.office.world import blind_of
from tests.services import MODELLER, Services, services

HOUR = 3600
PEOPLE = [f"opaque:{n:02}" for n in range(20)]


def released(at: Bureau | Services, now: int, card: Signed) -> None:
    """A model m1 that was released at the node, with its card; no half, since nobody trained it."""
    project = Project(
        id="joint", bank="bank-a", kind=ProjectKind.JOINT_SCORECARD, title="t", purpose="modelling", fields=("f0",),
        valid_from=0, valid_to=now + 1000 * DAY, requested_by=MODELLER,
    )  # fmt: skip
    cohort = StoredCohort("c1", "joint", "bank-a", bytes(32), tuple(PEOPLE))
    with writing(at.engine) as connection:
        word = ProjectApproval(project=project, decided_by="c", decided_at=now, reason="r")
        if "joint" not in [known.id for known in state.projects(connection)]:
            state.add_project(connection, project, wire.sign(word, "office", KEY), now)
        state.add_cohort(connection, cohort, now)
        state.add_job(connection, "j1", cohort, card, aggregates=0, at=now)
        state.add_model(connection, StoredModel("m1", "j1", "joint", "c1", "bank-a", b"", b"", card, now))


def approval(office: Ed25519PrivateKey, review_by: int, decided_at: int = NOW) -> Signed:
    word = ModelApproval(
        model="m1", bank="bank-a", card="c", decided_by="c", decided_at=decided_at, reason="r", review_by=review_by
    )
    return wire.sign(word, "office", office)


# ---------------------------------------------------------------------- epochs


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bureau]:
    """A node with a model's score table, served until five hours from now."""
    with bureau(tmp_path / "node", f"sqlite:///{tmp_path}/node.db") as made:
        made.deliver(PEOPLE)
        released(made, NOW, wire.sign(node_card("m1"), "node", KEY))
        made.table = score_table("m1")
        with writing(made.engine) as connection:
            state.add_table(connection, StoredTable(made.table, "score", (), "m1", "joint"))
            state.set_approval(connection, "m1", approval(KEY, NOW + 5 * HOUR))
        monkeypatch.setattr(inputs, "score_records", lambda *_: (PEOPLE, [b"{}"] * len(PEOPLE)))
        yield made


def test_what_is_open_at_the_review_date_closes_then(place: Bureau) -> None:
    assert place.build().state == "open"
    assert place.current().expires_at == NOW + 5 * HOUR, "not the 24 hours of other epochs"
    place.now = NOW + 5 * HOUR - 1
    assert place.answers(1)
    place.now = NOW + 5 * HOUR
    assert not place.answers(1)
    failed = place.build()
    assert failed.state == "failed"
    assert "was to be reviewed by 2026-03-01" in failed.detail
    assert "hand its new approval to the node" in failed.detail
    with pytest.raises(NotFound):
        place.current()

    with writing(place.engine) as connection:
        state.set_approval(connection, "m1", approval(KEY, place.now + 200 * DAY, place.now))
    assert place.build().state == "open"
    assert place.current().expires_at == place.now + 24 * HOUR


@pytest.mark.parametrize("how", ["suspended", "retired", "replaced"])
def test_what_the_office_ended_gets_no_new_epoch(place: Bureau, how: str) -> None:
    assert place.build().state == "open"
    place.office.ended["m1"] = EndedModel(model="m1", state=how, since=place.now + HOUR)
    assert place.build().state == "open", "it is served until then"
    assert place.current().expires_at == place.now + HOUR
    place.now += HOUR
    failed = place.build()
    assert failed.state == "failed"
    assert ("ask the office" if how == "suspended" else f"was {how} and served until") in failed.detail


def test_the_night_builds_no_table_of_a_model_that_is_over(place: Bureau) -> None:
    place.set(nightly_at="02:00")
    nightly = Nightly.parse("02:00", "UTC")
    assert nightly is not None
    assert place.build().state == "open"

    def due() -> list[str]:
        with place.engine.connect() as connection:
            return due_tables(place.node, connection, nightly, place.now)

    with writing(place.engine) as connection:
        state.set_approval(connection, "m1", approval(KEY, NOW + 20 * HOUR))
    place.now = NOW + 15 * HOUR
    assert due() == [place.table]
    place.now = NOW + 20 * HOUR
    assert due() == []


def test_a_model_from_before_review_dates_serves_a_year(place: Bureau) -> None:
    with writing(place.engine) as connection:
        state.set_approval(connection, "m1", approval(KEY, 0, NOW - DAY))
        assert served_until(place.node, connection, place.table) == NOW + 364 * DAY


# ---------------------------------------------------------------------- the running services


class Pair:
    """Office and node as they run, a model that both know, and time that both sides' clocks may be moved to."""

    def __init__(self, pair: Services) -> None:
        self.pair, self.office = pair, pair.office
        self.node = pair.app.state.node
        pair.open_project("joint", kind=ProjectKind.JOINT_SCORECARD)
        self.card = wire.replace(node_card("m1"), project="joint")
        whole = ModelCard(node=self.card, bank="bank-a", bank_columns=(), encoding="woe", metrics=METRICS, parent="")
        signed = wire.sign(whole, MODELLER, self.office.keys[MODELLER])
        released(pair, self.office.now, self.office.by_node(self.card))
        counter = pair.client(MODELLER).logged("/models", signed, Signed).answer
        both = RegisterModel(bank_card=signed, node_card=self.office.by_node(self.card), countersigned=counter)
        self.office.modeller.logged("/models", both, Message)
        self.node.keys.new_oprf(epoch_key(score_table("m1"), 1))

    def move(self, seconds: float) -> None:
        self.office.clock.shift += seconds

    def decide(self, message: Message, path: str) -> Signed | None:
        status = self.office.clerk.logged(f"/models/m1/{path}", message, ModelStatus).answer
        with self.node.office._lock:
            self.node.office._known = None  # the node reads the directory anew within 15 seconds
        return status.approval

    def serve(self, word: Signed) -> str:
        return self.pair.client(MODELLER).logged("/models/m1/serve", ServeModel(approval=word), ProjectOpened).answer.table

    def spend(self) -> str:
        """What becomes of a ticket at the node: ``given``, or the refusal."""
        _, element = blind_of(secrets.token_hex(8))
        context = TicketContext(
            bank="bank-a", officer=MODELLER, purpose=Purpose.LOAN_APPROVAL, project="joint", table=score_table("m1"), epoch=1,
            expires=int(time.time()) + 500, nonce=secrets.token_bytes(16),
        )  # fmt: skip
        word = wire.sign(
            Ticket(element=bytes(element), context=context, consent=bytes(32)), "office", self.office.office.keys.statement
        )
        body = EvaluateTickets(tickets=(word,))
        path = f"/tables/{score_table('m1')}/evaluate"
        try:
            answer = self.pair.client(MODELLER).logged(path, body, Evaluations).answer
        except Problem as problem:
            return problem.detail
        return "given" if answer.results[0].evaluated else answer.results[0].detail


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    with services(tmp_path_factory.mktemp("served") / "services") as pair:
        yield Pair(pair)


def test_tickets_are_refused_with_what_to_do(running: Pair) -> None:
    office = running.office
    first = running.decide(ModelDecision(subject="m1", approve=True, reason="in order"), "decision")
    assert first is not None
    table = running.serve(first)
    statement = Signed(kind="Manifest", signer="node", payload=b"", signature=b"")
    with writing(running.pair.engine) as connection:
        state.add_epoch(connection, table, 1, statement, int(time.time()) + HOUR)
        state.open_epoch(connection, table, 1, statement)
    assert running.spend() == "given"

    running.decide(ChangeModel(subject="m1", state="suspended", reason="drift"), "state")
    assert "suspended by the credit office; ask the office" in running.spend()
    with pytest.raises(Suspended):
        running.pair.client("node/op").logged(f"/tables/{table}/epochs", BuildTable(table=table), BuildState)
    again = running.decide(ChangeModel(subject="m1", state="approved", reason="looked at"), "state")
    assert again is not None
    assert running.spend() == "given", "what the office takes back stands in its directory; the first approval holds"

    # A review may set an earlier date. The node is told by the bank, and its clock goes on.
    running.move(2)
    sooner = running.decide(
        ChangeModel(subject="m1", state="approved", reason="watched", review_by=office.now + 100), "state"
    )  # fmt: skip
    assert sooner is not None
    assert running.serve(sooner) == table
    with pytest.raises(Conflict, match="approved this model anew"):
        running.serve(first)
    with writing(running.pair.engine) as connection:
        past = wire.decode(sooner.payload, ModelApproval)
        ended = wire.sign(wire.replace(past, review_by=int(time.time()) - 1), "office", office.office.keys.statement)
        state.set_approval(connection, "m1", ended)
    assert "was to be reviewed by" in running.spend()
    with pytest.raises(NotApproved, match="review date"):
        running.serve(ended)
    renewed = running.decide(ChangeModel(subject="m1", state="approved", reason="reviewed"), "state")
    assert renewed is not None
    running.serve(renewed)
    assert running.spend() == "given"
