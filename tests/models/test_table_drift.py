"""What is shown of a table's bands: noise that averaging does not take off, small bands together, little about one person."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from models.scorecard.limits import LimitRefused, Limits
from models.scorecard.table_drift import NOISE, drift_of, quarter_of, shown_shares

KEY = b"k" * 32
COUNTS = np.array([400, 700, 900, 600, 400])


def shown(counts: Any, quarter: str = "2026Q1", model: str = "m1", key: bytes = KEY) -> Any:
    return shown_shares(counts, quarter, key, model, Limits())


def test_shares_are_those_of_the_table_within_the_noise() -> None:
    made = shown(COUNTS)
    assert np.allclose(made.shares, COUNTS / COUNTS.sum(), atol=5 * NOISE / COUNTS.sum())
    assert made.people == 3000
    assert made.together == 0
    assert drift_of((COUNTS / COUNTS.sum()).tolist(), made) < 0.01


def test_equal_counts_show_equal_figures_and_others_independent_ones() -> None:
    assert shown(COUNTS).shares == shown(COUNTS, quarter="2026Q2").shares
    for other in (shown(COUNTS, model="m2"), shown(COUNTS, key=b"q" * 32), shown(COUNTS + np.eye(5, dtype=int)[0])):
        assert all(a != b for a, b in zip(shown(COUNTS).shares, other.shares, strict=True))


def test_the_noise_has_the_spread_that_is_said() -> None:
    many = [np.array(shown(COUNTS, model=f"m{i}").shares) for i in range(300)]
    spread = np.std(many, axis=0) * COUNTS.sum()
    assert np.allclose(spread, NOISE, rtol=0.25)
    assert np.allclose(np.mean(many, axis=0), COUNTS / COUNTS.sum(), atol=0.001)


@pytest.mark.parametrize("small", [[10, 20], [10, 400]])
def test_small_bands_are_shown_together_and_never_one_alone(small: list[int]) -> None:
    counts = np.array([*small, 900, 1200, 1000])
    made = shown(counts)
    hidden = [i for i, share in enumerate(made.shares) if share is None]
    assert hidden == [0, 1]
    assert made.together == pytest.approx(sum(small) / counts.sum(), abs=0.02)
    assert drift_of((counts / counts.sum()).tolist(), made) < 0.01
    with pytest.raises(ValueError, match="other bands"):
        drift_of([0.5, 0.5], made)


def test_a_table_of_few_people_shows_nothing() -> None:
    with pytest.raises(LimitRefused, match="too few people"):
        shown(np.array([200, 200, 200]))


def test_quarters_are_named_in_order() -> None:
    days = [0, 89, 90, 181, 273, 365]
    expected = ["1970Q1", "1970Q1", "1970Q2", "1970Q3", "1970Q4", "1971Q1"]
    assert [quarter_of(day * 86400.0) for day in days] == expected
