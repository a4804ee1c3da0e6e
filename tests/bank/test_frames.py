"""What a DataFrame must be, and what is said where it is not."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from bank_client.frames import check_frame, check_labels, columns_of
from models.scorecard.bank import bank_columns
from models.scorecard.limits import Limits


def frame(rows: int = 6) -> pd.DataFrame:
    return pd.DataFrame(
        {"amount": np.arange(rows, dtype=float), "kind": ["a", "b", None] * (rows // 3)},
        index=pd.Index([f"row-{i}" for i in range(rows)], name="id"),
    )


GOOD = frame()


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        (GOOD.to_numpy(), "DataFrame"),
        (GOOD[:0], "no rows"),
        (GOOD[[]], "no rows or no columns"),
        (pd.concat([GOOD, GOOD[:1]]), "once"),
        (GOOD.rename(index={"row-0": None}), "repeated or empty"),
        (GOOD.set_axis(["amount", "amount"], axis=1), "same name"),
        (GOOD.assign(amount=[np.inf, 1, 2, 3, 4, 5]), "infinite"),
        (GOOD.assign(amount=1.0), "one value in all rows"),
        (GOOD.assign(kind=None), "is empty"),
        (GOOD.assign(kind=pd.Timestamp("2024-01-01")), "dates"),
    ],
    ids=["array", "no-rows", "no-columns", "repeated", "empty-id", "columns", "infinite", "constant", "empty", "dates"],
)
def test_a_frame_that_cannot_be_used_says_why(bad: object, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        check_frame(bad)


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        ([0, 1, 0, 1, 0], "5 labels for 6 rows"),
        ([0, 1, 0, 1, 0, 2], "0 \\(good\\) or 1 \\(bad\\)"),
        ([0, 1, 0, 1, 0, np.nan], "0 \\(good\\) or 1 \\(bad\\)"),
        (["no", "yes", "no", "no", "no", "no"], "0 \\(good\\) or 1 \\(bad\\)"),
        ([1, 1, 1, 1, 1, 1], "all labels are 1"),
        (pd.Series([0, 1, 0, 1, 0, 1]), "other ids"),
    ],
    ids=["length", "third-class", "gap", "words", "one-class", "index"],
)
def test_labels_that_cannot_be_used_say_why(bad: object, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        check_labels(GOOD, bad)  # type: ignore[arg-type]


def test_labels_follow_the_ids_and_not_the_places() -> None:
    labels = pd.Series([0, 0, 0, 1, 1, 1], index=GOOD.index)
    assert check_labels(GOOD, labels.sample(frac=1, random_state=1)).tolist() == [0, 0, 0, 1, 1, 1]
    assert check_labels(GOOD, labels.astype(bool).to_numpy()).dtype == np.uint8


def test_a_fitted_model_names_the_columns_that_are_missing() -> None:
    with pytest.raises(ValueError, match="amount"):
        check_frame(GOOD[["kind"]], fitted=["amount", "kind"])
    check_frame(GOOD[:1], fitted=["amount", "kind"])  # one applicant is constant in every column


def test_columns_become_what_the_scorecard_bins() -> None:
    rows = 600
    rng = np.random.default_rng(3)
    table = pd.DataFrame(
        {
            "number": np.where(rng.uniform(size=rows) < 0.2, np.nan, rng.standard_normal(rows)),
            "nullable": pd.array(rng.integers(0, 4, rows), dtype="Int64"),
            "flag": rng.uniform(size=rows) < 0.5,
            "word": pd.Categorical(rng.choice(["水稻", "小麦", "油菜"], rows)),
        }
    )
    table.loc[:99, "word"] = np.nan
    columns = columns_of(table)
    labels = (rng.uniform(size=rows) < 0.4).astype(np.uint8)
    made = {column.bins.field: column for column in bank_columns(columns, labels, Limits())}
    assert made["number"].bins.count > 2
    assert made["number"].codes[np.isnan(table["number"])].tolist() == [made["number"].bins.missing] * int(
        table["number"].isna().sum()
    )
    assert made["nullable"].bins.count == 4
    assert made["flag"].bins.count == 2
    assert made["word"].bins.count == 4  # three crops, and the rows without one
