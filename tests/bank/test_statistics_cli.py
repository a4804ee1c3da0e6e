"""The commands of a table over three banks, from the project's filing to the written file."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from typer.testing import CliRunner

from bank_client import Bank
from bank_client.cli import app
from bank_client.config import BankConfig
from bank_client.statistics import cells_of, look, take_part
from models.projects import Decision, ProjectStatus
from tests.services import Services, services
from tests.several import enrol_banks, modeller, sessions

BANKS = ("bank-a", "bank-b", "bank-c")
TABLE = {
    "project": "npl", "title": "bad loans by township", "period": "2026-Q2",
    "row_key": "township", "rows": ["510104", "510105"],
    "measures": [{"name": "bad", "kind": "count"}, {"name": "exposure", "kind": "amount", "unit": "fen"}],
}  # fmt: skip


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Services]:
    with services(tmp_path_factory.mktemp("several")) as made:
        enrol_banks(made, BANKS)
        yield made


def settings(config: BankConfig, folder: Path) -> Path:
    """The settings as a file."""
    office, node = config.office, config.node
    lines = [f'institution = "{config.institution}"', f'person = "{config.person}"', f'key_file = "{config.key_file}"']
    lines += [f'data_dir = "{config.data_dir}"', 'identity = "opaque"', "[office]", f'url = "{office.url}"']
    lines += [f'statement_key = "{office.statement_key}"']
    lines += [f'log_key = "{office.log_key}"', f'witness_key = "{office.witness_key}"']
    lines += ["[node]", f'url = "{node.url}"', f'log_key = "{node.log_key}"', f'witness_key = "{node.witness_key}"']
    file = folder / f"{config.institution}.toml"
    file.write_text("\n".join(lines), encoding="utf-8")
    return file


def test_from_the_project_to_the_file(pair: Services, tmp_path: Path) -> None:
    borrowers = pd.DataFrame({"township": ["510104"] * 40 + ["510105"] * 2, "bad": [1, 0] * 21, "exposure": range(42)})
    rows, table, out = tmp_path / "borrowers.csv", tmp_path / "table.json", tmp_path / "npl.csv"
    borrowers.to_csv(rows, index=False)
    table.write_text(json.dumps(TABLE), encoding="utf-8")
    with sessions(pair, BANKS) as banks:
        files = {name: settings(bank.config, tmp_path) for name, bank in banks.items()}

        def run(bank: str, *command: str) -> dict[str, Any]:
            result = CliRunner().invoke(app, [*command, "--json", "--config", str(files[bank])])
            assert result.exit_code == 0, result.output
            made: dict[str, Any] = json.loads(result.stdout)
            return made

        about = ("--title", "bad loans", "--kind", "statistics", "--with", "bank-b, bank-c")
        run("bank-a", "project", "file", "--project", "npl", *about)
        for name in BANKS[1:]:
            assert run(name, "project", "accept", "npl")["modeller"] == modeller(name)
        assert run("bank-b", "project", "status", "npl")["accepted"] == list(BANKS)
        decision = Decision(subject="npl", approve=True, reason="in order")
        pair.office.clerk.logged("/projects/npl/decision", decision, ProjectStatus)

        session = run("bank-a", "statistics", "begin", str(table))["sum"]
        assert run("bank-b", "statistics", "look", session)["phase"] == "keys"

        def others(bank: Bank) -> object:
            opened = look(bank, session)
            return take_part(bank, opened, cells_of(opened.table, borrowers))

        with ThreadPoolExecutor(2) as pool:
            parts = [pool.submit(others, banks[name]) for name in BANKS[1:]]
            done = run("bank-a", "statistics", "join", session, str(rows), "--out", str(out))
            assert [part.result() for part in parts]
        assert (done["banks"], done["file"]) == (list(BANKS), str(out))
        written = pd.read_csv(out, dtype={"township": str})
        assert written["township"].tolist() == ["510104", "510105", "(all)"]
        # 6 borrowers of the second township are hidden, and with them the first, which the margin would give away.
        assert written["borrowers"].isna().tolist() == [True, True, False]
        assert written["exposure"].tolist()[-1] == 3 * sum(range(42))
        again = run("bank-c", "statistics", "result", session, "--out", str(tmp_path / "again.csv"))
        assert (tmp_path / "again.csv").read_bytes() == out.read_bytes()
        assert again["hidden"] == done["hidden"]
