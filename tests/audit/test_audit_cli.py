"""`xinqiao verify` and `xinqiao mirror` as a user runs them, on a directory and over real HTTP."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from typer.testing import CliRunner

from audit.cli import app
from audit.verifier.note import Note
from audit.verifier.proof import Receipt
from tests.audit import reference
from tests.audit.logs import BANK, OFFICE, ORIGIN, SIGNER, entries_of

LOG_KEY = ["--vkey", str(SIGNER.key)]
WITNESS = ["--witness-vkey", str(OFFICE.key)]


def run(*arguments: str | Path) -> tuple[int, str]:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    return result.exit_code, result.output


def publish(directory: Path, entries: list[bytes]) -> Path:
    files = reference.log_files(entries, SIGNER)
    note = files["checkpoint"].decode()
    files["checkpoint"] = (note + OFFICE.cosign(Note.parse(note).text, 1_700_000_000)).encode()
    for path, data in files.items():
        (directory / path).parent.mkdir(parents=True, exist_ok=True)
        (directory / path).write_bytes(data)
    return directory


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return publish(tmp_path / "log", entries_of(300))


@pytest.fixture
def address(log: Path) -> Iterator[str]:
    handler = partial(_Quiet, directory=str(log))
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    thread.join()
    server.server_close()


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


def test_a_whole_log(log: Path, address: str) -> None:
    for place in (str(log), address):
        code, output = run("verify", place, *LOG_KEY, *WITNESS)
        assert code == 0
        assert "The log is whole" in output
        assert ORIGIN in output
        assert "300" in output
        assert OFFICE.key.name in output


def test_damage_ends_with_1_and_the_place(log: Path) -> None:
    bundle = log / "tile/entries/001.p/44"
    bundle.write_bytes(bundle.read_bytes()[:-1] + b"?")
    code, output = run("verify", log, *LOG_KEY)
    assert code == 1
    assert "NOT whole. At entry 299" in output
    code, output = run("verify", log / "tile", *LOG_KEY)
    assert (code, "there is no checkpoint here" in output) == (1, True)


def test_keys_and_quorum(log: Path) -> None:
    both = [*WITNESS, "--witness-vkey", str(BANK.key)]
    code, output = run("verify", log, *LOG_KEY, *both)
    assert code == 1
    assert "2 witnesses must have cosigned" in output
    assert run("verify", log, *LOG_KEY, *both, "--quorum", "1")[0] == 0
    assert run("verify", log, "--vkey", str(OFFICE.key))[0] == 1
    code, output = run("verify", log, "--vkey", "nonsense")
    assert (code, "three parts" in output) == (1, True)


def test_an_earlier_checkpoint(log: Path, tmp_path: Path) -> None:
    earlier = tmp_path / "earlier"
    earlier.write_text(reference.checkpoint_note(entries_of(200), SIGNER))
    assert run("verify", log, *LOG_KEY, "--since", earlier)[0] == 0
    earlier.write_text(reference.checkpoint_note(entries_of(301), SIGNER))
    code, output = run("verify", log, *LOG_KEY, "--since", earlier)
    assert (code, "cut or set back" in output) == (1, True)


def test_a_receipt(tmp_path: Path, log: Path) -> None:
    entries = entries_of(300)
    note = (log / "checkpoint").read_text()
    receipt, entry = tmp_path / "check.tlog-proof", tmp_path / "entry"
    receipt.write_text(str(Receipt(17, tuple(reference.path(17, entries)), note)))
    entry.write_bytes(entries[17])
    arguments = ["--receipt", receipt, "--entry", entry, *LOG_KEY, *WITNESS]
    code, output = run("verify", *arguments)
    assert (code, "stands at index 17" in output) == (0, True)
    entry.write_bytes(entries[18])
    code, output = run("verify", *arguments)
    assert (code, "NOT verified" in output) == (1, True)
    assert run("verify", "--receipt", receipt, *LOG_KEY)[0] == 2
    assert run("verify", log, "--receipt", receipt, "--entry", entry, *LOG_KEY)[0] == 2


def test_mirror(tmp_path: Path, log: Path, address: str) -> None:
    copy = tmp_path / "copy"
    code, output = run("mirror", address, copy, *LOG_KEY, *WITNESS)
    assert (code, "The copy is whole" in output) == (0, True)
    assert files_of(copy) == files_of(log)
    publish(log, entries_of(600))
    assert run("mirror", address, copy, *LOG_KEY)[0] == 0
    assert run("verify", copy, *LOG_KEY)[0] == 0
    # What a fork or a cut log offers does not replace the checkpoint that was verified.
    before = (copy / "checkpoint").read_bytes()
    publish(log, [*entries_of(600)[::-1], b"more"])
    code, output = run("mirror", address, copy, *LOG_KEY)
    assert (code, "NOT whole" in output) == (1, True)
    publish(log, entries_of(10))
    code, output = run("mirror", address, copy, *LOG_KEY)
    assert (code, "cut or set back" in output) == (1, True)
    assert (copy / "checkpoint").read_bytes() == before
    assert run("mirror", "http://127.0.0.1:1/", copy, *LOG_KEY)[0] == 1


def files_of(directory: Path) -> dict[str, bytes]:
    return {str(path.relative_to(directory)): path.read_bytes() for path in directory.rglob("*") if path.is_file()}


def test_the_command_line_needs_no_database() -> None:
    """`xinqiao verify` runs where only the verifier is installed."""
    code = "import sys, audit.cli; print([m for m in ('sqlalchemy', 'fastapi', 'numpy', 'audit.log') if m in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
