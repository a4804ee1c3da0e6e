"""The node's settings: closed, documented, and never with a default secret or a laxer limit."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest
from pydantic import ValidationError

from audit.service.settings import UnknownSetting
from models.scorecard import schemes
from sharing_node.settings import NodeSettings
from tests.conftest import ROOT

PREFIX = "XINQIAO_NODE_"


@pytest.fixture(autouse=True)
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "DATA_DIR": str(tmp_path),
        "OFFICE_URL": "http://127.0.0.1:8700",
        "OFFICE_KEY": base64.b64encode(bytes(31) + b"\x01").decode(),
        "OFFICE_WITNESS": "w",
    }.items():
        monkeypatch.setenv(f"{PREFIX}{name}", value)


def test_the_defaults_start() -> None:
    settings = NodeSettings.from_environment()
    assert settings.cohort_minimum == 1000
    assert settings.database.startswith("sqlite:///")


def test_every_setting_is_documented() -> None:
    documented = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")
    missing = [name for name in NodeSettings.model_fields if f"`{PREFIX}{name.upper()}`" not in documented]
    assert missing == []


def test_an_unknown_setting_stops_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(f"{PREFIX}EPOCH_HOUR", "3")
    with pytest.raises(UnknownSetting, match="EPOCH_HOUR"):
        NodeSettings.from_environment()


def test_trainings_under_paillier_need_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    assert NodeSettings.from_environment().masked_product == "lwe"
    monkeypatch.setenv(f"{PREFIX}MASKED_PRODUCT", "paillier")
    assert NodeSettings.from_environment().masked_product == "paillier"
    monkeypatch.setattr(schemes, "find_spec", lambda _name: None)
    with pytest.raises(ValidationError, match=r"xinqiao\[paillier\]"):
        NodeSettings.from_environment()
    monkeypatch.setenv(f"{PREFIX}MASKED_PRODUCT", "lwe")
    NodeSettings.from_environment()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("COHORT_MINIMUM", "999"),
        ("COLUMN_R_SQUARED", "0.71"),
        ("MEAN_R_SQUARED", "0.46"),
        ("EPOCH_HOURS", "25"),
        ("IDENTITY", "anything"),
        ("MASKED_PRODUCT", "elgamal"),
        ("DATABASE_URL", "postgresql+psycopg://node:postgres@db/node"),
        ("DATABASE_URL", "postgresql+psycopg://node@db/node"),
    ],
)
def test_a_laxer_limit_or_a_default_secret_stops_the_start(name: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(f"{PREFIX}{name}", value)
    with pytest.raises(ValidationError):
        NodeSettings.from_environment()
