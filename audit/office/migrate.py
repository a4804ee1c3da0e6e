"""The office's schema: Alembic revisions, brought to the newest by `xinqiao office migrate` and checked at every start."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Engine


class SchemaBehind(RuntimeError):
    """The database does not have the newest schema."""


def configuration(engine: Engine) -> Config:
    """Alembic's configuration for the packaged revisions and this engine."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.attributes["engine"] = engine
    return config


def upgrade(engine: Engine) -> None:
    """Bring the schema to the newest revision."""
    command.upgrade(configuration(engine), "head")


def check_schema(engine: Engine) -> None:
    """Raise `SchemaBehind` unless the schema is at the newest revision."""
    newest = ScriptDirectory.from_config(configuration(engine)).get_current_head()
    with engine.connect() as connection:
        present = MigrationContext.configure(connection).get_current_revision()
    if present != newest:
        raise SchemaBehind(f"the database is at revision {present or 'none'}, not {newest}: run `xinqiao office migrate` first")
