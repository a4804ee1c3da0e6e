"""The main job over real HTTP: it works, and each step of it stands in a log that anyone can verify."""

from __future__ import annotations

import random
import re
import socket
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any, NoReturn

import msgspec
import pytest
from typer.testing import CliRunner

from audit.cli import app
from audit.verifier.errors import DamagedLog, LogError
from audit.verifier.log_check import check_log, directory_fetch
from audit.verifier.merkle import leaf_hash
from audit.verifier.note import VerifierKey
from audit.verifier.proof import Receipt
from bank_client import authorised_check
from bank_client.demo.csv_job import alone
from bank_client.receipts import RECEIPT_SECONDS
from models import wire
from models.scorecard import metrics
from tests.e2e.conftest import MainRun
from tests.e2e.village import Village

pytestmark = pytest.mark.e2e
LOGS = ("node", "office")


def test_jointly_is_better_than_alone(place: Village, run: MainRun) -> None:
    borrowers, known = place.rows(place.borrowers)
    applicants, outcome = place.rows(place.applicants)
    own = alone(borrowers.assign(y=known), applicants.assign(y=0), "y")
    assert metrics.auc(outcome.to_numpy(), run.scores) > metrics.auc(outcome.to_numpy(), own) + 0.02


# ---------------------------------------------------------------------- every release has its leaf


def logged(place: Village, run: MainRun, name: str) -> list[bytes]:
    """The run's entries of a log as its verifier sees them over HTTP, once the witnesses have come round."""
    deadline = time.monotonic() + RECEIPT_SECONDS
    while place.check_log(name).size < run.ends[name]:
        assert time.monotonic() < deadline, "the run's last leaf never came under a cosigned checkpoint"
        time.sleep(0.2)
    entries: list[bytes] = []
    place.check_log(name, on_entry=lambda _, entry: entries.append(entry))
    return entries[: run.ends[name]]


def test_each_release_of_the_run_has_its_leaf(place: Village, run: MainRun) -> None:
    entries = logged(place, run, "node")
    model, rows = run.model, len(place.borrowers)
    leaves = [msgspec.json.decode(entry) for entry in entries]
    done = [leaf for leaf in leaves if leaf["outcome"] == "done" and leaf["institution"] in {"bank-a", "node"}]

    def about(**facts: object) -> Counter[str]:
        return Counter(leaf["action"] for leaf in done if facts.items() <= leaf["facts"].items())

    assert about(project=model.project)["project.open"] == 1
    assert about(project=model.project, count=rows)["align.evaluate"] == 1
    assert about(project=model.project)["align.publish"] == 1
    cohort = {"cohort": model.cohort_.id, "rows": rows, "root": model.cohort_.root.hex()}
    assert about(**cohort) == {"align.match": 1}
    assert about(job=model.job_) == {
        "job.open": 1, "round.open": 2, "round.product": 2, "round.close": 2, "job.figures": 1, "job.release": 1,
    }  # fmt: skip
    assert about(job=model.job_, model=model.model_id_, card=model.node_card_.digest()) == {"job.release": 1}
    assert about(model=model.model_id_, card=model.signed_card_.digest()) == {"model.card": 1}
    assert about(model=model.model_id_, table=model.table_) == {"model.serve": 1}
    assert about(table=model.table_, epoch=run.manifest.epoch) == {
        "epoch.request": 1, "epoch.build": 1, "epoch.open": 1, "check.evaluate": len(place.applicants),
    }  # fmt: skip


def test_the_office_logged_its_part(place: Village, run: MainRun) -> None:
    model = run.model
    done = [leaf for leaf in map(msgspec.json.decode, logged(place, run, "office")) if leaf["outcome"] == "done"]

    def about(**facts: object) -> Counter[str]:
        return Counter(leaf["action"] for leaf in done if facts.items() <= leaf["facts"].items())

    assert about(job=model.job_)["replay.inputs"] == 2
    assert about(job=model.job_, usable=True)["replay.verdict"] == 1
    assert about(project=model.project, filed=len(place.borrowers), accepted=len(place.borrowers))["align.file"] == 1
    assert about(model=model.model_id_)["model.register"] == about(model=model.model_id_)["model.decide"] == 1
    assert about(table=model.table_, epoch=run.manifest.epoch)["ticket"] == len(place.applicants)
    assert about(table=model.table_, epoch=run.manifest.epoch)["manifest.seal"] == 1


def test_what_was_promised_stands_in_the_logs(place: Village, run: MainRun) -> None:
    entries = {name: logged(place, run, name) for name in LOGS}
    assert len(run.watch.leaves) > 2 * len(place.applicants)
    for name, leaf in run.watch.leaves:
        assert leaf_hash(entries[name][leaf.index]) == leaf.leaf_hash
    posts = Counter(name for name, method, path, *_ in run.watch.calls if method == "POST" and not path.endswith("/columns"))
    assert posts["node"] + posts["office"] <= len(run.watch.leaves), "no answer came without a leaf"


def test_no_leaf_names_a_person(place: Village, run: MainRun) -> None:
    for name in LOGS:
        for entry in place.entries(name):
            assert b"opaque:" not in entry
            assert b"s00" not in entry
            assert b"officer" not in entry.replace(b"loan_officer", b"")


# ---------------------------------------------------------------------- `xinqiao verify`


def options(place: Village, name: str) -> list[str]:
    log, *witnesses = place.keys(name)
    return ["--vkey", log, *(part for witness in witnesses for part in ("--witness-vkey", witness))]


def verify(*arguments: str) -> Any:
    return CliRunner().invoke(app, ["verify", *arguments])


@pytest.fixture(scope="module")
def kept(place: Village, run: MainRun, check_project: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Mirrors of both logs, and the receipt of one check with its entry."""
    folder = tmp_path_factory.mktemp("kept")
    with place.bank("bank-a/officer") as bank:
        checked = authorised_check(bank, check_project, place.applicants[0])
    for name in LOGS:
        address = f"{place.service(name).url}/log"
        done = CliRunner().invoke(app, ["mirror", address, str(folder / name), *options(place, name)])
        assert done.exit_code == 0, done.output
    return {
        "node": folder / "node", "office": folder / "office",
        "receipt": checked.receipt_file, "entry": checked.entry_file,
    }  # fmt: skip


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> NoReturn:
        raise AssertionError("an offline check opened a connection")

    monkeypatch.setattr(socket.socket, "connect", refuse)


def test_the_command_verifies_both_logs_over_http(place: Village, run: MainRun) -> None:
    for name in LOGS:
        command = [sys.executable, "-m", "bank_client", "verify", f"{place.service(name).url}/log", *options(place, name)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (0, "")
        assert "The log is whole" in done.stdout


@pytest.mark.usefixtures("offline")
def test_mirrors_and_receipts_verify_offline(place: Village, kept: dict[str, Path]) -> None:
    for name in LOGS:
        assert "The log is whole" in verify(str(kept[name]), *options(place, name)).output
    receipt = ["--receipt", str(kept["receipt"]), "--entry", str(kept["entry"]), *options(place, "node")]
    assert "The receipt is good" in verify(*receipt).output
    wrong = [*receipt[:4], *options(place, "office")]
    assert verify(*wrong).exit_code == 1


@pytest.mark.usefixtures("offline")
def test_one_flipped_byte_of_a_mirror_is_found_and_located(place: Village, kept: dict[str, Path]) -> None:
    rng = random.Random(20_250_101)
    for name in LOGS:
        for file in sorted(path for path in kept[name].rglob("*") if path.is_file()):
            whole, relative = file.read_bytes(), str(file.relative_to(kept[name]))
            for position in sorted(rng.sample(range(len(whole)), 8)):
                file.write_bytes(flipped(whole, position, rng))
                done = verify(str(kept[name]), *options(place, name))
                assert done.exit_code == 1, (relative, position)
                assert re.match(f"NOT whole. At (entry [0-9]+|.*{relative})", done.stderr) or relative == "checkpoint"
                assert done.stderr.startswith("NOT ")
            file.write_bytes(whole)
        assert verify(str(kept[name]), *options(place, name)).exit_code == 0


@pytest.mark.usefixtures("offline")
def test_no_byte_of_a_checkpoint_can_be_flipped(place: Village, kept: dict[str, Path]) -> None:
    rng = random.Random(20_250_102)
    for name in LOGS:
        fetch, (log, *witnesses) = directory_fetch(kept[name]), map(VerifierKey.parse, place.keys(name))
        whole = fetch("checkpoint")
        for position in range(len(whole)):
            changed = flipped(whole, position, rng)
            with pytest.raises(DamagedLog):
                check_log(lambda path: changed if path == "checkpoint" else fetch(path), [log], witnesses, 2)  # noqa: B023


@pytest.mark.usefixtures("offline")
def test_no_byte_of_a_receipt_or_its_entry_can_be_flipped(place: Village, kept: dict[str, Path]) -> None:
    rng = random.Random(20_250_103)
    proof, entry = kept["receipt"].read_bytes(), kept["entry"].read_bytes()
    log, *witnesses = map(VerifierKey.parse, place.keys("node"))

    def check(proof: bytes, entry: bytes) -> None:
        Receipt.parse(proof.decode()).verify(entry, [log], witnesses, 2)

    check(proof, entry)
    for position in range(len(proof)):
        with pytest.raises((LogError, UnicodeDecodeError)):
            check(flipped(proof, position, rng), entry)
    for position in range(len(entry)):
        with pytest.raises(LogError):
            check(proof, flipped(entry, position, rng))
    for file, whole in ((kept["receipt"], proof), (kept["entry"], entry)):
        file.write_bytes(flipped(whole, rng.randrange(len(whole)), rng))
        done = verify("--receipt", str(kept["receipt"]), "--entry", str(kept["entry"]), *options(place, "node"))
        assert (done.exit_code, done.stderr[:13]) == (1, "NOT verified:")
        file.write_bytes(whole)


def flipped(data: bytes, position: int, rng: random.Random) -> bytes:
    return data[:position] + bytes([data[position] ^ 1 << rng.randrange(8)]) + data[position + 1 :]


# ---------------------------------------------------------------------- what the run says of itself


def test_the_leakage_statement_is_signed_by_both_sides(place: Village, run: MainRun) -> None:
    card = run.bank.from_node(run.model.node_card_, type(run.model.card_.node))
    assert card == run.model.card_.node
    assert run.model.leakage_.r2_most <= run.model.leakage_.r2_most_allowed <= 0.70
    own = wire.open_signed(run.model.signed_card_, type(run.model.card_), "bank-a/modeller", run.bank.me.public_key())
    assert own.node.leakage == card.leakage
