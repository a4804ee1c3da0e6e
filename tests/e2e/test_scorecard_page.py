"""The page for modellers: every block of Python on it runs, in order, against a node and an office."""

from __future__ import annotations

import copy
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from bank_client import JointScorecard
from tests.conftest import ROOT
from tests.e2e.conftest import MainRun
from tests.e2e.village import Village

pytestmark = pytest.mark.e2e
PAGE = ROOT / "docs" / "scorecard.md"
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def test_every_block_of_the_page_runs(place: Village, run: MainRun, tmp_path: Path) -> None:
    """Training, release and the decision on the card were done by `run`; its model is copied, since other tests use it."""
    blocks = BLOCK.findall(PAGE.read_text(encoding="utf-8"))
    assert len(blocks) == 16
    X, y = place.rows(place.borrowers)
    months = np.array(["2026-01", "2026-02"])
    applicants, outcome = place.rows(place.applicants)
    model = copy.copy(run.model)
    with place.bank("bank-a/modeller") as bank:
        model.bank = bank
        names: dict[str, Any] = {
            "JointScorecard": JointScorecard,
            "project": model.project, "bank": bank, "model": model, "X": X, "y": y, "folder": tmp_path,
            "applicants": applicants, "outcome": outcome, "months": months[np.arange(len(applicants)) % 2],
            "hold_out": applicants, "hold_out_outcome": outcome, "rejects": applicants[:60],
        }  # fmt: skip
        for block in blocks:
            code = compile(block, str(PAGE), "exec")
            if any(act in block for act in ("model.fit(", "model.cancel(", "model.register(")):
                continue  # a training, a release and a card a day are enough
            exec(code, names)
    assert (tmp_path / "out-of-time" / "roc.png").exists()
    assert "on the card" in (tmp_path / "report.html").read_text(encoding="utf-8")
    assert (tmp_path / "half.onnx").stat().st_size > 1000
    assert names["report"].metrics.index.tolist() == ["all", "2026-01", "2026-02"]
    assert names["challenger"].model_id_ == model.model_id_
    assert abs(float(names["found"].table.loc["auc", "difference"])) < 0.1
    drift = names["drift"]
    assert isinstance(drift.table, pd.DataFrame)
    assert drift.node.quarter.size == 1
    assert drift.node.psi[0] < 0.25
    leaves = [leaf for leaf in place.leaves("node") if leaf["action"] == "model.drift"]
    assert leaves[-1]["facts"]["model"] == model.model_id_
    assert leaves[-1]["outcome"] == "done"
