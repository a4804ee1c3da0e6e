"""Attack: a node that serves one bank something else than it serves everybody: another key, table, hint or manifest.

Whoever gets a key or a table of its own can be recognised by its answers, or fed a record that nobody else sees. The node
here is honest but for a tap on its wire, which puts other bytes into the answers of one bank's officer, signed with the
node's own keys where that is needed. (What the office does not seal in the first place: `test_sealing.py`.)

Criterion: the client aborts with `Damaged`, asks nothing further, keeps the evidence, and the office has an alarm with it.
Where the answer to a query is damaged, the node sees the calls of a good question, and nothing that tells it which it was.

Naive builds, kept below: a client that believes the node's signature alone reads a record planted for it; to one that does
not verify evaluations another key looks like an absent subject.
"""

from __future__ import annotations

import random
import re
import tempfile
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest.mock import patch

import msgspec
import numpy as np
import pytest

import bank_client.epoch_cache
from bank_client import PrivateQuery
from bank_client.sealed_table import SealedTable
from bank_client.session import Bank
from crypto import cells, pir
from crypto.request_proof import prove
from crypto.voprf import VoprfClient, VoprfServer, blind
from models import wire
from models.alarms import Alarm, Alarms
from models.consents import ConsentKind
from models.logged import Logged
from models.problems import Damaged
from models.tables import ColumnAnswers, Evidence, Manifest, QueryColumns, Seal, SealedManifest, tag_context
from models.tickets import EvaluateTickets, Evaluation, Evaluations, RequestTickets, Ticket, TicketRequest, Tickets
from models.wire import Signed
from sharing_node.epochs.store import epoch_key
from sharing_node.keys import KeyStore
from tests.attacks.epochs import MadeEpoch, made_epoch
from tests.attacks.stage import in_turn
from tests.attacks.tap import Exchange, Lie, Tap, tapped
from tests.services import FIELDS, OFFICER, Services, services

pytestmark = pytest.mark.attack

NAME = "other-key"
FULL_COUNT = 200
PROJECT, PEOPLE = "check", 60
ALICE = "p000"
_NUMBERED = re.compile(r"/receipts/.*")


@dataclass
class Pair:
    """Office and node in order, an open table, and the tap.

    `own` is a table of the same shape that the node made for one bank alone, with `planted` in every cell; `good` are the
    calls of a question in order.
    """

    services: Services
    tap: Tap
    table: str
    manifest: Manifest
    own: MadeEpoch = field(repr=False)
    planted: bytes
    good: list[str] = field(default_factory=list)

    @property
    def node_key(self) -> Any:
        return self.services.office.node_key

    def calls_of(self, act: Callable[[], Any]) -> list[str]:
        """What the officer asks of the node meanwhile, without what it knows already and how often it asked for a receipt."""
        self.tap.take(OFFICER)
        act()
        kinds = [f"{e.method} {_NUMBERED.sub('/receipts', e.address)}" for e in self.tap.take(OFFICER)]
        return [kind for n, kind in enumerate(kinds) if not (n and kind == kinds[n - 1] == "GET /receipts")]

    def alarms(self) -> tuple[Alarm, ...]:
        reply = wire.decode(self.services.office.client("office/chen").get_raw("/alarms"), Logged)
        return wire.decode(reply.answer, Alarms).alarms


@contextmanager
def pair(folder: Path) -> Iterator[Pair]:
    tap = Tap()
    people = [f"p{n:03d}" for n in range(PEOPLE)]
    with tapped(tap), services(folder) as made:
        made.load([(name, {f: float(n + len(f)) for f in FIELDS}) for n, name in enumerate(people)])
        made.willing([f"opaque:{name}" for name in people], ConsentKind.QUERY)
        table = made.open_project(PROJECT)
        manifest = made.build(table)
        planted = b'{"f0":999999}'.ljust(manifest.padded_size - 4)
        own = made_epoch({f"opaque:{name}": planted for name in people}, table=table, epoch=manifest.epoch)
        ready = Pair(made, tap, table, manifest, own, planted)
        with made.bank(OFFICER) as bank:
            query = PrivateQuery(bank, PROJECT, table)
            query.ask(ALICE)  # fetches the hint
            ready.good = ready.calls_of(lambda: query.ask(ALICE))
        yield ready


# ---------------------------------------------------------------------- what the node tells one bank


def lie_about(path_end: str, tell: Callable[[Exchange], bytes]) -> Lie:
    """Other bytes for the officer's exchanges whose path ends so."""

    def lie(exchange: Exchange) -> bytes | None:
        mine = exchange.person == OFFICER and exchange.address.endswith(path_end) and exchange.status == 200
        return tell(exchange) if mine else None

    return lie


def evaluated_with(server: VoprfServer, *, proof_of: VoprfServer | None = None) -> Callable[[Exchange], bytes]:
    """An evaluation under another key, with that key's honest proof, or one that the true key made of something else."""

    def tell(exchange: Exchange) -> bytes:
        logged = wire.decode(exchange.answer, Logged)
        results = []
        for signed in wire.decode(exchange.body, EvaluateTickets).tickets:
            element = wire.decode(signed.payload, Ticket).element
            made = server.blind_evaluate(element)
            proof = proof_of.blind_evaluate(element).proof if proof_of else made.proof
            results.append(Evaluation(evaluated=made.element, proof=proof))
        return wire.encode(wire.replace(logged, answer=wire.encode(Evaluations(results=tuple(results)))))

    return tell


def answered_from(made: MadeEpoch) -> Callable[[Exchange], bytes]:
    """Columns of another table."""

    def tell(exchange: Exchange) -> bytes:
        body = wire.decode(exchange.body, QueryColumns)
        queries = wire.unpack(body.queries, "<u4", (body.count, made.manifest.columns), "queries").astype(np.uint32)
        return wire.encode(ColumnAnswers(answers=wire.pack(pir.answer_many(made.matrix, queries))))

    return tell


def one_bit(exchange: Exchange) -> bytes:
    """One answered word with its top byte changed."""
    place = len(exchange.answer) // 2
    return exchange.answer[:place] + bytes(b ^ 0x80 for b in exchange.answer[place : place + 4]) + exchange.answer[place + 4 :]


def flipped(exchange: Exchange) -> bytes:
    place = len(exchange.answer) // 3
    return exchange.answer[:place] + bytes([exchange.answer[place] ^ 1]) + exchange.answer[place + 1 :]


def own_manifest(made: Pair, *, seal: Signed | None = None) -> Callable[[Exchange], bytes]:
    """The manifest of the bank's own table, signed by the node, beside the seal of the true one or beside `seal`."""

    def tell(exchange: Exchange) -> bytes:
        signed = wire.sign(made.own.manifest, "node", made.node_key)
        return wire.encode(SealedManifest(manifest=signed, seal=seal or wire.decode(exchange.answer, SealedManifest).seal))

    return tell


def sealed_twice(made: Pair) -> Callable[[Exchange], bytes]:
    """Both services lie: a second manifest for one epoch, truly signed and truly sealed."""
    signed = wire.sign(made.own.manifest, "node", made.node_key)
    word = Seal(table=made.table, epoch=made.manifest.epoch, manifest=signed.digest())
    return own_manifest(made, seal=wire.sign(word, "office", made.services.office.office.keys.statement))


def own_seal(made: Pair) -> Callable[[Exchange], bytes]:
    signed = wire.sign(made.own.manifest, "node", made.node_key)
    word = Seal(table=made.table, epoch=made.manifest.epoch, manifest=signed.digest())
    return own_manifest(made, seal=wire.sign(word, "office", made.node_key))


@dataclass(frozen=True)
class Case:
    """`what` the evidence is about, whose answer is another one; `known`: whether the client has used the epoch before."""

    what: str
    path_end: str
    tell: Callable[[Pair], Callable[[Exchange], bytes]]
    known: bool = True


AT_THE_BANK: dict[str, Case] = {
    "another key, with its own proof": Case("evaluation", "/evaluate", lambda m: evaluated_with(m.own.server)),
    "another key, with the true key's proof": Case(
        "evaluation", "/evaluate", lambda m: evaluated_with(m.own.server, proof_of=true_server(m))
    ),
    "another table for one bank": Case("column", "/columns", lambda m: answered_from(m.own)),
    "one word of an answer": Case("column", "/columns", lambda _: one_bit),
    "another hint": Case("hint", "/hint", lambda m: lambda _: m.own.hint.tobytes(), known=False),
    "one bit of the hint": Case("hint", "/hint", lambda _: flipped, known=False),
    "another manifest beside the true seal": Case("manifest", "/manifest", own_manifest, known=False),
    "another manifest, sealed by the node": Case("manifest", "/manifest", own_seal, known=False),
    "a second manifest, sealed as well": Case("second manifest", "/manifest", sealed_twice),
}


def true_server(made: Pair) -> VoprfServer:
    return KeyStore(made.services.settings.data_dir / "keys").oprf(epoch_key(made.table, made.manifest.epoch))


def attack_bank(made: Pair, kind: str) -> None:
    case = AT_THE_BANK[kind]
    fresh: Any = patch.object(bank_client.epoch_cache, "_retrievals", OrderedDict()) if not case.known else nullcontext()
    with made.services.bank(OFFICER) as bank, tempfile.TemporaryDirectory() as folder, fresh:
        if not case.known:
            bank.config = msgspec.structs.replace(bank.config, data_dir=Path(folder))
        query = PrivateQuery(bank, PROJECT, made.table)

        def ask() -> None:
            with made.tap.lying(lie_about(case.path_end, case.tell(made))), pytest.raises(Damaged):
                query.ask(ALICE)

        calls = made.calls_of(ask)
        kept = max((bank.config.data_dir / "evidence").glob("*.msgpack"), key=lambda file: file.stat().st_mtime_ns).read_bytes()
    assert wire.decode(kept, Evidence).what == case.what, kind
    assert ("evidence", "bank-a", kept) in {(a.kind, a.institution, a.evidence) for a in made.alarms()}, f"{kind}: no alarm"
    if case.what == "column":
        assert calls == made.good, f"{kind}: the node sees that something was wrong: {calls}"
    else:
        assert not any(call.endswith("/columns") for call in calls), f"{kind}: asked on: {calls}"
        assert case.what == "evaluation" or not any(call.endswith("/evaluate") for call in calls), f"{kind}: asked on: {calls}"


# ---------------------------------------------------------------------- the naive builds


def naive_check(made: Pair, bank: Bank, subject: str) -> bytes | None:
    """A client that believes whatever the node has signed: no seal, and nothing remembered of the epoch."""
    sealed = bank.node.get(f"/tables/{made.table}/manifest", SealedManifest)
    manifest = bank.from_node(sealed.manifest, Manifest)
    hint = np.frombuffer(bank.node.client.get_raw(f"/tables/{made.table}/epochs/{manifest.epoch}/hint"), "<u4")
    blinded, context = (
        blind(subject.encode()),
        made.services.office.context(project=PROJECT, table=made.table, epoch=manifest.epoch),
    )
    proof = prove(subject.encode(), *blinded, context.binding())
    asked = TicketRequest(subject=subject, context=context, element=blinded.element, proof=proof)
    [granted] = bank.office.logged("/tickets", RequestTickets(requests=(asked,)), Tickets).answer.results
    assert granted.ticket is not None
    spend = EvaluateTickets(tickets=(granted.ticket,))
    [result] = bank.node.logged(f"/tables/{made.table}/evaluate", spend, Evaluations).answer.results
    y = VoprfClient(manifest.public_key).finalize(subject.encode(), blinded, (result.evaluated, result.proof))
    tag, key = cells.derive(y, tag_context(made.table, manifest.epoch))
    table, client = SealedTable(manifest), pir.PirClient(manifest.seed, manifest.columns)
    place = table.column_of(tag)
    words, state = client.query(place)
    request = QueryColumns(epoch=manifest.epoch, count=1, queries=wire.pack(words[np.newaxis]))
    answer = bank.node.post(f"/tables/{made.table}/columns", request, ColumnAnswers)
    answers = wire.unpack(answer.answers, "<u4", (manifest.rows,), "answers").astype(np.uint32)
    column = client.recover(state, answers, hint.astype(np.uint32).reshape(manifest.rows, -1))
    return table.open(place, column, tag, key)


def naive_client_reads_what_was_planted(made: Pair) -> bool:
    """Another manifest, key, hint and table for one bank, all consistent: the naive client has no way to tell."""
    lies = {
        "/manifest": own_manifest(made),
        "/hint": lambda _: made.own.hint.tobytes(),
        "/evaluate": evaluated_with(made.own.server),
        "/columns": answered_from(made.own),
    }
    with ExitStack() as stack:
        for path_end, tell in lies.items():
            stack.enter_context(made.tap.lying(lie_about(path_end, tell)))
        with made.services.bank(OFFICER) as bank:
            return naive_check(made, bank, f"opaque:{ALICE}") == made.planted


def naive_client_takes_another_key_for_absence(made: Pair) -> bool:
    """A client that does not verify evaluations: whoever gets a key of their own just finds nothing."""
    lie = lie_about("/evaluate", evaluated_with(made.own.server))
    naive = patch.object(VoprfClient, "verify_evaluation", lambda *_: None)
    with naive, made.services.bank(OFFICER) as bank, made.tap.lying(lie):
        return PrivateQuery(bank, PROJECT, made.table).ask(ALICE).record is None


# ---------------------------------------------------------------------- the campaign


def campaign(count: int, seed: int) -> dict[str, Any]:
    """Mount `count` attacks, spread over all kinds; AssertionError if one goes unnoticed, or if the naive builds notice."""
    rng, caught = random.Random(seed), Counter[str]()
    with tempfile.TemporaryDirectory(prefix="xinqiao-other-key-") as name, pair(Path(name) / "pair") as made:
        for kind in in_turn(AT_THE_BANK, count, rng):
            attack_bank(made, kind)
            caught[kind] += 1
        with made.services.bank(OFFICER) as bank:
            assert PrivateQuery(bank, PROJECT, made.table).ask(ALICE).record not in (None, made.planted)
        naive = {
            "reads_what_was_planted": naive_client_reads_what_was_planted(made),
            "takes_another_key_for_absence": naive_client_takes_another_key_for_absence(made),
        }
    assert all(naive.values()), naive
    return {"caught": dict(caught), "caught_total": caught.total(), "naive": naive}


def test_nobody_is_served_something_else_than_everybody() -> None:
    assert len(campaign(len(AT_THE_BANK), 20_250_101)["caught"]) == len(AT_THE_BANK)
