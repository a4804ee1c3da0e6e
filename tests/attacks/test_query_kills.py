"""Attack: kill -9 at any moment of a build and under load, and see what was released that should not have been.

Real processes; a few clients spend tickets and fetch columns as fast as they can while epochs are built. A victim (the
whole node, one of its processes, the builder) is killed at a random moment, and what is down is started again. Then every
request that got no answer is sent again under its key, and every ticket once more under another key.

Criterion, after each kill: every evaluation that a client holds has its leaf in the log where the promise says; no element
was given two evaluations, and none has two leaves; what the node remembers as spent are exactly the evaluations in the log;
a repeated request gets the same bytes; every column opened is the record; the present epoch's files are those of its sealed
manifest, and a new question is answered. At the end the log is whole and cosigned.

Naive builds, kept below: one that releases before its transaction is durable, and is killed in between; the check finds the
evaluation without a leaf, and the ticket can be spent again.
"""

from __future__ import annotations

import random
import secrets
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from numpy.typing import NDArray
from sqlalchemy import func, select

from audit.log.store import LogStore
from audit.service.ledger import Ledger, Stored
from bank_client.sealed_table import SealedTable
from crypto import cells
from crypto.pir import PirClient
from crypto.request_proof import prove
from crypto.voprf import Blinded, VoprfClient, blind
from models import wire
from models.consents import ConsentKind, Purpose
from models.http_client import SignedClient
from models.logged import Logged
from models.problems import NotFound, PeerUnavailable, Problem, Unavailable
from models.tables import ColumnAnswers, Manifest, QueryColumns, tag_context
from models.tickets import Evaluations, RequestTickets, TicketContext, TicketRequest, Tickets
from sharing_node.app import LOG_TABLES
from sharing_node.state.tables import SpentRow
from tests.attacks.account import Account, Held, Question, spend
from tests.attacks.hamlet import MODELLER, PROJECT, Hamlet, hamlet, kill, processes
from tests.services import FIELDS, OFFICER, Services, services

pytestmark = [pytest.mark.attack, pytest.mark.e2e]

NAME = "query-kills"
FULL_COUNT = 200
SMALL_COUNT = 3
SUBJECTS, TICKETS, CLIENTS = 40, 120, 3
LOG_EVERY = 40  # kills between two checks of the whole log


# ---------------------------------------------------------------------- the load


class Bank:
    """One bank's modeller, with a client of its own for each thread."""

    def __init__(self, here: Hamlet) -> None:
        self._here = here
        self._key = Ed25519PrivateKey.from_private_bytes(here.town.key_file(MODELLER).read_bytes())
        self._epochs: dict[int, tuple[Manifest, PirClient, NDArray[np.uint32]]] = {}
        self._lock = threading.Lock()

    def client(self) -> SignedClient:
        return SignedClient(self._here.node.url, MODELLER, self._key, timeout=20.0)

    def questions(self, count: int, rng: random.Random) -> list[Question]:
        """Tickets for subjects drawn at random, for the present epoch."""
        manifest, now = self._here.present(), int(time.time())
        made = []
        for subject in rng.choices(self._here.subjects, k=count):
            context = TicketContext(
                bank="bank-a", officer=MODELLER, purpose=Purpose.LOAN_APPROVAL, project=PROJECT, table=self._here.table,
                epoch=manifest.epoch, expires=now + 3600, nonce=secrets.token_bytes(16),
            )  # fmt: skip
            blinded = blind(subject.encode())
            proof = prove(subject.encode(), *blinded, context.binding())
            made.append((blinded, TicketRequest(subject=subject, context=context, element=blinded.element, proof=proof)))
        request = RequestTickets(requests=tuple(request for _, request in made))
        results = self._here.town.client(MODELLER, "office").logged("/tickets", request, Tickets).answer.results
        return [
            Question(request.subject, blinded, result.ticket, manifest.epoch, secrets.token_urlsafe(16))
            for (blinded, request), result in zip(made, results, strict=True)
            if result.ticket is not None
        ]

    def look(self, client: SignedClient, question: Question) -> None:
        """Fetch the column of an evaluated question and open the cell; what is not the record is noted."""
        manifest, pir_client, hint = self._epoch(client, question.epoch)
        [result] = wire.decode(question.released[0][0], Evaluations).results
        name = question.subject.encode()
        y = VoprfClient(manifest.public_key).finalize(name, question.blinded, (result.evaluated, result.proof))
        tag, key = cells.derive(y, tag_context(manifest.table, manifest.epoch))
        table = SealedTable(manifest)
        place = table.column_of(tag)
        words, state = pir_client.query(place)
        request = QueryColumns(epoch=manifest.epoch, count=1, queries=wire.pack(words[np.newaxis]))
        answer = client.post(f"/tables/{manifest.table}/columns", request, ColumnAnswers)
        answers = wire.unpack(answer.answers, "<u4", (manifest.rows,), "answers").astype(np.uint32)
        record = table.open(place, pir_client.recover(state, answers, hint), tag, key)
        if record is None:
            question.wrong = "a present subject has no record"

    def _epoch(self, client: SignedClient, epoch: int) -> tuple[Manifest, PirClient, NDArray[np.uint32]]:
        with self._lock:
            if epoch not in self._epochs:
                manifest = self._here.present()
                if manifest.epoch != epoch:
                    raise NotFound("another epoch has opened")
                data = client.get_raw(f"/tables/{manifest.table}/epochs/{epoch}/hint")
                hint = np.frombuffer(data, "<u4").astype(np.uint32).reshape(manifest.rows, -1)
                self._epochs[epoch] = manifest, PirClient(manifest.seed, manifest.columns), hint
            return self._epochs[epoch]


def under_load(here: Hamlet, bank: Bank, questions: Sequence[Question], strike: Callable[[], None]) -> None:
    """Clients spend the tickets and look at columns until they are through or get no answer any more; `strike` meanwhile."""
    left, lock = list(questions), threading.Lock()
    over = threading.Event()

    def work() -> None:
        with bank.client() as client:
            while not over.is_set():
                with lock:
                    if not left:
                        return
                    question = left.pop()
                with suppress(PeerUnavailable, Unavailable, NotFound):
                    if spend(client, here.table, question):
                        bank.look(client, question)

    threads = [threading.Thread(target=work) for _ in range(CLIENTS)]
    for thread in threads:
        thread.start()
    try:
        strike()
    finally:
        over.set()
        for thread in threads:
            thread.join()


def again(here: Hamlet, bank: Bank, questions: Sequence[Question], rng: random.Random) -> None:
    """Each request that was sent once more under its key, and then under another: never a second evaluation."""
    with bank.client() as client:
        for question in rng.sample(questions, len(questions) // 2):
            before = len(question.released)
            spend(client, here.table, question)
            assert len(question.released) == before + 1 or question.refused, "a repeated request got neither answer nor refusal"
            if question.released:
                assert not spend(client, here.table, question, secrets.token_urlsafe(16)), "a ticket was spent twice"


# ---------------------------------------------------------------------- who is killed


def victims(here: Hamlet, rng: random.Random) -> tuple[str, list[int]]:
    """The node's parent, one of its processes, or all at once, as a power cut would."""
    assert here.node.process is not None
    parent, below = here.node.process.pid, processes(here.node.process.pid)
    builders = [pid for pid, command in below.items() if "builder" in command]
    workers = [pid for pid in below if pid not in builders]
    choices: dict[str, list[int]] = {"the service": [parent], "everything": [parent, *below]}
    if workers:
        choices["a worker"] = [rng.choice(workers)]
    if builders:
        choices["the builder"] = [rng.choice(builders)]
    name = rng.choice(sorted(choices))
    return name, choices[name]


def round_of(here: Hamlet, bank: Bank, account: Account, rng: random.Random) -> tuple[str, int]:
    """One kill under load while an epoch may be built; who was killed, and how many tickets had been evaluated."""
    questions, struck = bank.questions(TICKETS, rng), ""
    if rng.random() < 0.7:
        with suppress(Problem):  # one is being built already
            here.ask_for_epoch()

    def strike() -> None:
        nonlocal struck
        time.sleep(rng.uniform(0.0, 1.5))
        struck, pids = victims(here, rng)
        for pid in pids:
            kill(pid)
        assert here.node.process is not None
        if struck in ("the service", "everything"):
            here.node.process.wait()
            here.restart()
        else:
            time.sleep(0.5)

    under_load(here, bank, questions, strike)
    again(here, bank, questions, rng)
    evaluated = account.settle(DiskNode(here), questions)
    here.assert_no_half_table()
    return struck, evaluated


@dataclass(frozen=True)
class DiskNode:
    """A node as it lies on disk."""

    here: Hamlet

    def entries(self, since: int) -> list[bytes]:
        return self.here.entries(since)

    def spent(self) -> int:
        return int(self.here.sql("SELECT count(*) FROM spent_element")[0][0])


# ---------------------------------------------------------------------- the naive builds


@dataclass(frozen=True)
class LiveNode:
    """A node in this process; `forgets` leaves of its log are lost, as where they are acknowledged before they are durable."""

    pair: Services
    forgets: int = 0

    def entries(self, since: int) -> list[bytes]:
        store = LogStore(LOG_TABLES)
        with self.pair.engine.connect() as connection:
            return list(store.entries(connection, since, store.count(connection) - since - self.forgets))

    def spent(self) -> int:
        with self.pair.engine.connect() as connection:
            return int(connection.execute(select(func.count()).select_from(SpentRow)).scalar_one())


@contextmanager
def released_before_commit() -> Iterator[None]:
    """A gate that answers first; the process is killed before its transaction comes."""

    def answer_alone(_self: Ledger, _request: Any, result: Any, _leaf_of: Any) -> Stored:
        return Stored(wire.encode(result.answer), [], False)

    def without_leaves(_self: Ledger, stored: Stored) -> Logged:
        return Logged(answer=stored.answer, leaves=())

    with patch.object(Ledger, "commit", answer_alone), patch.object(Ledger, "release", without_leaves):
        yield


def naive_builds(folder: Path) -> dict[str, str]:
    """What the account says of each naive build."""
    with services(folder) as pair:
        pair.load([("alice", dict.fromkeys(FIELDS, 1.0))])
        pair.willing(["opaque:alice"], ConsentKind.QUERY)
        table = pair.open_project(PROJECT)
        epoch = pair.build(table).epoch

        def question() -> Question:
            request = pair.office.question("opaque:alice", project=PROJECT, table=table, epoch=epoch)
            [result] = pair.office.ask(request, person=OFFICER).results
            assert result.ticket is not None
            blinded = Blinded(blind(b"unused").blind, request.element)  # type: ignore[arg-type]
            return Question(request.subject, blinded, result.ticket, epoch, secrets.token_urlsafe(16))

        client = pair.client(OFFICER)
        honest, lost, twice = question(), question(), question()
        assert spend(client, table, honest)
        Account().settle(LiveNode(pair), [honest])
        said = {"an acknowledged leaf that was lost": complaint(LiveNode(pair, forgets=1), honest)}
        with released_before_commit():
            assert spend(client, table, lost)
            assert spend(client, table, twice)
            assert spend(client, table, twice, secrets.token_urlsafe(16)), "nothing remembers that it was spent"
        said["an evaluation before its transaction"] = complaint(LiveNode(pair), lost)
        said["a second evaluation"] = complaint(LiveNode(pair), twice)
    return said


def complaint(held: Held, question: Question) -> str:
    with pytest.raises(AssertionError) as caught:
        Account(patience=1.0).settle(held, [question])
    return str(caught.value).splitlines()[0]


# ---------------------------------------------------------------------- the campaign


def answers(here: Hamlet, bank: Bank, rng: random.Random) -> list[Question]:
    """The present epoch still answers, and gives the record; asked again where another one opens in between."""
    asked: list[Question] = []
    with bank.client() as client:
        for _ in range(3):
            asked += bank.questions(1, rng)
            assert spend(client, here.table, asked[-1]), asked[-1].refused
            with suppress(NotFound):
                bank.look(client, asked[-1])
                return asked
    raise AssertionError("no epoch stays open for as long as a question takes")


def campaign(count: int, seed: int) -> dict[str, Any]:
    """`count` kills; AssertionError at the first thing that was released and should not have been, or lost."""
    rng, account, struck, evaluated = random.Random(seed), Account(), Counter[str](), 0
    with tempfile.TemporaryDirectory(prefix="xinqiao-kills-") as name:
        said = naive_builds(Path(name) / "naive")
        with hamlet(Path(name) / "hamlet", SUBJECTS, node_settings={"WORKERS": "2"}) as here:
            bank = Bank(here)
            for number in range(count):
                who, done = round_of(here, bank, account, rng)
                struck[who] += 1
                evaluated += done + account.settle(DiskNode(here), answers(here, bank, rng))
                if number % LOG_EVERY == LOG_EVERY - 1:
                    here.check_log()
            epochs = here.present().epoch
            here.wait_open(here.ask_for_epoch())
            evaluated += account.settle(DiskNode(here), answers(here, bank, rng))
            here.check_log()
    assert len(said) == 3
    return {
        "kills": dict(struck),
        "kills_total": struck.total(),
        "evaluated": evaluated,
        "epochs": epochs,
        "naive_caught_by": said,
    }


def test_a_kill_releases_nothing_twice_and_nothing_without_its_leaf() -> None:
    assert campaign(SMALL_COUNT, 20_250_101)["kills_total"] == SMALL_COUNT
