"""An office and a node as they run, both in this process and over real HTTP, so that a test sees both databases and may
put a naive build in the place of one part.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import httpx2
import msgspec
from fastapi import FastAPI
from sqlalchemy import Engine

from audit.database import open_engine
from audit.log.store import LogStore
from audit.verifier.note import CosignatureSigner, NoteSigner
from bank_client import Bank, BankConfig
from bank_client.config import NodeSection, OfficeSection
from bank_client.demo.town import free_port
from models import wire
from models.catalogue import Catalogue, Field
from models.consents import ConsentKind
from models.http_client import SignedClient
from models.http_signatures import Request, sign_request
from models.loads import LoadReport
from models.projects import Project, ProjectKind, ProjectOpened, ProjectStatus
from models.tables import BuildState, BuildTable, Manifest, SealedManifest
from sharing_node.app import LOG_TABLES, create_app
from sharing_node.epochs.builder import Builder
from sharing_node.keys import KeyStore
from sharing_node.migrate import upgrade
from sharing_node.settings import NodeSettings
from tests.office.world import World, running, serving

FIELDS = tuple(f"f{n}" for n in range(8))
MODELLER, OFFICER = "bank-a/mo", "bank-a/li"


@dataclass
class Services:
    """A running pair. `office` is the office's world with everybody enrolled and their keys."""

    office: World
    settings: NodeSettings
    app: FastAPI
    folder: Path
    engine: Engine
    clients: dict[str, SignedClient] = field(default_factory=dict, repr=False)

    @property
    def url(self) -> str:
        return self.settings.public_url

    def address(self, service: str) -> str:
        return self.url if service == "node" else self.office.url

    # ------------------------------------------------------------------ who talks

    def client(self, person: str) -> SignedClient:
        """A person's client of the node; one is kept for each, since making one costs more than most requests."""
        if person not in self.clients:
            self.clients[person] = SignedClient(self.url, person, self.office.keys[person])
        return self.clients[person]

    def bank(self, person: str) -> Bank:
        """A bank person's session with both."""
        key_file = self.folder / f"{person.replace('/', '.')}.key"
        if not key_file.exists():
            key_file.write_bytes(self.office.keys[person].private_bytes_raw())
            key_file.chmod(0o600)
        keys = self.office.office.keys
        return Bank(
            BankConfig(
                institution=person.split("/", maxsplit=1)[0],
                person=person,
                key_file=key_file,
                identity="opaque",
                data_dir=self.folder / person.replace("/", "."),
                office=OfficeSection(
                    url=self.office.url,
                    statement_key=base64.b64encode(keys.statement.public_key().public_bytes_raw()).decode(),
                    log_key=str(self.office.office.log.signer.key),
                    witness_key=self.settings.office_witness,
                ),
                node=NodeSection(
                    url=self.url,
                    log_key=str(node_log(self.settings.data_dir).key),
                    witness_key=str(node_witness(self.settings.data_dir).key),
                ),
            )
        )

    def signed(self, service: str, person: str, method: str, path: str, body: bytes = b"", **headers: str) -> Request:
        """A signed request that has not been sent; headers with underscores for hyphens."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        request = Request(method, self.address(service) + path, {"content-type": wire.CONTENT_TYPE} | named, body)
        sign_request(request, person, self.office.keys[person])
        return request

    def leaves(self, since: int = 0) -> list[dict[str, Any]]:
        """Every durable leaf of the node's log from index `since` on, decoded."""
        store = LogStore(LOG_TABLES)
        with self.engine.connect() as connection:
            return [msgspec.json.decode(e) for e in store.entries(connection, since, store.count(connection) - since)]

    def logged(self) -> int:
        """How many leaves the node's log has."""
        with self.engine.connect() as connection:
            return LogStore(LOG_TABLES).count(connection)

    # ------------------------------------------------------------------ what they do

    def load(self, rows: Sequence[tuple[str, dict[str, float]]]) -> None:
        """The steward delivers rows of (id, values by field)."""
        lines = ["id," + ",".join(FIELDS)] + [f"{i}," + ",".join(str(v[f]) for f in FIELDS) for i, v in rows]
        query = urlencode({"field_set": "data", "as_of": "2026-06-30", "name": "data.csv", "identity_column": "id"})
        report = self.client("node/steward").logged_raw(
            f"/loads?{query}", ("\n".join(lines) + "\n").encode(), "text/csv", LoadReport
        )
        assert report.answer.rows_loaded == len(rows), report.answer

    def open_project(self, project_id: str, person: str = MODELLER, **changes: Any) -> str:
        """File, approve and open a project; the id of its table."""
        purpose = {} if changes.get("kind") is not ProjectKind.JOINT_SCORECARD else {"kind": ProjectKind.JOINT_SCORECARD}
        fields: dict[str, Any] = {"fields": FIELDS, **purpose, **changes}
        project: Project = self.office.project(project_id, **fields)
        status = self.office.client(project.requested_by).get(f"/projects/{project_id}", ProjectStatus)
        assert status.approval is not None
        return self.client(project.requested_by).logged("/projects", status.approval, ProjectOpened).answer.table

    def build(self, table: str) -> Manifest:
        """The operator asks for the next epoch of a table, which is built, sealed and opened; raises what refused it."""
        operator = self.client("node/op")
        asked = operator.logged(f"/tables/{table}/epochs", BuildTable(table=table), BuildState).answer
        Builder(self.app.state.node).run_once()
        state = operator.get(f"/tables/{table}/builds/{asked.epoch}", BuildState)
        assert state.state == "open", state
        return wire.decode(operator.get(f"/tables/{table}/manifest", SealedManifest).manifest.payload, Manifest)

    def willing(self, subjects: Sequence[str], kind: ConsentKind) -> None:
        """Collection consents, and those of `kind`, to bank-a."""
        consents = [self.office.consent(s, k, recipient="*") for s in subjects for k in {ConsentKind.COLLECTION, kind}]
        self.office.file(*consents)


def node_log(folder: Path) -> NoteSigner:
    return NoteSigner("node.xinqiao.local/log", KeyStore(folder / "keys").signing_key("log"))


def node_witness(folder: Path) -> CosignatureSigner:
    return CosignatureSigner("node.xinqiao.local/witness", KeyStore(folder / "keys").signing_key("witness"))


def send(request: Request, to: str = "") -> httpx2.Response:
    """Send a request as it stands; `to` sends it to another address than it was signed for."""
    return _http().request(request.method, to or request.url, content=request.body, headers=request.headers)


@cache
def _http() -> httpx2.Client:
    # Making a client costs more than most requests.
    return httpx2.Client(timeout=60.0, trust_env=False)


@contextmanager
def services(
    folder: Path,
    database_url: str = "",
    *,
    identity: str = "opaque",
    described: Catalogue | None = None,
    node_settings: dict[str, Any] | None = None,
    office_settings: dict[str, Any] | None = None,
) -> Iterator[Services]:
    """An office and a node with everybody of the office's world enrolled; no data yet. `described` is their catalogue."""
    home, port = folder / "node", free_port()
    home.mkdir(parents=True, mode=0o700)
    (folder / "catalogue.csv").write_bytes((described or catalogue()).to_csv())
    shared: dict[str, Any] = {"identity": identity, "catalogue": str(folder / "catalogue.csv")}
    node_url = f"http://127.0.0.1:{port}"
    peer = {"node_url": node_url, "node_log": str(node_log(home).key), "node_witness": str(node_witness(home).key)}
    with running(folder / "office", **peer, **shared, **(office_settings or {})) as office:
        (home / "keys" / "statements.ed25519").write_bytes(office.node_key.private_bytes_raw())
        settings = NodeSettings(
            data_dir=home,
            database_url=database_url,
            port=port,
            public_url=node_url,
            office_url=office.url,
            office_key=base64.b64encode(office.office.keys.statement.public_key().public_bytes_raw()).decode(),
            office_witness=str(CosignatureSigner(office.office.settings.witness_name, office.office.keys.witness).key),
            office_log=str(office.office.log.signer.key),
            **shared,
            **(node_settings or {}),
        )
        engine = open_engine(settings.database)
        upgrade(engine)
        with serving_node(settings) as app:
            made = Services(office, settings, app, folder, engine)
            yield made
            for client in made.clients.values():
                client.close()
        engine.dispose()


@contextmanager
def serving_node(settings: NodeSettings, port: int = 0) -> Iterator[FastAPI]:
    """One process's worth of node; `port` lets a second worker listen elsewhere under the same public address."""
    app = create_app(settings)
    with serving(app, port or settings.port):
        yield app


def catalogue() -> Catalogue:
    fields = tuple(Field(name=n, category="data", label_zh=n, mode="A", theme="data") for n in FIELDS)
    return Catalogue(fields, "opaque")
