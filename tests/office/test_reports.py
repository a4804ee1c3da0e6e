"""What stands before a question, and what became of it afterwards."""

from __future__ import annotations

import pytest

from models import wire
from models.consents import AskStanding, ConsentKind, Purpose, RevokeConsent, Standing
from models.logged import Empty
from models.problems import BadIdentity, BadSignature, Conflict, NotFound, Unusable
from models.reports import CheckOutcome, CheckReport
from models.tickets import Access, Accesses, AccessQuery
from models.wire import Signed
from tests.office.test_budgets import DAY, settings
from tests.office.world import World


@pytest.fixture(scope="module")
def desk(world: World) -> World:
    world.project("p1")
    world.seal()
    return world


# ---------------------------------------------------------------------- standing


def look(world: World, subject: str, table: str = "check-1", purpose: str = Purpose.LOAN_APPROVAL) -> Standing:
    ask = AskStanding(subject=subject, table=table, purpose=purpose)
    return world.officer.logged("/consents/standing", ask, Standing).answer


def test_what_stands_and_until_when(desk: World) -> None:
    collection = desk.consent("opaque:two", ConsentKind.COLLECTION, valid_to=desk.now + 90 * DAY)
    query = desk.consent("opaque:two", ConsentKind.QUERY, valid_to=desk.now + 3 * DAY)
    desk.file(collection, query)
    standing = look(desk, "opaque:two")
    assert standing.missing == ()
    assert standing.collection is not None
    assert standing.query is not None
    assert (standing.collection.valid_to, standing.collection.ends_soon) == (collection.valid_to, False)
    assert (standing.query.valid_to, standing.query.ends_soon) == (query.valid_to, True)
    assert standing.query.valid_from == query.valid_from
    assert abs(standing.query.filed_at - desk.now) < 60
    desk.clerk.logged("/consents/revoke", RevokeConsent(consent=query.id), Empty)
    assert look(desk, "opaque:two").missing == ("query",)


def test_what_does_not_stand_for_this_question(desk: World) -> None:
    desk.file(
        desk.consent("opaque:none", ConsentKind.COLLECTION, field_sets=("supervision",)),
        desk.consent("opaque:none", ConsentKind.QUERY, recipient="bank-b"),
        desk.consent("opaque:none", ConsentKind.QUERY, purposes=(Purpose.POST_LOAN,)),
        desk.consent("opaque:none", ConsentKind.MODELLING),
    )
    standing = look(desk, "opaque:none")
    assert standing == Standing(collection=None, query=None, counts_from_next_epoch=False, missing=("collection", "query"))
    assert look(desk, "opaque:none", purpose=Purpose.POST_LOAN).missing == ("collection",)
    assert look(desk, "opaque:unheard-of").missing == ("collection", "query")


def test_a_consent_that_is_newer_than_the_table_counts_from_the_next_epoch(desk: World) -> None:
    desk.consented("opaque:new")
    desk.seal(table="check-old", opened_at=desk.now - 3600, expires_at=desk.now + 3600)
    desk.seal(table="check-young", opened_at=desk.now + 3600)
    assert look(desk, "opaque:new", "check-old").counts_from_next_epoch
    assert not look(desk, "opaque:new", "check-young").counts_from_next_epoch
    desk.seal(table="check-old", epoch=2, opened_at=desk.now + 3600)
    assert not look(desk, "opaque:new", "check-old").counts_from_next_epoch


def test_a_look_is_logged_and_seen(desk: World) -> None:
    before = len(desk.leaves())
    look(desk, "opaque:looked")
    [leaf] = desk.leaves()[before:]
    assert (leaf["action"], leaf["facts"]) == ("consent.look", {})
    assert "looked" not in str(leaf)
    [access] = accesses(desk, "opaque:looked")
    assert (access.officer, access.outcome) == ("bank-a/li", "looked-in-vain")
    assert desk.leaves()[access.index] == leaf


def test_looks_that_say_nothing(desk: World) -> None:
    with pytest.raises(NotFound):
        look(desk, "opaque:two", "check-9")
    with pytest.raises(Unusable, match="purpose"):
        look(desk, "opaque:two", purpose="curiosity")
    with pytest.raises(BadIdentity):
        look(desk, "citizen:1")


# ---------------------------------------------------------------------- reports


def accesses(world: World, subject: str) -> tuple[Access, ...]:
    return world.client("office/audit").logged("/accesses", AccessQuery(subject=subject), Accesses).answer.accesses


def checked(world: World, subject: str) -> str:
    """The digest of a ticket about the subject."""
    world.consented(subject)
    ticket = world.ask(world.question(subject)).results[0].ticket
    assert ticket is not None
    return ticket.digest()


def said(world: World, ticket: str, outcome: str = "approved", by: str = "bank-a/li", corrects: str = "") -> Signed:
    report = CheckReport(
        ticket=ticket, outcome=CheckOutcome(outcome), decided_at=world.now, reference="loan 7", corrects=corrects
    )
    return wire.sign(report, by, world.keys[by])


def send(world: World, report: Signed, by: str = "bank-a/li") -> None:
    world.client(by).logged("/reports", report, Empty)


def test_a_report_stands_beside_its_question(desk: World) -> None:
    ticket, other = checked(desk, "opaque:lent"), checked(desk, "opaque:lent")
    report = said(desk, ticket)
    before = len(desk.leaves())
    send(desk, report)
    [leaf] = desk.leaves()[before:]
    assert (leaf["action"], leaf["facts"]) == ("check.report", {"ticket": ticket, "report": report.digest()})
    assert "approved" not in str(leaf)
    first, second = accesses(desk, "opaque:lent")
    assert (first.ticket, first.report) == (ticket, "approved")
    assert abs(first.reported_at - desk.now) < 60
    assert (second.ticket, second.report, second.reported_at) == (other, "", 0)


def test_a_correction_takes_the_place_of_the_last_report(desk: World) -> None:
    ticket = checked(desk, "opaque:corrected")
    first = said(desk, ticket)
    with pytest.raises(Conflict, match="no report"):
        send(desk, said(desk, ticket, corrects=first.digest()))
    send(desk, first)
    for again in (first, said(desk, ticket, "declined")):
        with pytest.raises(Conflict, match="names the digest"):
            send(desk, again)
    second = said(desk, ticket, "declined", corrects=first.digest())
    send(desk, second)
    with pytest.raises(Conflict):
        send(desk, said(desk, ticket, "withdrawn", corrects=first.digest()))
    assert [access.report for access in accesses(desk, "opaque:corrected")] == ["declined"]


@pytest.mark.attack
def test_a_report_is_ones_own_and_about_a_ticket_of_ones_bank(desk: World) -> None:
    ticket = checked(desk, "opaque:own")
    with pytest.raises(BadSignature):
        send(desk, said(desk, ticket, by="bank-a/mo"))
    forged = wire.replace(said(desk, ticket, by="bank-b/li"), signer="bank-a/li")
    with pytest.raises(BadSignature):
        send(desk, forged)
    with pytest.raises(NotFound) as another:
        send(desk, said(desk, ticket, by="bank-b/li"), "bank-b/li")
    with pytest.raises(NotFound) as none:
        send(desk, said(desk, "0" * 64))
    assert another.value.detail == none.value.detail
    assert [access.report for access in accesses(desk, "opaque:own")] == [""]


def test_what_is_no_report(desk: World) -> None:
    ticket = checked(desk, "opaque:odd")
    key = desk.keys["bank-a/li"]
    for reference, decided_at in (("x" * 101, desk.now), ("a\nb", desk.now), ("", desk.now + DAY)):
        report = CheckReport(ticket=ticket, outcome=CheckOutcome.APPROVED, decided_at=decided_at, reference=reference)
        with pytest.raises(Unusable):
            send(desk, wire.sign(report, "bank-a/li", key))


def test_a_check_without_a_report_is_overdue_after_the_stated_days(desk: World) -> None:
    ticket = checked(desk, "opaque:late")
    look(desk, "opaque:late")
    with settings(desk, report_days=30):
        assert [access.overdue for access in accesses(desk, "opaque:late")] == [False, False]
        desk.clock.shift += 31 * DAY
        assert [access.overdue for access in accesses(desk, "opaque:late")] == [True, False]
        send(desk, said(desk, ticket, "not-used"))
        assert [access.overdue for access in accesses(desk, "opaque:late")] == [False, False]
    desk.clock.shift -= 31 * DAY
