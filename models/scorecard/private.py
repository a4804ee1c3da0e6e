"""A joint training under differential privacy: what is protected, how much noise it takes, and the bank's part.

::

    protected            against    by                                                            L2 sensitivity
    a subject's label    the node   round 1: the bank's noise on J fields' bad counts, in w        √J
    (0 becomes 1 or                 the bank's own bad counts of its K columns, and their total    √(K + 1)
    1 becomes 0)                    round 2: label products withheld; the node sums its noisy
                                    bad counts instead; WOE codes and moments of the bank follow
                                    from its own noisy bad counts                                  nothing new
    a subject's row      the bank   the node's noise on bad counts and on row counts               √(2 J) each
    (its J node fields              on products of two node columns, and of a node column
    become any others)              with a bank column, within the bounds that the levels give     see `private_learner`

The cohort is known to both sides, so a unit is replaced, not added or removed. Noise on the same bad counts that is drawn
for both sides would do for either alone; each side draws its own, since it knows what it drew.

Not covered. Bands, their means and the card's R² are a release of rows, bounded by the release limits. Bins follow from row
counts of the cohort and count as given; under protected rows their edges are not shown. Whether the office accepts a label
vector at all (both classes large enough, equal to an earlier one) is exact, and so are the bank's own figures of its finished
model on its card. Label privacy rests on the node following the protocol, and like the product on LWE.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from crypto import lwe_params, noise
from crypto.masked_product import ProductShape
from crypto.masked_product.shape import NOISE_UNIT
from models.privacy import PlannedPrivacy, count_sd, rho_of, steps_for

from .inputs import BankVector, Opening
from .limits import InputRefused
from .moments import SCALE

OWN_COUNTS = b"xinqiao/scorecard/own-counts"
COLUMN_BOUND = 3  # the bank's standardised columns are clipped at ± 3 where rows are protected
SAMPLES = 10_000  # that one training may draw; the accounting has room for the twelve of a project

Codes = NDArray[np.uint8]
Integers = NDArray[np.int64]


def label_noise(epsilon: float, delta: float, node_fields: int, bank_columns: int) -> tuple[int, int]:
    """(`answer_noise`, `own_noise`) of `PlannedPrivacy` for J node fields and K bank columns.

    ρ is shared out by squared sensitivity, J to K + 1, which makes the two equally large.

    Raises:
        models.privacy.OutsideRange: cannot be kept.
    """
    return _label_noise(rho_of(epsilon, delta), node_fields, bank_columns)


def _label_noise(rho: float, node_fields: int, bank_columns: int) -> tuple[int, int]:
    share = rho / (node_fields + bank_columns + 1)
    answers = noise.TABLE_SD * steps_for(math.sqrt(node_fields), node_fields, share * node_fields)
    return math.ceil(answers * NOISE_UNIT), count_sd(math.sqrt(bank_columns + 1), share * (bank_columns + 1))


def verify_label_noise(privacy: PlannedPrivacy, node_fields: int, bank_columns: int) -> None:
    """Raise `InputRefused` where a plan's noise is smaller than its (ε, δ) needs; the last digits of a float are forgiven."""
    least = (0, 0)
    if privacy.labels:
        least = _label_noise(rho_of(privacy.epsilon, privacy.delta) * (1 + 1e-9), node_fields, bank_columns)
    if privacy.answer_noise < least[0] or privacy.own_noise < least[1]:
        raise InputRefused(
            "noise-below-privacy",
            f"The plan states epsilon {privacy.epsilon:g} and delta {privacy.delta:g} and has less noise than that takes",
            "Do not go on with this training; report it to the credit office.",
        )


# ---------------------------------------------------------------- the bank's own counts


def own_bads(codes: Codes, labels: Codes, bins: int, seed: bytes, column: int, sd: int) -> Integers:
    """Bad rows of each bin of the bank's column number `column`, with noise from the second round's seed: int64[bins]."""
    drawn = noise.gaussian(noise.prf(seed, OWN_COUNTS), b"column" + column.to_bytes(4, "big"), bins, sd)
    return np.bincount(codes, labels, minlength=bins).astype(np.int64) + drawn


def with_private_labels(moments: Integers, vectors: Sequence[BankVector], seed: bytes, sd: int) -> Integers:
    """The bank's moments int64[K+2, K+2] with the labels' row and column summed from noisy bad counts.

    The label products with a column are its levels times its noisy bad counts, so the node learns nothing of a label that
    these counts do not tell. Still a function of the opening alone, which the office repeats.
    """
    labels, made = vectors[0].codes, moments.copy()
    total = int(labels.sum(dtype=np.int64)) + int(noise.gaussian(noise.prf(seed, OWN_COUNTS), b"total", 1, sd)[0])
    sums = [
        int(vector.levels @ own_bads(vector.codes, labels, vector.levels.size, seed, k, sd))
        for k, vector in enumerate(vectors[1:])
    ]
    made[-1, :] = made[:, -1] = np.array([total, *sums, total], dtype=np.int64)
    return made


# ---------------------------------------------------------------- bounds behind protected rows


def clipped(levels: Integers) -> Integers:
    """Levels int64[B] within ± 3 standard deviations."""
    return np.clip(levels, -COLUMN_BOUND * SCALE, COLUMN_BOUND * SCALE)


def check_column_bounds(opening: Opening) -> None:
    """Where rows are protected no bank column may exceed ± 3: the node's noise counts on it. Raises `InputRefused`."""
    for place, vector in enumerate(opening.vectors[1:], 1):
        if int(np.abs(vector.alpha).max()) > COLUMN_BOUND * SCALE:
            raise InputRefused(
                "column-beyond-privacy-bound",
                f"Column {place} holds values beyond ± {COLUMN_BOUND} standard deviations, where rows are protected",
                f"Clip the columns at ± {COLUMN_BOUND}.",
            )


def error_bound(shape: ProductShape, v: int) -> float:
    """How far one row's encryption error can move a decoded product, in natural units of vector v a unit of the column.

    The table of the sampler ends below 10 standard deviations.
    """
    return 10 * lwe_params.PRODUCT.sigma / (shape.vectors[v].scale * shape.delta(v))


def samples(bins: Sequence[int], bank_columns: int) -> int:
    """How many noisy figures a training has at most, on the side that has more of them."""
    fields = len(bins)
    labels = sum(bins) + 20 * bank_columns + 1
    rows = 2 * sum(bins) + fields * (fields - 1) // 2 + fields * bank_columns
    return max(labels, rows)


# ---------------------------------------------------------------- in plain words


def sentences(privacy: PlannedPrivacy | None) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """What the leakage statement says more about (what the node learns, what the bank learns)."""
    if privacy is None:
        return (), ()
    level = f"({privacy.epsilon:g}, {privacy.delta:g})-differential privacy"
    node = (
        f"of each label only what {level} allows, in all that this training shows it; the figures of the finished model on "
        "the bank's card are the bank's own and are not covered."
    )
    bank = (
        f"of each subject's row only what {level} allows, through figures, levels and weights and so through the bands of "
        "others; the subject's own band, band edges and means, and the cut of the bins are not covered."
    )
    return (node,) * privacy.labels, (bank,) * privacy.rows


def budgets(privacy: PlannedPrivacy | None) -> tuple[tuple[str, int, int], ...]:
    """(name, used, allowed) of each side's budget, in thousandths of ε, used rounded up."""
    spendings = () if privacy is None else privacy.spendings
    return tuple(
        (
            f"thousandths of epsilon for the {s.side} in this project, at delta {s.delta:g}",
            math.ceil(1000 * s.epsilon - 1e-6),
            round(1000 * s.epsilon_allowed),
        )
        for s in spendings
    )
