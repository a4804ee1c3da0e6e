"""A witness as a service of its own: set up once, its store kept, and what two witnesses mean for a log set back."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from typer.testing import CliRunner

from audit.log import Cosigner, HighWaterFile, Sequencer
from audit.log.witnesses import KnownWitness, cosigners, parse_witnesses
from audit.service.settings import UnknownSetting
from audit.verifier.checkpoint import open_checkpoint
from audit.verifier.errors import LogRefusal, LogUnavailable
from audit.verifier.note import VerifierKey
from audit.witness.app import create_app
from audit.witness.cli import app as commands
from audit.witness.settings import WitnessSettings
from audit.witness.setup import NotReady, open_store, set_up, signer
from bank_client.demo.town import free_port
from tests.audit import reference
from tests.audit.logs import BANK, OFFICE, ORIGIN, SIGNER, TIMEOUT, cosigner, entries_of, make_log, put, running
from tests.audit.test_witness import body, make_witness
from tests.conftest import ROOT
from tests.office.world import serving

NAME = "bank.example/witness"


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> WitnessSettings:
    for name, value in {"DATA_DIR": str(tmp_path / "w"), "NAME": NAME, "LOGS": str(SIGNER.key)}.items():
        monkeypatch.setenv(f"XINQIAO_WITNESS_{name}", value)
    return WitnessSettings.from_environment()


def test_the_commands(settings: WitnessSettings) -> None:
    run = CliRunner().invoke
    assert run(commands, ["keys"]).exit_code == 1, "there is no key yet"
    made = json.loads(run(commands, ["init"]).stdout)
    assert VerifierKey.parse(made["witness"]).name == NAME
    assert json.loads(run(commands, ["keys"]).stdout) == made
    again = run(commands, ["init"])
    assert again.exit_code == 1
    assert "for life" in again.stderr
    assert run(commands, ["seen"]).stdout.split() == [ORIGIN, "nothing", "yet"]
    client = TestClient(create_app(settings))
    assert client.post("/witness/add-checkpoint", content=body(0, entries_of(5))).status_code == 200
    assert "5 entries" in run(commands, ["seen"]).stdout
    forked = reference.checkpoint_note([b"other", *entries_of(4)], SIGNER)
    assert client.post("/witness/add-checkpoint", content=body(5, entries_of(5), [], note=forked)).status_code == 422
    shown = run(commands, ["seen"])
    assert shown.exit_code == 1
    assert "forks: 1" in shown.stdout


def test_what_it_remembers_outlives_it_and_forks_are_shown(settings: WitnessSettings) -> None:
    key = set_up(settings).key
    first = TestClient(create_app(settings))
    assert first.get("/healthz").text == "ok\n"
    assert first.post("/witness/add-checkpoint", content=body(0, entries_of(9))).status_code == 200
    again = TestClient(create_app(settings))
    assert again.post("/witness/add-checkpoint", content=body(0, entries_of(4))).text == "9\n"
    origin = hashlib.sha256(ORIGIN.encode()).hexdigest()
    note = again.get(f"/witness/{origin}/checkpoint").text
    assert open_checkpoint(note, [SIGNER.key], [key], 1).checkpoint.size == 9
    assert again.get(f"/witness/{origin}/forks").json() == []
    forked = reference.checkpoint_note([b"other", *entries_of(8)], SIGNER)
    again.post("/witness/add-checkpoint", content=body(9, entries_of(9), [], note=forked))
    [pair] = again.get(f"/witness/{origin}/forks").json()
    heads = [open_checkpoint(shown, [SIGNER.key]).checkpoint for shown in pair]
    assert heads[0].size == heads[1].size
    assert heads[0].root != heads[1].root
    assert again.get(f"/witness/{'0' * 64}/forks").json() == []


def test_a_lost_store_or_key_stops_the_start(settings: WitnessSettings) -> None:
    set_up(settings)
    (settings.data_dir / "witness.sqlite").unlink()
    with pytest.raises(NotReady, match="cosign a fork"):
        open_store(settings)
    (settings.data_dir / "witness.key").chmod(0o644)
    with pytest.raises(NotReady, match="others may read"):
        signer(settings)


def test_settings(settings: WitnessSettings, monkeypatch: pytest.MonkeyPatch) -> None:
    assert settings.log_keys == {ORIGIN: [SIGNER.key]}
    documented = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")
    assert [name for name in WitnessSettings.model_fields if f"`XINQIAO_WITNESS_{name.upper()}`" not in documented] == []
    monkeypatch.setenv("XINQIAO_WITNESS_LOGS", str(OFFICE.key))
    with pytest.raises(ValueError, match="mixed up"):
        WitnessSettings.from_environment()
    monkeypatch.setenv("XINQIAO_WITNESS_LOG", "x")
    with pytest.raises(UnknownSetting):
        WitnessSettings.from_environment()


def test_witnesses_in_settings() -> None:
    named = parse_witnesses(f"{BANK.key} http://bank/witness/ , {OFFICE.key} https://office/witness")
    assert [(witness.key, witness.url) for witness in named] == [
        (BANK.key, "http://bank/witness"),
        (OFFICE.key, "https://office/witness"),
    ]
    assert parse_witnesses("") == ()
    assert KnownWitness.parse(str(BANK.key), "http://there").url == "http://there"
    for wrong in (str(BANK.key), f"{SIGNER.key} http://x", f"{BANK.key} ftp://x", "x http://x"):
        with pytest.raises(ValueError, match=r"witness|key"):
            parse_witnesses(wrong)


def test_over_http_and_with_a_witness_that_is_down(settings: WitnessSettings, tmp_path: Path) -> None:
    """Two witnesses, one in a process's own store over HTTP: nothing is cosigned before both have."""
    bank = set_up(settings)
    port = free_port()
    office = make_witness(f"sqlite:///{tmp_path}/office.db")
    log = make_log(f"sqlite:///{tmp_path}/log.db", witnesses=[OFFICE.key, bank.key], quorum=2, required=[OFFICE.key])
    asked = [cosigner(office), *cosigners(parse_witnesses(f"{bank.key} http://127.0.0.1:{port}/witness"))]
    with running(log, cosigners=asked):
        [index] = put(log, [b"first"])
        with pytest.raises(LogUnavailable, match="witnesses"):
            log.wait_cosigned(index, 0.3)
        assert log.receipt(index), "the answer to a check goes out with a promise; its receipt is completed later"
        with serving(create_app(settings), port):
            note = log.wait_cosigned(index, TIMEOUT)
        assert len(open_checkpoint(note, [SIGNER.key], [OFFICE.key, bank.key], 2).cosignatures) == 2


# ---------------------------------------------------------------------- database and mark set back together


def copy_of(folder: Path, name: str) -> None:
    (folder / name).mkdir()
    for path in folder.glob("log.db*"):
        shutil.copy(path, folder / name)
    shutil.copy(folder / "mark", folder / name)


def restored(folder: Path, name: str) -> None:
    for path in (*folder.glob("log.db*"), folder / "mark"):
        path.unlink(missing_ok=True)
    for path in (folder / name).iterdir():
        shutil.copy(path, folder)


def test_a_backup_of_database_and_mark_is_recognised_by_the_witnesses(tmp_path: Path) -> None:
    witness = make_witness(f"sqlite:///{tmp_path}/office.db")
    at, options = f"sqlite:///{tmp_path}/log.db", {"witnesses": [OFFICE.key]}

    def work(entries: list[bytes]) -> None:
        log = make_log(at, **options)
        with running(log, high_water=HighWaterFile(tmp_path / "mark"), cosigners=[cosigner(witness)]):
            log.wait_cosigned(put(log, entries)[-1], TIMEOUT)
        log.engine.dispose()

    work(entries_of(5))
    copy_of(tmp_path, "backup")
    work(entries_of(9)[5:])
    restored(tmp_path, "backup")
    with pytest.raises(LogRefusal, match="cut or set back"):
        work([b"after the backup came back"])
    assert make_log(at, **options).size == 5, "nothing was signed"


def test_a_log_without_a_word_of_its_witnesses_signs_nothing(tmp_path: Path) -> None:
    witness = make_witness(f"sqlite:///{tmp_path}/office.db")
    log = make_log(f"sqlite:///{tmp_path}/log.db", witnesses=[OFFICE.key])
    with running(log, cosigners=[cosigner(witness)]):
        put(log, entries_of(3))
    reachable = False
    known = cosigner(witness)

    def last(origin: str) -> bytes | None:
        if not reachable:
            raise OSError("connection refused")
        assert known.last is not None
        return known.last(origin)

    with Sequencer(log, cosigners=[Cosigner(OFFICE.key, known.post, last)]) as sequencer:
        assert not sequencer.wait_ready(0.3)
        assert log.size == 3
        reachable = True
        assert sequencer.wait_ready(TIMEOUT)


def test_a_witness_that_turns_up_later_ends_the_signing(tmp_path: Path) -> None:
    """The other witness knew nothing, so the log began; the one that comes round has seen more under the log's own key."""
    seen_more = make_witness(f"sqlite:///{tmp_path}/office.db")
    first = make_log(f"sqlite:///{tmp_path}/first.db", witnesses=[OFFICE.key])
    with running(first, cosigners=[cosigner(seen_more)]):
        first.wait_cosigned(put(first, entries_of(9))[-1], TIMEOUT)
    log = make_log(f"sqlite:///{tmp_path}/second.db", witnesses=[OFFICE.key])
    asked = cosigner(seen_more)
    calls: list[str] = []

    def last(origin: str) -> bytes | None:
        calls.append(origin)
        if len(calls) == 1:
            return None
        assert asked.last is not None
        return asked.last(origin)

    with Sequencer(log, cosigners=[Cosigner(OFFICE.key, asked.post, last)], cosign_seconds=0.01) as sequencer:
        with pytest.raises(LogUnavailable):
            log.wait_cosigned(put(log, [b"a fork"])[-1], TIMEOUT)
        with pytest.raises(LogUnavailable, match="set back or forked"):
            put(log, [b"more"])
        assert isinstance(sequencer.refusal, LogRefusal)


def test_a_store_that_was_emptied_is_no_store(settings: WitnessSettings) -> None:
    """It must not be filled in silently: under the old key it would cosign a fork."""
    set_up(settings)
    client = TestClient(create_app(settings))
    assert client.post("/witness/add-checkpoint", content=body(0, entries_of(5))).status_code == 200
    for file in settings.data_dir.glob("witness.sqlite*"):
        file.unlink()
    (settings.data_dir / "witness.sqlite").touch()
    for _ in range(2):
        with pytest.raises(NotReady, match="emptied"):
            create_app(settings)
