"""Filing consents and objections, and what of them the node is shown."""

from __future__ import annotations

from typing import Any

import pytest

from models import wire
from models.consents import (
    Capture,
    ConsentKind,
    Eligibility,
    FileConsents,
    Filed,
    FileObjections,
    FileRepairs,
    Objection,
    Repair,
    RevokeConsent,
)
from models.logged import Empty
from models.problems import BadIdentity, Conflict, Forbidden, NotFound, Problem, TooLarge, Unusable
from models.wire import Signed
from tests.office.world import World

CITIZEN = "11010519491231002X"  # the example of GB 11643-1999


def eligibility(world: World) -> Eligibility:
    signed = world.node.get("/eligibility", Signed)
    return wire.open_signed(signed, Eligibility, "office", world.office.keys.statement.public_key())


def test_the_node_learns_collection_and_modelling_but_no_query_consent(world: World) -> None:
    world.file(
        world.consent("opaque:e1", ConsentKind.COLLECTION),
        world.consent("opaque:e1", ConsentKind.QUERY),
        world.consent("opaque:e2", ConsentKind.QUERY),
        world.consent("opaque:e3", ConsentKind.MODELLING, recipient="class:rural"),
        world.consent("opaque:e4", ConsentKind.COLLECTION, valid_from=world.now + 1000),
        world.consent("opaque:e5", ConsentKind.COLLECTION, valid_from=world.now - 10, valid_to=world.now - 5),
    )
    listed = eligibility(world)
    mine = {subject for subject in listed.collection if subject.startswith("opaque:e")}
    assert mine == {"opaque:e1"}
    [modelling] = [m for m in listed.modelling if m.subject.startswith("opaque:e")]
    assert (modelling.subject, modelling.recipient) == ("opaque:e3", "class:rural")
    assert b"opaque:e2" not in wire.encode(listed)


def test_revocation_leaves_the_list(world: World) -> None:
    consent = world.consent("opaque:r1", ConsentKind.COLLECTION)
    world.file(consent)
    assert "opaque:r1" in eligibility(world).collection
    world.clerk.logged("/consents/revoke", RevokeConsent(consent=consent.id), Empty)
    assert "opaque:r1" not in eligibility(world).collection
    for unknown in (consent.id, "never-filed"):
        with pytest.raises(NotFound):
            world.clerk.logged("/consents/revoke", RevokeConsent(consent=unknown), Empty)


def test_objections_are_opened_and_settled(world: World) -> None:
    dispute = Objection(subject="opaque:o1", field="main_product", open=True)
    for objection, expected in ((dispute, True), (dispute, True), (wire.replace(dispute, open=False), False)):
        world.clerk.logged("/objections", FileObjections(objections=(objection,)), Filed)
        assert (dispute in eligibility(world).objections) == expected
    with pytest.raises(Unusable):
        world.clerk.logged("/objections", FileObjections(objections=(wire.replace(dispute, field="no field"),)), Filed)


def test_a_dispute_may_withhold_its_field_until_it_is_settled(world: World) -> None:
    dispute = Objection(subject="opaque:o2", field="main_product", open=True, withheld=True)
    for objection in (dispute, wire.replace(dispute, withheld=False), dispute):
        world.clerk.logged("/objections", FileObjections(objections=(objection,)), Filed)
        assert [o for o in eligibility(world).objections if o.subject == "opaque:o2"] == [objection]
    settled = wire.replace(dispute, open=False)
    with pytest.raises(Unusable, match="withholds nothing"):
        world.clerk.logged("/objections", FileObjections(objections=(settled,)), Filed)
    world.clerk.logged("/objections", FileObjections(objections=(wire.replace(settled, withheld=False),)), Filed)
    assert all(o.subject != "opaque:o2" for o in eligibility(world).objections)


def test_repairs_stand_until_they_are_taken_back(world: World) -> None:
    repair = Repair(subject="opaque:p1", field="penalty_severity")
    decision = "信用修复〔2026〕12号"
    for filed, expected in ((repair, [repair]), (repair, [repair]), (wire.replace(repair, stands=False), [])):
        world.clerk.logged("/repairs", FileRepairs(decision=decision, repairs=(filed,)), Filed)
        listed = eligibility(world)
        assert [r for r in listed.repairs if r.subject == "opaque:p1"] == expected
        assert decision.encode() not in wire.encode(listed), "the decision stays at the office"
    leaf = next(leaf for leaf in reversed(world.leaves()) if leaf["action"] == "repair.file")
    assert leaf["facts"] == {"count": 1}


BAD_REPAIRS: dict[str, tuple[type[Problem], dict[str, Any]]] = {
    "no field of the catalogue": (Unusable, {"field": "no field"}),
    "the whole record": (Unusable, {"field": "*"}),
    "no identity": (BadIdentity, {"subject": "citizen:123"}),
    "no decision": (Unusable, {"decision": ""}),
    "a decision too long": (Unusable, {"decision": "x" * 201}),
    "none at all": (TooLarge, {"none": True}),
}


@pytest.mark.parametrize("name", BAD_REPAIRS)
def test_malformed_repairs_are_not_stored(world: World, name: str) -> None:
    problem, changes = BAD_REPAIRS[name]
    facts = {"subject": "opaque:p2", "field": "penalty_severity", "decision": "7"} | changes
    repair = Repair(subject=facts["subject"], field=facts["field"])
    filed = FileRepairs(decision=facts["decision"], repairs=() if "none" in facts else (repair,))
    with pytest.raises(problem):
        world.clerk.logged("/repairs", filed, Filed)
    assert all(r.subject != "opaque:p2" for r in eligibility(world).repairs)


def test_identities_are_stored_in_their_canonical_form(world: World) -> None:
    full_width = "".join(chr(ord(c) + 0xFEE0) for c in CITIZEN)
    world.file(world.consent(full_width, ConsentKind.COLLECTION))
    assert f"citizen:{CITIZEN}" in eligibility(world).collection
    with pytest.raises(BadIdentity) as refused:
        world.file(world.consent(CITIZEN[:-1] + "1", ConsentKind.COLLECTION))
    assert CITIZEN[:10] not in str(refused.value)


BAD: dict[str, tuple[type[Problem], dict[str, Any]]] = {
    "ends before it begins": (Unusable, {"valid_from": 100, "valid_to": 100}),
    "unknown purpose": (Unusable, {"purposes": ("curiosity",)}),
    "no purpose": (Unusable, {"purposes": ()}),
    "unknown field set": (Unusable, {"field_sets": ("basics",)}),
    "unknown recipient": (Unusable, {"recipient": "bank-x"}),
    "empty class": (Unusable, {"recipient": "class:"}),
    "digest": (Unusable, {"evidence_digest": "00"}),
    "no id": (Unusable, {"id": ""}),
}


@pytest.mark.parametrize("name", BAD)
def test_malformed_consents_are_not_stored(world: World, name: str) -> None:
    problem, changes = BAD[name]
    with pytest.raises(problem):
        world.file(world.consent("opaque:bad", ConsentKind.COLLECTION, **changes))
    assert "opaque:bad" not in eligibility(world).collection


def test_all_are_stored_or_none(fresh: World) -> None:
    first = fresh.consent("opaque:n1", ConsentKind.COLLECTION)
    fresh.file(first)
    with pytest.raises(Conflict):
        fresh.file(fresh.consent("opaque:n2", ConsentKind.COLLECTION), first)
    twice = fresh.consent("opaque:n3", ConsentKind.COLLECTION)
    with pytest.raises(Conflict):
        fresh.file(twice, twice)
    with pytest.raises(TooLarge):
        fresh.file()
    assert eligibility(fresh).collection == ("opaque:n1",)


def test_at_a_counter_only_this_banks_consents_are_taken(world: World) -> None:
    taken = {"capture": Capture.OFFICER, "witness": "bank-a/ap"}
    query = world.consent("opaque:counter", ConsentKind.QUERY, **taken)
    world.officer.logged("/consents", FileConsents(consents=(query,)), Filed)
    refused = [
        world.consent("opaque:counter", ConsentKind.QUERY, recipient="bank-b", **taken),
        world.consent("opaque:counter", ConsentKind.QUERY, recipient="*", **taken),
        world.consent("opaque:counter", ConsentKind.QUERY, recipient="class:rural", **taken),
        world.consent("opaque:counter", ConsentKind.MODELLING, recipient="bank-a", **taken),
        world.consent("opaque:counter", ConsentKind.QUERY),
        world.consent("opaque:counter", ConsentKind.QUERY, **taken, captured_by="bank-b/li"),
    ]
    for consent in refused:
        with pytest.raises(Forbidden):
            world.officer.logged("/consents", FileConsents(consents=(consent,)), Filed)
