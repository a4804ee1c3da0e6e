"""An office whose witness is a process of its own: what it cosigns counts, and the forks that it holds become alarms here."""

from __future__ import annotations

from pathlib import Path

import httpx2
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from audit.office.watch import ForkWatch
from audit.verifier.note import NoteSigner
from audit.witness.app import create_app
from audit.witness.settings import WitnessSettings
from audit.witness.setup import set_up
from bank_client.demo.town import free_port
from tests.audit import reference
from tests.audit.test_witness import body
from tests.office.test_manifests import alarms
from tests.office.world import PATIENT, running, serving

NODE_LOG = NoteSigner("node.test/log", Ed25519PrivateKey.from_private_bytes(b"n" * 32))


@pytest.mark.attack
def test_a_fork_that_a_witness_elsewhere_holds_is_an_alarm_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("XINQIAO_WITNESS_DATA_DIR", raising=False)
    settings = WitnessSettings(data_dir=tmp_path / "w", name="office.test/witness", logs=str(NODE_LOG.key))
    key, port = set_up(settings).key, free_port()
    address = f"http://127.0.0.1:{port}/witness"
    named = {"own_witness": f"{key} {address}", "node_log": str(NODE_LOG.key)}
    with serving(create_app(settings), port), running(tmp_path / "office", **named) as world:
        asked_here = httpx2.post(f"{world.url}/witness/add-checkpoint", content=b"", **PATIENT)
        assert asked_here.status_code == 404, "not in this service"
        assert world.office.witness_key == key
        watch = ForkWatch(world.office)
        for entries in ([b"a"], [b"b"]):
            note = reference.checkpoint_note(entries, NODE_LOG)
            httpx2.post(f"{address}/add-checkpoint", content=body(0, entries, note=note), **PATIENT)
        assert watch.run_once() == 1
        assert watch.run_once() == 1
        found = [alarm for alarm in alarms(world) if alarm.kind == "fork"]
        assert [(alarm.institution, alarm.count) for alarm in found] == [("node", 1)]
        assert found[0].evidence.count(b"node.test/log\n1\n") == 2
    assert ForkWatch(world.office).run_once() == 0, "a witness that does not answer is asked again later"
