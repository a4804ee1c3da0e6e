from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.office.world import World, running


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """One running office for a module's tests on SQLite; each test uses subjects and ids of its own."""
    folder: Path = tmp_path_factory.mktemp("office")
    folder.chmod(0o700)
    with running(folder) as made:
        yield made


@pytest.fixture
def fresh(tmp_path: Path, database_url: str) -> Iterator[World]:
    """A running office of this test alone, on each database."""
    with running(tmp_path / "office", database_url) as made:
        yield made
