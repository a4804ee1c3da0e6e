"""What the node learns under differential privacy; see `private` for what is protected.

Protected labels: the decoded bad counts carry the bank's noise, and everything about labels is computed from them.

Protected rows: nothing that was not paid for is drawn or shown. One row, replaced, moves two bins of each of J fields by one
row and by at most one bad row. Everything that is linear in a single field follows from these noisy counts. Products of two
fields need more: with levels within ± R_j (they follow from noisy counts, and so may be known),

    products of pairs of node columns:   d² ≤ min(4 B², 2 B² + Σ R_j⁴),  B² = Σ_{j<k} R_j² R_k²
    products with K bank columns, ± 3:   d² ≤ 9 K Σ (max level − min level)²

Levels and weights are then differentially private, and so is everything that is computed from them alone. Noise is a PRF of
the job's seed: within a job the same question has the same noise, and each training draws, and pays for, noise of its own.
(Noise by the question, as other trainings have it, would show whether two questions are about the same rows.)
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from crypto.xof import derive_key
from models.privacy import Grid, noisy_counts, rho_of

from .columns import NodeColumns
from .learner import Learner
from .limits import Limits
from .moments import CLIP, RIDGE, SCALE, assemble, integer_gram
from .noise import NodeNoise
from .private import COLUMN_BOUND, error_bound
from .rounds import COUNTS, MOMENTS, Plan
from .stability import CohortCounts, FieldCounts
from .tables import FieldTable, field_table

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

# Shares of ρ: bad counts decide on WOE and bins, products on weights.
BADS, ROWS, PAIRS, CROSS = 0.4, 0.1, 0.2, 0.3


class PrivateLearner(Learner):
    """A `Learner` of a training whose plan has a privacy.

    Args:
        columns: of the cohort.
        noise: the node's own, for what is not protected by the plan.
        limits: of the project.
        plan: with its privacy.
        job_seed: 32 secret bytes of this job.
    """

    def __init__(self, columns: NodeColumns, noise: NodeNoise, limits: Limits, plan: Plan, job_seed: bytes) -> None:
        assert plan.privacy is not None
        self._plan, self._privacy = plan, plan.privacy
        self._key = derive_key(job_seed, b"xinqiao/scorecard/private-noise")
        self._J, self._K = plan.node_fields, plan.bank_columns
        self._rho = rho_of(self._privacy.epsilon, self._privacy.delta)
        parts = [BADS, ROWS, PAIRS * (self._J > 1), CROSS * (self._K > 0)]
        self._shares = dict(zip(["bads", "rows", "pairs", "cross"], (part / sum(parts) for part in parts), strict=True))
        own = self._bads_grid.spread if self._privacy.rows else limits.node_noise
        spread = math.hypot(own, plan.shape(COUNTS).predicted_noise(0))
        super().__init__(columns, noise, replace(limits, node_noise=max(limits.node_noise, spread)))

    # ---------------------------------------------------------------- counts

    @property
    def _bads_grid(self) -> Grid:
        sensitivity = math.sqrt(2 * self._J) * (1 + error_bound(self._plan.shape(COUNTS), 0))
        return Grid.of(sensitivity, 2 * self._J, self._rho * self._shares["bads"])

    def _noisy_bads(self, j: int, decoded: Floats) -> Floats:
        if not self._privacy.rows:
            return super()._noisy_bads(j, decoded)
        return self._bads_grid.noisy(decoded, self._key, b"bads" + self._label_mac + j.to_bytes(4, "big"))

    def _shown_rows(self, j: int) -> Floats:
        if not self._privacy.rows:
            return super()._shown_rows(j)
        rho = self._rho * self._shares["rows"]
        found = noisy_counts(self._columns.counts(j), math.sqrt(2 * self._J), rho, self._key, b"rows" + j.to_bytes(4, "big"))
        positive = np.maximum(found, 1).astype(np.float64)
        return np.asarray(positive * (self._columns.rows / positive.sum()), dtype=np.float64)

    def _level_rows(self, j: int) -> Floats:
        return self._shown_rows(j) if self._privacy.rows else super()._level_rows(j)

    # ---------------------------------------------------------------- weights

    def learn_weights(self, decoded: Floats, macs: Sequence[bytes], own: Integers) -> None:
        """Round 2: as the plain learner, but the products with the labels follow from the first round's noisy bad counts."""
        levels = [level / SCALE for level in self.levels_]
        labels = np.array([level @ bads for level, bads in zip(levels, self._bads, strict=True)])
        if not self._privacy.rows:
            super().learn_weights(np.concatenate([labels[:, None], decoded[:, 1:]], axis=1), macs, own)
            return
        rows = [self._shown_rows(j) for j in range(self._J)]
        sums = np.array([level @ count for level, count in zip(levels, rows, strict=True)])
        node = np.diag([level**2 @ count for level, count in zip(levels, rows, strict=True)])
        context = hashlib.sha256(b"".join(level.tobytes() for level in self.levels_) + b"".join(macs)).digest()
        spread = 0.0
        if self._J > 1:
            upper = np.triu_indices(self._J, 1)
            exact = integer_gram(self.woe_columns())[upper] / SCALE**2
            grid = self._pairs_grid(levels)
            node[upper] = grid.noisy(exact, self._key, b"pairs" + context)
            node = np.triu(node) + np.triu(node, 1).T
            spread = grid.spread
        cross = np.zeros((self._J, self._K))
        if self._K:
            grid = self._cross_grid(levels)
            most = self._columns.rows * CLIP * COLUMN_BOUND
            cross = np.clip(grid.noisy(decoded[:, 1:], self._key, b"cross" + context), -most, most)
            spread = max(spread, grid.spread)
        self.moments_ = self._shown = assemble(
            self._columns.rows, node, sums, np.concatenate([labels[:, None], cross], axis=1), own
        )
        # Noise of standard deviation s on each moment moves the eigenvalues by about s · √d: a penalty as large keeps it down.
        ridge = RIDGE + spread / self._columns.rows * math.sqrt(self._J + self._K)
        self.weights_ = self.moments_.weights(ridge)[: self._J]

    def _pairs_grid(self, levels: Sequence[Floats]) -> Grid:
        squares = np.array([float(np.abs(level).max()) ** 2 for level in levels])
        fourths = float((squares**2).sum())
        both = (float(squares.sum()) ** 2 - fourths) / 2
        sensitivity = math.sqrt(max(min(4 * both, 2 * both + fourths), 1e-6))
        return Grid.of(sensitivity, self._J * (self._J - 1) // 2, self._rho * self._shares["pairs"])

    def _cross_grid(self, levels: Sequence[Floats]) -> Grid:
        ranges = sum(float(level.max() - level.min()) ** 2 for level in levels)
        bound = COLUMN_BOUND + error_bound(self._plan.shape(MOMENTS), 1)
        sensitivity = math.sqrt(max(ranges * self._K, 1e-6)) * bound
        return Grid.of(sensitivity, self._J * self._K, self._rho * self._shares["cross"])

    # ---------------------------------------------------------------- what is shown

    def _table(self, j: int) -> FieldTable:
        if not self._privacy.rows:
            return super()._table(j)
        field = replace(self._columns.fields[j], disclosable=False)  # edges are quantiles of rows, and not paid for
        return field_table(field, self._bads[j], self._shown_rows(j), self._limits)

    def counted(self) -> CohortCounts:
        """Noisy row counts of the bins, as paid for."""
        if not self._privacy.rows:
            return super().counted()
        return CohortCounts(
            fields=tuple(
                FieldCounts(bins=f.bins.definition(), categories=f.categories, rows=tuple(self._shown_rows(j).tolist()))
                for j, f in enumerate(self._columns.fields)
            )
        )

    def drift(self, earlier: CohortCounts) -> dict[str, float]:
        """Nothing under protected rows: it would take another count, which was not paid for."""
        return {} if self._privacy.rows else super().drift(earlier)


def learner_of(plan: Plan, columns: NodeColumns, noise: NodeNoise, limits: Limits, job_seed: bytes) -> Learner:
    """The learner that a plan asks for."""
    return Learner(columns, noise, limits) if plan.privacy is None else PrivateLearner(columns, noise, limits, plan, job_seed)
