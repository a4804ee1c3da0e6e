"""The node's step of a private query: a ticket checked, its element evaluated with a proof, the leaf durable.

In process it is the endpoint's handler and the ledger behind it, without HTTP and request signatures, called with a ticket
each from as many threads as the service has requests in work; over HTTP it is the endpoint as a bank calls it.
"""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from sqlalchemy import Engine

from audit.log import HighWaterFile, Sequencer
from audit.service.leaves import Leaf, LeafDraft, finish
from audit.service.ledger import Ledger, Request
from audit.service.outcome import Call
from audit.service.tables import add_gate_tables
from bank_client import Bank
from benchmarks.city import BANK, City, subject
from crypto.group import map_threads
from crypto.request_proof import prove
from crypto.voprf import blind
from models.consents import Purpose
from models.parties import Institution, Person
from models.tables import Manifest
from models.tickets import EvaluateTickets, Evaluations, RequestTickets, TicketContext, TicketRequest, Tickets
from models.wire import Signed
from sharing_node.app import open_node
from sharing_node.database import metadata
from sharing_node.epochs.queries import Queries
from sharing_node.epochs.store import EpochStore
from sharing_node.settings import NodeSettings

HTTP_CLIENTS = 8
TICKET_SECONDS = 2 * 3600


def tickets(place: City, project: str, manifest: Manifest, numbers: Sequence[int]) -> list[Signed]:
    """Bulk tickets of the bank's modeller, one for each subject."""
    person = f"{BANK}/modeller"

    def request(number: int) -> TicketRequest:
        context = TicketContext(
            bank=BANK, officer=person, purpose=Purpose.LOAN_APPROVAL, project=project, table=manifest.table,
            epoch=manifest.epoch, expires=int(time.time()) + TICKET_SECONDS, nonce=secrets.token_bytes(16),
        )  # fmt: skip
        blinded = blind(subject(number).encode())
        proof = prove(subject(number).encode(), blinded.blind, blinded.element, context.binding())
        return TicketRequest(subject=subject(number), context=context, element=blinded.element, proof=proof)

    with Bank(place.town.bank_config(person)) as bank:
        requests = RequestTickets(requests=tuple(map_threads(request, numbers)))
        results = bank.office.logged("/tickets", requests, Tickets).answer.results
    given = [result.ticket for result in results if result.ticket is not None]
    if len(given) != len(numbers):
        raise SystemExit(f"the office gave {len(given)} of {len(numbers)} tickets")
    return given


def over_http(place: City, manifest: Manifest, given: Sequence[Signed]) -> float:
    """Steps a second through the endpoint, one ticket a request."""
    banks = [Bank(place.town.bank_config(f"{BANK}/modeller")) for _ in range(HTTP_CLIENTS)]
    free = list(banks)

    def step(ticket: Signed) -> None:
        bank = free.pop()
        try:
            message = EvaluateTickets(tickets=(ticket,))
            answer = bank.node.client.logged(f"/tables/{manifest.table}/evaluate", message, Evaluations).answer
        finally:
            free.append(bank)
        _check(answer)

    rate = _rate(step, given, HTTP_CLIENTS)
    for bank in banks:
        bank.close()
    return rate


def in_process(place: City, manifest: Manifest, given: Sequence[Signed]) -> float:
    """Steps a second through handler and ledger. The node's service is stopped, the office's answers."""
    with _settings(place) as settings:
        node = open_node(settings)
        queries = Queries(node, EpochStore(node.folder / "epochs"))
        ledger = Ledger(node.engine, node.log, add_gate_tables(metadata)[1], time.time)
        with Bank(place.town.bank_config(f"{BANK}/modeller")) as bank:
            person, institution = bank.me, bank.institution

        def leaf_of(draft: LeafDraft) -> Leaf:
            return finish(draft, institution=BANK, at=int(time.time()), who={"person": person.id})

        def step(ticket: Signed) -> None:
            outcome = queries.evaluate(_call(node.engine, person, institution, manifest, ticket))
            key = secrets.token_hex(16)
            stored = ledger.commit(Request(person.id, key, secrets.token_bytes(32)), outcome, leaf_of)
            ledger.release(stored)
            _check(outcome.answer)

        with Sequencer(node.log, high_water=HighWaterFile(settings.data_dir / "log.high-water")):
            step(given[0])
            return _rate(step, given[1:], settings.requests)


def _call(engine: Engine, person: Person, institution: Institution, manifest: Manifest, ticket: Signed) -> Call:
    body = EvaluateTickets(tickets=(ticket,))
    return Call(engine, person, institution, body, {"table": manifest.table}, {}, int(time.time()))


def _check(answer: object) -> None:
    assert isinstance(answer, Evaluations)
    if problem := answer.results[0].problem:
        raise SystemExit(f"the node refused a ticket: {problem}: {answer.results[0].detail}")


def _rate(step: Callable[[Signed], None], given: Sequence[Signed], threads: int) -> float:
    left = iter(given)  # shared: each thread takes the next one

    def work(_: int) -> None:
        for ticket in left:
            step(ticket)

    with ThreadPoolExecutor(threads) as pool:
        started = time.perf_counter()
        list(pool.map(work, range(threads)))
        return len(given) / (time.perf_counter() - started)


@contextmanager
def _settings(place: City) -> Iterator[NodeSettings]:
    """The settings of the town's node, read as the service reads them."""
    kept = dict(os.environ)
    os.environ.update({k: v for k, v in place.town.node.environment.items() if k.startswith("XINQIAO_NODE_")})
    try:
        yield NodeSettings.from_environment()
    finally:
        os.environ.clear()
        os.environ.update(kept)
