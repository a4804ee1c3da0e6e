"""A masked product small enough to be solved: the same code under a secret of dimension 32, and exact linear algebra.

No security is claimed at this size. An attack that solves for a secret in a mutated build takes seconds here instead of
hours, and the sound build must withstand the same computation.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from unittest.mock import patch

import numpy as np
from numpy.typing import NDArray

from crypto import lwe_params

DIMENSION = 32


@contextmanager
def toy_dimension() -> Iterator[None]:
    """All of the masked product at dimension 32 while this is open."""
    small = replace(lwe_params.PRODUCT, name="toy", dimension=DIMENSION)
    with patch.object(lwe_params, "PRODUCT", small):
        yield


def solve(rows: NDArray[np.uint64], right: NDArray[np.uint64], bits: int = 64) -> NDArray[np.float64]:
    """x with rows · x = right modulo 2^bits by elimination with odd pivots, read as signed: float64[dimension].

    ``rows`` uint64[J, dimension], J some 40 above the dimension so that odd pivots exist. Where the equations contradict
    each other (they carry noise) the answer is meaningless, as it should be.
    """
    system = np.hstack([rows, right[:, np.newaxis]])
    n = rows.shape[1]
    for k in range(n):
        pivot = k + int(np.flatnonzero(system[k:, k] & np.uint64(1))[0])
        system[[k, pivot]] = system[[pivot, k]]
        system[k] *= np.array(pow(int(system[k, k]), -1, 1 << 64), np.uint64)
        factors = system[:, k].copy()
        factors[k] = 0
        system -= factors[:, np.newaxis] * system[k]
    unused = np.uint64(64 - bits)
    return ((system[:n, n] << unused).view(np.int64) >> unused.view(np.int64)).astype(np.float64)


def r_squared(guess: NDArray[np.float64], truth: NDArray[np.float64]) -> float:
    """Squared correlation of a guess with the truth; 0 for a constant guess."""
    guess, truth = np.ravel(guess), np.ravel(truth)
    if guess.std() == 0 or truth.std() == 0:
        return 0.0
    return float(np.corrcoef(guess, truth)[0, 1] ** 2)
