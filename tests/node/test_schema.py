"""The node's migrations give the schema of its metadata, on both databases, and an old schema stops the start."""

from __future__ import annotations

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

import sharing_node.app  # noqa: F401 - declares every table
from audit.database import open_engine
from sharing_node.database import metadata
from sharing_node.migrate import SchemaBehind, check_schema, upgrade


def test_migrations_give_the_schema_of_the_metadata(database_url: str) -> None:
    engine = open_engine(database_url)
    with pytest.raises(SchemaBehind, match="migrate"):
        check_schema(engine)
    upgrade(engine)
    check_schema(engine)
    upgrade(engine)
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []
    engine.dispose()
