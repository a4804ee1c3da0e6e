"""R² that the office reckons from counts of pairs of bins, beside R² on the rows themselves."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from models.private_leakage import Judgement, _bands, judge
from models.private_model import POSITION, PrivateField, WeightColumn, check_weights, levels, values

FIELDS = [PrivateField(name=f"f{i}", count=6, ordered=5) for i in range(10)]
COLUMNS = [WeightColumn(field=i, bin=POSITION) for i in range(10)]
ROWS = 4_000


@pytest.fixture(scope="module")
def codes() -> NDArray[np.int64]:
    rng = np.random.default_rng(0)
    common = rng.normal(size=ROWS)
    drawn = [np.digitize(0.5 * common + rng.normal(size=ROWS), [-1, -0.3, 0.3, 1, 2.5]) for _ in FIELDS]
    return np.stack(drawn)


@pytest.fixture(scope="module")
def gram(codes: NDArray[np.int64]) -> NDArray[np.float64]:
    ones = np.hstack([np.eye(6)[code] for code in codes])
    drawn = np.random.default_rng(1).normal(scale=4.0, size=(60, 60))
    return np.asarray(ones.T @ ones + np.triu(drawn) + np.triu(drawn, 1).T)


def judged(gram: NDArray[np.float64], *weights: list[int]) -> Judgement:
    return judge(FIELDS, gram, [levels(FIELDS, COLUMNS, w) for w in weights])


def on_rows(codes: NDArray[np.int64], weights: list[int]) -> list[float]:
    """R² of each field's position on the bands of the score, from the rows."""
    said = levels(FIELDS, COLUMNS, weights)
    score = np.sum([level[code] for level, code in zip(said, codes, strict=True)], axis=0)
    bands = _bands(score.astype(np.float64))
    found = []
    for code in codes:
        x = np.where(code < 5, code, 0).astype(float)
        means = {b: x[bands == b].mean() for b in np.unique(bands)}
        rest = x - np.array([means[b] for b in bands])
        found.append(float(1 - rest.var() / x.var()))
    return found


@pytest.mark.parametrize("weights", [[5] * 10, [3, -2, 4, 1, -5, 2, 2, -3, 1, 6], [31, *[1] * 9], [31, 10, 3, *[1] * 7]])
def test_the_reckoned_r2_is_the_one_on_the_rows(
    codes: NDArray[np.int64], gram: NDArray[np.float64], weights: list[int]
) -> None:
    true, reckoned = on_rows(codes, weights), judged(gram, weights)
    assert reckoned.most == pytest.approx(max(true), abs=0.06)
    assert reckoned.mean == pytest.approx(np.mean(true), abs=0.05)


def test_packed_weights_show_their_field(gram: NDArray[np.float64]) -> None:
    found = judged(gram, [1, 1, 31, *[1] * 7])
    assert found.most > 0.9
    assert found.field == "f2"


def test_one_bin_that_outweighs_all_others_is_found(gram: NDArray[np.float64]) -> None:
    columns = [*COLUMNS, WeightColumn(field=4, bin=0)]
    said = levels(FIELDS, columns, [*[1] * 10, 31])
    assert judge(FIELDS, gram, [said]).most > 0.9


def test_models_are_judged_together(gram: NDArray[np.float64]) -> None:
    first, second = [*[3] * 9, 20], [*[3] * 9, -20]
    assert judged(gram, first, second).most > judged(gram, second).most + 0.05


def test_a_position_leaves_bins_without_an_order_at_zero() -> None:
    assert values(FIELDS[0], COLUMNS[0]).tolist() == [0, 1, 2, 3, 4, 0]
    assert values(FIELDS[0], WeightColumn(field=0, bin=5)).tolist() == [0, 0, 0, 0, 0, 1]
    check_weights(FIELDS, COLUMNS, [1] * 10)
