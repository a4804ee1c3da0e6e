"""What a bank opens to the credit office, and what the office checks before any figure may leave the node.

Everything that the bank sends in a round is deterministic in its opening (the vectors and a seed) and in the node's
answer, so the office can recompute it, and the checks here are checks of the very bytes that the node received.

    vectors     first the labels (0 or 1), then in the second round one WOE column for each of the bank's fields
    a vector    codes uint8[N] (one of at most 20 levels a row) and the integer level of each code

Leakage: the office sees labels and columns at positions that mean nothing to it, and keeps only the verdict and an HMAC
of each vector. Invented labels that are well formed cannot be told from true ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from crypto.masked_product import VectorSpec, commit_vectors

from .limits import InputRefused, Limits
from .moments import CLIP, SCALE

_SPREAD = 1.01  # of a standardised column: its mean square, with room for rounding to levels

Codes = NDArray[np.uint8]
Integers = NDArray[np.int64]


@dataclass(frozen=True, eq=False, repr=False)
class BankVector:
    """One vector alpha: `levels[codes]`.

    Attributes:
        codes: uint8[N].
        levels: int64[L], integers at `scale`.
        bound: a_v in natural units; |alpha| ≤ bound · scale.
        scale: t_v, 1 for labels and 2^10 for standardised columns.
    """

    codes: Codes
    levels: Integers
    bound: int
    scale: int

    @classmethod
    def of_labels(cls, labels: Codes) -> BankVector:
        """The label vector: 0 and 1 at scale 1."""
        return cls(np.asarray(labels, dtype=np.uint8), np.array([0, 1], dtype=np.int64), 1, 1)

    @classmethod
    def of_column(cls, codes: Codes, levels: Integers) -> BankVector:
        """A standardised WOE column at scale 2^10, within ± 8."""
        return cls(np.asarray(codes, dtype=np.uint8), np.asarray(levels, dtype=np.int64), CLIP, SCALE)

    def __repr__(self) -> str:
        return f"BankVector(rows={self.codes.size}, bound={self.bound}, scale={self.scale}, values=<secret>)"

    @property
    def alpha(self) -> Integers:
        """The integers int64[N].

        Raises:
            InputRefused: a code has no level.
        """
        if self.codes.size and int(self.codes.max()) >= self.levels.size:
            raise InputRefused("code-without-level", "A row's code has no level in the table of its column")
        alpha: Integers = self.levels[self.codes]
        return alpha

    @property
    def spec(self) -> VectorSpec:
        """Bound and scale."""
        return VectorSpec(self.bound, self.scale)


@dataclass(frozen=True, eq=False, repr=False)
class Opening:
    """All that a round's messages are computed from: the vectors, labels first, and the round's 32-byte seed."""

    vectors: tuple[BankVector, ...]
    seed: bytes

    def __repr__(self) -> str:
        return f"Opening(vectors={len(self.vectors)}, seed=<secret>)"

    @property
    def labels(self) -> Codes:
        """uint8[N]."""
        return self.vectors[0].codes

    @property
    def alphas(self) -> Integers:
        """int64[V, N]."""
        return np.stack([vector.alpha for vector in self.vectors])

    def commitments(self) -> tuple[bytes, ...]:
        """One for each vector, published before the round's first message."""
        return tuple(commit_vectors([vector.spec for vector in self.vectors], self.alphas, self.seed))


def check_inputs(opening: Opening, limits: Limits, rows: int, node_fields: int) -> None:
    """Check what a bank opened for one round.

    Args:
        opening: of the round.
        limits: of the project.
        rows: of the cohort.
        node_fields: the node's columns in this job; with the bank's own they make d.

    Raises:
        InputRefused: naming the malformed input in plain words.
    """
    if not opening.vectors or len(opening.seed) != 32:
        raise InputRefused("opening-malformed", "An opening needs the label vector and a seed of 32 bytes")
    for place, vector in enumerate(opening.vectors):
        name = "The label vector" if place == 0 else f"Column {place}"
        check_shape(name, vector, rows)
        check_vector(name, vector, limits, labels=place == 0)
    bads = int(opening.labels.astype(np.int64).sum())
    limits.check_classes(bads, rows, node_fields + len(opening.vectors) - 1)
    for (i, one), (j, other) in combinations(enumerate(opening.vectors), 2):
        if 0 < differing_rows(one, other) < limits.difference_rows:
            first = "The label vector" if i == 0 else f"Column {i}"
            raise InputRefused(
                "vectors-too-similar",
                f"{first} and column {j} say the same of all rows but fewer than {limits.difference_rows}, so that the "
                "difference of their products would speak of those few",
                f"Leave one out, or pool levels until they differ in none or in at least {limits.difference_rows} rows.",
            )
    for place, vector in enumerate(opening.vectors[1:], 1):
        # At equal noise, a column with twice the spread would read everything with half of the noise.
        if float(np.mean((vector.levels / vector.scale)[vector.codes] ** 2)) > _SPREAD:
            raise InputRefused(
                "column-not-standardised",
                f"Column {place} has a mean square above 1, so it is not standardised over its rows",
                "Subtract its mean and divide by its standard deviation over the cohort.",
            )


def check_shape(name: str, vector: BankVector, rows: int) -> None:
    """Refuse codes of another length, or without a level; raises `InputRefused`."""
    if vector.codes.shape != (rows,) or vector.codes.dtype != np.uint8:
        raise InputRefused("wrong-rows", f"{name} does not have one code for each row of the cohort")
    if vector.levels.ndim != 1 or vector.levels.dtype != np.int64 or vector.levels.size == 0:
        raise InputRefused("level-table-malformed", f"{name} has no table of integer levels")
    if int(vector.codes.max()) >= vector.levels.size:
        raise InputRefused("code-without-level", f"{name} has a row whose code is not in its table of levels")


def check_vector(name: str, vector: BankVector, limits: Limits, labels: bool, support: bool = True) -> None:
    """Refuse a vector beyond its bounds, or with too many or too rare levels; raises `InputRefused`.

    `support` is left out where levels are common to several banks, and so have their rows over all of them together.
    """
    if labels and (vector.bound, vector.scale) != (1, 1):
        raise InputRefused("labels-not-binary", "The label vector must have bound 1 and scale 1")
    if not labels and (vector.bound, vector.scale) != (CLIP, SCALE):
        raise InputRefused("column-wrong-scale", f"{name} must have bound {CLIP} and scale {SCALE}")
    if labels and vector.levels.tolist() != [0, 1]:
        raise InputRefused("labels-not-binary", "The label vector holds values other than 0 and 1")
    used = np.bincount(vector.codes, minlength=vector.levels.size)
    top = vector.bound * vector.scale
    if vector.levels.min() < -top or vector.levels.max() > top:  # min and max, since |-2^63| overflows
        raise InputRefused("value-out-of-bounds", f"{name} holds values beyond ± {vector.bound} standard deviations")
    if np.count_nonzero(used) > limits.levels:
        raise InputRefused("too-many-levels", f"{name} has more than {limits.levels} levels")
    if support and not labels and int(used[used > 0].min()) < limits.level_rows:
        raise InputRefused(
            "level-too-rare",
            f"{name} has a level with fewer than {limits.level_rows} rows, which could single out a person",
            f"Pool it with a neighbouring level until each has at least {limits.level_rows} rows.",
        )


def differing_rows(one: BankVector, other: BankVector) -> int:
    """Rows in which two vectors differ once the values of one are renamed into the other's as well as possible.

    Renaming, so that other levels for the same partition of the rows do not hide that two columns differ in one row
    only; by value, so that two codes of one value do not hide it either. The smaller of the two directions is taken.
    """
    a, b = (np.unique(v.levels, return_inverse=True)[1][v.codes] for v in (one, other))
    width = int(b.max()) + 1
    table = np.bincount(a * width + b, minlength=(int(a.max()) + 1) * width).reshape(-1, width)
    return int(a.size - max(table.max(axis=0).sum(), table.max(axis=1).sum()))


def check_same_labels(macs: Sequence[bytes]) -> None:
    """All rounds of a job use one label vector: the office's HMACs of it are equal.

    Raises:
        InputRefused: they differ.
    """
    if len(set(macs)) > 1:
        raise InputRefused(
            "labels-changed", "The label vector of the second round is not that of the first", "Train with one label vector."
        )
