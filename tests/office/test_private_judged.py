"""Private models that the office judges together, and what they are cut into: without services, from counts of pairs."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from audit.office.private_models import _judge
from audit.office.store.private_models import Opened, StoredPrivate
from models.private_leakage import Judgement, carried
from models.private_model import (
    POSITION,
    ColumnMoments,
    PrivateField,
    PrivateLayout,
    PrivateOpening,
    WeightColumn,
    WeightsRefused,
)
from models.wire import Signed

pytestmark = pytest.mark.attack
FIELDS, ROWS = 10, 4_000
FIRST, SECOND = (-1.0, -0.3, 0.3, 1.0), (-1.1, -0.2, 0.35, 0.9, 1.8)
POSITIONS = tuple(WeightColumn(field=i, bin=POSITION) for i in range(FIELDS))
Floats = NDArray[np.float64]


def latent() -> Floats:
    rng = np.random.default_rng(0)
    return np.asarray(0.5 * rng.normal(size=ROWS) + rng.normal(size=(FIELDS, ROWS)))


def moments(model: str, values: Floats, cuts: tuple[float, ...], rare: float = 2.5) -> ColumnMoments:
    """A layout with these cuts; the last field has a bin without an order for its rarest rows."""
    edges = (*cuts, rare)
    codes = np.stack([np.digitize(z, edges) for z in values])
    fields = tuple(PrivateField(name=f"f{i}", count=len(edges) + 1, ordered=len(edges)) for i in range(FIELDS))
    ones = np.hstack([np.eye(len(edges) + 1)[code] for code in codes])
    layout = PrivateLayout(
        model=model, project="p", bank="bank-a", fields=fields, nonce=bytes(32), rows=ROWS, data_day="2026-11-22"
    )
    return ColumnMoments(layout=layout, gram=np.asarray(ones.T @ ones, dtype="<f8").tobytes())


def opening(columns: tuple[WeightColumn, ...], weights: list[int]) -> PrivateOpening:
    nothing = Signed(kind="", signer="", payload=b"", signature=b"")
    return PrivateOpening(layout=nothing, nonce=bytes(32), columns=columns, weights=tuple(weights), seed=bytes(32))


def registered(told: ColumnMoments, weights: list[int]) -> StoredPrivate:
    return StoredPrivate(told.layout.model, "bank-a", told, Opened(POSITIONS, tuple(weights)), 1, 0.0, 0.0)


@pytest.mark.parametrize("cuts", [FIRST, SECOND])
def test_models_are_judged_together_whatever_their_bins(cuts: tuple[float, ...]) -> None:
    """Either alone is a model; their difference is one field. Bins are cut anew with every delivery of data."""
    values = latent()
    first, second = [6] * 9 + [10], [6] * 9 + [-10]
    before = registered(moments("a", values, cuts), first)
    told = moments("b", values, FIRST)
    assert _judge(told, opening(POSITIONS, second), []).most < 0.5
    with pytest.raises(WeightsRefused, match=r"earlier private models.*variance of a column of f9"):
        _judge(told, opening(POSITIONS, second), [before])


@pytest.mark.parametrize("weight", [1, 2])
def test_a_rare_bin_that_stands_apart_in_the_scores_is_found(weight: int) -> None:
    """One row in a hundred, 31 points off the others: nothing to 20 bands of equally many rows, and plain to see."""
    values = latent()
    columns, weights = (*POSITIONS, WeightColumn(field=9, bin=5)), [*[weight] * 9, 0, 31]
    told = moments("a", values, FIRST)
    rare = np.digitize(values[9], (*FIRST, 2.5)) == 5
    score = weight * sum(np.where((c := np.digitize(z, (*FIRST, 2.5))) < 5, c, 0) for z in values[:9]) + 31 * rare
    apart = max(float(np.corrcoef(score >= limit, rare)[0, 1] ** 2) for limit in np.unique(score)[1:])
    assert apart > 0.8
    with pytest.raises(WeightsRefused, match="variance of a column of f9"):
        _judge(told, opening(columns, weights), [])


def test_weights_on_rare_bins_are_no_fields() -> None:
    """Two fields, and eight that hardly anybody is moved by."""
    columns = (*POSITIONS[:3], *(WeightColumn(field=i, bin=5) for i in range(3, 10)))
    told = moments("a", latent(), FIRST)
    with pytest.raises(WeightsRefused, match="3 fields move more than a few scores"):
        _judge(told, opening(columns, [9, 9, 9, *[5] * 7]), [])
    assert judged_alone(told, [2] * 10).most < 0.7


def judged_alone(told: ColumnMoments, weights: list[int]) -> Judgement:
    return _judge(told, opening(POSITIONS, weights), [])


@pytest.mark.parametrize("rule", [lambda z: z, lambda z: 5 - z])
def test_a_level_is_carried_to_bins_of_the_same_rows(rule: Callable[[int], int]) -> None:
    was, now = PrivateField(name="f", count=4, ordered=3), PrivateField(name="f", count=5, ordered=4)
    level = np.array([rule(0), rule(1), rule(2), rule(7)])
    found = carried(level, (was, np.array([0.2, 0.4, 0.2, 0.2])), (now, np.array([0.2, 0.2, 0.2, 0.2, 0.2])))
    assert found == pytest.approx([rule(0), rule(1), rule(1), rule(2), rule(7)])
