"""Sealing: the office signs only what it has fetched and checked, and never two manifests for one epoch."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from models import wire
from models.alarms import Alarm, Alarms
from models.logged import Logged
from models.problems import BadSignature, Damaged, NotApproved, Problem, SecondManifest, Unusable
from models.tables import Manifest, Seal, SubmitManifest
from models.wire import Signed
from tests.office.world import World


def alarms(world: World) -> tuple[Alarm, ...]:
    reply = wire.decode(world.client("office/chen").get_raw("/alarms"), Logged)
    return wire.decode(reply.answer, Alarms).alarms


def submit(world: World, manifest: Signed) -> Signed:
    return world.node.logged("/manifests", SubmitManifest(manifest=manifest), Signed).answer


def test_a_seal_names_the_manifest_that_was_checked(world: World) -> None:
    manifest = world.manifest(table="good")
    seal = wire.open_signed(submit(world, manifest), Seal, "office", world.office.keys.statement.public_key())
    assert (seal.table, seal.epoch, seal.manifest) == ("good", 1, manifest.digest())
    (matrix, signed), (hint, _) = world.tables.requests[-2:]
    assert (matrix, hint) == ("matrix", "hint")
    assert 'keyid="office/service"' in signed


def test_the_same_manifest_again_gets_its_seal_again(world: World) -> None:
    manifest = world.manifest(table="again")
    assert submit(world, manifest) == submit(world, manifest)


@pytest.mark.attack
def test_a_second_manifest_is_refused_and_both_are_kept(world: World) -> None:
    first = world.manifest(table="twice")
    second = world.manifest(table="twice", serve=False)
    submit(world, first)
    with pytest.raises(SecondManifest):
        submit(world, second)
    [alarm] = [alarm for alarm in alarms(world) if alarm.about == "twice epoch 1"]
    assert alarm.kind == "manifest"
    assert first.payload in alarm.evidence
    assert second.payload in alarm.evidence


def flip(data: bytes, place: int) -> bytes:
    return data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]


@pytest.mark.attack
@pytest.mark.parametrize("what", ["matrix", "hint"])
def test_other_bytes_than_the_manifest_names(world: World, what: str) -> None:
    manifest = world.manifest(table=f"flipped-{what}")
    key = (f"flipped-{what}", 1, what)
    world.tables.bytes_of[key] = flip(world.tables.bytes_of[key], 1000)
    with pytest.raises(Damaged, match=what):
        submit(world, manifest)
    assert alarms(world)[0].about == f"flipped-{what} epoch 1"


@pytest.mark.attack
def test_a_hint_that_is_wrong_in_one_word_though_its_digest_is_signed(world: World) -> None:
    from tests.tables import digest

    manifest = wire.decode(world.manifest(table="lying").payload, Manifest)
    hint = np.frombuffer(world.tables.bytes_of["lying", 1, "hint"], "<u4").reshape(manifest.rows, -1).copy()
    hint[3, 5] ^= np.uint32(1 << 31)
    world.tables.bytes_of["lying", 1, "hint"] = hint.tobytes()
    with pytest.raises(Damaged, match="hint"):
        submit(world, world.by_node(wire.replace(manifest, hint_digest=digest(hint))))


BAD: dict[str, tuple[type[Problem], dict[str, Any]]] = {
    "root": (Damaged, {"root": bytes(32)}),
    "longer than a day": (Unusable, {"opened_at": 0}),
    "over": (Unusable, {"opened_at": 1, "expires_at": 1000}),
    "parameters": (Unusable, {"parameters": "other"}),
    "sizes": (Unusable, {"cells_per_column": 1000}),
    "boundaries": (Unusable, {"boundaries": b""}),
    "field sets of other fields": (Unusable, {"field_sets": ("supervision",)}),
    "unknown field": (Unusable, {"fields": ("shoe_size",)}),
    "model that was not approved": (NotApproved, {"model": "m-9", "field_sets": ("score",)}),
}


@pytest.mark.parametrize("name", BAD)
def test_manifests_that_are_refused(world: World, name: str) -> None:
    problem, changes = BAD[name]
    with pytest.raises(problem):
        submit(world, world.manifest(table=f"bad-{name}".replace(" ", "-"), **changes))


def test_only_the_nodes_signature_counts(world: World) -> None:
    manifest = world.manifest(table="forged")
    forged = wire.sign(wire.decode(manifest.payload, Manifest), "node", world.keys["bank-a/mo"])
    with pytest.raises(BadSignature):
        submit(world, forged)
