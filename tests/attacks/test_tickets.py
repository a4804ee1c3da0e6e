"""Attack: read Bob's record under Alice's consent, and whatever else a ticket does not allow.

A malicious bank holds its own keys and talks to an office and a node as they run. It succeeds with one evaluation that a
consent did not cover, or with a ticket that counts twice.

The naive build, kept below, is an office that signs any element for a consented subject: "B = r·P for some r" holds for
every B in a group of prime order. There, Bob's record opens under Alice's consent.
"""

from __future__ import annotations

import random
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from pathlib import Path
from threading import Barrier
from typing import Any
from unittest.mock import patch

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

import audit.office.tickets
import sharing_node.alignment
import sharing_node.office
from bank_client import PrivateQuery
from crypto.request_proof import prove
from models import wire
from models.consents import ConsentKind, Purpose, RevokeConsent
from models.logged import Empty
from models.problems import BadElement, BadTicket, NoConsent, Problem
from models.projects import Target
from models.tickets import Ticket, TicketContext, TicketRequest
from models.wire import Signed
from sharing_node.records import Marks, iterate_check_records
from tests.attacks.stage import ALICE, BOB, CAROL, MAY_ASK, Stage, in_turn, stage
from tests.office.world import blind_of
from tests.services import FIELDS, MODELLER, OFFICER, catalogue

pytestmark = pytest.mark.attack

NAME = "tickets"
FULL_COUNT = 1_000


# ---------------------------------------------------------------------- at the office: no ticket


def another_blind(stage: Stage) -> TicketRequest:
    return wire.replace(stage.question(ALICE), element=stage.question(ALICE).element)


def another_context(stage: Stage) -> TicketRequest:
    return wire.replace(stage.question(ALICE), context=stage.question(ALICE).context)


def proof_without_the_blind(stage: Stage) -> TicketRequest:
    """Bob's element with a proof made from a blind that does not belong to it."""
    request = stage.question(BOB)
    blind, _ = blind_of(ALICE)
    proof = prove(ALICE.encode(), blind, request.element, request.context.binding())  # type: ignore[arg-type]
    return wire.replace(request, subject=ALICE, proof=proof)


AT_THE_OFFICE: dict[str, tuple[str, Callable[[Stage], TicketRequest]]] = {
    "Bob's element under Alice's consent": ("bad-element", lambda s: s.question(ALICE, blinded_as=BOB)),
    "Carol's element under Alice's consent": ("bad-element", lambda s: s.question(ALICE, blinded_as=CAROL)),
    "a swapped element": ("bad-element", another_blind),
    "a proof without the blind": ("bad-element", proof_without_the_blind),
    "a proof for another context": (
        "bad-element",
        lambda s: wire.replace(s.question(ALICE), context=s.question(ALICE).context),
    ),
    "no query consent": ("no-consent", lambda s: s.question(CAROL)),
    "another bank's name": ("bad-ticket", lambda s: s.question(ALICE, bank="bank-b")),
    "another officer's name": ("bad-ticket", lambda s: s.question(ALICE, officer="bank-a/ap")),
    "another purpose": ("not-approved", lambda s: s.question(ALICE, purpose=Purpose.POST_LOAN)),
    "another epoch": ("bad-ticket", lambda s: s.question(ALICE, epoch=s.epoch + 1)),
    "another table": ("bad-ticket", lambda s: s.question(ALICE, table="check-other")),
    "a life of a day": ("bad-ticket", lambda s: s.question(ALICE, expires=s.world.now + 24 * 3600)),
    "expired": ("bad-ticket", lambda s: s.question(ALICE, expires=s.world.now - 1)),
}


def attack_office(stage: Stage, kind: str) -> None:
    slug, make = AT_THE_OFFICE[kind]
    request = make(stage)
    before = len(stage.world.leaves())
    with pytest.raises(Problem) as caught:
        stage.world.ask(request)
    assert caught.value.slug() == slug, kind
    [leaf] = stage.world.leaves()[before:]
    assert (leaf["action"], leaf["outcome"], leaf["problem"]) == ("ticket", "refused", caught.value.slug()), kind


# ---------------------------------------------------------------------- at the node: no evaluation


def altered(ticket: Signed, **changes: Any) -> Signed:
    """A true ticket with other words under the same signature."""
    return wire.replace(ticket, payload=wire.encode(wire.replace(wire.decode(ticket.payload, Ticket), **changes)))


def with_context(ticket: Signed, **changes: Any) -> Signed:
    context: TicketContext = wire.decode(ticket.payload, Ticket).context
    return altered(ticket, context=wire.replace(context, **changes))


Spend = Callable[[Stage], Any]
AT_THE_NODE: dict[str, tuple[str, Spend]] = {
    "B swapped in a signed ticket": (
        "does not verify",
        lambda s: s.spend(altered(s.ticket(), element=bytes(blind_of(BOB)[1]))),
    ),
    "a life made longer": ("does not verify", lambda s: s.spend(with_context(s.ticket(), expires=s.world.now + 10**6))),
    "a purpose changed": ("does not verify", lambda s: s.spend(with_context(s.ticket(), purpose=Purpose.POST_LOAN))),
    "signed by the bank itself": ("does not verify", lambda s: s.spend(s.forged(s.world.keys[OFFICER]))),
    "signed by nobody": ("does not verify", lambda s: s.spend(s.forged(Ed25519PrivateKey.generate()))),
    "signed by the office as something else": ("expected a Ticket", lambda s: s.spend(wire.replace(s.ticket(), kind="Seal"))),
    "another bank": ("another bank or person", lambda s: s.spend(s.ticket(), person="bank-b/li")),
    "another officer": ("another bank or person", lambda s: s.spend(s.ticket(), person=MODELLER)),
    "another epoch": ("another table or epoch", lambda s: s.spend(s.forged(epoch=s.epoch + 1))),
    "an earlier epoch": ("another table or epoch", lambda s: s.spend(s.forged(epoch=s.epoch - 1))),
    "another table": ("another table or epoch", lambda s: s.spend(s.forged(table="check-other"))),
    "expired": ("has expired", lambda s: s.spend(s.forged(expires=int(time.time()) - 1))),
    "the identity element": ("identity", lambda s: s.spend(signed_over(s, bytes(32)))),
    "no canonical element": ("canonical", lambda s: s.spend(signed_over(s, b"\xff" * 32))),
    "a short element": ("32 bytes", lambda s: s.spend(signed_over(s, bytes(31)))),
}


def signed_over(stage: Stage, element: bytes) -> Signed:
    context = stage.world.context(**stage._where())
    return wire.sign(Ticket(element=element, context=context, consent=bytes(32)), "office", stage.world.office.keys.statement)


def attack_node(stage: Stage, kind: str) -> None:
    before, evaluated, spent = stage.pair.logged(), stage.evaluated["evaluations"], stage.spent()
    reason, spend = AT_THE_NODE[kind]
    with pytest.raises(Problem, match=reason) as caught:
        spend(stage)
    assert (stage.evaluated["evaluations"], stage.spent()) == (evaluated, spent), f"{kind}: the node evaluated"
    [leaf] = stage.pair.leaves(before)
    assert (leaf["action"], leaf["outcome"], leaf["problem"]) == ("check.evaluate", "refused", caught.value.slug()), kind


def attack_by_spending_again(stage: Stage) -> None:
    """A spent ticket again, and its element under another ticket of the office's own making."""
    ticket = stage.ticket()
    element = wire.decode(ticket.payload, Ticket).element
    assert stage.spend(ticket).results[0].evaluated
    evaluated = stage.evaluated["evaluations"]
    renewed = wire.sign(
        Ticket(element=element, context=stage.world.context(**stage._where()), consent=bytes(32)),
        "office",
        stage.world.office.keys.statement,
    )
    for again in (ticket, renewed):
        before = stage.pair.logged()
        with pytest.raises(BadTicket, match="spent before"):
            stage.spend(again)
        assert stage.evaluated["evaluations"] == evaluated
        [leaf] = stage.pair.leaves(before)
        assert (leaf["outcome"], leaf["problem"]) == ("refused", "bad-ticket")


def attack_by_spending_twice_at_once(stage: Stage) -> None:
    """One ticket from two threads, and twice in one batch: it is answered exactly once."""
    ticket, spent = stage.ticket(), stage.spent()
    barrier = Barrier(2)

    def spend() -> bool:
        barrier.wait()
        try:
            return bool(stage.spend(ticket).results[0].evaluated)
        except BadTicket:
            return False

    with ThreadPoolExecutor(2) as pool:
        answered = [future.result() for future in [pool.submit(spend) for _ in range(2)]]
    assert sorted(answered) == [False, True]
    twice = stage.ticket()
    results = stage.spend(twice, twice).results
    assert [bool(result.evaluated) for result in results] == [True, False]
    assert stage.spent() == spent + 2


# ---------------------------------------------------------------------- the naive build


class BobAsAlice(PrivateQuery):
    """The attacker's client: asks for Bob's cell, and says that it is about Alice."""

    def _ticket_request(self, question: Any) -> TicketRequest:
        return wire.replace(super()._ticket_request(question), subject=ALICE)


def read_bob_as_alice(stage: Stage) -> bytes | None:
    with stage.pair.bank(OFFICER) as bank:
        return BobAsAlice(bank, MAY_ASK, stage.table).ask("bob").record


def held(stage: Stage, subject: str) -> bytes:
    with stage.pair.engine.connect() as connection:
        return dict(iterate_check_records(connection, catalogue().select(FIELDS), Marks(), date.today()))[subject]


def naive_office_gives_bob_away(stage: Stage) -> bool:
    """An office that does not ask for the proof of knowledge."""
    with patch.object(audit.office.tickets, "verify_request_proof", lambda *_: None):
        return read_bob_as_alice(stage) == held(stage, BOB)


# ---------------------------------------------------------------------- the campaign


def campaign(count: int, seed: int) -> dict[str, Any]:
    """Mount `count` attacks, spread over all kinds; AssertionError if one succeeds, or if the naive builds withstand."""
    rng = random.Random(seed)
    attacks: dict[str, Callable[[Stage], None]] = {}
    for kind in AT_THE_OFFICE:
        attacks[f"office: {kind}"] = lambda stage, kind=kind: attack_office(stage, kind)  # type: ignore[misc]
    for kind in AT_THE_NODE:
        attacks[f"node: {kind}"] = lambda stage, kind=kind: attack_node(stage, kind)  # type: ignore[misc]
    attacks["node: spent again"] = attack_by_spending_again
    attacks["node: spent twice at once"] = attack_by_spending_twice_at_once
    refused = Counter[str]()
    with tempfile.TemporaryDirectory(prefix="xinqiao-tickets-") as folder, stage(Path(folder) / "stage") as made:
        with pytest.raises(BadElement):
            read_bob_as_alice(made)
        for kind in in_turn(attacks, count, rng):
            attacks[kind](made)
            refused[kind] += 1
        with made.pair.bank(OFFICER) as bank:
            honest = PrivateQuery(bank, MAY_ASK, made.table).ask("alice").record
            assert honest == held(made, ALICE), "who may ask still gets an answer"
        assert naive_office_gives_bob_away(made), "the naive build must give Bob's record away"
    return {"refused": dict(refused), "refused_total": refused.total(), "naive_reads_bob_as_alice": True}


def test_no_question_without_a_ticket_of_its_own() -> None:
    every = len(AT_THE_OFFICE) + len(AT_THE_NODE) + 2
    assert len(campaign(every, 20_250_101)["refused"]) == every


# ---------------------------------------------------------------------- what takes effect while tickets are out


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with stage(tmp_path_factory.mktemp("tickets") / "stage") as made:
        yield made


@pytest.mark.parametrize(("kind", "target"), [("person", OFFICER), ("institution", "bank-a"), ("project", MAY_ASK)])
def test_a_suspension_stops_tickets_that_were_given_before(made: Stage, kind: str, target: str) -> None:
    ticket, evaluated = made.ticket(), made.evaluated["evaluations"]
    word = Target(kind=kind, id=target, suspended=True, reason="under review")
    # The node follows the directory within 15 seconds; here at once.
    with patch.object(sharing_node.office, "FRESH", -1.0):
        made.world.clerk.logged("/suspensions", word, Empty)
        before = made.pair.logged()
        try:
            with pytest.raises(Problem) as caught:
                made.spend(ticket)
        finally:
            made.world.clerk.logged("/suspensions", wire.replace(word, suspended=False), Empty)
        assert caught.value.slug() == "suspended"
        assert made.evaluated["evaluations"] == evaluated
        [leaf] = made.pair.leaves(before)
        assert (leaf["action"], leaf["problem"]) == ("check.evaluate", "suspended")
        assert made.spend(ticket).results[0].evaluated, "once it is lifted the ticket counts again"


def test_after_a_revocation_no_ticket_is_given_at_once(made: Stage) -> None:
    """What was given before ends with its epoch's grace time: see `test_epoch_change.py`."""
    consents = [made.world.consent("opaque:c0000", kind) for kind in (ConsentKind.COLLECTION, ConsentKind.QUERY)]
    made.world.file(*consents)
    with made.pair.bank(OFFICER) as bank:
        query = PrivateQuery(bank, MAY_ASK, made.table)
        assert query.ask("c0000").record == held(made, "opaque:c0000")
        made.world.clerk.logged("/consents/revoke", RevokeConsent(consent=consents[1].id), Empty)
        with pytest.raises(NoConsent):
            query.ask("c0000")


def test_a_batch_is_refused_one_by_one_and_each_has_its_leaf(made: Stage) -> None:
    changes: dict[str, Any] = {"person": MODELLER, "expires": made.world.now + 3600}
    good = [made.ticket(BOB, **changes), made.ticket(ALICE, **changes)]
    tickets = (good[0], made.forged(Ed25519PrivateKey.generate()), good[1], good[0])
    before = made.pair.logged()
    results = made.spend(*tickets, person=MODELLER).results
    assert [result.problem for result in results] == ["", "bad-signature", "", "bad-ticket"]
    outcomes = [(leaf["outcome"], leaf.get("problem", "")) for leaf in made.pair.leaves(before)]
    assert outcomes == [("done", ""), ("refused", "bad-signature"), ("done", ""), ("refused", "bad-ticket")]
