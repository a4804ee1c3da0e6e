"""Manifest and hint at the client: what is not as signed is never used, is kept, and is reported; little is kept else."""

from __future__ import annotations

import hashlib
import shutil
import stat
from collections.abc import Iterator
from typing import Any, BinaryIO
from unittest.mock import patch

import numpy as np
import pytest

from bank_client import Bank, PrivateQuery, epoch_cache
from bank_client.epoch_cache import EpochCache
from models import wire
from models.problems import Damaged
from models.tables import Manifest, SealedManifest
from tests.bank.village import CONSENTED, PROJECT, Place


@pytest.fixture
def bank(place: Place) -> Iterator[Bank]:
    """A session with nothing on disk, in a process that knows no epoch."""
    with place.bank() as bank, patch.object(epoch_cache, "_retrievals", type(epoch_cache._retrievals)()):
        shutil.rmtree(bank.config.data_dir / "tables", ignore_errors=True)
        yield bank


def evidence(bank: Bank) -> set[str]:
    folder = bank.config.data_dir / "evidence"
    return {file.name for file in folder.iterdir()} if folder.exists() else set()


def downloads(bank: Bank) -> list[str]:
    """The paths that are downloaded from now on."""
    paths, real = list[str](), bank.node.client.download

    def download(path: str, file: BinaryIO, limit: int) -> None:
        paths.append(path)
        real(path, file, limit)

    bank.node.client.download = download  # type: ignore[method-assign]
    return paths


def test_a_hint_is_fetched_once_and_shared_by_all_sessions_of_a_process(place: Place, bank: Bank) -> None:
    paths = downloads(bank)
    first, second = EpochCache(bank, place.table).current(), EpochCache(bank, place.table).current()
    assert first.retrieval is second.retrieval
    assert len(paths) == 1
    folder = bank.config.data_dir / "tables" / place.table
    assert {stat.S_IMODE(file.stat().st_mode) for file in folder.iterdir()} == {0o600}
    epoch_cache._retrievals.clear()
    third = EpochCache(bank, place.table).current()
    assert len(paths) == 1, "another process reads it from disk"
    assert np.array_equal(third.retrieval.hint, first.retrieval.hint)


@pytest.mark.parametrize("fault", ["flipped", "cut off", "gone"])
def test_a_hint_that_rots_on_disk_is_fetched_again(place: Place, bank: Bank, fault: str) -> None:
    paths = downloads(bank)
    epoch = EpochCache(bank, place.table).current()
    [file] = (bank.config.data_dir / "tables" / place.table).glob("*.hint")
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(bytes(data) if fault == "flipped" else bytes(data[:-4]))
    if fault == "gone":
        file.unlink()
    epoch_cache._retrievals.clear()
    again = EpochCache(bank, place.table).current()
    assert np.array_equal(again.retrieval.hint, epoch.retrieval.hint)
    assert len(paths) == 2


@pytest.mark.parametrize("fault", ["flipped", "too long", "too short"])
def test_another_hint_than_the_manifests_is_evidence(place: Place, bank: Bank, fault: str) -> None:
    real = bank.node.client.download

    def download(path: str, file: BinaryIO, limit: int) -> None:
        if fault == "too long":
            real(path, file, limit - 1)
        real(path, file, limit)
        file.seek(100)
        file.write(b"\xff\x00\xff")
        if fault == "too short":
            file.truncate(200)

    before, alarms = evidence(bank), len(place.alarms())
    with patch.object(bank.node.client, "download", download), pytest.raises(Damaged):
        PrivateQuery(bank, PROJECT, place.table).ask(CONSENTED[0])
    new = evidence(bank) - before
    assert any(name.endswith("-hint.msgpack") for name in new)
    assert len(place.alarms()) == alarms + 1
    if fault != "too long":
        [kept] = (bank.config.data_dir / "evidence").glob("*.hint")
        assert hashlib.sha256(kept.read_bytes()).digest() in place.alarms()[-1].evidence
        kept.unlink()
    assert not list((bank.config.data_dir / "tables" / place.table).glob("*.hint")), "it is not used later either"


def test_a_second_manifest_for_an_epoch_is_evidence_also_when_the_first_is_not_kept_any_more(place: Place, bank: Bank) -> None:
    EpochCache(bank, place.table).current()
    folder = bank.config.data_dir / "tables" / place.table
    for old in folder.glob("*.manifest"):
        old.unlink()
    [line] = (folder / "seen").read_text().splitlines()
    (folder / "seen").write_text(f"{line.split()[0]} {'0' * 64}\n")
    alarms = len(place.alarms())
    with pytest.raises(Damaged, match="two manifests"):
        EpochCache(bank, place.table).current()
    assert len(place.alarms()) == alarms + 1


def test_a_manifest_that_was_changed_is_evidence(place: Place, bank: Bank) -> None:
    real = bank.node.client.get_raw

    def get_raw(path: str) -> bytes:
        given = wire.decode(real(path), SealedManifest)
        manifest = wire.decode(given.manifest.payload, Manifest)
        other = wire.encode(wire.replace(manifest, rows=manifest.rows + 1))
        return wire.encode(wire.replace(given, manifest=wire.replace(given.manifest, payload=other)))

    alarms = len(place.alarms())
    with patch.object(bank.node.client, "get_raw", get_raw), pytest.raises(Damaged):
        EpochCache(bank, place.table).current()
    assert len(place.alarms()) == alarms + 1


def test_what_is_kept_of_many_epochs_is_bounded(place: Place, bank: Bank) -> None:
    cache = EpochCache(bank, place.table)
    folder = bank.config.data_dir / "tables" / place.table
    seen = set()
    for _ in range(epoch_cache.KEPT_MANIFESTS + 1):
        seen.add(cache.current().manifest.epoch)
        place.pair.build(place.table)
    assert len(list(folder.glob("*.hint"))) == 1
    assert len(list(folder.glob("*.manifest"))) == epoch_cache.KEPT_MANIFESTS
    assert {int(line.split()[0]) for line in (folder / "seen").read_text().splitlines()} == seen
    assert len(epoch_cache._retrievals) <= epoch_cache.KEPT_EPOCHS


def test_a_bad_promise_is_evidence(place: Place, bank: Bank) -> None:
    alarms, real = len(place.alarms()), bank.node.client.logged

    def logged(*rest: Any, **named: Any) -> Any:
        reply = real(*rest, **named)
        return type(reply)(reply.answer, tuple(wire.replace(leaf, promise=leaf.promise[:-9]) for leaf in reply.leaves))

    with patch.object(bank.node.client, "logged", logged), pytest.raises(Damaged, match="promise"):
        PrivateQuery(bank, PROJECT, place.table).ask(CONSENTED[0])
    assert len(place.alarms()) == alarms + 1
