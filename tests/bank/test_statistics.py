"""A bank's own side of statistics: cells from borrowers, what is read of a release, and the commands' files."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from bank_client.statistics import ALL, cells_of, frame_of
from bank_client.statistics_cli import account_of, plain, read_table
from models.statistics import BankTable, Kind, Measure, StatisticsTable, release

CROPS = StatisticsTable(
    project="p", title="exposure by township and crop", period="2026-Q2", row_key="township", rows=("510104", "510105"),
    measures=(Measure(name="bad", kind=Kind.COUNT), Measure(name="exposure", kind=Kind.AMOUNT, unit="fen")),
    column_key="crop", columns=("rice", "maize"),
)  # fmt: skip


def borrowers(**changes: object) -> pd.DataFrame:
    frame = {
        "township": ["510104", "510104 ", 510105, "510105"],
        "crop": ["rice", "rice", "maize", "rice"],
        "bad": [1, 0, 1, 0],
        "exposure": [100, 250, 70, 5],
    }
    return pd.DataFrame(frame | changes)


def test_cells_are_counted_and_summed() -> None:
    made = cells_of(CROPS, borrowers())
    np.testing.assert_array_equal(made.borrowers, [[2, 0], [1, 1]])
    np.testing.assert_array_equal(made.measures, [[[1, 0], [0, 1]], [[350, 0], [5, 70]]])
    made.vector(CROPS)


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"crop": ["rice", "rice", "maize", "tea"]}, "1 lines have a crop"),
        ({"bad": [1, 0, 2, 0]}, "0 and 1"),
        ({"exposure": [1.5, 1, 1, 1]}, "smallest unit"),
        ({"exposure": [None, 1, 1, 1]}, "whole numbers"),
    ],
)
def test_lines_that_do_not_fit_are_refused(changes: dict[str, object], match: str) -> None:
    with pytest.raises(ValueError, match=match):
        cells_of(CROPS, borrowers(**changes))
    with pytest.raises(ValueError, match="no column"):
        cells_of(CROPS, borrowers().drop(columns=next(iter(changes))))


def test_a_release_as_a_frame() -> None:
    counts = np.array([[30, 2], [40, 50]])
    part = BankTable(counts, np.stack([counts // 4, counts * 10]))
    total = part.vector(CROPS) * np.uint64(3)
    frame = frame_of(release("s", CROPS, ("a", "b", "c"), total)).set_index(["township", "crop"])
    assert frame["borrowers"].isna().tolist() == [True, True, False, True, True, False, False, False, False]
    last = frame.loc[[(ALL, ALL)]]
    assert last["borrowers"].tolist() == [366]
    assert last["bad"].tolist() == [87]
    assert last["bad_rate"].tolist() == [round(87 / 366, 4)]


def test_a_table_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "table.json"
    file.write_text(json.dumps(plain(CROPS)), encoding="utf-8")
    assert read_table(file) == CROPS
    assert "2 × township by 2 × crop" in account_of(CROPS)
    file.write_text('{"project": "p", "colour": 1}', encoding="utf-8")
    with pytest.raises(ValueError, match="describes no table"):
        read_table(file)
