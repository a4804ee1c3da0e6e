"""`xinqiao audit`: from the search to a file that verifies, with an auditor's own key."""

from __future__ import annotations

import base64
import csv
from pathlib import Path

import pytest

from models.cli import main
from tests.auditing.conftest import ALICE, AUDITOR, BOB, CAROL, Audited
from tests.services import OFFICER


@pytest.fixture(scope="module")
def audit(clean: Audited) -> Audited:
    return clean


@pytest.fixture(scope="module")
def config(audit: Audited, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("auditor")
    key = folder / "audit.key"
    key.write_bytes(audit.world.keys[AUDITOR].private_bytes_raw())
    key.chmod(0o600)
    office, node = audit.trust.logs
    statement = base64.b64encode(audit.office.keys.statement.public_key().public_bytes_raw()).decode()
    (folder / "audit.toml").write_text(
        f'person = "{AUDITOR}"\nkey_file = "audit.key"\n[office]\nurl = "{audit.world.url}"\nstatement_key = "{statement}"\n'
        f'log_key = "{office.key}"\nwitness_key = "{node.witnesses[0]}"\n[node]\nurl = "{audit.pair.url}"\n'
        f'log_key = "{node.key}"\nwitness_key = "{office.witnesses[0]}"\n'
    )
    return folder / "audit.toml"


def run(config: Path, *command: object, status: int = 0) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["audit", *map(str, command), "--config", str(config)])
    assert int(ended.value.code or 0) == status


def test_from_search_to_export(audit: Audited, config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(config, "search", "--bank", "bank-a", "--since", "2020-01-01")
    shown = capsys.readouterr().out
    assert all(name in shown for name in (ALICE, BOB, CAROL, OFFICER, "approved", "no-consent"))
    run(config, "search", "--csv", tmp_path / "all.csv")
    with (tmp_path / "all.csv").open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["subject"] for row in rows] == [CAROL, CAROL, BOB, ALICE]
    access = rows[-1]["id"]
    run(config, "show", access)
    assert capsys.readouterr().out.count("[verified]") == 9
    run(config, "case", "open", "Alice's question")
    number = capsys.readouterr().out.split()[-1]
    run(config, "case", "add", number, "access", access)
    run(config, "case", "add", number, "note", "--text", "She came to the window.")
    run(config, "case", "close", number, "In order.")
    run(config, "case", "export", number, tmp_path / "case.tar")
    assert "Everything that is there holds." in capsys.readouterr().out
    run(config, "case", "show", number)
    assert "She came to the window." in capsys.readouterr().out
    run(config, "case", "list")
    assert "In order." in capsys.readouterr().out


def test_days_and_alarms(audit: Audited, config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(config, "reconciliation", "2020-01-01", status=1)
    assert "was not reconciled yet" in capsys.readouterr().err
    day = audit.reconciled().day
    run(config, "reconciliation")
    assert f"{day}  whole" in capsys.readouterr().out
    run(config, "reconciliation", day)
    assert "2 tickets = 2 leaves = 1 evaluations + 1 unused" in capsys.readouterr().out
    run(config, "alarms")
    run(config, "handle", 99999, "closed", "no such thing", status=1)


def test_settings_that_do_not_fit_are_told(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(config.with_name("other.toml"), "alarms", status=2)
    other = config.with_name("more.toml")
    other.write_text(config.read_text().replace("person =", "passphrase = 'x'\nperson ="))
    run(other, "alarms", status=2)
    assert "unknown field `passphrase`" in capsys.readouterr().err
