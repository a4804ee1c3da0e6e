"""Enrolment, suspension and the signed directory."""

from __future__ import annotations

import httpx2
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from audit.verifier.note import VerifierKey
from models import wire
from models.logged import Empty
from models.parties import Institution, InstitutionKind, Person, Role, ServiceKeys
from models.problems import Conflict, NotFound, Problem, Unusable
from models.projects import Target
from tests.office.world import PATIENT, World


def person(person_id: str, role: Role, key: bytes | None = None, **changes: object) -> Person:
    fields = {
        "id": person_id,
        "institution": person_id.split("/", maxsplit=1)[0],
        "name": "Zhao",
        "role": role,
        "key": key or Ed25519PrivateKey.generate().public_key().public_bytes_raw(),
    }
    return Person(**{**fields, **changes})  # type: ignore[arg-type]


def test_the_directory_names_everyone_and_grows_by_one(fresh: World) -> None:
    before = fresh.directory()
    new = person("bank-a/new", Role.LOAN_OFFICER)
    fresh.clerk.logged("/people", new, Empty)
    after = fresh.directory()
    assert after.version == before.version + 1
    assert set(after.people) - set(before.people) == {new}
    assert {i.id for i in after.institutions} == {"office", "node", "bank-a", "bank-b"}


def test_the_directory_is_signed_again_after_a_while(world: World) -> None:
    before = world.directory()
    world.clock.shift += 60
    try:
        assert world.directory().issued_at >= before.issued_at + 60
    finally:
        world.clock.shift = 0


def test_published_keys_are_those_in_use(world: World) -> None:
    keys = wire.decode(httpx2.get(f"{world.url}/keys", **PATIENT).content, ServiceKeys)
    assert keys.statement_key == world.office.keys.statement.public_key().public_bytes_raw()
    assert VerifierKey.parse(keys.log_key) == world.office.log.signer.key
    assert VerifierKey.parse(keys.witness_key) == world.office.witness_key


def test_who_cannot_be_enrolled(world: World) -> None:
    known = world.keys["bank-a/li"].public_key().public_bytes_raw()
    refused: list[tuple[type[Problem], Person]] = [
        (Unusable, person("bank-a/x", Role.CLERK)),
        (Unusable, person("bank-a/x", Role.STEWARD)),
        (Unusable, person("office/x", Role.MODELLER)),
        (Unusable, person("node/x", Role.NODE)),
        (Unusable, person("office/x", Role.OFFICE)),
        (Unusable, person("bank-b/x", Role.MODELLER, institution="bank-a")),
        (Unusable, person("bank-a/", Role.MODELLER)),
        (Unusable, person("bank-a/x", Role.MODELLER, name="")),
        (Unusable, person("bank-a/x", Role.MODELLER, key=bytes(31))),
        (Unusable, person("bank-a/x", Role.MODELLER, suspended=True)),
        (NotFound, person("bank-x/x", Role.MODELLER)),
        (Conflict, person("bank-a/li", Role.LOAN_OFFICER)),
        (Conflict, person("bank-a/x", Role.LOAN_OFFICER, key=known)),
    ]
    version = world.directory().version
    for problem, new in refused:
        with pytest.raises(problem):
            world.clerk.logged("/people", new, Empty)
    assert world.directory().version == version


def test_which_institutions_cannot_be_enrolled(world: World) -> None:
    bank = Institution(id="bank-z", name="Z", kind=InstitutionKind.BANK, licence="1", declared_customers=5)
    for changes in ({"id": "a/b"}, {"name": ""}, {"licence": ""}, {"declared_customers": 0}, {"suspended": True}):
        with pytest.raises(Unusable):
            world.clerk.logged("/institutions", wire.replace(bank, **changes), Empty)
    with pytest.raises(Conflict):
        world.clerk.logged("/institutions", wire.replace(bank, id="bank-a"), Empty)


def test_nobody_locks_the_office_out(world: World) -> None:
    for kind, target in (("institution", "office"), ("person", "office/wang")):
        with pytest.raises(Unusable):
            world.clerk.logged("/suspensions", Target(kind=kind, id=target, suspended=True, reason="?"), Empty)
    with pytest.raises(NotFound):
        world.clerk.logged("/suspensions", Target(kind="person", id="bank-a/none", suspended=True, reason="?"), Empty)


def test_leaves_of_enrolment_name_no_person(world: World) -> None:
    enrolments = [leaf for leaf in world.leaves() if leaf["action"] == "enrol.person" and leaf["outcome"] == "done"]
    assert enrolments
    assert all(set(leaf["facts"]) == {"home", "role"} for leaf in enrolments)
