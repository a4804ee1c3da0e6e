"""Attack: profit from a table having two epochs for a while: the present one, and the one before in its grace time.

A bank hoards tickets of an epoch and spends them after the next one has opened; it has the office give tickets for both; it
spends an element under one key and shows it to the other; it mixes tickets of both in one request; it asks about somebody
whose consent was revoked in between; and it goes on when the grace time is over.

Criterion: a ticket counts once, under the key of its own epoch, while that answers; nothing is evaluated afterwards, no
column of it is answered, its key and files are gone, and a leaf says so; who was revoked has no cell in the next epoch.

Naive builds, kept below: a node that evaluates every ticket under the present key, whose answers the client refuses; one
that remembers what was spent for each epoch alone evaluates an element twice, once under either key.
"""

from __future__ import annotations

import random
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from sqlalchemy import update

from bank_client import PrivateQuery
from crypto import cells
from crypto.errors import InvalidProof
from crypto.voprf import Blinded, VoprfClient, blind
from models import wire
from models.consents import ConsentKind, RevokeConsent
from models.http_client import SignedClient
from models.logged import Empty
from models.problems import BadTicket, NoConsent, NotFound
from models.tables import ColumnAnswers, Manifest, QueryColumns, tag_context
from models.tickets import EvaluateTickets, Evaluation, Evaluations, Ticket
from models.wire import Signed
from sharing_node.epochs.builder import Builder
from sharing_node.epochs.queries import Queries
from sharing_node.epochs.store import epoch_key
from sharing_node.keys import KeyStore, MissingKey
from sharing_node.state import spending
from sharing_node.state.tables import EpochRow
from tests.attacks.stage import counted
from tests.services import FIELDS, OFFICER, Services, services

pytestmark = pytest.mark.attack

NAME = "epoch-change"
FULL_COUNT = 40
SMALL_COUNT = 1
PROJECT = "check"


@dataclass
class Held:
    """A ticket in a bank's hands, of the office's own making, and the blind that belongs to it."""

    subject: str
    blinded: Blinded = field(repr=False)
    ticket: Signed

    @property
    def element(self) -> bytes:
        return bytes(self.blinded.element)


@dataclass
class Village:
    """Office and node, one table; how often any key of the node was used on a blinded element; consents by subject."""

    pair: Services
    table: str
    present: Manifest
    evaluated: Counter[str]
    collection: dict[str, str]

    def ticket(self, epoch: int, subject: str = "opaque:p000", element: bytes = b"") -> Held:
        """As the office gives it for an epoch, whether that is open or not, and for an element of the bank's choice."""
        blinded = blind(subject.encode())
        context = self.pair.office.context(project=PROJECT, table=self.table, epoch=epoch)
        word = Ticket(element=element or bytes(blinded.element), context=context, consent=bytes(32))
        return Held(subject, blinded, wire.sign(word, "office", self.pair.office.office.keys.statement))

    def spend(self, *held: Held) -> list[Evaluation]:
        request = EvaluateTickets(tickets=tuple(h.ticket for h in held))
        reply = self.pair.client(OFFICER).logged(f"/tables/{self.table}/evaluate", request, Evaluations)
        return list(reply.answer.results)

    def refused(self, held: Held, reason: str) -> None:
        """Spending it is refused for this reason, evaluates nothing, and leaves a leaf."""
        count, logged = self.evaluated["evaluations"], self.pair.logged()
        with pytest.raises(BadTicket, match=reason):
            self.spend(held)
        assert self.evaluated["evaluations"] == count, f"{reason}: the node evaluated"
        [leaf] = self.pair.leaves(logged)
        assert (leaf["action"], leaf["outcome"], leaf["problem"]) == ("check.evaluate", "refused", "bad-ticket")

    def has_cell(self, held: Held, manifest: Manifest, result: Evaluation) -> bool:
        """Whether the whole matrix of an epoch has a cell under the tag that this evaluation gives."""
        evaluation = (result.evaluated, result.proof)
        y = VoprfClient(manifest.public_key).finalize(held.subject.encode(), held.blinded, evaluation)
        tag, _ = cells.derive(y, tag_context(self.table, manifest.epoch))
        service = self.pair.office.office.keys.service
        with SignedClient(self.pair.url, "office/service", service) as client:
            matrix = client.get_raw(f"/tables/{self.table}/epochs/{manifest.epoch}/matrix")
        columns = [matrix[place :: manifest.columns] for place in range(manifest.columns)]
        return any(tag in column for column in columns)

    def end_grace(self, epoch: int) -> None:
        """The clock passes the end of an epoch."""
        with self.pair.engine.begin() as connection:
            row = update(EpochRow).where(EpochRow.table == self.table, EpochRow.epoch == epoch)
            connection.execute(row.values(expires_at=int(time.time()) - 1))


# ---------------------------------------------------------------------- one change of the epoch


def change(village: Village, subject: str) -> Manifest:
    """Everything that may be tried around one change of the epoch; `subject` revokes in between. The new manifest."""
    office, old = village.pair.office, village.present
    spent, hoarded, revoked = (village.ticket(old.epoch, s) for s in ("opaque:p000", "opaque:p000", subject))
    late = village.ticket(old.epoch)
    ahead = village.ticket(old.epoch + 1)
    assert village.spend(spent)[0].evaluated
    village.refused(ahead, "than are open")

    office.clerk.logged("/consents/revoke", RevokeConsent(consent=village.collection[subject]), Empty)
    new = village.present = village.pair.build(village.table)

    # In the grace time: once, under its own key.
    [result] = village.spend(hoarded)
    VoprfClient(old.public_key).verify_evaluation(hoarded.element, result.evaluated, result.proof)
    with pytest.raises(InvalidProof):
        VoprfClient(new.public_key).verify_evaluation(hoarded.element, result.evaluated, result.proof)
    village.refused(hoarded, "spent before")
    village.refused(spent, "spent before")
    for element in (hoarded.element, spent.element):
        village.refused(village.ticket(new.epoch, element=element), "spent before")
    mixed = village.spend(village.ticket(old.epoch), village.ticket(new.epoch))
    assert [bool(m.evaluated) for m in mixed] == [True, False], "one request is for one epoch"
    assert village.spend(ahead)[0].evaluated, "a ticket of the new epoch counts from when that opens"

    # Who was revoked: no ticket any more, and no cell even under one that the office should not have given.
    with village.pair.bank(OFFICER) as bank, pytest.raises(NoConsent):
        PrivateQuery(bank, PROJECT, village.table).ask(subject.removeprefix("opaque:"))
    forced = village.ticket(new.epoch, subject)
    assert not village.has_cell(forced, new, village.spend(forced)[0]), "a revoked subject is in the next epoch"
    assert village.has_cell(revoked, old, village.spend(revoked)[0]), "the ticket that was out still counts in the grace time"

    # After it: nothing.
    village.end_grace(old.epoch)
    village.refused(late, "than are open")
    query = QueryColumns(epoch=old.epoch, count=1, queries=bytes(4 * old.columns))
    with pytest.raises(NotFound):
        village.pair.client(OFFICER).post(f"/tables/{village.table}/columns", query, ColumnAnswers)
    before = village.pair.logged()
    Builder(village.pair.app.state.node).run_once()
    closed = [leaf["facts"] for leaf in village.pair.leaves(before) if leaf["action"] == "epoch.close"]
    assert {"table": village.table, "epoch": old.epoch} in closed
    with pytest.raises(MissingKey):
        KeyStore(village.pair.settings.data_dir / "keys").oprf(epoch_key(village.table, old.epoch))
    assert not list(village.pair.settings.data_dir.rglob(f"{village.table}/{old.epoch}.*")), (
        "files of the closed epoch are left"
    )
    village.refused(late, "than are open")
    return new


# ---------------------------------------------------------------------- the naive builds


def naive_present_key(village: Village) -> bool:
    """A node with one key at a time: whether the client finds that the evaluation is not its epoch's."""
    old, held = village.present, village.ticket(village.present.epoch)
    new = village.present = village.pair.build(village.table)
    server = Queries._server
    with patch.object(Queries, "_server", lambda self, table, _epoch: server(self, table, new.epoch)):
        [result] = village.spend(held)
    with pytest.raises(InvalidProof):
        VoprfClient(old.public_key).verify_evaluation(held.element, result.evaluated, result.proof)
    VoprfClient(new.public_key).verify_evaluation(held.element, result.evaluated, result.proof)
    return True


def naive_memory_by_epoch(village: Village) -> bool:
    """A node that forgets what was spent under another key: whether one element is evaluated under both."""
    old, held = village.present, village.ticket(village.present.epoch)
    [first] = village.spend(held)
    new = village.present = village.pair.build(village.table)
    with patch.multiple(spending, spent_among=lambda *_: set(), spend_elements=lambda *_: None):
        [second] = village.spend(village.ticket(new.epoch, element=held.element))
    VoprfClient(old.public_key).verify_evaluation(held.element, first.evaluated, first.proof)
    VoprfClient(new.public_key).verify_evaluation(held.element, second.evaluated, second.proof)
    return first.evaluated != second.evaluated


# ---------------------------------------------------------------------- the campaign


def campaign(count: int, seed: int) -> dict[str, Any]:
    """`count` changes of the epoch; AssertionError at the first evaluation too many, or if a naive build makes none."""
    rng, evaluated = random.Random(seed), Counter[str]()
    people = [f"p{n:03d}" for n in range(1 + count)]
    with (
        tempfile.TemporaryDirectory(prefix="xinqiao-change-") as name,
        services(Path(name) / "pair") as pair,
        counted(evaluated),
    ):
        pair.load([(person, {f: rng.random() for f in FIELDS}) for person in people])
        collection = {f"opaque:{p}": pair.office.consent(f"opaque:{p}", ConsentKind.COLLECTION) for p in people}
        query = [pair.office.consent(subject, ConsentKind.QUERY) for subject in collection]
        pair.office.file(*collection.values(), *query)
        table = pair.open_project(PROJECT)
        village = Village(pair, table, pair.build(table), evaluated, {s: c.id for s, c in collection.items()})
        for person in people[1:]:
            change(village, f"opaque:{person}")
        naive = {"present_key_found": naive_present_key(village), "evaluated_twice": naive_memory_by_epoch(village)}
    assert all(naive.values()), naive
    return {"changes": count, "epochs": village.present.epoch, "evaluations": evaluated["evaluations"], "naive": naive}


def test_two_epochs_at_once_give_nothing_that_one_would_not() -> None:
    assert campaign(SMALL_COUNT, 20_250_101)["changes"] == SMALL_COUNT
