"""Spending tickets: under the key of each epoch that answers, one epoch a request, and no more than a bank's count allows."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update

from audit.database import writing
from crypto.voprf import VoprfClient, VoprfServer
from models import wire
from models.consents import Purpose
from models.problems import BadTicket, NotFound, OverBudget
from models.tickets import EvaluateTickets, Evaluations, Ticket, TicketContext
from models.wire import Signed
from sharing_node.epochs.store import epoch_key
from sharing_node.state import repository as state
from sharing_node.state.repository import StoredTable
from sharing_node.state.tables import EpochRow
from tests.office.world import blind_of
from tests.services import MODELLER, Services, services

ALLOWED = 7


@dataclass
class Bench:
    """A node with tables whose epochs are rows and keys only, and tickets as the office would sign them."""

    pair: Services
    tables: int = 0

    def table(self, *epochs: int) -> tuple[str, dict[int, VoprfServer]]:
        """A new table with these open epochs and their keys."""
        self.tables += 1
        table = f"check-{self.tables}"
        servers = {epoch: self.pair.app.state.node.keys.new_oprf(epoch_key(table, epoch)) for epoch in epochs}
        statement = Signed(kind="Manifest", signer="node", payload=b"", signature=b"")
        with writing(self.pair.engine) as connection:
            state.add_table(connection, StoredTable(table, "check", ("f",), "", ""))
            for epoch in epochs:
                state.add_epoch(connection, table, epoch, statement, int(time.time()) + 3600)
                state.open_epoch(connection, table, epoch, statement)
        return table, servers

    def expire(self, table: str, epoch: int) -> None:
        with writing(self.pair.engine) as connection:
            row = update(EpochRow).where(EpochRow.table == table, EpochRow.epoch == epoch)
            connection.execute(row.values(expires_at=int(time.time())))

    def ticket(self, table: str, epoch: int) -> Signed:
        _, element = blind_of(secrets.token_hex(8))
        context = TicketContext(
            bank="bank-a", officer=MODELLER, purpose=Purpose.LOAN_APPROVAL, project="p", table=table, epoch=epoch,
            expires=int(time.time()) + 500, nonce=secrets.token_bytes(16),
        )  # fmt: skip
        word = Ticket(element=bytes(element), context=context, consent=bytes(32))
        return wire.sign(word, "office", self.pair.office.office.keys.statement)

    def spend(self, table: str, *tickets: Signed) -> Evaluations:
        body = EvaluateTickets(tickets=tickets)
        return self.pair.client(MODELLER).logged(f"/tables/{table}/evaluate", body, Evaluations).answer

    def leaves(self, since: int) -> list[tuple[Any, ...]]:
        return [(leaf["outcome"], leaf.get("problem", ""), leaf["facts"].get("epoch")) for leaf in self.pair.leaves(since)]


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    folder: Path = tmp_path_factory.mktemp("evaluations") / "services"
    with services(folder) as pair:
        pair.app.state.node.settings.checks_per_epoch = ALLOWED
        yield Bench(pair)


def verify(server: VoprfServer, ticket: Signed, result: Any) -> None:
    element = wire.decode(ticket.payload, Ticket).element
    VoprfClient(server.public_key).verify_evaluation(element, result.evaluated, result.proof)


def test_each_epoch_that_answers_evaluates_under_its_own_key(bench: Bench) -> None:
    table, servers = bench.table(1, 2)
    for epoch, server in servers.items():
        ticket = bench.ticket(table, epoch)
        verify(server, ticket, bench.spend(table, ticket).results[0])


def test_an_epoch_whose_grace_is_over_evaluates_nothing(bench: Bench) -> None:
    table, _ = bench.table(1, 2)
    ticket = bench.ticket(table, 1)
    bench.expire(table, 1)
    before = bench.pair.logged()
    with pytest.raises(BadTicket, match="present epoch"):
        bench.spend(table, ticket)
    assert [leaf[:2] for leaf in bench.leaves(before)] == [("refused", "bad-ticket")]


def test_a_key_that_is_gone_evaluates_nothing_though_the_row_says_open(bench: Bench) -> None:
    table, _ = bench.table(1)
    bench.spend(table, bench.ticket(table, 1))
    bench.pair.app.state.node.keys.destroy_oprf(epoch_key(table, 1))
    ticket = bench.ticket(table, 1)
    with pytest.raises(BadTicket, match="closed"):
        bench.spend(table, ticket)


def test_all_tickets_of_a_request_are_for_one_epoch_and_others_are_refused_one_by_one(bench: Bench) -> None:
    table, servers = bench.table(1, 2)
    other, _ = bench.table(1)
    tickets = [bench.ticket(table, 2), bench.ticket(table, 1), bench.ticket(other, 1), bench.ticket(table, 2)]
    before = bench.pair.logged()
    results = bench.spend(table, *tickets).results
    assert [result.problem for result in results] == ["", "bad-ticket", "bad-ticket", ""]
    for place in (0, 3):
        verify(servers[2], tickets[place], results[place])
    assert bench.leaves(before) == [
        ("done", "", 2),
        ("refused", "bad-ticket", 2),
        ("refused", "bad-ticket", 2),
        ("done", "", 2),
    ]
    verify(servers[1], tickets[1], bench.spend(table, tickets[1]).results[0])


def test_an_unknown_table_is_none(bench: Bench) -> None:
    with pytest.raises(NotFound, match="table"):
        bench.spend("nobody-s", bench.ticket("nobody-s", 1))


def test_a_bank_s_count_for_an_epoch_ends_and_the_next_epoch_has_its_own(bench: Bench) -> None:
    table, _ = bench.table(1, 2)
    bench.spend(table, *(bench.ticket(table, 1) for _ in range(ALLOWED - 1)))
    two, before = [bench.ticket(table, 1) for _ in range(2)], bench.pair.logged()
    with pytest.raises(OverBudget, match=f"{ALLOWED} *$|{ALLOWED}"):
        bench.spend(table, *two)
    assert [leaf[:2] for leaf in bench.leaves(before)] == [("refused", "over-budget")]
    bench.spend(table, two[0])  # what was refused was not spent either
    with pytest.raises(OverBudget):
        bench.spend(table, two[1])
    bench.spend(table, *(bench.ticket(table, 2) for _ in range(ALLOWED)))
