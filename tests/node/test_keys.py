"""Keys of the node: made once, readable by nobody else, gone when destroyed."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from sharing_node.keys import KeyStore, MissingKey


def test_keys_are_stable_private_and_not_shown(tmp_path: Path) -> None:
    store = KeyStore(tmp_path / "keys")
    first = store.secret("noise")
    assert store.secret("noise") == first
    assert KeyStore(tmp_path / "keys").secret("noise") == first
    assert len(first) == 32
    assert store.secret("dummies") != first
    assert {stat.S_IMODE(p.stat().st_mode) for p in (tmp_path / "keys").iterdir()} == {0o600}
    assert first.hex() not in repr(store)


def test_an_oprf_key_is_never_made_twice_and_dies_for_good(tmp_path: Path) -> None:
    store = KeyStore(tmp_path / "keys")
    server = store.new_oprf("epoch-t-1")
    assert store.oprf("epoch-t-1").public_key == server.public_key
    with pytest.raises(FileExistsError):
        store.new_oprf("epoch-t-1")
    store.destroy_oprf("epoch-t-1")
    with pytest.raises(MissingKey):
        store.oprf("epoch-t-1")
    store.destroy_oprf("epoch-t-1")


@pytest.mark.parametrize("name", ["../x", "a/b", "", "a b"])
def test_names_cannot_leave_the_folder(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match="plain words"):
        KeyStore(tmp_path / "keys").new_oprf(name)
