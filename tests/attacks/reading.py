"""How much an attacker's guesses say of the cells that they are about, over many cohorts."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def r_squared(trial: Callable[[int, bool], tuple[Floats, Floats]], count: int, seed: int) -> tuple[float, float]:
    """R² of guesses and cells over `count` trials, on this build and on the naive one.

    `trial(seed, naive)` gives the guesses at some cells and the cells themselves, float64 of one length.
    """

    def over_all(naive: bool) -> float:
        pairs = [trial(seed + number, naive) for number in range(count)]
        guesses, cells = (np.concatenate(part) for part in zip(*pairs, strict=True))
        return float(np.corrcoef(guesses, cells)[0, 1] ** 2)

    return over_all(False), over_all(True)
