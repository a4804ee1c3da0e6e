"""`make bench` and `make prove`: what they print, what they write, and what they say to a wrong name."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from benchmarks import __main__ as bench
from benchmarks.report import Metric, Settings, machine
from tests.attacks import prove
from tests.conftest import ROOT


def test_metric_reports_its_ratio_to_the_baseline() -> None:
    assert Metric(2.0, "s", 8.0, "phe").as_json() == {
        "value": 2.0,
        "unit": "s",
        "baseline": 8.0,
        "baseline_name": "phe",
        "ratio": 0.25,
    }
    assert Metric(2.0, "s").ratio is None


def test_settings_take_sizes_from_the_environment_and_remember_them() -> None:
    settings = Settings(environment={"ROWS": "50"})
    assert (settings.size("ROWS", 10), settings.size("BYTES", 3)) == (50, 3)
    assert settings.sizes == {"rows": 50, "bytes": 3}


@pytest.mark.parametrize("given", ["0", "-4", "1e3", "many", "٣"])
def test_settings_refuse_what_is_no_size(given: str) -> None:
    with pytest.raises(ValueError, match="ROWS must be a whole number above zero, such as ROWS=10"):
        Settings(environment={"ROWS": given}).size("ROWS", 10)


def test_bench_prints_one_object(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def run(settings: Settings) -> dict[str, Metric]:
        print("working")
        return {"fit_s": Metric(float(settings.size("ROWS", 7)), "s", 14.0, "central")}

    monkeypatch.setitem(sys.modules, "benchmarks.made_here", SimpleNamespace(run=run))
    monkeypatch.setattr(bench, "names", lambda: ["made-here"])
    bench.main(["made-here"])
    printed = capsys.readouterr()
    report = json.loads(printed.out)
    assert printed.err == "working\n"
    assert list(report) == ["name", "metrics", "sizes", "machine"]
    assert report["metrics"]["fit_s"]["ratio"] == 0.5
    assert report["sizes"] == {"rows": 7}
    assert report["machine"] == machine()
    assert set(machine()) == {"cpu", "cores", "memory_gib", "python"}


@pytest.mark.parametrize(
    ("module", "sentence"),
    [("benchmarks", "Name one benchmark, as in make bench NAME=…"), ("tests.attacks.prove", "Name one attack")],
)
def test_a_wrong_name_is_answered_with_the_known_ones(module: str, sentence: str) -> None:
    command = [sys.executable, "-m", module, "no-such-name"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith(sentence)


def attack(holds: bool) -> prove.Attack:
    def campaign(count: int, seed: int) -> dict[str, Any]:
        assert holds, "R² is 0.9"
        return {"trials": count, "seeded": seed}

    return prove.Attack("made-up", 12, campaign)


def test_prove_writes_the_outcome_at_full_count(tmp_path: Path) -> None:
    evidence = json.loads(prove.prove(attack(holds=True), tmp_path, seed=5).read_text(encoding="utf-8"))
    assert (evidence["name"], evidence["count"], evidence["seed"]) == ("made-up", 12, 5)
    assert evidence["result"] == {"trials": 12, "seeded": 5}
    assert set(evidence) == {"name", "result", "count", "seed", "seconds", "machine", "version"}


def test_prove_leaves_no_outcome_of_an_attack_that_succeeds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    prove.prove(attack(holds=True), tmp_path)
    monkeypatch.setattr(prove, "EVIDENCE", tmp_path)
    monkeypatch.setattr(prove, "attacks", lambda: {"made-up": attack(holds=False)})
    with pytest.raises(SystemExit, match="Not proven: made-up"):
        prove.main(["all"])
    assert "R² is 0.9" in capsys.readouterr().out
    assert list(tmp_path.iterdir()) == []


def test_every_attack_declares_itself() -> None:
    for name, found in prove.attacks().items():
        assert name == found.name
        assert found.full_count > 0
