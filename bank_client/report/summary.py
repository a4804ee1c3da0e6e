"""What a report needs of a training and no row can be told from: scores, bands and bins, counted. Kept in the model's file.

A model's file holds neither training rows nor labels, so a report that is written later draws its curves from here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

import msgspec
import numpy as np
from numpy.typing import ArrayLike, NDArray

if TYPE_CHECKING:
    from bank_client.joint_scorecard import JointScorecard

Floats = NDArray[np.float64]
Codes = NDArray[np.uint8]
GROUPS = 1000


class Counts(msgspec.Struct, frozen=True):
    """Rows and bads of each group, in order."""

    rows: tuple[int, ...]
    bads: tuple[int, ...]

    @classmethod
    def of(cls, codes: ArrayLike, labels: ArrayLike, groups: int) -> Self:
        """From group numbers [N] and labels [N]."""
        numbers = np.asarray(codes, dtype=np.intp)
        rows = np.bincount(numbers, minlength=groups)
        bads = np.bincount(numbers, np.asarray(labels, dtype=np.float64), minlength=groups)
        return cls(tuple(rows.tolist()), tuple(int(n) for n in bads))


class TrainingSummary(msgspec.Struct, frozen=True):
    """A training in counts.

    Attributes:
        scores: rows by their probability out of fold, in at most `GROUPS` groups; `probabilities` are the groups' means.
        bands: rows by the node's band.
        bins: rows of each of the bank's own fields by bin.
    """

    scores: Counts
    probabilities: tuple[float, ...]
    bands: Counts
    bins: dict[str, Counts]

    @classmethod
    def of(cls, model: JointScorecard) -> Self:
        """Count a model that was just released."""
        labels, found = model.labels_, np.asarray(model.out_of_fold_, dtype=np.float64)
        edges = np.unique(np.quantile(found, np.linspace(0, 1, GROUPS + 1)[1:-1], method="lower"))
        group = np.unique(np.searchsorted(edges, found, side="left"), return_inverse=True)[1]
        scores = Counts.of(group, labels, int(group.max()) + 1)
        means = np.bincount(group, found) / np.array(scores.rows)
        *own, band = model.training_codes()
        return cls(
            scores=scores,
            probabilities=tuple(means.tolist()),
            bands=Counts.of(band, labels, len(model.band_means_)),
            bins={
                column.bins.field: Counts.of(codes, labels, column.bins.count)
                for column, codes in zip(model.columns_, own, strict=True)
            },
        )

    def rows(self) -> tuple[Codes, Floats]:
        """Labels uint8[N] and probabilities float64[N] as if every row had its group's mean: for curves, not for figures."""
        rows, bads = np.array(self.scores.rows), np.array(self.scores.bads)
        of_each = np.stack([bads, rows - bads], axis=1).ravel()
        labels = np.repeat(np.tile(np.array([1, 0], dtype=np.uint8), rows.size), of_each)
        return labels, np.repeat(np.asarray(self.probabilities), rows)
