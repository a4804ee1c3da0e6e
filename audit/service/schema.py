"""A service's schema: Alembic revisions, brought to the newest by a command and checked at every start."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Engine

# Constraints have names, so that a migration can speak of them.
NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}


class SchemaBehind(RuntimeError):
    """The database does not have the newest schema."""


class Schema:
    """The packaged revisions in one folder. `remedy` is the command that applies them."""

    def __init__(self, migrations: Path, remedy: str) -> None:
        self._migrations = migrations
        self._remedy = remedy

    def configuration(self, engine: Engine) -> Config:
        """Alembic's configuration for these revisions and this engine."""
        config = Config()
        config.set_main_option("script_location", str(self._migrations))
        config.attributes["engine"] = engine
        return config

    def upgrade(self, engine: Engine) -> None:
        """Bring the schema to the newest revision."""
        command.upgrade(self.configuration(engine), "head")

    def check(self, engine: Engine) -> None:
        """Raise `SchemaBehind` unless the schema is at the newest revision."""
        newest = ScriptDirectory.from_config(self.configuration(engine)).get_current_head()
        with engine.connect() as connection:
            present = MigrationContext.configure(connection).get_current_revision()
        if present != newest:
            raise SchemaBehind(f"the database is at revision {present or 'none'}, not {newest}: run `{self._remedy}` first")
