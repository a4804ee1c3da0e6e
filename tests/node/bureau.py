"""A node's state, log and keys as they are, with an office whose list and seal the test sets: what a builder needs."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, cast

import msgspec
import numpy as np
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from audit.database import open_engine, writing
from audit.log import Log
from audit.witness import Witness
from audit.witness.store import SqlWitnessStore
from crypto import cells
from models import wire
from models.catalogue import Catalogue, Field
from models.consents import Eligibility, Objection, Repair
from models.parties import EndedModel
from models.problems import PeerUnavailable, Problem
from models.projects import Project, ProjectApproval, ProjectKind
from models.records import CheckRecord, RecordForm
from models.scorecard.limits import Limits
from models.tables import BuildState, Manifest, Seal, tag_context
from models.wire import Signed
from sharing_node import records
from sharing_node.app import LOG_TABLES, WITNESS_TABLES
from sharing_node.epochs.builder import Builder
from sharing_node.epochs.columns import digest_of
from sharing_node.epochs.store import EpochStore, epoch_key
from sharing_node.keys import KeyStore
from sharing_node.migrate import upgrade
from sharing_node.node import Node
from sharing_node.office import OfficeLink
from sharing_node.projects import check_table
from sharing_node.records import NewBatch, NewSubject, StoredRecord
from sharing_node.settings import NodeSettings
from sharing_node.state import builds, spending
from sharing_node.state import repository as state
from tests.audit.logs import OFFICE, SIGNER, cosigner, running

KEY = Ed25519PrivateKey.from_private_bytes(b"k" * 32)
FIELDS = ("area", "insured")
CATALOGUE = Catalogue(tuple(Field(name=n, category="land", label_zh=n, mode="A", theme="land") for n in FIELDS), "opaque")
DAY = 86_400
NOW = int(datetime(2026, 3, 1, 12, 0, tzinfo=UTC).timestamp())
PAGE = 7


@dataclass
class Office:
    """What the builder asks of the office. The seal is given only for files that are what the manifest says."""

    bureau: Bureau
    collection: list[str] = field(default_factory=list)
    objections: list[Objection] = field(default_factory=list)
    repairs: list[Repair] = field(default_factory=list)
    suspended: bool = False
    refusal: Problem | None = None
    sealed: list[Manifest] = field(default_factory=list)
    ended: dict[str, EndedModel] = field(default_factory=dict)

    def eligibility(self) -> Iterator[Eligibility]:
        if isinstance(self.refusal, PeerUnavailable):
            raise self.refusal
        listed = sorted(self.collection)
        for start in range(0, max(1, len(listed)), PAGE):
            last = start + PAGE >= len(listed)
            yield Eligibility(
                version=1, issued_at=0, collection=tuple(listed[start : start + PAGE]), modelling=(),
                objections=tuple(self.objections) if last else (), repairs=tuple(self.repairs) if last else (),
            )  # fmt: skip

    def project_suspended(self, _project: str) -> bool:
        return self.suspended

    def ended_model(self, model: str) -> EndedModel | None:
        return self.ended.get(model)

    def seal(self, signed: Signed) -> Signed:
        if self.refusal is not None:
            raise self.refusal
        manifest = wire.decode(signed.payload, Manifest)
        store = self.bureau.store
        for name, digest in (("matrix.npy", manifest.matrix_digest), ("hint.npy", manifest.hint_digest)):
            assert digest_of(store.path(manifest.table, manifest.epoch, name)) == digest
        self.sealed.append(manifest)
        return wire.sign(Seal(table=manifest.table, epoch=manifest.epoch, manifest=signed.digest()), "office", KEY)


class Bureau:
    """One node; `now` is its clock."""

    def __init__(self, folder: Path, url: str) -> None:
        self.now = NOW
        self.folder, self.url = folder, url
        self.engine = open_engine(url)
        upgrade(self.engine)
        self.set()
        self.office = Office(self)
        self.log = Log(self.engine, LOG_TABLES, SIGNER, witnesses=[OFFICE.key], required=[OFFICE.key])
        self.store = EpochStore(folder / "epochs")
        self.keys = KeyStore(folder / "keys")
        self.table = ""

    def set(self, **changes: Any) -> None:
        """Other settings for the next builder."""
        self.settings = NodeSettings(
            data_dir=self.folder, database_url=self.url, office_url="http://office.invalid", office_key="x",
            office_witness="w", time_zone="UTC", **changes,
        )  # fmt: skip

    @property
    def node(self) -> Node:
        return Node(
            self.settings, self.engine, self.keys, KEY, cast(OfficeLink, self.office), CATALOGUE, Limits(), self.log,
            cast(Any, None), clock=lambda: self.now,
        )  # fmt: skip

    # ------------------------------------------------------------------ what there is

    def deliver(self, subjects: Iterable[str], area: int = 1, batch: str = "b1") -> None:
        """Records of these subjects, who all consent."""
        subjects = list(subjects)
        when = datetime.fromtimestamp(self.now, UTC)
        with writing(self.engine) as connection:
            delivery = NewBatch(batch, "land", "NY", date(2026, 1, 1), when, "f.csv", b"f" * 32, b"c" * 32, len(subjects), 0)
            records.add_batch(connection, delivery)
            records.upsert_subjects(connection, [NewSubject(s, "opaque", "*", when) for s in subjects])
            payload = msgspec.json.encode({"area": area, "insured": True})
            stored = [StoredRecord(s, "land", date(2026, 1, 1), payload, "NY", when, batch) for s in subjects]
            records.upsert_records(connection, stored)
        self.office.collection = sorted({*self.office.collection, *subjects})

    def open_project(self, project_id: str = "p1", valid_to: int = NOW + 1000 * DAY) -> str:
        """A check project; the id of its table."""
        project = Project(
            id=project_id, bank="bank-a", kind=ProjectKind.CHECK, title="t", purpose="loan-approval", fields=FIELDS,
            valid_from=0, valid_to=valid_to, requested_by="bank-a/mo",
        )  # fmt: skip
        approval = wire.sign(ProjectApproval(project=project, decided_by="c", decided_at=NOW, reason="r"), "office", KEY)
        table = check_table(project)
        assert table is not None
        with writing(self.engine) as connection:
            state.add_project(connection, project, approval, NOW)
            state.add_table(connection, table)
        self.table = table.id
        return table.id

    # ------------------------------------------------------------------ what is done

    def ask(self) -> int:
        """Ask for a build; its epoch."""
        with writing(self.engine) as connection:
            return builds.ask(connection, self.table, self.now).epoch

    def build(self) -> BuildState:
        """Ask, and have a builder do what is due."""
        epoch = self.ask()
        Builder(self.node).run_once()
        return self.state(epoch)

    def state(self, epoch: int) -> BuildState:
        with self.engine.connect() as connection:
            return builds.get(connection, self.table, epoch)

    def current(self) -> Manifest:
        """The newest open epoch; raises `NotFound`."""
        with self.engine.connect() as connection:
            return wire.decode(state.current_epoch(connection, self.table, self.now).manifest.payload, Manifest)

    def answers(self, epoch: int) -> bool:
        with self.engine.connect() as connection:
            return spending.epoch_answers(connection, self.table, epoch, self.now)

    def served(self, manifest: Manifest, subjects: Sequence[str]) -> dict[str, CheckRecord]:
        """What the cells of these subjects hold, opened with the epoch's own key."""
        matrix = self.store.matrix(manifest.table, manifest.epoch)
        size = cells.cell_size(manifest.padded_size)
        body = np.ascontiguousarray(matrix[: manifest.cells_per_column * size].T).reshape(-1, size)
        by_tag = {bytes(cell[:32]): bytes(cell) for cell in body}
        server = self.keys.oprf(epoch_key(manifest.table, manifest.epoch))
        found = {}
        for subject in subjects:
            tag, key = cells.derive(server.evaluate(subject.encode()), tag_context(manifest.table, manifest.epoch))
            if tag in by_tag:
                found[subject] = RecordForm.of(manifest).decode(cells.open_cell(tag, key, by_tag[tag]))
        return found

    def leaves(self, *actions: str) -> list[dict[str, Any]]:
        with self.engine.connect() as connection:
            stored = self.log.store.entries(connection, 0, 10_000)
        return [leaf for leaf in map(msgspec.json.decode, stored) if not actions or leaf["action"] in actions]

    def files(self) -> list[str]:
        folder = self.store.work_folder(self.table, 0).parent
        return sorted(str(path.relative_to(folder)) for path in folder.rglob("*")) if folder.exists() else []

    def key_digests(self) -> dict[str, bytes]:
        return {path.name: hashlib.sha256(path.read_bytes()).digest() for path in self.keys.folder.glob("*.oprf")}


@contextmanager
def bureau(folder: Path, url: str) -> Iterator[Bureau]:
    """A node whose log is sequenced and cosigned while the block lasts."""
    made = Bureau(folder, url)
    witness = Witness(OFFICE, {SIGNER.key.name: [SIGNER.key]}, SqlWitnessStore(made.engine, WITNESS_TABLES))
    with running(made.log, cosigners=[cosigner(witness)]):
        yield made
    made.engine.dispose()
