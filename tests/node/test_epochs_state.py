"""Epochs as rows: one opens once, an expired one is served no more and is closed with its key and files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from audit.database import open_engine, writing
from models.problems import Conflict, NotFound
from models.wire import Signed
from sharing_node.epochs.store import EpochStore, epoch_key
from sharing_node.epochs.work import Work
from sharing_node.keys import KeyStore, MissingKey
from sharing_node.migrate import upgrade
from sharing_node.state import repository as state
from sharing_node.state.repository import StoredTable

WORD = Signed(kind="Manifest", signer="node", payload=b"m", signature=b"s")


def test_an_epoch_opens_once_and_closes_when_it_has_expired(database_url: str) -> None:
    engine = open_engine(database_url)
    upgrade(engine)
    with writing(engine) as connection:
        state.add_table(connection, StoredTable("t", "check", ("f",), "", ""))
        for epoch, expires in ((1, 100), (2, 200)):
            state.add_epoch(connection, "t", epoch, WORD, expires)
            state.open_epoch(connection, "t", epoch, WORD)
        with pytest.raises(Conflict):
            state.open_epoch(connection, "t", 2, WORD)
        assert state.epoch_manifest(connection, "t", 1, now=99) == WORD
        with pytest.raises(NotFound):
            state.epoch_manifest(connection, "t", 1, now=100)
        assert state.close_expired(connection, now=100) == [("t", 1)]
        assert state.close_expired(connection, now=100) == []
        assert state.current_epoch(connection, "t", now=150).manifest == WORD
        with pytest.raises(NotFound):
            state.current_epoch(connection, "t", now=200)
    engine.dispose()


def test_a_closed_epoch_leaves_neither_key_nor_files(tmp_path: Path) -> None:
    keys, store = KeyStore(tmp_path / "keys"), EpochStore(tmp_path / "epochs")
    keys.new_oprf(epoch_key("t", 1))
    work = Work(store.work_folder("t", 1))
    np.save(work.path("matrix.npy"), np.ones((4, 4), dtype=np.uint8))
    np.save(work.path("hint.npy"), np.ones((4, 2), dtype="<u4"))
    store.adopt("t", 1, work)
    assert store.matrix("t", 1).sum() == 16
    path, offset = store.file("t", 1, "hint.npy")
    assert path.read_bytes()[offset:] == np.ones((4, 2), dtype="<u4").tobytes()
    with pytest.raises(ValueError, match="read-only"):
        store.matrix("t", 1)[0, 0] = 1
    keys.destroy_oprf(epoch_key("t", 1))
    EpochStore(tmp_path / "epochs").remove("t", 1)  # as the builder does, in another process
    with pytest.raises(MissingKey):
        keys.oprf(epoch_key("t", 1))
    with pytest.raises(NotFound):
        store.matrix("t", 1)
    with pytest.raises(NotFound):
        store.file("t", 1, "hint.npy")
    assert list((tmp_path / "epochs" / "t").iterdir()) == []
