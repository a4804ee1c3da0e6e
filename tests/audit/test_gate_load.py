"""A gate under load: what it takes at once is bounded, health stays answerable, a busy database is no fault of the asker's."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from fastapi import FastAPI
from sqlalchemy import Connection, Engine, MetaData, select, text
from sqlalchemy.exc import OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from audit.database import open_engine
from audit.log import Log, Sequencer, log_tables
from audit.service.gate import Gate
from audit.service.leaves import LeafDraft
from audit.service.outcome import Call, Outcome, Raw, Shared
from audit.verifier.note import NoteSigner
from bank_client.demo.town import free_port
from models.http_client import SignedClient
from models.logged import Empty
from models.parties import Institution, InstitutionKind, Person, Role
from models.problems import Busy, Conflict, Problem
from tests.office.world import serving

PLACES = 4
PATIENCE = 120.0  # seconds that nothing takes, on however busy a machine
KEY = Ed25519PrivateKey.generate()
OFFICER = Person(id="b/o", institution="b", name="o", role=Role.LOAN_OFFICER, key=KEY.public_key().public_bytes_raw())
BANK = Institution(id="b", name="b", kind=InstitutionKind.BANK, licence="1")


class Directory:
    def find(self, key_id: str) -> tuple[Person, Institution] | None:
        return (OFFICER, BANK) if key_id == OFFICER.id else None


@dataclass
class Service:
    """A service of one gate: `/wait` holds its place until it is let go on; `/brief` and `/shared` share a transaction."""

    url: str
    engine: Engine
    gate: Gate
    log: Log
    entered: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    may_end: threading.Event = field(default_factory=threading.Event)
    error: Exception | None = None
    together: list[int] = field(default_factory=list)

    def client(self, patience: float = 0.0) -> SignedClient:
        return SignedClient(self.url, OFFICER.id, KEY, patience=patience)

    def wait(self, call: Call) -> Outcome:
        self.entered.release()
        assert self.may_end.wait(PATIENCE)
        return Outcome(Empty(), [LeafDraft("wait")])

    def fail(self, call: Call) -> Outcome:
        assert self.error is not None
        raise self.error

    def brief(self, call: Call) -> Outcome:
        name = call.path["name"]

        def record(connection: Connection) -> None:
            connection.execute(text("INSERT INTO noted VALUES (:name)"), {"name": name})
            if name == "refused":
                raise Conflict("not this one")

        return Outcome(Empty(), [LeafDraft("note", {"name": name})], record, brief=True)

    def shared(self, call: Call) -> Outcome:
        name = call.path["name"]
        return Outcome(Empty(), [LeafDraft("note", {"name": name})], brief=True, shared=Shared(self.note_all, name))

    def note_all(self, connection: Connection, names: Sequence[str]) -> None:
        self.together.append(len(names))
        connection.execute(text("INSERT INTO noted VALUES (:name)"), [{"name": name} for name in names])
        if "refused" in names:
            raise Conflict("not this one")

    def noted(self) -> list[str]:
        with self.engine.connect() as connection:
            return sorted(connection.execute(text("SELECT name FROM noted")).scalars())


@pytest.fixture
def service(tmp_path: Path, database_url: str) -> Iterator[Service]:
    metadata = MetaData()
    tables = log_tables(metadata)
    engine = open_engine(database_url)
    log = Log(engine, tables, NoteSigner("test/log", Ed25519PrivateKey.generate()))
    app, port = FastAPI(), free_port()
    url = f"http://127.0.0.1:{port}"
    gate = Gate(app=app, engine=engine, metadata=metadata, log=log, directory=Directory(), public_url=url, requests=PLACES)
    made = Service(url, engine, gate, log)
    roles = {Role.LOAN_OFFICER}
    gate.logged("POST", "/wait", action="wait", roles=roles, takes=Empty)(made.wait)
    gate.logged("POST", "/fail", action="fail", roles=roles, takes=Empty)(made.fail)
    gate.logged("POST", "/brief/{name}", action="note", roles=roles, takes=Empty)(made.brief)
    gate.logged("POST", "/shared/{name}", action="note", roles=roles, takes=Empty)(made.shared)
    gate.public("GET", "/healthz", why="says that it runs")(lambda _: Raw(b"ok\n"))
    with engine.begin() as connection:
        metadata.create_all(connection)
        connection.execute(text("CREATE TABLE noted (name VARCHAR(64) PRIMARY KEY)"))
    with serving(app, port), Sequencer(log) as sequencer:
        assert sequencer.wait_ready(PATIENCE)
        yield made
        made.may_end.set()
    engine.dispose()


def post(service: Service, path: str, key: str | None = None, patience: float = 0.0) -> Any:
    with service.client(patience) as client:
        return client.logged(path, Empty(), Empty, key=key)


def leaves(service: Service) -> int:
    with service.engine.connect() as connection:
        return service.log.store.count(connection)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_beyond_its_places_a_service_is_busy_and_says_when_to_come_again(service: Service) -> None:
    with ThreadPoolExecutor(PLACES + 1) as pool:
        held = [pool.submit(post, service, "/wait") for _ in range(PLACES)]
        for _ in held:
            assert service.entered.acquire(timeout=PATIENCE)
        with pytest.raises(Busy) as caught:
            post(service, "/wait")
        assert caught.value.retry_after
        with service.client() as client:
            assert client.get_raw("/healthz") == b"ok\n"
        patient = pool.submit(post, service, "/wait", None, PATIENCE)
        service.may_end.set()
        assert len({reply.result().leaves[0].index for reply in [*held, patient]}) == PLACES + 1
    assert leaves(service) == PLACES + 1, "who was told to come again was denied nothing, and leaves no leaf"


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    "error", [OperationalError("", None, sqlite3.OperationalError("database is locked")), PoolTimeout("no connection is free")]
)
def test_a_busy_database_is_told_as_such(service: Service, error: Exception) -> None:
    service.error = error
    with pytest.raises(Busy) as caught:
        post(service, "/fail")
    assert caught.value.retry_after
    service.error = RuntimeError("a fault of ours")
    with pytest.raises(Problem) as broken:
        post(service, "/fail")
    assert broken.value.status == 500


@pytest.mark.parametrize("path", ["/brief", "/shared"])
def test_brief_requests_share_a_transaction_and_one_that_is_refused_hurts_nobody(service: Service, path: str) -> None:
    names = [*(f"n{n}" for n in range(12)), "refused"]
    begun = threading.Barrier(len(names))

    def note(name: str) -> Exception | None:
        begun.wait(PATIENCE)
        try:
            post(service, f"{path}/{name}", patience=PATIENCE)
        except Problem as problem:
            return problem
        return None

    with ThreadPoolExecutor(len(names)) as pool:
        outcomes = list(pool.map(note, names))
    assert [type(outcome) for outcome in outcomes] == [type(None)] * 12 + [Conflict]
    assert service.noted() == sorted(names[:-1])
    assert leaves(service) == len(names)
    assert (sum(service.together) >= len(names)) is (path == "/shared")


def test_the_same_brief_request_at_once_is_done_once(service: Service) -> None:
    begun = threading.Barrier(4)

    def note(_: int) -> Any:
        begun.wait(PATIENCE)
        return post(service, "/brief/same", key="same-key-always").leaves

    with ThreadPoolExecutor(4) as pool:
        assert len(set(pool.map(note, range(4)))) == 1
    assert (service.noted(), leaves(service)) == (["same"], 1)


def test_old_answers_and_nonces_are_deleted_and_the_log_is_not(service: Service) -> None:
    for n in range(3):
        post(service, f"/brief/p{n}", key=f"kept-key-{n}")
    nonces, answers = service.gate._tables

    def kept() -> tuple[int, int]:
        with service.engine.connect() as connection:
            return len(connection.execute(select(nonces)).all()), len(connection.execute(select(answers)).all())

    purge = service.gate.purge(7, lambda: True)
    assert (purge.run_once(), kept()) == (0, (3, 3))
    now = purge._clock
    purge._clock = lambda: now() + 3600
    assert (purge.run_once(), kept()) == (3, (0, 3))
    purge._clock = lambda: now() + 7 * 24 * 3600 + 60
    assert (purge.run_once(), kept()) == (3, (0, 0))
    assert leaves(service) == 3
    with pytest.raises(Conflict):  # the same request now counts as new, and the state itself refuses it
        post(service, "/brief/p0", key="kept-key-0")
