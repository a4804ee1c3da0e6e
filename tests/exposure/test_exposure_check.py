"""Exposure checks end to end, over real HTTP: what comes out, who learns what, and what is missing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from models.exposure import LEAKAGE
from tests.exposure.banks import Place, place

WANG, LI = "opaque:wang", "opaque:li"


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    folder: Path = tmp_path_factory.mktemp("exposure")
    with place(folder) as made:
        made.consent(WANG, LI)
        made.owe("bank-b", {"wang": "120000.40", "zhao": 1})
        made.owe("bank-c", {"li": 7})
        made.owe("bank-d", {"wang": 30_000, "li": "0"})
        made.owe("bank-e", {})
        yield made


def test_sum_and_count_over_banks(here: Place) -> None:
    with here.answering():
        found = here.check().ask("wang")
    assert (found.amount, found.banks) == (150_000, 2)
    assert found.answered == ("bank-b", "bank-c", "bank-d", "bank-e")
    assert found.missing == ()
    assert found.leakage == LEAKAGE
