"""The stage of the attacks on tickets and alignments: office, node and a bank in order, and a count of what was evaluated."""

from __future__ import annotations

import random
import secrets
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest.mock import patch

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import func, select

from bank_client.alignment import AlignedCohort, _Alignment, align
from crypto.voprf import VoprfServer
from models import wire
from models.consents import ConsentKind, Purpose
from models.projects import ProjectKind
from models.tickets import EvaluateTickets, Evaluations, Ticket, TicketRequest
from models.wire import Signed
from sharing_node.state.tables import SpentRow
from tests.office.world import World, blind_of
from tests.services import FIELDS, MODELLER, OFFICER, Services, services

ALICE, BOB, CAROL = "opaque:alice", "opaque:bob", "opaque:carol"  # Carol consented to collection alone
ROWS, WITHOUT = 1_060, 5  # customers, of whom the last few gave no modelling consent
JOINT, MAY_ASK = "joint", "check"  # projects


@dataclass
class Stage:
    """Office, node and a bank; `evaluated` counts what the node's keys were used on."""

    pair: Services
    table: str
    epoch: int
    cohort: AlignedCohort
    tags: dict[str, bytes] = field(repr=False)
    evaluated: Counter[str] = field(default_factory=Counter)

    @property
    def world(self) -> World:
        return self.pair.office

    def question(self, subject: str, blinded_as: str = "", **changes: Any) -> TicketRequest:
        return self.world.question(subject, blinded_as or subject, **self._where() | changes)

    def ticket(self, subject: str = ALICE, person: str = OFFICER, **changes: Any) -> Signed:
        """A ticket as the office gives it."""
        request = self.question(subject, officer=person, **changes)
        [result] = self.world.ask(request, person).results
        assert result.ticket is not None
        return result.ticket

    def forged(self, key: Ed25519PrivateKey | None = None, **changes: Any) -> Signed:
        """A ticket of the office's own making, or of another key's, with a context of the attacker's choice."""
        context = self.world.context(**self._where() | changes)
        made = Ticket(element=bytes(blind_of(ALICE)[1]), context=context, consent=secrets.token_bytes(32))
        return wire.sign(made, "office", key or self.world.office.keys.statement)

    def spend(self, *tickets: Signed, person: str = OFFICER, table: str = "") -> Evaluations:
        client = self.pair.client(person)
        return client.logged(f"/tables/{table or self.table}/evaluate", EvaluateTickets(tickets=tickets), Evaluations).answer

    def spent(self) -> int:
        with self.pair.engine.connect() as connection:
            return int(connection.execute(select(func.count()).select_from(SpentRow)).scalar_one())

    def _where(self) -> dict[str, Any]:
        return {"project": MAY_ASK, "table": self.table, "epoch": self.epoch}


@contextmanager
def stage(folder: Path) -> Iterator[Stage]:
    """Everything in order: data, consents, an open check table, and a cohort of a thousand aligned rows."""
    customers = [f"c{n:04d}" for n in range(ROWS)]
    people = [name.removeprefix("opaque:") for name in (ALICE, BOB, CAROL)]
    rng = random.Random(1)
    with services(folder) as pair:
        pair.load([(i, {f: round(rng.gauss(0, 1), 2) for f in FIELDS}) for i in [*people, *customers]])
        pair.willing([ALICE, BOB], ConsentKind.QUERY)
        pair.willing([CAROL, *(f"opaque:{i}" for i in customers[-WITHOUT:])], ConsentKind.COLLECTION)
        pair.willing([f"opaque:{i}" for i in customers[:-WITHOUT]], ConsentKind.MODELLING)
        table = pair.open_project(MAY_ASK)
        pair.open_project(JOINT, kind=ProjectKind.JOINT_SCORECARD, purpose=Purpose.LOAN_APPROVAL)
        epoch = pair.build(table).epoch
        with pair.bank(MODELLER) as bank, kept_tags() as tags:
            cohort = align(bank, JOINT, customers)
        made = Stage(pair, table, epoch, cohort, {subject: tag for tag, subject in tags.items()})
        with counted(made.evaluated):
            yield made


@contextmanager
def kept_tags() -> Iterator[dict[bytes, str]]:
    """The tags that an honest alignment computes and forgets."""
    tags: dict[bytes, str] = {}
    match = _Alignment.match

    def keep(self: _Alignment) -> Any:
        tags.update(self.tags)
        return match(self)

    with patch.object(_Alignment, "match", keep):
        yield tags


@contextmanager
def counted(counts: Counter[str]) -> Iterator[None]:
    """Count every use of a node key on a blinded element."""
    evaluate = VoprfServer._evaluate_blinded

    def count(self: VoprfServer, element: Any) -> Any:
        counts["evaluations"] += 1
        return evaluate(self, element)

    with patch.object(VoprfServer, "_evaluate_blinded", count):
        yield


def in_turn(kinds: Iterable[str], count: int, rng: random.Random) -> Iterator[str]:
    """`count` kinds, each as often as the others, in an order drawn anew for every turn."""
    names, left = list(kinds), count
    while left > 0:
        yield from rng.sample(names, min(left, len(names)))
        left -= len(names)
