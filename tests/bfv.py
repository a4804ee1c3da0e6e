"""A decrypting bank's view of a private model's blocks: the exact noise of a sum, and the naive build that does not flood."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from crypto.bfv import PRIVATE_MODEL, ModelEvaluation, ModelKey, block_pads, column
from crypto.bfv.ring import Ring, Words, ring


class Unflooded(ModelEvaluation):
    """The naive build: pads hide the score, and nobody thought of the noise."""

    def _flood(self, key: bytes) -> Words:
        return np.zeros((2, self.parameters.degree), np.uint64)


class _Tap:
    """The ring, with what is about to be switched taken down."""

    def __init__(self, real: Ring) -> None:
        self._real = real
        self.taken = np.zeros((0,), np.uint64)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)

    def add_and_switch(self, total: Any, more: Any) -> Words:
        self._real._evaluator.add_inplace(total, more)
        self.taken = self._real.residues(total)
        self._real._evaluator.mod_switch_to_next_inplace(total)
        switched: Words = self._real.residues(total)[:, 0]
        return switched


def read_noise(evaluation: ModelEvaluation, key: ModelKey, codes: NDArray[np.uint8], block: int = 0) -> list[int]:
    """Noise of each coefficient before the modulus is switched: c0 + c1·s − Δ·(score + pad), as whoever has s can tell.

    The real protocol gives less: what is sent was switched. Weights are the key's; `codes` uint8[J, n].
    """
    p = PRIVATE_MODEL
    tap = _Tap(ring(p))
    evaluation._ring = tap  # type: ignore[assignment]
    pads = evaluation.block(block, [column(row) for row in codes]).pads
    product = ring(p).times(tap.taken[1], ring(p).plain(key._secret))
    primes = np.array(p.primes[:2], np.uint64)[:, np.newaxis]
    phase = (tap.taken[0] + product) % primes
    scores = np.array(key._weights) @ codes.astype(np.int64)
    q0, q1 = p.primes[:2]
    inverse, delta, found = pow(q0, -1, q1), p.modulus // p.plain, []
    for r0, r1, pad, score in zip(*phase.tolist(), pads.tolist(), scores.tolist(), strict=True):
        value = r0 + q0 * ((r1 - r0) * inverse % q1)
        value = (value - delta * (pad + score)) % p.modulus
        found.append(value if 2 * value < p.modulus else value - p.modulus)
    return found


__all__ = ["Unflooded", "block_pads", "read_noise"]
