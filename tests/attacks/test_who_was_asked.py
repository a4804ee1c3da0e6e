"""Attack: name the subject of a query, given the node's database, keys and log, the office's log, and everyone's names.

For each evaluation the attacker holds the leaf in the node's log, the ticket's leaf in the office's log, the blinded element
and what the node's key makes of it. It goes through the population and looks for anything that follows from a person's id (it,
its digests, its group element, its tag, a commitment without a salt); where nothing is found it guesses, by the order in which
people stand in lists. Beside that, classifiers learn on half of the queries, whose subjects they are told.

Criterion: no more subjects named than chance allows (one time in a million), AUC within what chance reaches; and with the
office's openings the auditor names every one. Naive builds, kept below: a bank that blinds a person always alike, to save the
work, and an office that commits to a consent without a salt.
"""

from __future__ import annotations

import hashlib
import random
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import msgspec
import numpy as np
import pytest
from scipy.stats import binom
from sqlalchemy import select, text

from audit.office import tickets as office_tickets
from crypto import group, voprf
from crypto.voprf import VoprfServer, hash_input
from models.consents import ConsentKind
from models.tickets import EvaluateTickets, Evaluations, RequestTickets, Tickets
from sharing_node.epochs.store import epoch_key
from sharing_node.state.tables import SpentRow
from tests.attacks.distinguisher import held_out_auc, limit
from tests.services import FIELDS, MODELLER, Services, services

pytestmark = pytest.mark.attack

NAME = "who-was-asked"
FULL_COUNT = 10_000
SMALL_COUNT = 120
NAIVE_COUNT = 40
POPULATION = 128
TOGETHER = 500
CHANCE = 1e-6
NO_SALT = bytes(32)


@dataclass
class Seen:
    """One query as the attacker has it: `found` holds all bytes that belong to it, `numbers` what classifiers read."""

    ticket: str
    found: bytes = field(repr=False)
    numbers: bytes = field(repr=False)


# ---------------------------------------------------------------------- what happens


def queries(pair: Services, project: str, people: Sequence[str], count: int, rng: random.Random) -> dict[str, str]:
    """Ask `count` questions about people drawn at random; the truth by ticket."""
    pair.load([(name.removeprefix("opaque:"), dict.fromkeys(FIELDS, 1.0)) for name in people])
    world = pair.office
    kinds = (ConsentKind.COLLECTION, ConsentKind.QUERY)
    world.file(*(world.consent(one, kind, id=f"{kind}-{one}", recipient="*") for one in people for kind in kinds))
    table = pair.open_project(project, checks=10 * FULL_COUNT)
    epoch = pair.build(table).epoch
    where = {"project": project, "table": table, "epoch": epoch, "officer": MODELLER}
    truth: dict[str, str] = {}
    drawn = [rng.choice(people) for _ in range(count)]
    for start in range(0, count, TOGETHER):
        subjects = drawn[start : start + TOGETHER]
        asked = RequestTickets(requests=tuple(world.question(one, **where) for one in subjects))
        results = world.client(MODELLER).logged("/tickets", asked, Tickets).answer.results
        granted = [(result.ticket, one) for result, one in zip(results, subjects, strict=True) if result.ticket is not None]
        truth |= {ticket.digest(): one for ticket, one in granted}
        spend = EvaluateTickets(tickets=tuple(ticket for ticket, _ in granted))
        answer = pair.client(MODELLER).logged(f"/tables/{table}/evaluate", spend, Evaluations).answer
        assert all(not one.problem for one in answer.results)
    return truth


# ---------------------------------------------------------------------- the attacker


def seen(pair: Services, project: str) -> tuple[list[Seen], VoprfServer]:
    """Every evaluation of a project, in the order of the log, with all that node and logs hold about it; and the node's key."""
    given = {leaf["facts"].get("ticket"): leaf for leaf in pair.office.leaves() if leaf["action"] == "ticket"}
    leaves = [leaf for leaf in pair.leaves() if leaf["action"] == "check.evaluate" and leaf["outcome"] == "done"]
    with pair.engine.connect() as connection:
        # Elements are kept in the order in which they were spent.
        elements = [bytes(one) for one in connection.execute(select(SpentRow.element).order_by(text("rowid"))).scalars()]
    done = [each for each in zip(leaves, elements, strict=True) if each[0]["facts"]["project"] == project]
    facts = done[0][0]["facts"]
    key: VoprfServer = pair.app.state.node.keys.oprf(epoch_key(facts["table"], facts["epoch"]))
    evaluated = [bytes(one.element) for one in key.blind_evaluate_many([element for _, element in done])]
    found = []
    for (leaf, element), made in zip(done, evaluated, strict=True):
        ticket = leaf["facts"]["ticket"]
        public = msgspec.json.encode(leaf) + msgspec.json.encode(given[ticket])
        digests = (ticket, given[ticket]["opening"], leaf["opening"], given[ticket]["facts"]["consent"])
        found.append(Seen(ticket, public + element + made, element + made + b"".join(map(bytes.fromhex, digests))))
    return found, key


def derived(person: str, key: VoprfServer) -> Iterator[bytes]:
    """Whatever a curious node can compute from a name, its own key, and how the programs work."""
    id_ = person.encode()
    point = hash_input(id_)
    consent = f"query-{person}".encode()
    yield from (id_, hashlib.sha256(id_).digest(), hashlib.sha256(consent).digest(), hashlib.sha256(NO_SALT + consent).digest())
    yield from (bytes(point), bytes(key.blind_evaluate(bytes(point)).element), key.evaluate(id_))
    yield bytes(group.scalar_mult(same_blind(id_), point))


def dictionary(views: Sequence[Seen], people: Sequence[str], key: VoprfServer) -> dict[str, str]:
    """Whom something in a query's own bytes points at."""
    named: dict[str, str] = {}
    for person in people:
        values = [form for value in derived(person, key) for form in (value, value.hex().encode())]
        named |= {view.ticket: person for view in views if any(value in view.found for value in values)}
    return named


def guesses(views: Sequence[Seen], people: Sequence[str], key: VoprfServer) -> dict[str, dict[str, str]]:
    """Ways of guessing by order: people as they were loaded, and by their tags; queries as they came, and by their elements."""
    orders = {"list": list(people), "tags": sorted(people, key=lambda one: key.evaluate(one.encode()))}
    rows = {"time": list(views), "element": sorted(views, key=lambda view: view.numbers)}
    return {
        f"{order}, {row}": {view.ticket: names[place % len(names)] for place, view in enumerate(ranked)}
        for order, names in orders.items()
        for row, ranked in rows.items()
    }


def attack(pair: Services, people: Sequence[str], project: str, truth: dict[str, str]) -> dict[str, float]:
    """The share of queries that each way names rightly."""
    views, key = seen(pair, project)
    ways = guesses(views, people, key)
    blind = dictionary(views, people, key)
    ways["dictionary, else in order"] = ways["list, time"] | blind
    return {way: sum(truth[ticket] == one for ticket, one in named.items()) / len(truth) for way, named in ways.items()}


def auc(pair: Services, people: Sequence[str], project: str, truth: dict[str, str], seed: int) -> float:
    """How well a query's bytes tell which half of the population its subject is of."""
    views, _ = seen(pair, project)
    features = np.array([np.frombuffer(view.numbers, np.uint8) for view in views], dtype=np.float64)
    first = set(people[: len(people) // 2])
    return held_out_auc(features, np.array([truth[view.ticket] in first for view in views]), seed)


# ---------------------------------------------------------------------- the auditor


def auditor(pair: Services, project: str) -> dict[str, str]:
    """With the office's openings: every ticket's subject, from the office's own log."""
    named: dict[str, str] = {}
    for leaf in pair.office.leaves():
        if leaf["action"] == "ticket" and leaf["outcome"] == "done" and leaf["facts"]["project"] == project:
            opening = pair.office.office.log.opening(bytes.fromhex(leaf["opening"]))
            assert opening is not None
            named[leaf["facts"]["ticket"]] = msgspec.json.decode(opening[32:])["subject"]
    return named


# ---------------------------------------------------------------------- naive builds


def same_blind(id_: bytes) -> Any:
    return group.hash_to_scalar(id_, b"blind")


@contextmanager
def blinded_alike() -> Iterator[None]:
    """A bank that computes r·P once for each person. The office refuses an element that it saw before; the first one names."""
    with patch.object(voprf.VoprfClient, "blind", lambda _self, id_: voprf.deterministic_blind(id_, same_blind(id_))):
        yield


@contextmanager
def unsalted() -> Iterator[None]:
    """An office that commits to the consent's id alone."""
    with patch.object(office_tickets, "secrets", SimpleNamespace(token_bytes=lambda size: NO_SALT[:size])):
        yield


# ---------------------------------------------------------------------- the campaign


def campaign(count: int, seed: int) -> dict[str, Any]:
    """`count` queries; AssertionError where a way names more than chance, or the auditor fewer than all."""
    rng = random.Random(seed)
    with tempfile.TemporaryDirectory() as folder, services(Path(folder)) as pair:
        people = population(rng)
        truth = queries(pair, "check", people, count, rng)
        shares = attack(pair, people, "check", truth)
        learnt = auc(pair, people, "check", truth, rng.randrange(1 << 31))
        assert auditor(pair, "check") == truth, "with the office's openings the auditor names every subject"
        naive = {}
        for number, (name, build) in enumerate(NAIVE.items()):
            people = population(rng)
            with build():
                truth = queries(pair, f"naive-{number}", people, min(count, NAIVE_COUNT), rng)
            naive[name] = attack(pair, people, f"naive-{number}", truth)["dictionary, else in order"]
    # A guess is right once in `POPULATION`; each of the ways is held against the same rare chance.
    allowed = float(binom.isf(CHANCE, count, 1 / POPULATION)) / count
    assert max(shares.values()) <= allowed, (shares, allowed)
    assert learnt < limit(count), (learnt, limit(count))
    assert min(naive.values()) > 0.99, f"the naive builds must show whom they ask about: {naive}"
    return {
        "named": shares, "chance": 1 / POPULATION, "limit": allowed, "auc": learnt, "auc_limit": limit(count),
        "auditor_named": 1.0, "queries": count, "population": POPULATION, "naive_named": naive,
    }  # fmt: skip


def population(rng: random.Random) -> list[str]:
    return [f"opaque:{number:06d}" for number in rng.sample(range(1_000_000), POPULATION)]


NAIVE = {"blinded alike": blinded_alike, "commitment without a salt": unsalted}


def test_nobody_is_named_without_the_offices_openings() -> None:
    assert campaign(SMALL_COUNT, 20_261_122)["auditor_named"] == 1.0
