"""Tickets: one consented question is granted; everything that is not exactly that is refused, and leaves a leaf."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import func, select

from audit.office import tables
from models import wire
from models.consents import ANY, ConsentKind, Purpose, RevokeConsent
from models.logged import Empty
from models.parties import Institution, InstitutionKind
from models.problems import (
    BadElement,
    BadMessage,
    BadTicket,
    NoConsent,
    NotApproved,
    OverBudget,
    OwnRequest,
    Problem,
    Suspended,
)
from models.projects import Target
from models.tickets import Accesses, AccessQuery, RequestTickets, Ticket, TicketApproval, TicketRequest, Tickets
from tests.office.world import ALICE, BOB, World

Refusal = tuple[type[Problem], Callable[[World], TicketRequest]]


@pytest.fixture(scope="module")
def desk(world: World) -> World:
    """Alice and Bob have consented to bank A; Carol only to collection; project, table and epoch are in order."""
    world.project("p1")
    world.project("post-loan", purpose=Purpose.POST_LOAN)
    world.project("filed", approve=False)
    world.project("other-fields", fields=("main_product",))
    world.project("of-b", bank="bank-b")
    world.seal()
    world.seal(table="check-2")
    world.consented(ALICE, BOB)
    world.file(world.consent("opaque:carol", ConsentKind.COLLECTION))
    world.file(world.consent("opaque:dora", ConsentKind.QUERY))
    world.file(
        world.consent("opaque:erin", ConsentKind.COLLECTION),
        world.consent("opaque:erin", ConsentKind.QUERY, valid_from=world.now - 100, valid_to=world.now - 50),
        world.consent("opaque:erin", ConsentKind.QUERY, recipient="bank-b"),
        world.consent("opaque:erin", ConsentKind.QUERY, purposes=(Purpose.POST_LOAN,)),
        world.consent("opaque:erin", ConsentKind.QUERY, field_sets=("supervision",)),
        world.consent("opaque:erin", ConsentKind.QUERY, valid_from=world.now + 5000),
    )
    world.file(
        world.consent("opaque:gina", ConsentKind.COLLECTION, field_sets=("supervision",)),
        world.consent("opaque:gina", ConsentKind.QUERY),
    )
    return world


def test_a_consented_question_gets_a_ticket_that_names_nobody(desk: World) -> None:
    request = desk.question(ALICE)
    reply = desk.officer.logged("/tickets", RequestTickets(requests=(request,)), Tickets)
    [result] = reply.answer.results
    assert result.ticket is not None
    ticket = wire.open_signed(result.ticket, Ticket, "office", desk.office.keys.statement.public_key())
    assert (ticket.element, ticket.context) == (request.element, request.context)
    assert b"alice" not in result.ticket.payload
    with desk.office.engine.connect() as connection:
        row = connection.execute(select(tables.ticket).where(tables.ticket.c.element == request.element)).one()
    assert row.subject == ALICE
    assert row.proof == request.proof
    assert hashlib.sha256(row.salt + row.query_consent.encode()).digest() == ticket.consent
    leaf = desk.leaves()[reply.leaves[0].index]
    assert leaf["facts"]["ticket"] == result.ticket.digest()
    assert "alice" not in str(leaf)


def test_a_consent_to_the_class_of_banks_counts(desk: World) -> None:
    desk.file(
        desk.consent("opaque:class", ConsentKind.COLLECTION),
        desk.consent("opaque:class", ConsentKind.QUERY, recipient="class:rural", purposes=(ANY,)),
    )
    assert desk.ask(desk.question("opaque:class")).results[0].ticket is not None


REFUSALS: dict[str, Refusal] = {
    "Bob's element under Alice's consent": (BadElement, lambda w: w.question(ALICE, blinded_as=BOB)),
    "swapped element": (
        BadElement,
        lambda w: wire.replace(w.question(ALICE), element=w.question(ALICE).element),
    ),
    "proof for another context": (BadElement, lambda w: wire.replace(w.question(ALICE), context=w.context())),
    "identity element": (BadElement, lambda w: wire.replace(w.question(ALICE), element=bytes(32))),
    "short element": (BadElement, lambda w: wire.replace(w.question(ALICE), element=bytes(31))),
    "short proof": (BadElement, lambda w: wire.replace(w.question(ALICE), proof=bytes(63))),
    "another bank in the context": (BadTicket, lambda w: w.question(ALICE, bank="bank-b")),
    "another officer in the context": (BadTicket, lambda w: w.question(ALICE, officer="bank-a/mo")),
    "another bank's project": (NotApproved, lambda w: w.question(ALICE, project="of-b")),
    "unknown project": (NotApproved, lambda w: w.question(ALICE, project="none")),
    "project not decided": (NotApproved, lambda w: w.question(ALICE, project="filed")),
    "project of other fields": (NotApproved, lambda w: w.question(ALICE, project="other-fields")),
    "purpose of another project": (NotApproved, lambda w: w.question(ALICE, purpose=Purpose.POST_LOAN)),
    "purpose that the consent does not name": (
        NoConsent,
        lambda w: w.question(ALICE, project="post-loan", purpose=Purpose.POST_LOAN),
    ),
    "unknown epoch": (BadTicket, lambda w: w.question(ALICE, epoch=2)),
    "unknown table": (BadTicket, lambda w: w.question(ALICE, table="check-9")),
    "expired": (BadTicket, lambda w: w.question(ALICE, expires=w.now - 1)),
    "eleven minutes": (BadTicket, lambda w: w.question(ALICE, expires=w.now + 660)),
    "short nonce": (BadTicket, lambda w: w.question(ALICE, nonce=b"1")),
    "no query consent": (NoConsent, lambda w: w.question("opaque:carol")),
    "no collection consent": (NoConsent, lambda w: w.question("opaque:dora")),
    "consents of other time, bank, purpose and fields": (NoConsent, lambda w: w.question("opaque:erin")),
    "collection of other fields": (NoConsent, lambda w: w.question("opaque:gina")),
    "nobody": (NoConsent, lambda w: w.question("opaque:nobody")),
}


@pytest.mark.attack
@pytest.mark.parametrize("name", REFUSALS)
def test_refused_without_a_ticket_and_with_a_leaf(desk: World, name: str) -> None:
    problem, make = REFUSALS[name]
    request = make(desk)
    before = len(desk.leaves())
    with pytest.raises(problem):
        desk.ask(request)
    [leaf] = desk.leaves()[before:]
    assert (leaf["action"], leaf["outcome"], leaf["problem"]) == ("ticket", "refused", problem.slug())
    assert "opaque" not in str(leaf)
    with desk.office.engine.connect() as connection:
        issued = select(func.count()).select_from(tables.ticket).where(tables.ticket.c.element == request.element)
        assert connection.execute(issued).scalar_one() == 0


@pytest.mark.attack
def test_an_element_is_never_ticketed_twice(desk: World) -> None:
    request = desk.question(ALICE)
    desk.ask(request)
    with pytest.raises(BadTicket):
        desk.ask(request)


def test_the_same_request_again_gets_the_same_ticket(desk: World) -> None:
    batch, officer = RequestTickets(requests=(desk.question(ALICE),)), desk.officer
    first = officer.logged("/tickets", batch, Tickets, key="the-same-key")
    assert officer.logged("/tickets", batch, Tickets, key="the-same-key") == first


def test_an_officer_asks_one_question_at_a_time(desk: World) -> None:
    with pytest.raises(BadMessage):
        desk.officer.logged("/tickets", RequestTickets(requests=(desk.question(ALICE), desk.question(BOB))), Tickets)


def test_a_revoked_consent_opens_nothing(desk: World) -> None:
    consent = desk.consent("opaque:rev", ConsentKind.QUERY)
    desk.file(desk.consent("opaque:rev", ConsentKind.COLLECTION), consent)
    desk.ask(desk.question("opaque:rev"))
    desk.clerk.logged("/consents/revoke", RevokeConsent(consent=consent.id), Empty)
    with pytest.raises(NoConsent):
        desk.ask(desk.question("opaque:rev"))


def test_who_looked_at_me_lists_granted_and_refused_questions(desk: World) -> None:
    desk.consented("opaque:seen")
    desk.ask(desk.question("opaque:seen"))
    with pytest.raises(NotApproved):
        desk.ask(desk.question("opaque:seen", project="filed"))
    reply = desk.client("office/audit").logged("/accesses", AccessQuery(subject="opaque:seen"), Accesses)
    granted, refused = reply.answer.accesses
    assert (granted.bank, granted.officer, granted.outcome) == ("bank-a", "bank-a/li", "granted")
    assert refused.outcome == "not-approved"
    leaves = desk.leaves()
    assert leaves[granted.index]["action"] == leaves[refused.index]["action"] == "ticket"
    assert leaves[refused.index]["outcome"] == "refused"
    assert leaves[reply.leaves[0].index]["action"] == "access.list"


def test_a_suspended_officer_bank_or_project_asks_nothing(desk: World) -> None:
    for kind, target in (("person", "bank-a/li"), ("institution", "bank-a"), ("project", "p1")):
        suspend = Target(kind=kind, id=target, suspended=True, reason="under review")
        version = desk.directory().version
        desk.clerk.logged("/suspensions", suspend, Empty)
        try:
            assert desk.directory().version == version + 1
            with pytest.raises(Suspended):
                desk.ask(desk.question(ALICE))
            assert ("p1" in desk.directory().suspended_projects) == (kind == "project")
        finally:
            desk.clerk.logged("/suspensions", wire.replace(suspend, suspended=False), Empty)
    desk.ask(desk.question(ALICE))


def test_a_batch_says_for_each_question_what_became_of_it(desk: World) -> None:
    changes: dict[str, Any] = {"officer": "bank-a/mo", "expires": desk.now + 23 * 3600}
    once = desk.question(BOB, **changes)
    requests = (desk.question(ALICE, **changes), once, once, desk.question("opaque:carol", **changes))
    wrong = (desk.question(ALICE, blinded_as=BOB, **changes), desk.question("citizen:1", **changes))
    reply = desk.modeller.logged("/tickets", RequestTickets(requests=requests + wrong), Tickets)
    problems = [result.problem for result in reply.answer.results]
    assert problems == ["", "", "bad-ticket", "no-consent", "bad-element", "bad-identity"]
    assert [result.ticket is not None for result in reply.answer.results] == [not problem for problem in problems]
    assert len(reply.leaves) == len(problems)
    leaves = desk.leaves()
    outcomes = [leaves[ref.index]["outcome"] for ref in reply.leaves]
    assert outcomes == ["done" if not problem else "refused" for problem in problems]


@pytest.mark.attack
def test_the_budget_of_checks_ends_enumeration_and_raises_an_alarm(fresh: World) -> None:
    from models.alarms import Alarms

    fresh.project("p1", checks=2)
    fresh.seal()
    fresh.consented(ALICE)
    changes: dict[str, Any] = {"officer": "bank-a/mo", "expires": fresh.now + 3600}
    batch = RequestTickets(requests=tuple(fresh.question(ALICE, **changes) for _ in range(3)))
    results = fresh.modeller.logged("/tickets", batch, Tickets).answer.results
    assert [result.problem for result in results] == ["", "", "over-budget"]
    with pytest.raises(OverBudget):
        fresh.ask(fresh.question(ALICE))
    client = fresh.client("office/audit")
    [first, second] = wire.decode(wire.decode(client.get_raw("/alarms"), _logged()).answer, Alarms).alarms
    assert first.kind == second.kind == "budget"


def test_a_bank_that_asks_for_it_needs_a_second_person(world: World) -> None:
    world.clerk.logged(
        "/institutions",
        Institution(id="bank-c", name="C", kind=InstitutionKind.BANK, licence="4", declared_customers=10, second_approval=True),
        Empty,
    )
    from models.parties import Role

    for person, role in (("bank-c/li", Role.LOAN_OFFICER), ("bank-c/mo", Role.MODELLER), ("bank-c/ap", Role.APPROVER)):
        world.enrol(person, role)
    world.project("pc", bank="bank-c")
    world.seal(table="check-c")
    world.file(
        world.consent("opaque:cc", ConsentKind.COLLECTION), world.consent("opaque:cc", ConsentKind.QUERY, recipient="bank-c")
    )
    request = world.question("opaque:cc", bank="bank-c", officer="bank-c/li", project="pc", table="check-c")

    def approved(by: str, signer: str = "", **changes: Any) -> TicketRequest:
        fields = {"subject": "opaque:cc", "context": request.context.digest(), "approver": by, **changes}
        signed = wire.sign(TicketApproval(**fields), signer or by, world.keys[by])
        return wire.replace(request, approval=signed)

    refused: list[TicketRequest] = [
        request,
        approved("bank-c/li"),
        approved("bank-a/ap"),
        approved("bank-c/li", signer="bank-c/ap"),
        approved("bank-c/ap", subject=ALICE),
        approved("bank-c/ap", context="0" * 64),
    ]
    for bad in refused:
        with pytest.raises((NotApproved, OwnRequest)):
            world.ask(bad, "bank-c/li")
    assert world.ask(approved("bank-c/ap"), "bank-c/li").results[0].ticket is not None


def _logged() -> Any:
    from models.logged import Logged

    return Logged
