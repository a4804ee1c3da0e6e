"""Starting an office: keys, schema, settings, first enrolments, the command line."""

from __future__ import annotations

import json
from base64 import b64encode
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from pydantic import ValidationError
from sqlalchemy import inspect
from typer.testing import CliRunner

from audit.database import open_engine
from audit.office import tables
from audit.office.app import open_office
from audit.office.cli import app
from audit.office.keys import KeysError, OfficeKeys
from audit.office.migrate import SchemaBehind, check_schema, upgrade
from audit.office.settings import OfficeSettings
from audit.office.store import parties
from audit.service.settings import UnknownSetting
from tests.conftest import ROOT

PREFIX = "XINQIAO_OFFICE_"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(f"{PREFIX}DATA_DIR", str(tmp_path / "office"))
    return tmp_path / "office"


def run(*arguments: str) -> Any:
    return CliRunner().invoke(app, list(arguments))


# ---------------------------------------------------------------------- schema


def test_migrations_give_the_schema_of_the_metadata(database_url: str) -> None:
    engine = open_engine(database_url)
    upgrade(engine)
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, tables.metadata) == []
    check_schema(engine)
    migrated = _checks(database_url, engine)
    with engine.begin() as connection:
        tables.metadata.drop_all(connection)
        tables.metadata.create_all(connection)
    assert _checks(database_url, engine) == migrated
    engine.dispose()


def _checks(_url: str, engine: Any) -> dict[str, set[str]]:
    inspector = inspect(engine)
    return {name: {str(c["name"]) for c in inspector.get_check_constraints(name)} for name in tables.metadata.tables}


def test_an_old_schema_stops_the_start(folder: Path) -> None:
    OfficeKeys.create(folder)
    with pytest.raises(SchemaBehind, match="xinqiao office migrate"):
        open_office(OfficeSettings.from_environment())
    assert run("migrate").exit_code == 0
    open_office(OfficeSettings.from_environment())


# ---------------------------------------------------------------------- keys


def test_keys_are_made_once_and_kept_from_others(folder: Path) -> None:
    made = OfficeKeys.create(folder)
    assert {path.stat().st_mode & 0o777 for path in (folder / "keys").iterdir()} == {0o600}
    loaded = OfficeKeys.load(folder)
    assert loaded.statement.private_bytes_raw() == made.statement.private_bytes_raw()
    assert "inputs" not in repr(loaded)
    with pytest.raises(KeysError, match="already"):
        OfficeKeys.create(folder)
    (folder / "keys" / "log.key").chmod(0o644)
    with pytest.raises(KeysError, match="others may read"):
        OfficeKeys.load(folder)
    (folder / "keys" / "log.key").unlink()
    with pytest.raises(KeysError, match="missing"):
        OfficeKeys.load(folder)


# ---------------------------------------------------------------------- settings


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DATABASE_URL", "postgresql://office:postgres@db/office"),
        ("DATABASE_URL", "postgresql://office:office@db/office"),
        ("DATABASE_URL", "postgresql://office@db/office"),
        ("NODE_LOG", "not-a-key"),
        ("CATALOGUE", "/no/such/file.csv"),
        ("TICKET_MINUTES", "11"),
        ("BULK_HOURS", "25"),
        ("ALIGNED_RATIO", "1.3"),
        ("LABEL_VECTORS", "6"),
        ("WORKERS", "0"),
    ],
)
def test_settings_that_stop_the_start(folder: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(PREFIX + name, value)
    with pytest.raises(ValidationError) as refused:
        OfficeSettings.from_environment()
    assert name.lower() in str(refused.value)


def test_a_witness_key_is_no_log_key(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run("init")
    monkeypatch.setenv(f"{PREFIX}NODE_LOG", json.loads(run("keys").stdout)["witness"])
    with pytest.raises(ValidationError, match="mixed up"):
        OfficeSettings.from_environment()


def test_an_unknown_setting_stops_the_start(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(f"{PREFIX}TICKET_MINUTE", "5")
    with pytest.raises(UnknownSetting, match="TICKET_MINUTE"):
        OfficeSettings.from_environment()
    assert run("init").exit_code == 2


def test_every_setting_is_documented() -> None:
    documented = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")
    missing = [name for name in OfficeSettings.model_fields if f"`{PREFIX}{name.upper()}`" not in documented]
    assert missing == []


# ---------------------------------------------------------------------- command line


def test_from_nothing_to_a_first_clerk(folder: Path, tmp_path: Path) -> None:
    keys = json.loads(run("init", "--name", "County credit office").stdout)
    assert keys == json.loads(run("keys").stdout)
    assert set(keys) == {"statement_key", "log", "witness"}
    assert run("new-key", str(tmp_path / "wang")).exit_code == 0
    assert (tmp_path / "wang").stat().st_mode & 0o777 == 0o600
    enrol = ("enrol-first-clerk", "--id", "office/wang", "--name", "Wang", "--key-file")
    assert run(*enrol, str(tmp_path / "wang")).exit_code == 2  # the private key is nobody's business
    assert run(*enrol, str(tmp_path / "wang.pub")).exit_code == 0
    assert "already" in run(*enrol, str(tmp_path / "wang.pub")).output
    node = Ed25519PrivateKey.generate().public_key().public_bytes_raw()
    assert run("enrol-node", "--key", b64encode(node).decode()).exit_code == 0
    office = open_office(OfficeSettings.from_environment())
    assert office.node_key().public_bytes_raw() == node
    with office.engine.connect() as connection:
        assert [p.id for p in parties.people(connection)] == ["node/service", "office/service", "office/wang"]
        assert office.log.store.has_queued(connection)


def test_an_office_is_made_once(folder: Path) -> None:
    assert run("init").exit_code == 0
    second = run("init")
    assert second.exit_code == 1
    assert "already" in second.output
