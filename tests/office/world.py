"""An office as it runs, over real HTTP on a free port, and everyone who talks to it with their own signing keys."""

from __future__ import annotations

import hashlib
import itertools
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import uvicorn
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from fastapi import FastAPI, Request, Response

from audit.database import open_engine
from audit.office.app import create_app, open_office
from audit.office.enrolment import enrol_first_clerk, enrol_node, enrol_office, enrol_window
from audit.office.keys import OfficeKeys
from audit.office.migrate import upgrade
from audit.office.office import Office
from audit.office.settings import OfficeSettings
from audit.verifier.note import NoteSigner
from bank_client.demo.town import free_port
from crypto.request_proof import prove
from crypto.voprf import VoprfClient, VoprfServer, generate_key_pair
from models import wire
from models.consents import ANY, Capture, Consent, ConsentKind, FileConsents, Filed, Purpose
from models.http_client import SignedClient
from models.logged import Empty
from models.parties import Directory, Institution, InstitutionKind, Person, Role
from models.projects import Decision, Project, ProjectKind, ProjectStatus
from models.tables import Manifest, SubmitManifest
from models.tickets import RequestTickets, TicketContext, TicketRequest, Tickets
from models.wire import Signed
from tests.tables import build, digest

BOB, ALICE = "opaque:bob", "opaque:alice"
CHECK_FIELDS = ("subject_name", "main_product", "operating_years")
JOINT_FIELDS = ("household_size", "labour_count", "annual_operating_income")
BANKS = ("bank-a", "bank-b")
PATIENT: dict[str, Any] = {"timeout": 60.0, "trust_env": False}
"""For requests beside those of a `SignedClient`: a machine that is busy may take its time, and no proxy stands between."""
PEOPLE = {
    "office/wang": Role.CLERK,
    "office/chen": Role.CLERK,
    "office/audit": Role.AUDITOR,
    "office/super": Role.SUPERVISOR,
    "bank-a/li": Role.LOAN_OFFICER,
    "bank-a/mo": Role.MODELLER,
    "bank-a/ap": Role.APPROVER,
    "bank-a/ex": Role.RESPONDER,
    "bank-b/li": Role.LOAN_OFFICER,
    "bank-b/mo": Role.MODELLER,
    "bank-b/ap": Role.APPROVER,
    "node/steward": Role.STEWARD,
    "node/op": Role.NODE_OPERATOR,
}


@contextmanager
def serving(app: FastAPI, port: int) -> Iterator[None]:
    """Run an app on a port until the block ends."""
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=port, log_config=None, lifespan="on"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        if not thread.is_alive():
            raise RuntimeError("the server did not start")
        time.sleep(0.005)
    try:
        yield
    finally:
        server.should_exit = True
        thread.join()


@dataclass
class TableHost:
    """What the office fetches from a node: the bytes of its tables."""

    port: int = field(default_factory=free_port)
    bytes_of: dict[tuple[str, int, str], bytes] = field(default_factory=dict)
    requests: list[tuple[str, str]] = field(default_factory=list)

    def app(self) -> FastAPI:
        app = FastAPI()

        @app.get("/tables/{table}/epochs/{epoch}/{what}")
        def fetch(table: str, epoch: int, what: str, request: Request) -> Response:
            self.requests.append((what, request.headers.get("signature-input", "")))
            return Response(self.bytes_of[table, epoch, what], media_type="application/octet-stream")

        return app


@dataclass
class Clock:
    """The office's clock, which a test may move."""

    shift: float = 0.0

    def __call__(self) -> float:
        return time.time() + self.shift


@dataclass
class World:
    office: Office
    url: str
    clock: Clock
    tables: TableHost
    node_key: Ed25519PrivateKey
    node_log: NoteSigner
    keys: dict[str, Ed25519PrivateKey]
    app: FastAPI
    clients: dict[tuple[str, bytes], SignedClient] = field(default_factory=dict, repr=False)
    numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    # ------------------------------------------------------------------ who talks

    def client(self, person: str) -> SignedClient:
        """The person's client; one is kept for each key, since making one costs more than most requests."""
        known = (person, self.keys[person].private_bytes_raw())
        if known not in self.clients:
            self.clients[known] = SignedClient(self.url, person, self.keys[person])
        return self.clients[known]

    @property
    def clerk(self) -> SignedClient:
        return self.client("office/wang")

    @property
    def officer(self) -> SignedClient:
        return self.client("bank-a/li")

    @property
    def modeller(self) -> SignedClient:
        return self.client("bank-a/mo")

    @property
    def node(self) -> SignedClient:
        return self.client("node/service")

    @property
    def now(self) -> int:
        return int(self.clock())

    # ------------------------------------------------------------------ what they do

    def enrol(self, person_id: str, role: Role, key: Ed25519PrivateKey | None = None) -> None:
        self.keys[person_id] = key or Ed25519PrivateKey.generate()
        person = Person(
            id=person_id,
            institution=person_id.split("/", maxsplit=1)[0],
            name=person_id,
            role=role,
            key=self.keys[person_id].public_key().public_bytes_raw(),
        )
        self.clerk.logged("/people", person, Empty)

    def directory(self) -> Directory:
        signed = wire.decode(httpx2.get(f"{self.url}/directory", **PATIENT).content, Signed)
        return wire.open_signed(signed, Directory, "office", self.office.keys.statement.public_key())

    def consent(self, subject: str, kind: ConsentKind, **changes: Any) -> Consent:
        number = next(self.numbers)
        fields: dict[str, Any] = {
            "id": f"c{number}",
            "subject": subject,
            "kind": kind,
            "recipient": ANY if kind is not ConsentKind.QUERY else "bank-a",
            "purposes": (ANY,) if kind is not ConsentKind.QUERY else (Purpose.LOAN_APPROVAL,),
            "field_sets": (ANY,),
            "valid_from": self.now - 1000,
            "valid_to": self.now + 10 * 24 * 3600,
            "capture": Capture.WINDOW,
            "evidence_digest": hashlib.sha256(str(number).encode()).hexdigest(),
        }
        return Consent(**{**fields, **changes})

    def file(self, *consents: Consent) -> None:
        self.clerk.logged("/consents", FileConsents(consents=consents), Filed)

    def consented(self, *subjects: str) -> None:
        kinds = (ConsentKind.COLLECTION, ConsentKind.QUERY)
        self.file(*(self.consent(subject, kind) for subject in subjects for kind in kinds))

    def project(self, project_id: str, approve: bool = True, **changes: Any) -> Project:
        kind = changes.get("kind", ProjectKind.CHECK)
        bank = changes.get("bank", "bank-a")
        fields: dict[str, Any] = {
            "id": project_id,
            "bank": bank,
            "kind": kind,
            "title": "village loans",
            "purpose": Purpose.LOAN_APPROVAL if kind is ProjectKind.CHECK else Purpose.MODELLING,
            "fields": CHECK_FIELDS if kind is ProjectKind.CHECK else JOINT_FIELDS,
            "valid_from": self.now - 1000,
            "valid_to": self.now + 10 * 24 * 3600,
            "requested_by": f"{bank}/mo",
        }
        project = Project(**{**fields, **changes})
        self.client(project.requested_by).logged("/projects", project, Empty)
        if approve:
            decision = Decision(subject=project_id, approve=True, reason="in order")
            self.clerk.logged(f"/projects/{project_id}/decision", decision, ProjectStatus)
        return project

    def manifest(self, table: str = "check-1", epoch: int = 1, serve: bool = True, **changes: Any) -> Signed:
        """A table as the node builds it, signed; its bytes are served unless told otherwise."""
        server = VoprfServer(bytes(generate_key_pair()[0]))
        built = build(server, table, epoch, [BOB, ALICE], [b'{"a":1}', b'{"a":2}'])
        if serve:
            self.tables.bytes_of[table, epoch, "matrix"] = built.matrix.tobytes()
            self.tables.bytes_of[table, epoch, "hint"] = built.hint.tobytes()
        fields: dict[str, Any] = {
            "table": table,
            "kind": "check",
            "fields": tuple(sorted(CHECK_FIELDS)),
            "field_sets": ("basic",),
            "project": "",
            "model": "",
            "epoch": epoch,
            "opened_at": self.now,
            "expires_at": self.now + 24 * 3600,
            "parameters": "pir",
            "seed": built.seed,
            "rows": built.matrix.shape[0],
            "columns": built.matrix.shape[1],
            "cells_per_column": built.cells_per_column,
            "padded_size": built.padded_size,
            "boundaries": built.boundaries,
            "public_key": bytes(server.public_key),
            "root": built.root,
            "matrix_digest": digest(built.matrix),
            "hint_digest": digest(built.hint),
        }
        return self.by_node(Manifest(**{**fields, **changes}))

    def seal(self, **changes: Any) -> Signed:
        return self.node.logged("/manifests", SubmitManifest(manifest=self.manifest(**changes)), Signed).answer

    def by_node(self, message: wire.Message) -> Signed:
        return wire.sign(message, "node", self.node_key)

    def context(self, **changes: Any) -> TicketContext:
        fields: dict[str, Any] = {
            "bank": "bank-a",
            "officer": "bank-a/li",
            "purpose": Purpose.LOAN_APPROVAL,
            "project": "p1",
            "table": "check-1",
            "epoch": 1,
            "expires": self.now + 300,
            "nonce": next(self.numbers).to_bytes(16),
        }
        return TicketContext(**{**fields, **changes})

    def question(self, subject: str, blinded_as: str | None = None, **changes: Any) -> TicketRequest:
        """A request for `subject`; `blinded_as` makes element and proof of another one."""
        context = self.context(**changes)
        blind, element = blind_of(blinded_as or subject)
        proof = prove((blinded_as or subject).encode(), blind, element, context.binding())
        return TicketRequest(subject=subject, context=context, element=bytes(element), proof=proof)

    def ask(self, request: TicketRequest, person: str = "bank-a/li") -> Tickets:
        return self.client(person).logged("/tickets", RequestTickets(requests=(request,)), Tickets).answer

    def leaves(self) -> list[dict[str, Any]]:
        """Every entry of the office's log, decoded."""
        import msgspec

        store = self.office.log.store
        with self.office.engine.connect() as connection:
            entries = store.entries(connection, 0, store.count(connection))
        return [msgspec.json.decode(entry) for entry in entries]


def blind_of(subject: str) -> tuple[Any, Any]:
    blinded = VoprfClient(bytes(generate_key_pair()[1])).blind(subject.encode())
    return blinded.blind, blinded.element


@contextmanager
def running(folder: Path, database_url: str = "", **settings: Any) -> Iterator[World]:
    """An initialised office with everyone of `PEOPLE` enrolled, and the node's tables beside it."""
    clock, tables, port = Clock(), TableHost(), free_port()
    node_key, node_log = Ed25519PrivateKey.generate(), NoteSigner("node.test/log", Ed25519PrivateKey.generate())
    peer = {"node_url": f"http://127.0.0.1:{tables.port}", "node_log": str(node_log.key)}
    peer["open_hours"] = "00:00-24:00"  # whenever the tests run
    peer["second_clerk"] = ""  # one clerk does it all, but where a test is about two
    configured = OfficeSettings(
        data_dir=folder,
        database_url=database_url,
        port=port,
        public_url=f"http://127.0.0.1:{port}",
        **{**peer, **settings},
    )
    OfficeKeys.create(folder)
    upgrade(open_engine(configured.database))
    office = open_office(configured, clock)
    enrol_office(office, "credit office", "1")
    enrol_node(office, "data bureau", "2", node_key.public_key().public_bytes_raw())
    window = Ed25519PrivateKey.generate()
    enrol_window(office, window.public_key().public_bytes_raw())
    first = Ed25519PrivateKey.generate()
    enrol_first_clerk(office, "office/wang", "Wang", first.public_key().public_bytes_raw())
    app = create_app(office)
    with serving(app, port), serving(tables.app(), tables.port):
        keys = {"office/wang": first, "node/service": node_key, "office/service": office.keys.service, "office/window": window}
        world = World(office, configured.public_url, clock, tables, node_key, node_log, keys, app)
        for bank in BANKS:
            world.clerk.logged(
                "/institutions",
                Institution(
                    id=bank,
                    name=bank,
                    kind=InstitutionKind.BANK,
                    licence="3",
                    bank_class="rural",
                    declared_customers=1000,
                ),
                Empty,
            )
        for person, role in PEOPLE.items():
            if person not in world.keys:
                world.enrol(person, role)
        yield world
        for client in world.clients.values():
            client.close()
    office.engine.dispose()
