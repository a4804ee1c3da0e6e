"""The county that all tests of the desk share, and a desk of its own for each test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from bank_client import protected_keys
from tests.desk.browser import Browser, browser
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


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--screenshots", type=Path, help="write pictures of the desk's pages into this folder")


@pytest.fixture(scope="session")
def shots(request: pytest.FixtureRequest) -> Path | None:
    """Where pictures go, if they are wanted: `pytest tests/desk --screenshots docs/images/desk`."""
    folder: Path | None = request.config.getoption("--screenshots", default=None)
    return folder


@pytest.fixture
def window(shots: Path | None) -> Iterator[Browser]:
    """A browser that has nothing to complain about at the end."""
    with browser(shots) as opened:
        yield opened
        assert opened.complaints() == []
