"""`xinqiao bank private-model`: what it takes and says, without a service."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from bank_client.cli import app
from bank_client.private_cli import _weights, _where
from models.private_model import PrivateField
from models.scorecard.binning import NumericBins

runner = CliRunner()


def test_a_model_s_file_is_never_written_over(tmp_path: Path) -> None:
    file = tmp_path / "model"
    file.write_bytes(b"a key")
    refused = runner.invoke(app, ["private-model", "open", str(file), "joint"])
    assert refused.exit_code == 1
    assert "name a new one" in refused.output
    assert file.read_bytes() == b"a key"


@pytest.mark.parametrize("content", ["[1]", '{"income": "3"}', '{"income": [1, "2"]}', '{"income": 1.5}'])
def test_weights_that_are_no_integers_are_refused_before_anything_is_sent(tmp_path: Path, content: str) -> None:
    (tmp_path / "weights").write_text(content)
    with pytest.raises(ValueError, match="of integers"):
        _weights(tmp_path / "weights")


def test_weights_are_one_for_a_field_or_one_for_a_bin(tmp_path: Path) -> None:
    given = {"income": 3, "arrears": [0, -6, -14]}
    (tmp_path / "weights").write_text(json.dumps(given))
    assert _weights(tmp_path / "weights") == given


def test_bins_are_shown_where_they_may_be() -> None:
    bins = NumericBins("income", (1000.0, 5000.0), 0)
    shown = _where(PrivateField(name="income", count=3, ordered=3, bins=bins.definition()))
    assert shown.count(";") == 2
    assert "1000" in shown.replace(",", "")
    assert _where(PrivateField(name="hidden", count=3, ordered=3)) == ""
