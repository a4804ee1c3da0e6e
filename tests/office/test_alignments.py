"""Alignment: only consented, proven, distinct subjects stand under the root, and only so many of them a year."""

from __future__ import annotations

from typing import Any

import pytest

from audit.verifier.merkle import leaf_hash, root_of
from crypto.request_proof import prove
from models import wire
from models.alignment import AlignmentContext, AlignmentFiled, AlignmentStatement, FileAlignment
from models.consents import ConsentKind
from models.problems import BadMessage, BadTicket, NotApproved, OverBudget, Unusable
from models.projects import ProjectKind
from tests.office.world import World, blind_of


def willing(world: World, *subjects: str, **changes: Any) -> None:
    kinds = (ConsentKind.COLLECTION, ConsentKind.MODELLING)
    world.file(*(world.consent(subject, kind, **changes) for subject in subjects for kind in kinds))


def alignment(world: World, subjects: list[str], blinded_as: dict[str, str] | None = None, **changes: Any) -> FileAlignment:
    fields: dict[str, Any] = {
        "bank": "bank-a",
        "modeller": "bank-a/mo",
        "project": "joint",
        "expires": world.now + 3600,
        "nonce": next(world.numbers).to_bytes(16),
    }
    context = AlignmentContext(**{**fields, **changes})
    elements, proofs = [], []
    for subject in subjects:
        made_of = (blinded_as or {}).get(subject, subject)
        blind, element = blind_of(made_of)
        elements.append(bytes(element))
        proofs.append(prove(made_of.encode(), blind, element, context.binding()))
    return FileAlignment(context=context, subjects=tuple(subjects), elements=b"".join(elements), proofs=b"".join(proofs))


def file(world: World, filed: FileAlignment) -> AlignmentFiled:
    return world.modeller.logged("/alignments", filed, AlignmentFiled).answer


@pytest.fixture(scope="module")
def joint(world: World) -> World:
    world.project("joint", kind=ProjectKind.JOINT_SCORECARD)
    return world


def test_the_root_is_over_the_accepted_elements_in_order(joint: World) -> None:
    subjects = [f"opaque:a{n}" for n in range(5)]
    willing(joint, *subjects)
    filed = alignment(joint, subjects)
    answer = file(joint, filed)
    statement = wire.open_signed(answer.statement, AlignmentStatement, "office", joint.office.keys.statement.public_key())
    assert answer.accepted == b"\1" * 5
    elements = wire.split(filed.elements, 32, "elements")
    assert statement.root == root_of(leaf_hash(element) for element in elements)
    assert (statement.project, statement.bank, statement.count) == ("joint", "bank-a", 5)


@pytest.mark.attack
def test_each_subject_needs_its_own_consent_and_proof(joint: World) -> None:
    willing(joint, "opaque:b1", "opaque:b2", "opaque:b3")
    willing(joint, "opaque:b4", recipient="bank-b")
    willing(joint, "opaque:b5", field_sets=("supervision",))
    joint.file(joint.consent("opaque:b6", ConsentKind.MODELLING))
    joint.file(joint.consent("opaque:b7", ConsentKind.COLLECTION))
    subjects = ["opaque:b1", "opaque:b2", "opaque:b1", *(f"opaque:b{n}" for n in range(3, 8)), "11010519491231002"]
    filed = alignment(joint, subjects, blinded_as={"opaque:b3": "opaque:b1"})
    answer = file(joint, filed)
    assert answer.accepted == bytes([1, 1, 0, 0, 0, 0, 0, 0, 0])
    assert answer.refused == {"repeated": 1, "bad-element": 1, "no-consent": 4, "bad-identity": 1}
    statement = wire.decode(answer.statement.payload, AlignmentStatement)
    accepted = wire.split(filed.elements, 32, "elements")[:2]
    assert statement.root == root_of(leaf_hash(element) for element in accepted)


def test_what_is_no_alignment(joint: World) -> None:
    willing(joint, "opaque:c1", "opaque:c2")
    good = alignment(joint, ["opaque:c1", "opaque:c2"])
    joint.project("for-checks")
    joint.project("undecided", approve=False, kind=ProjectKind.JOINT_SCORECARD)
    refused = [
        (BadMessage, wire.replace(good, subjects=("opaque:c1",))),
        (BadMessage, wire.replace(good, elements=good.elements[:-1])),
        (BadTicket, alignment(joint, ["opaque:c1"], bank="bank-b")),
        (BadTicket, alignment(joint, ["opaque:c1"], modeller="bank-b/mo")),
        (BadTicket, alignment(joint, ["opaque:c1"], expires=joint.now - 1)),
        (BadTicket, alignment(joint, ["opaque:c1"], expires=joint.now + 25 * 3600)),
        (NotApproved, alignment(joint, ["opaque:c1"], project="for-checks")),
        (NotApproved, alignment(joint, ["opaque:c1"], project="undecided")),
        (Unusable, alignment(joint, ["opaque:nobody"])),
    ]
    for problem, filed in refused:
        with pytest.raises(problem):
            file(joint, filed)


@pytest.mark.attack
def test_distinct_subjects_a_year_are_bounded_by_the_declared_customers(fresh: World) -> None:
    fresh.project("joint", kind=ProjectKind.JOINT_SCORECARD)
    object.__setattr__(fresh.office.settings, "aligned_ratio", 0.006)  # 6 of 1,000 customers
    subjects = [f"opaque:d{n}" for n in range(8)]
    willing(fresh, *subjects, valid_to=fresh.now + 500 * 24 * 3600)
    file(fresh, alignment(fresh, subjects[:5]))
    file(fresh, alignment(fresh, subjects[:6]))  # five of them for the second time
    with pytest.raises(OverBudget):
        file(fresh, alignment(fresh, subjects[2:]))
    file(fresh, alignment(fresh, subjects[:6]))  # the refused ones were not counted
