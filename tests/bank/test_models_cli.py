"""The register of models on the bank's and the office's command lines, and reports and exports from a model's file."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import onnxruntime
import pytest
from typer.testing import CliRunner

from audit.office.cli import app as office_app
from bank_client import Bank, models_cli
from bank_client.cli import app
from models.registry import ChangeModel, ModelDecision
from tests.bank.test_joint_scorecard import a_bank
from tests.bank.test_report import released
from tests.node.test_served_models import Pair
from tests.services import MODELLER, services


def run(*arguments: str) -> Any:
    return CliRunner().invoke(app, list(arguments))


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    with services(tmp_path_factory.mktemp("register") / "services") as pair:
        yield Pair(pair)


@pytest.fixture
def signed_in(running: Pair, monkeypatch: pytest.MonkeyPatch) -> Pair:
    """Commands act as the bank's modeller."""

    @contextmanager
    def session(_config: Path) -> Iterator[Bank]:
        with running.pair.bank(MODELLER) as made:
            yield made

    monkeypatch.setattr(models_cli, "session", session)
    return running


def test_from_filed_to_retired(signed_in: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    [filed] = json.loads(run("models", "list", "--json").stdout)["models"]
    assert (filed["id"], filed["state"], filed["version"], filed["served"]) == ("m1", "filed", 1, False)
    signed_in.decide(ModelDecision(subject="m1", approve=True, reason="in order"), "decision")
    signed_in.decide(ChangeModel(subject="m1", state="suspended", reason="drift in spring"), "state")
    shown = run("models", "show", "m1").output
    for said in ("suspended", "drift in spring", "not served", "countersigned card, by node", "cohort root", "* m1  v1"):
        assert said in shown, shown
    facts = json.loads(run("models", "show", "m1", "--json").stdout)
    assert [event["state"] for event in facts["history"]] == ["filed", "approved", "suspended"]
    assert set(facts["signed"]) == {"node's part", "card", "countersigned card", "approval"}

    assert "is retired" in run("models", "retire", "m1", "--reason", "a better one took its place").output
    assert json.loads(run("models", "list", "--state", "suspended", "--json").stdout) == {"models": []}
    assert "the office has no such model" in run("models", "list", "no-such").output

    monkeypatch.setenv("XINQIAO_OFFICE_DATA_DIR", str(signed_in.office.office.settings.data_dir))
    listed = CliRunner().invoke(office_app, ["models", "m1"]).output
    assert "m1  v1  retired" in listed
    assert "NOT served" in listed
    [entry] = json.loads(CliRunner().invoke(office_app, ["models", "--json"]).stdout)["models"]
    assert entry["reason"] == "a better one took its place"
    assert CliRunner().invoke(office_app, ["models", "--state", "lost"]).exit_code == 2


def test_a_page_and_an_export_from_a_file(tmp_path: Path) -> None:
    model = released(a_bank(tmp_path))
    model.save(tmp_path / "model.json")
    page, half = tmp_path / "report.html", tmp_path / "half.onnx"
    done = run("report", str(tmp_path / "model.json"), "-o", str(page), "--title", "春耕贷", "--json")
    assert json.loads(done.stdout) == {"models": ["m1"], "file": str(page)}
    assert "春耕贷" in page.read_text(encoding="utf-8")
    done = run("export", str(tmp_path / "model.json"), "-o", str(half), "--json")
    assert json.loads(done.stdout)["half"] == model.card_.half
    facts = onnxruntime.InferenceSession(half).get_modelmeta().custom_metadata_map
    assert facts["xinqiao.half"] == model.card_.half

    body = json.loads((tmp_path / "model.json").read_text(encoding="utf-8"))
    body["released"]["intercept"][0] += 0.01
    (tmp_path / "changed.json").write_text(json.dumps(body), encoding="utf-8")
    changed = run("export", str(tmp_path / "changed.json"))
    assert changed.exit_code == 1
    assert "another one than the card states" in changed.stderr
    (tmp_path / "rows.csv").write_text("id,y\n1,0\n", encoding="utf-8")
    refused = run("report", str(tmp_path / "model.json"), "--rows", str(tmp_path / "rows.csv"))
    assert refused.exit_code == 1
    assert "--config" in refused.stderr
