"""Attack: send again what somebody else signed, wherever and whenever it might count a second time.

Whoever sees a signed request (a proxy, a log of one, a colleague) sends it again: to the same address, to another one, to
the other service, with another body, after a restart, to a second worker. It succeeds if any service answers with anything
but a refusal, or does anything twice.

Two naive builds are kept below: a gate without a memory of nonces, and one that does not hold the body against its digest.
"""

from __future__ import annotations

import base64
import hashlib
import json
import random
import re
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from unittest.mock import patch

import httpx2
import pytest
from sqlalchemy import Engine, func, select

import audit.service.gate
from audit.office import tables
from audit.service.entrance import Entrance, Visitor
from bank_client.demo.town import free_port
from models import wire
from models.consents import ConsentKind, FileConsents
from models.http_signatures import Request, sign_request
from models.logged import Empty, Logged
from models.parties import Role
from models.problems import URN
from models.projects import ProjectKind
from models.wire import Signed
from sharing_node.database import metadata
from tests.services import MODELLER, Services, send, services, serving_node

pytestmark = pytest.mark.attack

NAME = "replay"
FULL_COUNT = 1_000

Answer = httpx2.Response


# ---------------------------------------------------------------------- what is captured


@dataclass
class Captured:
    """A request that was signed and answered, and what it was answered."""

    service: str
    request: Request
    answer: bytes = field(repr=False)


@dataclass
class Stage:
    """A pair of services, a second worker of the node, and requests that somebody got hold of."""

    pair: Services
    second: str
    captured: list[Captured] = field(default_factory=list)

    def sign(self, service: str, person: str, method: str, path: str, message: wire.Message | None = None) -> Request:
        body = wire.encode(message) if message is not None else b""
        return self.pair.signed(service, person, method, path, body)

    def state(self) -> dict[str, int]:
        """How many rows each table of both services holds, but for nonces and the logs' own."""
        both: list[tuple[Engine, Any]] = [(self.pair.engine, metadata), (self.pair.office.office.engine, tables.metadata)]
        counts = {}
        for engine, meta in both:
            with engine.connect() as connection:
                for name, table in meta.tables.items():
                    if not name.startswith(("log_", "witness_", "gate_nonce")):
                        counts[f"{engine.url.database}/{name}"] = connection.execute(
                            select(func.count()).select_from(table)
                        ).scalar_one()
        return counts


@contextmanager
def stage(folder: Path) -> Iterator[Stage]:
    with services(folder) as pair, ExitStack() as stack:
        table = pair.open_project("joint", kind=ProjectKind.JOINT_SCORECARD)
        assert table == ""
        made = Stage(pair, "")
        port = free_port()
        stack.enter_context(serving_node(pair.settings, port))
        made.second = f"http://127.0.0.1:{port}"
        yield made


REQUESTS: dict[str, Callable[[Stage], tuple[str, Request]]] = {
    "published hashes": lambda s: (
        "node", s.sign("node", MODELLER, "POST", "/projects/joint/alignment/published", Empty())
    ),
    "a receipt": lambda s: ("node", s.sign("node", MODELLER, "GET", "/receipts/0")),
    "a project's approval": lambda s: (
        "office", s.sign("office", MODELLER, "GET", "/projects/joint")
    ),
    "a consent": lambda s: (
        "office",
        s.sign(
            "office", "office/wang", "POST", "/consents",
            FileConsents(consents=(s.pair.office.consent("opaque:zoe", ConsentKind.QUERY),)),
        ),
    ),
    "alarms": lambda s: ("office", s.pair.signed("office", "office/audit", "GET", "/alarms")),
}  # fmt: skip


def capture(stage: Stage, kind: str) -> Captured:
    """A request as its sender sent it, answered well."""
    service, request = REQUESTS[kind](stage)
    response = send(request)
    assert response.status_code == 200, response.text
    return Captured(service, request, response.content)


# ---------------------------------------------------------------------- what is done with it


def same_address(stage: Stage, seen: Captured, rng: random.Random) -> Answer:
    return send(seen.request)


def second_worker(stage: Stage, seen: Captured, rng: random.Random) -> Answer:
    """The other process on the same database, reached directly; the office has one, so its own address again."""
    return send(seen.request, to=moved(seen.request, stage.second) if seen.service == "node" else "")


def other_service(stage: Stage, seen: Captured, rng: random.Random) -> Answer:
    there = stage.pair.office.url if seen.service == "node" else stage.pair.url
    return send(seen.request, to=moved(seen.request, there))


def other_address(stage: Stage, seen: Captured, rng: random.Random) -> Answer:
    """Another address of the same service, of those that take the same kind of request."""
    gate = (stage.pair.app if seen.service == "node" else stage.pair.office.app).state.gate
    here = "/" + seen.request.url.split("/", 3)[3]
    paths = [re.sub(r"\{\w+\}", "joint", e.path) for e in gate.endpoints if e.method == seen.request.method and e.roles]
    there = rng.choice([path for path in paths if path != here])
    return send(seen.request, to=stage.pair.address(seen.service) + there)


def other_query(stage: Stage, seen: Captured, rng: random.Random) -> Answer:
    return send(seen.request, to=f"{seen.request.url}?name={rng.randrange(10**6)}")


def other_method(stage: Stage, seen: Captured, rng: random.Random) -> Answer:
    return send(replace(seen.request, method="PUT" if rng.randrange(2) else "DELETE"))


def other_body(stage: Stage, seen: Captured, rng: random.Random) -> Answer:
    """One flipped bit of the body, or bytes added to it, under the signed digest."""
    body = bytearray(seen.request.body + (rng.randbytes(3) if rng.randrange(2) or not seen.request.body else b""))
    body[rng.randrange(len(body))] ^= 1 << rng.randrange(8)
    return send(replace(seen.request, body=bytes(body)))


def other_body_and_digest(stage: Stage, seen: Captured, rng: random.Random) -> Answer:
    """The body changed together with its digest, which the signature covers."""
    body = seen.request.body + b"\0"
    digest = base64.b64encode(hashlib.sha256(body).digest()).decode()
    headers = {**seen.request.headers, "Content-Digest": f"sha-256=:{digest}:"}
    return send(replace(seen.request, body=body, headers=headers))


def other_key(stage: Stage, seen: Captured, rng: random.Random) -> Answer:
    """Another idempotency key, so that it would not count as the same request."""
    return send(replace(seen.request, headers={**seen.request.headers, "idempotency-key": rng.randbytes(12).hex()}))


def other_nonce(stage: Stage, seen: Captured, rng: random.Random) -> Answer:
    """A nonce of the attacker's, or later times, in the signature's parameters."""
    parameters = seen.request.headers["Signature-Input"]
    changed = rng.choice(
        [
            re.sub(r'nonce="[^"]*"', f'nonce="{rng.randbytes(12).hex()}"', parameters),
            re.sub(r"expires=(\d+)", lambda m: f"expires={int(m[1]) + 1}", parameters),
            re.sub(r"created=(\d+)", lambda m: f"created={int(m[1]) - 1}", parameters),
            re.sub(r'keyid="[^"]*"', 'keyid="bank-b/mo"', parameters),
            re.sub(r';nonce="[^"]*"', "", parameters),
            parameters.replace('"content-digest" ', ""),
        ]
    )
    assert changed != parameters
    return send(replace(seen.request, headers={**seen.request.headers, "Signature-Input": changed}))


REPLAYS: dict[str, Callable[[Stage, Captured, random.Random], Answer]] = {
    "to the same address": same_address,
    "to a second worker": second_worker,
    "to the other service": other_service,
    "to another address": other_address,
    "with another query": other_query,
    "with another method": other_method,
    "with another body": other_body,
    "with another body and digest": other_body_and_digest,
    "with another idempotency key": other_key,
    "with other parameters": other_nonce,
}


def moved(request: Request, to: str) -> str:
    return to + "/" + request.url.split("/", 3)[3]


# ---------------------------------------------------------------------- requests that were never good


def stale(stage: Stage, seconds: int) -> Answer:
    """Signed in time for another time: expired, or not yet created."""
    request = Request("POST", f"{stage.pair.url}/projects/joint/alignment/published", {}, wire.encode(Empty()))
    request.headers["content-type"] = wire.CONTENT_TYPE
    sign_request(request, MODELLER, stage.pair.office.keys[MODELLER], datetime.now(UTC) + timedelta(seconds=seconds))
    return send(request)


TIMES = (-3_600, -90, -70, 30, 90, 3_600)


# ---------------------------------------------------------------------- the naive builds


def forgetful(self: Entrance, visitor: Visitor, roles: frozenset[Role]) -> None:
    """A gate that has no memory of nonces."""
    assert visitor.person.role in roles


def naive_gate_answers_again(stage: Stage) -> bool:
    seen = capture(stage, "published hashes")
    with patch.object(Entrance, "admit", forgetful):
        again = same_address(stage, seen, random.Random(0))
    return again.status_code == 200 and same_answer(again.content, seen.answer)


def naive_gate_takes_another_body(stage: Stage) -> bool:
    """A gate that believes the digest: the attacker exchanges the body of a request on its way."""
    mine = FileConsents(consents=(stage.pair.office.consent("opaque:victim", ConsentKind.QUERY, recipient="bank-b"),))
    _, request = REQUESTS["a consent"](stage)
    with patch.object(audit.service.gate, "verify_body", lambda *_: None):
        taken = send(replace(request, body=wire.encode(mine)))
    with stage.pair.office.office.engine.connect() as connection:
        filed = connection.execute(
            select(func.count()).select_from(tables.consent).where(tables.consent.c.subject == "opaque:victim")
        ).scalar_one()
    return taken.status_code == 200 and filed == 1


def same_answer(one: bytes, other: bytes) -> bool:
    return wire.decode(one, Logged).answer == wire.decode(other, Logged).answer


# ---------------------------------------------------------------------- the campaign


def campaign(count: int, seed: int) -> dict[str, Any]:
    """Mount `count` replays, spread over all kinds; AssertionError if one is accepted, or if a naive build withstands."""
    rng, refused = random.Random(seed), Counter[str]()
    with tempfile.TemporaryDirectory(prefix="xinqiao-replay-") as folder, stage(Path(folder) / "stage") as made:
        kinds = [(kind, how) for kind in REQUESTS for how in REPLAYS]
        rng.shuffle(kinds)
        for number in range(count):
            kind, how = kinds[number % len(kinds)]
            seen = capture(made, kind)
            before = made.state()
            response = REPLAYS[how](made, seen, rng)
            check_refused(response, f"{kind} {how}")
            assert made.state() == before, f"{kind} {how} changed the state"
            refused[how] += 1
        for seconds in TIMES:
            check_refused(stale(made, seconds), f"signed {seconds} s from now")
        assert naive_gate_answers_again(made), "the gate without a memory must answer again"
        assert naive_gate_takes_another_body(made), "the gate that believes the digest must take another body"
    return {"refused": dict(refused), "refused_total": refused.total(), "naive_builds_accept": True}


def check_refused(response: Answer, what: str) -> None:
    assert response.status_code in {401, 404, 405}, f"{what}: {response.status_code}"
    if response.status_code == 401:
        document = json.loads(response.content)
        assert document["type"] in {f"{URN}replayed", f"{URN}bad-signature"}, what
        assert document["advice"]


def test_no_replay_is_ever_accepted() -> None:
    every = len(REQUESTS) * len(REPLAYS)
    assert len(campaign(every, 20_250_101)["refused"]) == len(REPLAYS)


# ---------------------------------------------------------------------- one by one


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with stage(tmp_path_factory.mktemp("replay") / "stage") as made:
        yield made


def test_a_replay_after_a_restart_is_refused(tmp_path: Path, database_url: str) -> None:
    """Nonces outlive the process: the node is stopped and another one started on the same database."""
    with services(tmp_path / "services", database_url) as pair:
        pair.open_project("joint", kind=ProjectKind.JOINT_SCORECARD)
        captured = [pair.signed("node", MODELLER, "GET", "/receipts/0") for _ in range(2)]
        assert send(captured[0]).status_code == 200
        port = free_port()
        with serving_node(pair.settings, port):
            again = send(captured[0], to=moved(captured[0], f"http://127.0.0.1:{port}"))
        assert (again.status_code, again.json()["type"]) == (401, f"{URN}replayed")
        with serving_node(pair.settings, port):  # and once more
            assert send(captured[0], to=moved(captured[0], f"http://127.0.0.1:{port}")).status_code == 401
            assert send(captured[1], to=moved(captured[1], f"http://127.0.0.1:{port}")).status_code == 200
            assert send(captured[1]).status_code == 401, "and the first worker knows what the second one took"


def test_what_was_signed_before_the_machine_started_is_refused(made: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its nonce may have been lost, where the machine failed before the disk had it."""
    request = made.sign("node", MODELLER, "GET", "/receipts/0")
    with monkeypatch.context() as patched:
        patched.setattr(made.pair.app.state.gate._entrance, "_started", time.time)
        response = send(request)
    assert (response.status_code, response.json()["type"]) == (401, f"{URN}bad-signature")
    assert send(request).status_code == 200, "it was never taken"


def test_two_workers_at_once_take_a_request_once(made: Stage) -> None:
    for _ in range(5):
        request = made.sign("node", MODELLER, "GET", "/receipts/0")
        places = ["", moved(request, made.second)] * 3
        with ThreadPoolExecutor(len(places)) as pool:
            statuses = list(pool.map(lambda to: send(request, to=to).status_code, places))  # noqa: B023
        assert sorted(statuses) == [200, *[401] * (len(places) - 1)]


def signed_again(request: Request, stage: Stage, body: bytes | None = None) -> Request:
    """The same request with the same idempotency key, signed afresh as an honest client repeats it."""
    kept = {name: request.headers[name] for name in ("content-type", "idempotency-key")}
    again = Request(request.method, request.url, kept, request.body if body is None else body)
    sign_request(again, MODELLER, stage.pair.office.keys[MODELLER])
    return again


def test_an_honest_repetition_gets_the_same_bytes_and_no_second_leaf(made: Stage) -> None:
    seen = capture(made, "published hashes")
    leaves = made.pair.logged()
    for to in ("", moved(seen.request, made.second)):
        answer = send(signed_again(seen.request, made), to=to)
        assert (answer.status_code, answer.content) == (200, seen.answer)
    assert made.pair.logged() == leaves


def test_the_same_key_with_another_body_or_address_is_refused(made: Stage) -> None:
    seen = capture(made, "published hashes")
    before = made.pair.logged()
    other = signed_again(seen.request, made, wire.encode(Signed(kind="", signer="", payload=b"", signature=b"")))
    elsewhere = signed_again(replace(seen.request, url=f"{made.pair.url}/projects"), made)
    for request in (other, elsewhere):
        response = send(request)
        assert (response.status_code, response.json()["type"]) == (409, f"{URN}key-reused")
    assert [leaf["problem"] for leaf in made.pair.leaves(before)] == ["key-reused"] * 2


def test_the_same_key_of_two_people_is_two_keys(made: Stage) -> None:
    seen = capture(made, "published hashes")
    key = {"idempotency_key": seen.request.headers["idempotency-key"]}
    response = send(
        made.pair.signed("node", "bank-b/mo", "POST", "/projects/joint/alignment/published", seen.request.body, **key)
    )
    assert response.status_code == 403, "bank-b is told about its own standing, and nothing of bank-a's answer"


def test_the_same_key_at_once_gives_one_answer(made: Stage) -> None:
    _, first = REQUESTS["published hashes"](made)
    requests = [signed_again(first, made) for _ in range(4)]
    before = made.pair.logged()
    with ThreadPoolExecutor(len(requests)) as pool:
        answers = list(pool.map(send, requests))
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.content for answer in answers}) == 1
    assert made.pair.logged() == before + 1


@pytest.mark.parametrize("seconds", TIMES)
def test_expired_and_future_signatures(made: Stage, seconds: int) -> None:
    assert stale(made, seconds).json()["type"] == f"{URN}bad-signature"
