"""A node of two workers over real HTTP, with kill -9 in between: one ticket, one evaluation; one key, one answer; one nonce."""

from __future__ import annotations

import secrets
import signal
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from os import kill
from pathlib import Path
from typing import Any

import httpx2
import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import Engine

from audit.database import open_engine, writing
from audit.log.store import LogStore
from audit.office.keys import OfficeKeys
from bank_client.demo.town import Town
from crypto.voprf import VoprfClient, VoprfServer
from models import wire
from models.consents import Purpose
from models.http_client import SignedClient
from models.http_signatures import Request, sign_request
from models.parties import Institution, InstitutionKind, Role
from models.problems import BadTicket
from models.tickets import EvaluateTickets, Evaluation, Evaluations, Ticket, TicketContext
from models.wire import Signed
from sharing_node.app import LOG_TABLES
from sharing_node.epochs.store import epoch_key
from sharing_node.keys import KeyStore
from sharing_node.state import repository as state
from sharing_node.state.repository import StoredTable
from tests.office.world import blind_of

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="platform: workers are found through /proc"),
]
OFFICER = "bank-a/officer"
TABLE, EPOCH = "check-0", 1
WORKERS = 2
ON_SQLITE = pytest.mark.parametrize("place", ["sqlite"], indirect=True)  # waits for leases, so once is enough


@dataclass
class Place:
    """A running town whose node has one open epoch, and the office's key to make tickets with."""

    town: Town
    engine: Engine
    office_key: Ed25519PrivateKey = field(repr=False)
    officer_key: Ed25519PrivateKey = field(repr=False)
    server: VoprfServer = field(repr=False)

    def ticket(self) -> Signed:
        _, element = blind_of(secrets.token_hex(8))
        context = TicketContext(
            bank="bank-a", officer=OFFICER, purpose=Purpose.LOAN_APPROVAL, project="p", table=TABLE, epoch=EPOCH,
            expires=int(time.time()) + 500, nonce=secrets.token_bytes(16),
        )  # fmt: skip
        return wire.sign(Ticket(element=bytes(element), context=context, consent=bytes(32)), "office", self.office_key)

    def client(self) -> SignedClient:
        """A client with connections of its own: whichever worker is quicker takes them."""
        return SignedClient(self.town.node.url, OFFICER, self.officer_key)

    def spend(self, ticket: Signed, key: str | None = None) -> Evaluation:
        with self.client() as client:
            body = EvaluateTickets(tickets=(ticket,))
            return client.logged(f"/tables/{TABLE}/evaluate", body, Evaluations, key=key).answer.results[0]

    def signed(self, ticket: Signed, key: str) -> Request:
        body = wire.encode(EvaluateTickets(tickets=(ticket,)))
        headers = {"content-type": wire.CONTENT_TYPE, "idempotency-key": key}
        request = Request("POST", f"{self.town.node.url}/tables/{TABLE}/evaluate", headers, body)
        sign_request(request, OFFICER, self.officer_key)
        return request

    def leaves(self) -> list[dict[str, Any]]:
        """What the node's log says."""
        store = LogStore(LOG_TABLES)
        with self.engine.connect() as connection:
            return [msgspec.json.decode(entry) for entry in store.entries(connection, 0, store.count(connection))]

    def outcomes(self, tickets: Sequence[Signed]) -> dict[str, Counter[str]]:
        """What the node's log says of each ticket."""
        found: dict[str, Counter[str]] = {ticket.digest(): Counter() for ticket in tickets}
        for leaf in self.leaves():
            if leaf["facts"].get("ticket") in found:
                found[leaf["facts"]["ticket"]][leaf["outcome"]] += 1
        return found

    def refused(self) -> int:
        return sum(leaf.get("problem") == "bad-ticket" for leaf in self.leaves())

    def check(self, ticket: Signed, evaluation: Evaluation) -> None:
        element = wire.decode(ticket.payload, Ticket).element
        VoprfClient(self.server.public_key).verify_evaluation(element, evaluation.evaluated, evaluation.proof)

    def workers(self) -> list[int]:
        assert self.town.node.process is not None
        return workers_of(self.town.node.process.pid)


def workers_of(parent: int) -> list[int]:
    """The processes that serve: children of the service, but for the one that builds and the interpreter's own helper."""
    found = []
    for status in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            fields = status.read_text().rpartition(")")[2].split()
            command = status.with_name("cmdline").read_bytes()
            if int(fields[1]) == parent and fields[0] != "Z" and b"spawn_main" in command:
                found.append(int(status.parent.name))
    return sorted(found)


def alive(pid: int) -> bool:
    with suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def place(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    folder = tmp_path_factory.mktemp("workers") / "town"
    databases = None
    if request.param == "postgresql":
        server: str = request.getfixturevalue("postgresql_server")
        databases = {"node": server.replace("postgresql://", "postgresql+psycopg://")}
    town = Town(
        folder, identity="opaque", catalogue=write_catalogue(folder.parent), databases=databases,
        node_settings={"WORKERS": str(WORKERS)},
    )  # fmt: skip
    with town:
        bank = Institution(id="bank-a", name="bank-a", kind=InstitutionKind.BANK, licence="1", declared_customers=1000)
        town.enrol_institution(bank)
        town.enrol(OFFICER, "officer", Role.LOAN_OFFICER)
        keys = KeyStore(folder / "node" / "keys")
        server_key = keys.new_oprf(epoch_key(TABLE, EPOCH))
        engine = open_engine(databases["node"] if databases else f"sqlite:///{folder / 'node' / 'node.sqlite'}")
        statement = Signed(kind="Manifest", signer="node", payload=b"", signature=b"")
        with writing(engine) as connection:
            state.add_table(connection, StoredTable(TABLE, "check", ("f",), "", ""))
            state.add_epoch(connection, TABLE, EPOCH, statement, int(time.time()) + 3600)
            state.open_epoch(connection, TABLE, EPOCH, statement)
        office_key = OfficeKeys.load(folder / "office").statement
        yield Place(town, engine, office_key, private_key(town.key_file(OFFICER)), server_key)
        engine.dispose()


def write_catalogue(folder: Path) -> Path:
    from tests.services import catalogue

    path = folder / "catalogue.csv"
    path.write_bytes(catalogue().to_csv())
    return path


def private_key(path: Path) -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(path.read_bytes())


# ---------------------------------------------------------------------- the tests, in this order in one town


def test_both_workers_serve(place: Place) -> None:
    assert len(place.workers()) == WORKERS


def test_a_ticket_is_spent_once_whoever_takes_it(place: Place) -> None:
    tickets = [place.ticket() for _ in range(6)]
    attempts = [ticket for ticket in tickets for _ in range(4)]

    def spend(ticket: Signed) -> Evaluation | None:
        try:
            return place.spend(ticket)
        except BadTicket:
            return None

    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(spend, attempts))
    for number, ticket in enumerate(tickets):
        [evaluation] = [result for result in results[4 * number : 4 * number + 4] if result is not None]
        place.check(ticket, evaluation)
    assert list(place.outcomes(tickets).values()) == [Counter(done=1)] * len(tickets)
    assert place.refused() == 3 * len(tickets), "every other attempt has its leaf"


def test_a_repeated_request_gets_the_same_bytes_from_any_worker_at_once(place: Place) -> None:
    ticket = place.ticket()
    requests = [place.signed(ticket, "the-same-key") for _ in range(8)]
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(post, requests))
    assert [answer.status_code for answer in answers] == [200] * 8
    assert len({answer.content for answer in answers}) == 1
    assert list(place.outcomes([ticket]).values()) == [Counter(done=1)]


def test_a_nonce_counts_once_for_all_workers(place: Place) -> None:
    request = place.signed(place.ticket(), "a-key-of-one")
    with ThreadPoolExecutor(8) as pool:
        statuses = [answer.status_code for answer in pool.map(post, [request] * 8)]
    assert sorted(statuses) == [200] + [401] * 7


@ON_SQLITE
def test_killed_workers_are_replaced_and_nothing_is_done_twice(place: Place) -> None:
    """One worker after the other is killed while questions come in, so that also the one that sequences is among them."""
    tickets = [place.ticket() for _ in range(24)]
    seen = place.signed(place.ticket(), "seen-before")
    first = post(seen)
    assert first.status_code == 200
    before = place.workers()
    with ThreadPoolExecutor(8) as pool:
        answers = [pool.submit(place.spend, ticket, f"ticket-{n:03}") for n, ticket in enumerate(tickets)]
        for victim in before:
            kill(victim, signal.SIGKILL)
            answers[0].result()
            wait_until(lambda: len(place.workers()) == WORKERS)
        for ticket, answer in zip(tickets, answers, strict=True):
            place.check(ticket, answer.result())
    assert not set(before) & set(place.workers())
    assert list(place.outcomes(tickets).values()) == [Counter(done=1)] * len(tickets)
    assert post(seen).status_code == 401
    again = Request(seen.method, seen.url, {k: seen.headers[k] for k in ("content-type", "idempotency-key")}, seen.body)
    sign_request(again, OFFICER, place.officer_key)
    assert post(again).content == first.content


@ON_SQLITE
def test_a_killed_service_leaves_no_worker_and_goes_on_after_a_restart(place: Place) -> None:
    ticket = place.ticket()
    answer = place.spend(ticket, "before-the-end")
    workers = place.workers()
    place.town.node.kill()
    wait_until(lambda: not any(alive(worker) for worker in workers))
    place.town.node.start()
    place.town.node.wait_ready()
    assert place.spend(ticket, "before-the-end") == answer
    with pytest.raises(BadTicket):
        place.spend(ticket, "after-the-end")
    assert list(place.outcomes([ticket]).values()) == [Counter(done=1)]


@ON_SQLITE
def test_a_service_that_is_told_to_stop_ends_in_order(place: Place) -> None:
    process, workers = place.town.node.process, place.workers()
    assert process is not None
    process.terminate()
    assert process.wait(120) == 0
    assert not any(alive(worker) for worker in workers)


def post(request: Request) -> httpx2.Response:
    with httpx2.Client(timeout=60.0, trust_env=False) as client:
        return client.request(request.method, request.url, content=request.body, headers=request.headers)


def wait_until(holds: Any) -> None:
    while not holds():
        time.sleep(0.05)
