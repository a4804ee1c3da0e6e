"""An office and a node as they run, where a little was asked: granted and used, granted and not used, refused, looked at."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

import pytest

from audit.dossier.evidence import LogTrust, Trust
from audit.office.office import Office
from audit.office.reconcile import reconcile
from models import wire
from models.consents import AskStanding, ConsentKind, Standing
from models.http_client import SignedClient
from models.logged import Empty
from models.oversight import FoundAccesses, SearchAccesses
from models.problems import Problem
from models.reconciliation import ReconciledDay
from models.reports import CheckOutcome, CheckReport
from models.tickets import EvaluateTickets, Evaluations, TicketRequest
from models.wire import Signed
from tests.noon import noon_zone
from tests.office.world import World
from tests.services import FIELDS, OFFICER, Services, node_log, node_witness, services

ALICE, BOB, CAROL = "opaque:alice", "opaque:bob", "opaque:carol"  # Carol consented to collection alone
AUDITOR = "office/audit"
TIMEOUT = 120.0
"""Seconds for what a log does in a fraction of one; no busy machine needs them all."""


@dataclass
class Audited:
    """The running pair, the check table, and the tickets that were given by subject."""

    pair: Services
    table: str
    epoch: int
    tickets: dict[str, Signed] = field(default_factory=dict)

    @property
    def world(self) -> World:
        return self.pair.office

    @property
    def office(self) -> Office:
        return self.world.office

    @property
    def auditor(self) -> SignedClient:
        return self.world.client(AUDITOR)

    @property
    def trust(self) -> Trust:
        """What an auditor holds: the office's key, and both logs' keys with their witnesses."""
        home = self.pair.settings.data_dir
        return Trust(
            self.office.keys.statement.public_key(),
            (
                LogTrust(self.office.log.signer.key, (node_witness(home).key,), 1),
                LogTrust(node_log(home).key, (self.office.witness_key,), 1),
            ),
        )

    @property
    def today(self) -> date:
        return datetime.fromtimestamp(self.world.now, self.office.settings.zone).date()

    def question(self, subject: str, **changes: Any) -> TicketRequest:
        return self.world.question(subject, **{"project": "check", "table": self.table, "epoch": self.epoch} | changes)

    def ask(self, subject: str, **changes: Any) -> Signed:
        [result] = self.world.ask(self.question(subject, **changes)).results
        assert result.ticket is not None, result
        return result.ticket

    def spend(self, *tickets: Signed) -> Evaluations:
        path, log = f"/tables/{self.table}/evaluate", self.pair.app.state.node.log
        answer = self.pair.client(OFFICER).logged(path, EvaluateTickets(tickets=tickets), Evaluations)
        log.wait_cosigned(answer.leaves[-1].index, TIMEOUT)
        return answer.answer

    def report(self, ticket: str, outcome: CheckOutcome, **changes: Any) -> None:
        said = CheckReport(ticket=ticket, outcome=outcome, decided_at=self.world.now, reference="case 7", **changes)
        self.world.officer.logged("/reports", wire.sign(said, OFFICER, self.world.keys[OFFICER]), Empty)

    def search(self, **ask: Any) -> FoundAccesses:
        return self.auditor.logged("/audit/search", SearchAccesses(**ask), FoundAccesses).answer

    def reconciled(self) -> ReconciledDay:
        """Today, as it is reconciled once it is over."""
        with self.tomorrow():
            return reconcile(self.office, self.today_then)

    @contextmanager
    def tomorrow(self) -> Iterator[None]:
        self.today_then = self.today
        self.world.clock.shift += 86_400
        try:
            yield
        finally:
            self.world.clock.shift -= 86_400


@contextmanager
def audited(folder: Any, database_url: str = "") -> Iterator[Audited]:
    # The day of all that is asked here does not end meanwhile, and the office by itself does not reconcile it.
    settings = {"time_zone": noon_zone(), "reconcile_at": "23:59"}
    with services(folder, database_url, office_settings=settings) as pair:
        pair.load([(name.removeprefix("opaque:"), dict.fromkeys(FIELDS, 1.0)) for name in (ALICE, BOB, CAROL)])
        pair.willing([ALICE, BOB], ConsentKind.QUERY)
        pair.willing([CAROL], ConsentKind.COLLECTION)
        table = pair.open_project("check")
        made = Audited(pair, table, pair.build(table).epoch)
        made.tickets[ALICE] = made.ask(ALICE)
        made.spend(made.tickets[ALICE])
        made.report(made.tickets[ALICE].digest(), CheckOutcome.APPROVED)
        made.tickets[BOB] = made.ask(BOB)
        with pytest.raises(Problem):
            made.ask(CAROL)
        look = AskStanding(subject=CAROL, table=table, purpose="loan-approval")
        pair.office.officer.logged("/consents/standing", look, Standing)
        yield made


@pytest.fixture(scope="session")
def clean(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Audited]:
    """One that nobody tampers with."""
    with audited(tmp_path_factory.mktemp("clean")) as made:
        yield made


@pytest.fixture(scope="module")
def audit(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Audited]:
    with audited(tmp_path_factory.mktemp("audit")) as made:
        yield made
