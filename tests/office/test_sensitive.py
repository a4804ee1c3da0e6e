"""Sensitive fields need consents of their own, to collect and to use: at tickets, looks, alignments and in the node's list."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from audit.office import tables
from models import wire
from models.catalogue import default_catalogue
from models.consents import (
    ANY,
    AskStanding,
    ConsentKind,
    Eligibility,
    ModellingConsent,
    Purpose,
    RevokeConsent,
    SensitiveCollection,
    Standing,
)
from models.logged import Empty
from models.problems import NoConsent, Unusable
from models.projects import ProjectKind
from models.wire import Signed
from tests.office.test_alignments import alignment, file
from tests.office.world import World, running

OWN: dict[str, Any] = {"field_sets": (), "sensitive_fields": ("main_product",)}
JOINT = ("household_size", "labour_count", "real_estate_count")
REAL_ESTATE: dict[str, Any] = {"field_sets": (), "sensitive_fields": ("real_estate_count",)}


@pytest.fixture(scope="module")
def county(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """An office whose catalogue calls one field of the check table sensitive."""
    folder: Path = tmp_path_factory.mktemp("sensitive")
    folder.chmod(0o700)
    own = default_catalogue()
    fields = tuple(replace(field, sensitive=field.sensitive or field.name == "main_product") for field in own)
    catalogue = folder / "catalogue.csv"
    catalogue.write_bytes(replace(own, fields=fields).to_csv())
    with running(folder / "office", catalogue=str(catalogue)) as made:
        made.project("p1")
        made.project("joint", kind=ProjectKind.JOINT_SCORECARD, fields=JOINT)
        made.seal()
        yield made


def look(world: World, subject: str) -> Standing:
    ask = AskStanding(subject=subject, table="check-1", purpose=Purpose.LOAN_APPROVAL)
    return world.officer.logged("/consents/standing", ask, Standing).answer


def test_a_ticket_needs_each_consent_and_remembers_them_all(county: World) -> None:
    subject = "opaque:all"
    ordinary = [county.consent(subject, kind) for kind in (ConsentKind.COLLECTION, ConsentKind.QUERY)]
    own = [county.consent(subject, kind, **OWN) for kind in (ConsentKind.COLLECTION, ConsentKind.QUERY)]
    county.file(*ordinary)
    with pytest.raises(NoConsent, match="main_product"):
        county.ask(county.question(subject))
    county.file(own[0])
    assert look(county, subject).missing == ("query",)
    assert look(county, subject).missing_sensitive == ("main_product",)
    with pytest.raises(NoConsent, match="needs a query consent of its own"):
        county.ask(county.question(subject))
    county.file(own[1])
    found = look(county, subject)
    assert (found.missing, found.missing_sensitive, found.sensitive) == ((), (), ("main_product",))
    question = county.question(subject)
    county.ask(question)
    with county.office.engine.connect() as connection:
        row = connection.execute(select(tables.ticket).where(tables.ticket.c.element == question.element)).one()
    assert (row.collection_consent, row.query_consent) == tuple(consent.id for consent in ordinary)
    assert (row.further_collection_consents, row.further_query_consents) == tuple(consent.id for consent in own)
    for consent in own:
        county.clerk.logged("/consents/revoke", RevokeConsent(consent=consent.id), Empty)
        with pytest.raises(NoConsent):
            county.ask(county.question(subject))


INSUFFICIENT: dict[str, tuple[dict[str, Any], ...]] = {
    "everything": ({"field_sets": (ANY,)},),
    "its category": ({"field_sets": ("basic",)},),
    "the sensitive field alone": (OWN,),
    "another sensitive field": ({"field_sets": (ANY,)}, REAL_ESTATE),
}


@pytest.mark.attack
@pytest.mark.parametrize("name", INSUFFICIENT)
def test_nothing_but_its_name_covers_a_sensitive_field(county: World, name: str) -> None:
    subject = f"opaque:short-{len(name)}"
    kinds = (ConsentKind.COLLECTION, ConsentKind.QUERY)
    county.file(*(county.consent(subject, kind, **what) for kind in kinds for what in INSUFFICIENT[name]))
    with pytest.raises(NoConsent):
        county.ask(county.question(subject))
    assert look(county, subject).missing == ("collection", "query")


def test_an_alignment_accepts_only_whom_all_four_consents_cover(county: World) -> None:
    both = (ConsentKind.COLLECTION, ConsentKind.MODELLING)
    for name, kinds in (("both", both), ("collected", both[:1]), ("modelled", both[1:]), ("neither", ())):
        county.file(*(county.consent(f"opaque:joint-{name}", kind) for kind in both))
        if kinds:
            county.file(*(county.consent(f"opaque:joint-{name}", kind, **REAL_ESTATE) for kind in kinds))
    answer = file(county, alignment(county, [f"opaque:joint-{name}" for name in ("both", "collected", "modelled", "neither")]))
    assert answer.accepted == bytes([1, 0, 0, 0])


def test_the_nodes_list_tells_which_sensitive_fields_may_be_held(county: World) -> None:
    subject = "opaque:list"
    collection, modelling = (
        county.consent(subject, kind, **REAL_ESTATE) for kind in (ConsentKind.COLLECTION, ConsentKind.MODELLING)
    )
    county.file(collection, modelling)

    def listed() -> Eligibility:
        signed = county.node.get("/eligibility", Signed)
        return wire.open_signed(signed, Eligibility, "office", county.office.keys.statement.public_key())

    assert SensitiveCollection(subject=subject, fields=("real_estate_count",)) in listed().sensitive
    assert subject not in listed().collection, "a consent to one sensitive field lets nobody collect the rest"
    span = {"valid_from": modelling.valid_from, "valid_to": modelling.valid_to}
    own = ModellingConsent(subject=subject, recipient=ANY, sensitive_fields=("real_estate_count",), **span)
    assert own in listed().modelling
    county.clerk.logged("/consents/revoke", RevokeConsent(consent=collection.id), Empty)
    assert all(one.subject != subject for one in listed().sensitive)


BAD: dict[str, dict[str, Any]] = {
    "together with all else": {"field_sets": (ANY,), "sensitive_fields": ("main_product",)},
    "a field that is not sensitive": {"field_sets": (), "sensitive_fields": ("operating_years",)},
    "all of them": {"field_sets": (), "sensitive_fields": (ANY,)},
    "a sensitive field as if it were a category": {"field_sets": ("main_product",)},
    "nothing": {"field_sets": ()},
}


@pytest.mark.parametrize("name", BAD)
def test_a_consent_to_what_is_sensitive_stands_by_itself(county: World, name: str) -> None:
    with pytest.raises(Unusable):
        county.file(county.consent("opaque:bad", ConsentKind.QUERY, **BAD[name]))
