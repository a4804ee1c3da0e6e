"""Stability of the node's fields between two periods, from row counts that carry its noise.

The node keeps the noisy row counts of a proven training and counts a later cohort in the same bins. No message is needed
for it, and nothing but these counts goes into the index. Noise alone adds about 2 · 16 · B / (n · N) for B bins of n of N rows:
0.013 for 20 bins of 50 rows, which is far below the 0.10 from which people take a change for real.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from models.wire import Message

from .binning import bins_from_definition
from .columns import NodeColumns, NodeField
from .counts import members, noisy_rows
from .metrics import psi
from .noise import NodeNoise


class FieldCounts(Message):
    """Noisy rows of each bin of a field in one training; as secret as the bins' edges."""

    bins: bytes
    categories: tuple[str, ...]
    rows: tuple[float, ...]

    def __repr__(self) -> str:
        return "FieldCounts(<secret>)"


class CohortCounts(Message):
    """All fields of a training."""

    fields: tuple[FieldCounts, ...]


def counted(columns: NodeColumns, noise: NodeNoise) -> CohortCounts:
    """Row counts of a training's own bins."""
    return CohortCounts(
        fields=tuple(_counted(entry, row, noise) for entry, row in zip(columns.fields, columns.raw, strict=True))
    )


def drift(earlier: CohortCounts, columns: NodeColumns, noise: NodeNoise) -> dict[str, float]:
    """Stability index by name of the fields that both trainings have.

    Args:
        earlier: counts of the earlier one.
        columns: of the present one, with raw values.
        noise: of the present cohort.
    """
    present = {entry.name: (entry, row) for entry, row in zip(columns.fields, columns.raw, strict=True)}
    found = {}
    for counts in earlier.fields:
        bins = bins_from_definition(counts.bins)
        if bins.field not in present:
            continue
        entry, row = present[bins.field]
        now = _counted(NodeField(bins, categories=entry.categories or counts.categories), row, noise)
        found[bins.field] = 0.0 if now.rows == counts.rows else psi(counts.rows, now.rows)
    return found


def same_rows(found: dict[str, float]) -> bool:
    """Whether nothing differs, as for the same cohort on the same day: then there are no two periods."""
    return not any(found.values())


def _counted(entry: NodeField, raw: NDArray[np.float64], noise: NodeNoise) -> FieldCounts:
    codes = entry.codes(raw)
    count = entry.bins.count
    rows = noisy_rows(noise, np.bincount(codes, minlength=count), members(codes, count))
    return FieldCounts(bins=entry.bins.definition(), categories=entry.categories, rows=tuple(rows.tolist()))
