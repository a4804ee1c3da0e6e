"""Models: both sides' signatures on one card, and the office's decision before any score is served."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from models import wire
from models.consents import ConsentKind
from models.logged import Empty
from models.problems import BadMessage, BadSignature, Conflict, Forbidden, NotApproved, NotFound, Suspended, Unusable
from models.projects import Decision, ProjectKind
from models.registry import ChangeModel, ModelDecision, ModelList, ModelRecord
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


def registration(
    world: World, model: str, project: str = "joint", signer: str = "bank-a/mo", parent: str = ""
) -> RegisterModel:
    card = node_card(model, project)
    return both_sign(world, wire.replace(bank_card(card), parent=parent), signer)


def both_sign(world: World, card: ModelCard, signer: str = "bank-a/mo") -> RegisterModel:
    signed = wire.sign(card, signer, world.keys[signer])
    return RegisterModel(bank_card=signed, node_card=world.by_node(card.node), countersigned=world.by_node(card))


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
    not_the_node = wire.sign(node_card("m3"), "node", joint.keys["bank-a/mo"])
    cases = [
        (BadSignature, wire.replace(good, bank_card=by_other)),
        (BadSignature, wire.replace(good, node_card=not_the_node)),
        (Unusable, wire.replace(good, bank_card=other_node_part)),
        (Unusable, wire.replace(good, countersigned=None)),
        (Unusable, wire.replace(good, countersigned=joint.by_node(bank_card(node_card("m4"))))),
        (BadSignature, wire.replace(good, countersigned=good.bank_card)),
        (Forbidden, both_sign(joint, bank_card(node_card("m3"), "bank-b"))),
        (Unusable, registration(joint, "m3", parent="no-such-model")),
        (Unusable, registration(joint, "m3", parent="m3")),
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


def approve(world: World, model: str, **changes: object) -> ModelStatus:
    decision = ModelDecision(subject=model, approve=True, reason="in order", **changes)  # type: ignore[arg-type]
    return world.clerk.logged(f"/models/{model}/decision", decision, ModelStatus).answer


def change(world: World, model: str, state: str, by: str = "office/wang", **changes: object) -> ModelStatus:
    asked = ChangeModel(subject=model, state=state, reason="as the board decided", **changes)  # type: ignore[arg-type]
    return world.client(by).logged(f"/models/{model}/state", asked, ModelStatus).answer


def serving(world: World, model: str, parent: str = "", **changes: object) -> ModelStatus:
    """A model that is approved, with an open epoch, and a subject that may be asked about."""
    world.modeller.logged("/models", registration(world, model, parent=parent), Empty)
    status = approve(world, model, **changes)
    seal(world, model, expires_at=min(world.now + 3600, status.review_by))
    subject = f"opaque:{model}"
    world.file(world.consent(subject, ConsentKind.COLLECTION), world.consent(subject, ConsentKind.QUERY, field_sets=("score",)))
    return status


def seal(world: World, model: str, **changes: object) -> None:
    facts = {"kind": "score", "fields": (), "field_sets": ("score",), "project": "joint", "model": model}
    world.seal(**{"table": f"score-{model}", **facts, **changes})


def ask(world: World, model: str, epoch: int = 1) -> bool:
    asked = world.question(f"opaque:{model}", project="joint", table=f"score-{model}", epoch=epoch)
    return world.ask(asked).results[0].ticket is not None


@pytest.fixture
def clock(joint: World) -> Iterator[Callable[[float], None]]:
    """Moves the office's clock; it is set back afterwards."""

    def move(seconds: float) -> None:
        joint.clock.shift += seconds

    yield move
    joint.clock.shift = 0.0


def test_a_model_serves_until_its_review_date(joint: World, clock: Callable[[float], None]) -> None:
    """And again from the moment the office has looked at it, with a new approval for the node."""
    due = joint.now + 1800
    status = serving(joint, "r1", review_by=due)
    assert status.review_by == due
    assert ask(joint, "r1")
    with pytest.raises(NotApproved, match="longer than its model may serve"):
        seal(joint, "r1", epoch=2, expires_at=due + 1)
    clock(1801)
    with pytest.raises(NotApproved, match=r"was to be reviewed by .* hand its new approval to the node"):
        ask(joint, "r1")
    with pytest.raises(NotApproved, match="was to be reviewed"):
        seal(joint, "r1", epoch=2, expires_at=joint.now + 60)
    overdue = joint.modeller.get("/models/r1", ModelStatus)
    assert (overdue.state, overdue.approval) == ("approved", None)
    assert "reviewed" in overdue.reason

    again = change(joint, "r1", "approved")
    assert again.approval is not None
    assert again.review_by == pytest.approx(joint.now + 365 * 86_400, abs=60)
    seal(joint, "r1", epoch=2)
    assert ask(joint, "r1", epoch=2)


def test_a_review_date_is_within_what_the_office_allows(joint: World) -> None:
    joint.modeller.logged("/models", registration(joint, "r2"), Empty)
    for date in (joint.now - 1, joint.now + 366 * 86_400):
        with pytest.raises(Unusable, match="within 365 days"):
            approve(joint, "r2", review_by=date)
    assert approve(joint, "r2").review_by == pytest.approx(joint.now + 365 * 86_400, abs=60)


def test_suspended_models_serve_nothing_and_are_in_the_directory(joint: World) -> None:
    serving(joint, "s1")
    change(joint, "s1", "suspended")
    assert [(one.model, one.state) for one in joint.directory().ended_models if one.model == "s1"] == [("s1", "suspended")]
    with pytest.raises(Suspended, match="as the board decided"):
        ask(joint, "s1")
    with pytest.raises(Suspended):
        seal(joint, "s1", epoch=2)
    change(joint, "s1", "approved")
    assert "s1" not in {one.model for one in joint.directory().ended_models}
    assert ask(joint, "s1")


def test_a_bank_retires_its_own_model_and_that_is_final(joint: World) -> None:
    serving(joint, "t1")
    with pytest.raises(Forbidden):
        change(joint, "t1", "suspended", by="bank-a/mo")
    with pytest.raises(Forbidden):
        change(joint, "t1", "retired", by="bank-b/mo")
    change(joint, "t1", "retired", by="bank-a/mo")
    with pytest.raises(NotApproved, match="retired"):
        ask(joint, "t1")
    for state in ("approved", "suspended", "retired"):
        with pytest.raises(Conflict):
            change(joint, "t1", state)
    with pytest.raises(BadMessage):
        change(joint, "t1", "replaced")


def test_a_replaced_model_serves_on_for_the_overlap(joint: World, clock: Callable[[float], None]) -> None:
    serving(joint, "v1")
    serving(joint, "v2", parent="v1")
    assert joint.modeller.get("/models/v1", ModelStatus).state == "replaced"
    assert ask(joint, "v1")
    assert ask(joint, "v2")
    ends = {one.model: one.since for one in joint.directory().ended_models}
    assert ends["v1"] == pytest.approx(joint.now + 30 * 86_400, abs=60)
    clock(31 * 86_400)
    told = joint.modeller.get("/models/v1", ModelStatus)
    assert told.approval is None
    assert "use the model that replaced it" in told.reason
    assert joint.modeller.get("/models/v2", ModelStatus).approval is not None


def test_the_register_lists_versions_and_lineage(joint: World) -> None:
    serving(joint, "l1")
    serving(joint, "l2", parent="l1")
    serving(joint, "l3", parent="l2")
    change(joint, "l3", "retired")
    record = joint.modeller.get("/models/l2/record", ModelRecord)
    assert [(one.id, one.version, one.parent, one.state) for one in record.lineage] == [
        ("l1", 1, "", "replaced"),
        ("l2", 2, "l1", "replaced"),
        ("l3", 3, "l2", "retired"),
    ]
    assert [(event.state, event.by) for event in record.history] == [
        ("filed", "bank-a/mo"),
        ("approved", "office/wang"),
        ("replaced", "office/wang"),
    ]
    assert (record.entry.auc, record.entry.rows, record.entry.served) == (0.7, 1000, True)
    assert wire.open_signed(
        record.cards.countersigned or record.cards.bank_card, ModelCard, "node", joint.node_key.public_key()
    ).parent == "l1"  # fmt: skip

    found = joint.modeller.get("/models?text=l2", ModelList).models
    assert {one.id for one in found} == {"l2", "l3"}, "by its own id, and by its parent's"
    assert [one.id for one in joint.clerk.get("/models?text=l&state=retired", ModelList).models] == ["l3"]
    assert joint.client("bank-b/mo").get("/models", ModelList).models == ()
    assert joint.client("office/audit").get("/models?text=l1", ModelList).models
    with pytest.raises(BadMessage):
        joint.clerk.get("/models?state=lost", ModelList)
    with pytest.raises(Forbidden):
        joint.client("bank-b/mo").get("/models/l1/record", ModelRecord)
