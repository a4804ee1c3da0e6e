"""Models: both sides' signatures on one card, and the office's decision before any score is served."""

from __future__ import annotations

import pytest

from models import wire
from models.consents import ConsentKind
from models.logged import Empty
from models.problems import BadSignature, Conflict, Forbidden, NotApproved, NotFound, Unusable
from models.projects import Decision, ProjectKind
from models.scorecard.card import LeakageStatement, Metrics, ModelCard, NodeCard
from models.tables import ModelApproval, ModelStatus, RegisterModel
from tests.office.world import World

LEAKAGE = LeakageStatement(
    node_learns=("sums",),
    bank_learns=("bands",),
    office_learns=("a verdict",),
    label_aggregates=1,
    band_bits=4.3,
    r2_most=0.1,
    r2_mean=0.1,
    r2_most_allowed=0.7,
    r2_mean_allowed=0.45,
    shrunk_fields=(),
    releases_counted=1,
)
METRICS = Metrics(rows=10, auc=0.7, gini=0.4, ks=0.3, brier=0.1, psi=0.01)


def node_card(model: str, project: str = "joint") -> NodeCard:
    return NodeCard(
        model=model,
        project=project,
        job="j",
        cohort_root="00" * 32,
        rows=1000,
        fields=(),
        bands=2,
        band_means=(0.1, 0.2),
        budgets=(),
        leakage=LEAKAGE,
        notes=(),
    )


def bank_card(card: NodeCard, bank: str = "bank-a") -> ModelCard:
    return ModelCard(node=card, bank=bank, bank_columns=(), encoding="woe", metrics=METRICS, parent="")


def registration(world: World, model: str, project: str = "joint", signer: str = "bank-a/mo") -> RegisterModel:
    card = node_card(model, project)
    return RegisterModel(bank_card=wire.sign(bank_card(card), signer, world.keys[signer]), node_card=world.by_node(card))


@pytest.fixture(scope="module")
def joint(world: World) -> World:
    world.project("joint", kind=ProjectKind.JOINT_SCORECARD)
    world.project("joint-b", kind=ProjectKind.JOINT_SCORECARD, bank="bank-b")
    world.project("undecided", kind=ProjectKind.JOINT_SCORECARD, approve=False)
    return world


def test_an_approved_models_scores_may_be_asked_for(joint: World) -> None:
    both = registration(joint, "m1")
    joint.modeller.logged("/models", both, Empty)
    assert joint.modeller.get("/models/m1", ModelStatus).state == "filed"
    with pytest.raises(Conflict):
        joint.modeller.logged("/models", both, Empty)
    decision = Decision(subject="m1", approve=True, reason="in order")
    status = joint.clerk.logged("/models/m1/decision", decision, ModelStatus).answer
    assert status.approval is not None
    approval = wire.open_signed(status.approval, ModelApproval, "office", joint.office.keys.statement.public_key())
    assert (approval.model, approval.bank, approval.card) == ("m1", "bank-a", both.bank_card.digest())
    with pytest.raises(Conflict):
        joint.clerk.logged("/models/m1/decision", decision, ModelStatus)

    joint.seal(table="scores-m1", kind="score", fields=(), field_sets=("score",), project="joint", model="m1")
    joint.file(
        joint.consent("opaque:scored", ConsentKind.COLLECTION),
        joint.consent("opaque:scored", ConsentKind.QUERY, field_sets=("score",)),
    )
    asked = joint.question("opaque:scored", project="joint", table="scores-m1")
    assert joint.ask(asked).results[0].ticket is not None
    joint.project("p1")
    with pytest.raises(NotApproved):
        joint.ask(joint.question("opaque:scored", project="p1", table="scores-m1"))


def test_a_refused_model_is_not_served(joint: World) -> None:
    joint.modeller.logged("/models", registration(joint, "m2"), Empty)
    decision = Decision(subject="m2", approve=False, reason="too few rows")
    assert joint.clerk.logged("/models/m2/decision", decision, ModelStatus).answer.approval is None
    with pytest.raises(NotApproved):
        joint.seal(table="scores-m2", kind="score", fields=(), field_sets=("score",), project="joint", model="m2")


def test_cards_that_are_refused(joint: World) -> None:
    good = registration(joint, "m3")
    by_other = wire.sign(bank_card(node_card("m3")), "bank-b/mo", joint.keys["bank-b/mo"])
    other_node_part = wire.sign(bank_card(node_card("m4")), "bank-a/mo", joint.keys["bank-a/mo"])
    other_bank = wire.sign(bank_card(node_card("m3"), "bank-b"), "bank-a/mo", joint.keys["bank-a/mo"])
    not_the_node = wire.sign(node_card("m3"), "node", joint.keys["bank-a/mo"])
    cases = [
        (BadSignature, wire.replace(good, bank_card=by_other)),
        (BadSignature, wire.replace(good, node_card=not_the_node)),
        (Unusable, wire.replace(good, bank_card=other_node_part)),
        (Forbidden, wire.replace(good, bank_card=other_bank)),
        (Forbidden, registration(joint, "m3", "joint-b")),
        (NotApproved, registration(joint, "m3", "undecided")),
        (NotFound, registration(joint, "m3", "no-such-project")),
    ]
    for problem, message in cases:
        with pytest.raises(problem):
            joint.modeller.logged("/models", message, Empty)
    with pytest.raises(NotFound):
        joint.modeller.get("/models/m3", ModelStatus)


def test_another_banks_model_is_none_of_ones_business(joint: World) -> None:
    joint.modeller.logged("/models", registration(joint, "m5"), Empty)
    with pytest.raises(Forbidden):
        joint.client("bank-b/mo").get("/models/m5", ModelStatus)
