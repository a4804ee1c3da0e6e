"""`xinqiao bank credit-report`: from a spreadsheet's file to the office, and what is said where it is wrong."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from bank_client.cli import app
from models.supervision.credit import COLUMNS, ImplausibleReport, read_lines
from models.supervision.periods import Quarter
from tests.office.world import World, running

LINES = "532301100,6000000,61,20000000,200\n532301101,500000,12,900000,20\n"


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("office")
    folder.chmod(0o700)
    with running(folder) as made:
        yield made


@pytest.fixture
def settings(office: World, tmp_path: Path) -> Path:
    key = tmp_path / "ap.key"
    key.write_bytes(office.keys["bank-a/ap"].private_bytes_raw())
    os.chmod(key, 0o600)
    statement = base64.b64encode(office.office.keys.statement.public_key().public_bytes_raw()).decode()
    log, witness = str(office.office.log.signer.key), str(office.office.witness_key)
    sections = [f'[office]\nurl = "{office.url}"\nstatement_key = "{statement}"\nlog_key = "{log}"\nwitness_key = "{witness}"']
    sections.append(f'[node]\nurl = "http://127.0.0.1:9"\nlog_key = "{office.node_log.key}"\nwitness_key = "{witness}"')
    file = tmp_path / "bank.toml"
    file.write_text('institution = "bank-a"\nperson = "bank-a/ap"\nkey_file = "ap.key"\n' + "\n".join(sections), "utf-8")
    return file


def report(settings: Path, content: bytes, *more: str) -> tuple[int, str]:
    file = settings.parent / "credit.csv"
    file.write_bytes(content)
    done = CliRunner().invoke(app, ["credit-report", str(file), "--config", str(settings), *more])
    return done.exit_code, done.output


def test_a_quarter_is_reported_and_corrected(office: World, settings: Path) -> None:
    period = str(Quarter.at(office.now, office.office.settings.zone).previous())
    english = ",".join(COLUMNS) + "\n" + LINES
    code, output = report(settings, b"\xef\xbb\xbf" + english.encode(), "--period", period, "--json")
    assert code == 0, output
    first = json.loads(output)
    assert (first["lines"], first["number"]) == (2, 0)
    code, output = report(settings, english.encode(), "--period", period)
    assert code == 1
    assert "a correction names the digest of the last one" in output
    chinese = ",".join(COLUMNS.values()) + "\r\n" + LINES.replace("61", "62")
    code, output = report(settings, chinese.encode("gb18030"), "--period", period, "--corrects", first["digest"])
    assert code == 0, output
    leaf = [leaf for leaf in office.leaves() if leaf["action"] == "credit.report" and leaf["outcome"] == "done"][-1]
    assert leaf["facts"]["corrects"] == first["digest"]
    assert leaf["institution"] == "bank-a"


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ("area,loans\n532301,1\n", "the columns are"),
        (",".join(COLUMNS) + "\n532301,1.5,1,2,1\n", "line 2: agricultural is a whole number"),
        (",".join(COLUMNS) + "\n532301,-5,1,2,1\n", "line 2"),
        (",".join(COLUMNS) + "\n532301,5\n", "line 2"),
        (",".join(COLUMNS) + "\n县城,1000,1,2000,1\n", "code of a county"),
    ],
)
def test_a_file_that_is_none_is_refused_before_it_is_sent(settings: Path, content: str, why: str) -> None:
    code, output = report(settings, content.encode(), "--period", "2026Q1")
    assert code == 1
    assert why in " ".join(output.split())


def test_numbers_with_separators_are_read() -> None:
    [line] = read_lines((",".join(COLUMNS) + '\n 532301 ,"1,000,000",10,"2,000,000",20\n').encode())
    assert (line.area, line.agricultural, line.loans) == ("532301", 1_000_000, 2_000_000)
    with pytest.raises(ImplausibleReport):
        read_lines(b"")
