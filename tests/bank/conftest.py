"""One village for all tests of the bank that need an office and a node."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.bank.village import Place, village


@pytest.fixture(scope="session")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with village(tmp_path_factory.mktemp("village") / "services") as made:
        yield made
