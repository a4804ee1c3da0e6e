"""How a score table's people are spread over its bands must not tell the band of one of them.

The reader knows the band of everybody but one in each of a year's four quarters, and takes these from what was shown; people
come and go, so that no two quarters have equal counts and equal noise. What is left is weighed by band and averaged.

On the naive build the shares are shown as they are, to three digits.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from models.scorecard.limits import Limits
from models.scorecard.table_drift import shown_shares

NAME = "table-drift"
FULL_COUNT = 2_000
SMALL_COUNT = 150
LARGEST = 0.10
BANDS, EACH, QUARTERS = 10, 200, 4

Floats = NDArray[np.float64]


def _naive(counts: NDArray[np.int64]) -> Floats:
    return np.array([float(f"{share:.3g}") for share in counts / counts.sum()])


def _shown(counts: NDArray[np.int64], key: bytes) -> Floats:
    made = shown_shares(counts, "2026Q1", key, "m", Limits())
    assert None not in made.shares
    return np.array(made.shares, dtype=np.float64)


def _target(seed: int) -> tuple[int, float, float]:
    """One person's band, and what a year says of it: on our build and on the naive one."""
    random = np.random.default_rng(seed)
    band = int(random.integers(BANDS))
    place = np.arange(BANDS) - (BANDS - 1) / 2
    left = np.zeros(2)
    for _ in range(QUARTERS):
        others = EACH + random.integers(-20, 21, BANDS)
        counts = others + np.eye(BANDS, dtype=np.int64)[band]
        for build, shares in enumerate((_shown(counts, random.bytes(32)), _naive(counts))):
            left[build] += (shares * counts.sum() - others) @ place / QUARTERS
    return band, float(left[0]), float(left[1])


def campaign(count: int, seed: int) -> dict[str, Any]:
    """R² of the target's band from what is left, over all targets."""
    targets = np.array([_target(int(one)) for one in np.random.SeedSequence(seed).generate_state(count)])
    ours, naive = (float(r) ** 2 for r in np.corrcoef(targets.T)[0, 1:])
    assert ours <= LARGEST
    assert naive > 0.5
    return {"r2": round(ours, 4), "r2_naive": round(naive, 3), "quarters": QUARTERS, "people": BANDS * EACH}


def test_a_year_of_quarters_tells_nobodys_band() -> None:
    campaign(SMALL_COUNT, 7)


@pytest.mark.parametrize("counts", [[EACH] * BANDS, [*([EACH] * (BANDS - 1)), EACH + 1]])
def test_a_table_that_does_not_change_is_shown_as_it_was(counts: list[int]) -> None:
    """Asking again takes no noise off."""
    shown = {shown_shares(counts, f"20{year}Q1", b"k" * 32, "m", Limits()).shares for year in range(26, 36)}
    assert len(shown) == 1
