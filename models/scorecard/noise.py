"""The node's own noise: equal questions get equal noise, any other question independent noise.

A value that the node decodes is the sum of some bank vector alpha over the rows that one of its columns selects. Before
the node uses it for anything, it adds a Gaussian of 4 times the vector's bound (in natural units: one standardised row).
The noise is a PRF of (the node's key, the cohort, the column's definition, the office's HMAC of the exact alpha): asking
again averages nothing away, and two questions that differ in one row differ in their whole noise. What is shown of products
with a bank's column has as much again that is bound to the exact node column: one part for the field, which no choice of
bins averages away, one for the column, which does not fall out of the difference of two trainings. The HMAC comes with the
office's word on the inputs, before which no round begins.

This is no differential privacy: the standard deviation is not calibrated, and equal noise shows that two questions are about
the same rows. Where a project has a privacy budget, `private_learner` draws other noise.
"""

from __future__ import annotations

import hashlib
import hmac

import numpy as np
from numpy.typing import NDArray

from crypto.noise import prf_gaussian

from .limits import Limits

ALPHA_MAC = b"xinqiao/scorecard/alpha-mac"
NODE_NOISE = b"xinqiao/scorecard/node-noise"
NO_VECTOR = bytes(32)  # stands for the bank's vector where none takes part


def alpha_mac(office_key: bytes, alpha: NDArray[np.int64]) -> bytes:
    """HMAC-SHA-256 of the exact alpha int64[N] under a key that only the office knows: 32 bytes."""
    return hmac.digest(office_key, ALPHA_MAC + np.ascontiguousarray(alpha, dtype="<i8").tobytes(), "sha256")


class NodeNoise:
    """Noise of one cohort. `key` is the node's secret (32 bytes), `cohort_root` names the cohort."""

    def __init__(self, key: bytes, cohort_root: bytes, limits: Limits) -> None:
        if len(key) != 32:
            raise ValueError("the node's noise key must be 32 bytes")
        self._key = key
        self._root = cohort_root
        self._sd = limits.node_noise

    def __repr__(self) -> str:
        return "NodeNoise(key=<secret>)"

    def draw(self, definition: bytes, mac: bytes = NO_VECTOR, bound: float = 1.0) -> float:
        """Noise of standard deviation 4 · `bound` natural units for one column and one vector."""
        parts = [NODE_NOISE, self._root, definition, mac]
        context = b"".join(len(part).to_bytes(4, "big") + part for part in parts)
        return prf_gaussian(self._key, hashlib.sha256(context).digest(), self._sd * bound)
