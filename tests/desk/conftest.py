"""The county that all tests of the desk share, and a desk of its own for each test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from models import protected_keys
from tests.desk.place import Branch, Place, county


@pytest.fixture(scope="session")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(protected_keys, "SCRYPT_N", 1 << 10)  # each sign-in would cost a third of a second
        patched.setattr(protected_keys, "SCRYPT_P", 1)
        with county(tmp_path_factory.mktemp("county")) as made:
            yield made


@pytest.fixture
def fumin(place: Place, tmp_path: Path) -> Iterator[Branch]:
    """The desk of the bank that asks alone."""
    with place.desk("fumin", tmp_path / "fumin") as branch:
        yield branch


@pytest.fixture
def huinong(place: Place, tmp_path: Path) -> Iterator[Branch]:
    """The desk of the bank that requires a second approval."""
    with place.desk("huinong", tmp_path / "huinong") as branch:
        yield branch
