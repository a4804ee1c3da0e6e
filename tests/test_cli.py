"""The `xinqiao` command is built from what the packages announce, and says which extra a command needs."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import EntryPoint, entry_points, version
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from models import cli

MODULE = """
import typer

app = typer.Typer(help="A party.", no_args_is_help=True)

@app.command()
def serve(port: int = 1) -> None:
    print("served at", port)

@app.command()
def stop() -> None:
    import no_such_module.part

def check(receipt: str) -> None:
    "Check one receipt."
    print("checked", receipt)
"""


@pytest.fixture(autouse=True)
def _modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "brought_commands.py").write_text(MODULE, encoding="utf-8")
    (tmp_path / "needs_more.py").write_text("import no_such_module.part", encoding="utf-8")
    (tmp_path / "broken_ours.py").write_text("import models.no_such_part", encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    for name in ("brought_commands", "needs_more", "broken_ours"):
        monkeypatch.delitem(sys.modules, name, raising=False)


def entry(name: str, value: str) -> EntryPoint:
    return EntryPoint(name, value, cli.GROUP)


PARTY = entry("party", "brought_commands:app")
CHECK = entry("check", "brought_commands:check")
ABSENT = entry("absent", "needs_more:app [node]")


def invoke(*arguments: str, entries: tuple[EntryPoint, ...] = (PARTY, CHECK, ABSENT)) -> tuple[int, str]:
    result = CliRunner().invoke(cli.build(entries), list(arguments))
    return result.exit_code, result.output


def test_an_app_becomes_a_group_and_a_function_one_command() -> None:
    assert invoke("party", "serve", "--port", "8") == (0, "served at 8\n")
    assert invoke("check", "r.txt") == (0, "checked r.txt\n")


def test_help_lists_every_command_and_the_extra_of_an_absent_one() -> None:
    status, output = invoke("--help")
    assert status == 0
    for words in ("party", "A party.", "Check one receipt.", "absent", "Needs the extra: node"):
        assert words in output


@pytest.mark.parametrize("arguments", [("absent",), ("absent", "--help"), ("absent", "serve", "--port", "8")])
def test_an_absent_extra_is_named_whatever_was_asked(arguments: tuple[str, ...]) -> None:
    status, output = invoke(*arguments)
    assert status == 1
    assert "pip install 'xinqiao[node]'" in output
    assert "Traceback" not in output


def test_our_own_missing_module_is_a_fault_and_no_extra() -> None:
    with pytest.raises(ModuleNotFoundError, match="no_such_part"):
        cli.build([entry("broken", "broken_ours:app [node]")])


def main(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    announced = [entry("party", "brought_commands:app [bank,node]"), ABSENT]
    monkeypatch.setattr(cli, "entry_points", lambda group: announced)
    with pytest.raises(SystemExit) as left:
        cli.main(arguments)
    assert isinstance(left.value.code, int)
    return left.value.code


def test_an_extra_that_is_missed_while_running_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(monkeypatch, "party", "stop") == 1
    assert capsys.readouterr().err == (
        "`xinqiao party` needs the module 'no_such_module'; install it: pip install 'xinqiao[bank,node]'\n"
    )


def test_only_the_command_that_is_asked_for_is_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    assert main(monkeypatch, "party", "serve") == 0
    assert "brought_commands" in sys.modules
    assert "needs_more" not in sys.modules


def test_version(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(monkeypatch, "--version") == 0
    assert capsys.readouterr().out == f"xinqiao {version('xinqiao')}\n"


@pytest.mark.parametrize("announced", entry_points(group=cli.GROUP), ids=lambda found: found.name)
def test_every_announced_command_is_there(announced: EntryPoint) -> None:
    command = announced.load()
    assert isinstance(command, typer.Typer) or callable(command)


HEAVY = {"numba", "scipy", "pandas", "sklearn", "matplotlib", "fastapi", "sqlalchemy", "phe"}


def test_help_imports_nothing_heavy() -> None:
    """So that `xinqiao --help` answers at once: a command imports what is heavy when it runs."""
    program = "import sys; from models import cli; cli.build(cli.entry_points(group=cli.GROUP)); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert HEAVY & set(done.stdout.split()) == set()
