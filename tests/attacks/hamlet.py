"""A few dozen subjects, an office and a node as processes that may be killed, and what can be read of them from outside."""

from __future__ import annotations

import hashlib
import os
import signal
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch
from urllib.parse import urlencode

import msgspec

import bank_client.demo.town
from audit.verifier.log_check import check_log, http_fetch
from audit.verifier.note import VerifierKey
from bank_client.demo.town import FIRST_CLERK, Service, Town
from models import wire
from models.consents import ANY, Capture, Consent, ConsentKind, FileConsents, Filed, Purpose
from models.loads import LoadReport
from models.logged import Empty
from models.parties import Institution, InstitutionKind, Role
from models.projects import Decision, Project, ProjectKind, ProjectOpened, ProjectStatus
from models.tables import BuildState, BuildTable, Manifest, SealedManifest
from tests.services import FIELDS, catalogue

MODELLER, OFFICER, OPERATOR, STEWARD = "bank-a/mo", "bank-a/li", "node/op", "node/steward"
PEOPLE = {MODELLER: Role.MODELLER, OFFICER: Role.LOAN_OFFICER, OPERATOR: Role.NODE_OPERATOR, STEWARD: Role.STEWARD}
PROJECT = "check"
START_SECONDS, BUILD_SECONDS = 240.0, 240.0


@dataclass
class Hamlet:
    """A running town of `subjects` by canonical id, all of whom consented, with one open table."""

    town: Town
    subjects: list[str]
    table: str = ""

    @property
    def node(self) -> Service:
        return self.town.node

    # ------------------------------------------------------------------ what is asked for

    def ask_for_epoch(self) -> int:
        """The operator asks for the next epoch; its number."""
        request = BuildTable(table=self.table)
        return self.town.client(OPERATOR, "node").logged(f"/tables/{self.table}/epochs", request, BuildState).answer.epoch

    def wait_open(self, epoch: int) -> None:
        """Wait until an epoch is open; AssertionError where its build failed, or does not end."""
        deadline = time.monotonic() + BUILD_SECONDS
        while (state := self.build_state(epoch)).state != "open":
            assert state.state != "failed", state.detail
            assert time.monotonic() < deadline, f"the build of epoch {epoch} does not end: {state}"
            time.sleep(0.1)

    def build_state(self, epoch: int) -> BuildState:
        return self.town.client(OPERATOR, "node").get(f"/tables/{self.table}/builds/{epoch}", BuildState)

    def present(self) -> Manifest:
        """The manifest of the newest open epoch."""
        sealed = self.town.client(MODELLER, "node").get(f"/tables/{self.table}/manifest", SealedManifest)
        return wire.decode(sealed.manifest.payload, Manifest)

    def restart(self) -> None:
        """Start the node again after a kill; its port may be held for a moment by processes that are about to end."""
        for attempt in range(20):
            self.node.start()
            try:
                self.node.wait_ready()
                return
            except RuntimeError:
                if attempt == 19:
                    raise
                time.sleep(0.25)

    # ------------------------------------------------------------------ what stands where

    def sql(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        """Rows of the node's database, as it lies on disk."""
        with closing(sqlite3.connect(self.town.folder / "node" / "node.sqlite", timeout=30)) as connection:
            return connection.execute(statement, values).fetchall()

    def entries(self, since: int) -> list[bytes]:
        """The log's entries from an index on, which need not be under a checkpoint yet."""
        return [entry for (entry,) in self.sql('SELECT entry FROM log_entries WHERE "index" >= ? ORDER BY "index"', since)]

    def leaves(self, since: int) -> list[dict[str, Any]]:
        return [msgspec.json.decode(entry) for entry in self.entries(since)]

    def check_log(self) -> None:
        """The whole log from outside: entries, tree, signature, and the office's cosignature."""
        log = VerifierKey.parse(self.town.node_keys["log"])
        witness = VerifierKey.parse(self.town.office_keys["witness"])
        check_log(http_fetch(f"{self.node.url}/log"), [log], [witness], 1)

    def assert_no_half_table(self) -> None:
        """What is served of the present epoch is, byte for byte, what its sealed manifest says."""
        manifest, reader = self.present(), self.town.client(MODELLER, "node")
        hint = reader.get_raw(f"/tables/{self.table}/epochs/{manifest.epoch}/hint")
        assert hashlib.sha256(hint).digest() == manifest.hint_digest, "half a hint is served"


def processes(parent: int) -> dict[int, str]:
    """All processes below one, with their command lines; those that end meanwhile are left out."""
    found: dict[int, str] = {}
    waiting = [parent]
    while waiting:
        pid = waiting.pop()
        try:
            tasks = list(Path(f"/proc/{pid}/task").iterdir())
            children = [int(child) for task in tasks for child in (task / "children").read_text().split()]
            commands = {c: Path(f"/proc/{c}/cmdline").read_bytes().replace(b"\0", b" ").decode() for c in children}
        except (FileNotFoundError, ProcessLookupError):
            continue
        found |= commands
        waiting += children
    return found


def kill(pid: int) -> bool:
    """kill -9; False where it is gone already."""
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return False
    return True


@contextmanager
def hamlet(folder: Path, people: int, *, node_settings: dict[str, str] | None = None) -> Iterator[Hamlet]:
    """Start, enrol, load, file consents, open the project and build the first epoch."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "catalogue.csv").write_bytes(catalogue().to_csv())
    made = Town(folder / "town", identity="opaque", catalogue=folder / "catalogue.csv", node_settings=node_settings)
    # A machine that is busy with other tests starts a process slowly, which is not what is tested here.
    with patch.object(bank_client.demo.town, "START_SECONDS", START_SECONDS), made as town:
        bank = Institution(id="bank-a", name="bank-a", kind=InstitutionKind.BANK, licence="3", declared_customers=1_000)
        town.enrol_institution(bank)
        for person, role in PEOPLE.items():
            town.enrol(person, person, role)
        names = [f"p{n:03d}" for n in range(people)]
        here = Hamlet(town, [f"opaque:{name}" for name in names])
        _load(here, names)
        _file_consents(here)
        here.table = _open_project(here)
        here.wait_open(here.ask_for_epoch())
        yield here


def _load(here: Hamlet, names: list[str]) -> None:
    lines = ["id," + ",".join(FIELDS)] + [f"{name}," + ",".join(f"{n + k}.5" for k in range(8)) for n, name in enumerate(names)]
    query = urlencode({"field_set": "data", "as_of": "2026-06-30", "name": "data.csv", "identity_column": "id"})
    body = ("\n".join(lines) + "\n").encode()
    here.town.client(STEWARD, "node").logged_raw(f"/loads?{query}", body, "text/csv", LoadReport)


def _file_consents(here: Hamlet) -> None:
    now, clerk = int(time.time()), here.town.client(FIRST_CLERK, "office")
    consents = tuple(
        Consent(
            id=f"c-{kind}-{n}", subject=subject, kind=kind, recipient=ANY, purposes=(ANY,), field_sets=(ANY,),
            valid_from=now - 1_000, valid_to=now + 10 * 24 * 3600, capture=Capture.WINDOW,
            evidence_digest=hashlib.sha256(f"{kind}{n}".encode()).hexdigest(),
        )
        for kind in (ConsentKind.COLLECTION, ConsentKind.QUERY)
        for n, subject in enumerate(here.subjects)
    )  # fmt: skip
    clerk.logged("/consents", FileConsents(consents=consents), Filed)


def _open_project(here: Hamlet) -> str:
    now, modeller = int(time.time()), here.town.client(MODELLER, "office")
    project = Project(
        id=PROJECT, bank="bank-a", kind=ProjectKind.CHECK, title="village loans", purpose=Purpose.LOAN_APPROVAL,
        fields=FIELDS, valid_from=now - 1_000, valid_to=now + 10 * 24 * 3600, requested_by=MODELLER, checks=100_000,
    )  # fmt: skip
    modeller.logged("/projects", project, Empty)
    clerk = here.town.client(FIRST_CLERK, "office")
    clerk.logged(f"/projects/{PROJECT}/decision", Decision(subject=PROJECT, approve=True, reason="in order"), ProjectStatus)
    approval = modeller.get(f"/projects/{PROJECT}", ProjectStatus).approval
    assert approval is not None
    return here.town.client(MODELLER, "node").logged("/projects", approval, ProjectOpened).answer.table
