"""Evidence and alarms; the office as a witness; its own log, cosigned by another."""

from __future__ import annotations

from pathlib import Path

import httpx2
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from fastapi import FastAPI

from audit.log.http import witness_router
from audit.verifier import check_log, http_fetch
from audit.verifier.checkpoint import Checkpoint, open_checkpoint, sign_checkpoint
from audit.verifier.merkle import leaf_hash, root_of
from audit.verifier.note import CosignatureSigner, NoteSigner
from audit.witness import Reply, Seen, Witness
from audit.witness.machine import Decide
from bank_client.demo.town import free_port
from models import wire
from models.logged import Empty
from models.tables import Evidence
from tests.office.test_manifests import alarms
from tests.office.world import PATIENT, World, running, serving


def test_evidence_raises_an_alarm_and_is_kept(world: World) -> None:
    evidence = Evidence(what="column damaged", table="check-1", epoch=3, detail="path", artefacts=(b"\1\2", b"\3"))
    world.officer.logged("/evidence", evidence, Empty)
    newest = alarms(world)[0]
    assert (newest.kind, newest.institution) == ("evidence", "bank-a")
    assert wire.decode(newest.evidence, Evidence) == evidence


def offer(world: World, signer: NoteSigner, entries: list[bytes], old: int = 0) -> httpx2.Response:
    root = root_of([leaf_hash(entry) for entry in entries])
    note = sign_checkpoint(Checkpoint(signer.key.name, len(entries), root), signer)
    body = f"old {old}\n\n{note}"
    return httpx2.post(f"{world.url}/witness/add-checkpoint", content=body.encode(), **PATIENT)


@pytest.mark.attack
def test_the_office_cosigns_the_nodes_log_and_an_alarm_follows_a_fork(world: World) -> None:
    first = offer(world, world.node_log, [b"a"])
    assert first.status_code == 200
    assert str(world.office.witness_key.name) in first.text
    fork = offer(world, world.node_log, [b"b"])
    assert fork.status_code == 409
    assert alarms(world)[0].kind == "fork"
    stranger = NoteSigner("stranger.test/log", Ed25519PrivateKey.generate())
    assert offer(world, stranger, [b"a"]).status_code == 404


def test_the_log_verifies_from_outside(world: World) -> None:
    world.project("logged")
    report = check_log(http_fetch(f"{world.url}/log"), [world.office.log.signer.key])
    assert report.size == len(world.leaves())


class Memory:
    """A witness's memory for a test."""

    def __init__(self) -> None:
        self.seen: dict[str, Seen] = {}

    def update(self, origin: str, decide: Decide) -> Reply:
        seen, reply = decide(self.seen.get(origin))
        if seen is not None:
            self.seen[origin] = seen
        return reply

    def last(self, origin: str) -> Seen | None:
        return self.seen.get(origin)


def test_the_offices_log_is_cosigned_by_the_node(tmp_path: Path) -> None:
    signer, port = CosignatureSigner("node.test/witness", Ed25519PrivateKey.generate()), free_port()
    app = FastAPI()
    with running(tmp_path / "office", node_witness=str(signer.key), node_url=f"http://127.0.0.1:{port}") as world:
        origin = world.office.log.origin
        app.include_router(witness_router(Witness(signer, {origin: [world.office.log.signer.key]}, Memory())))
        with serving(app, port):
            note = world.office.log.wait_cosigned(0, 60.0)
            open_checkpoint(note, [world.office.log.signer.key], [signer.key], quorum=1)
            published = httpx2.get(f"{world.url}/log/checkpoint", **PATIENT).content
            open_checkpoint(published, [world.office.log.signer.key], [signer.key], quorum=1)
