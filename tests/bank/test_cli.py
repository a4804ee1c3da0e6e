"""The bank's commands: light to load, plain in what they say."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from bank_client.cli import _lines, app
from bank_client.meanings import meanings
from models.catalogue import default_catalogue
from models.records import CheckRecord, Source
from tests.bank.test_config import SETTINGS
from tests.conftest import ROOT

HEAVY = ("numpy", "numba", "scipy", "pandas", "sklearn", "matplotlib", "httpx2", "cryptography")


def invoke(*arguments: str) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, list(arguments))
    return result.exit_code, result.stdout, result.stderr


def test_loading_the_commands_loads_nothing_heavy() -> None:
    code = f"import sys, bank_client.cli; print([m for m in {HEAVY!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_every_command_takes_json_and_says_what_it_does() -> None:
    for command in app.registered_commands + [c for g in app.registered_groups for c in g.typer_instance.registered_commands]:  # type: ignore[union-attr]
        assert command.callback is not None
        assert command.callback.__doc__
        # What serves until it is interrupted has no result.
        assert "as_json" in command.callback.__annotations__ or "until it is interrupted" in command.callback.__doc__


def test_a_key_is_made_once(tmp_path: Path) -> None:
    file = str(tmp_path / "liu.key")
    status, output, _ = invoke("keygen", file, "--json")
    assert status == 0
    assert len(base64.b64decode(json.loads(output)["public_key"])) == 32
    status, output, errors = invoke("keygen", file)
    assert (status, output) == (1, "")
    assert errors == f"File exists: {file}\n"


@pytest.mark.parametrize("command", [("who",), ("project", "status", "p1"), ("check", "p1", "--subject", "opaque:1")])
def test_without_settings_one_is_told_how_to_name_them(tmp_path: Path, command: tuple[str, ...]) -> None:
    status, output, errors = invoke(*command, "--config", str(tmp_path / "none.toml"))
    assert (status, output) == (1, "")
    assert "--config or XINQIAO_BANK_CONFIG" in errors


def test_a_dead_service_is_named_and_nothing_more(tmp_path: Path) -> None:
    config = tmp_path / "bank.toml"
    config.write_text(SETTINGS.replace(":8700", ":9").replace(":8701", ":9"), encoding="utf-8")
    invoke("keygen", str(tmp_path / "liu.key"))
    status, _, errors = invoke("project", "status", "p1", "--config", str(config))
    assert status == 1
    assert "no answer from 127.0.0.1:9 after 3 attempts" in errors
    assert "Traceback" not in errors


def test_a_file_without_the_column_is_told_from_one_with_it(tmp_path: Path) -> None:
    config, rows = tmp_path / "bank.toml", tmp_path / "rows.csv"
    config.write_text(SETTINGS, encoding="utf-8")
    rows.write_text("id,y,x\n1,0,2\n", encoding="utf-8")
    invoke("keygen", str(tmp_path / "liu.key"))
    status, _, errors = invoke("train", "p1", str(rows), "--id", "id", "--label", "bad", "--config", str(config))
    assert status == 1
    assert "the file has no column bad; its columns are y, x" in errors


def test_a_check_is_printed_with_meaning_source_day_and_dispute() -> None:
    record = CheckRecord(
        fields={"leased_in_area": 1250.5, "demo_level": "县级", "not_in_the_catalogue": 3},
        sources={"land": Source(department="NY", as_of="2026-06-30")},
        disputed=("demo_level",),
    )
    english = list(_lines(record, meanings(default_catalogue(), "en")))
    assert "1,250.5 亩" in english[0]
    assert english[0].endswith("(Area leased in; NY, 2026-06-30)")
    assert english[1].split() == ["demo_level", "County", "(Demonstration", "level)", "DISPUTED:", "it", "may", "be", "wrong"]
    assert english[2].split() == ["not_in_the_catalogue", "3"]
    assert "示范级别" in list(_lines(record, meanings(default_catalogue(), "zh")))[1]
