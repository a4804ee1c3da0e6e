"""What the office checks of one bank in a training of several, and its replay of what that bank sent under masks.

What `inputs` checks of a bank alone holds here for all banks together where it is about the rows of a column: a common
column is standardised over the rows of all banks, and each of its levels has 50 rows there, which follows from the summed
counts. Of one bank it is checked that

    labels        are binary, with 50 rows in either class, and the same in both rounds
    columns       in round 1 bare codes below the number of common bins; in round 2 the very same codes, at the common levels
    levels        within ± 8 at scale 2^10, at most 20
    pairs         no two vectors say the same of all rows but 1 to 49, unless one is next to constant at this bank
    messages      b and p, and w with the counts or moments under this bank's masks, are those of the opened vectors and seeds

A bank that puts a single row of its own at a far level asks what it could ask alone with 49 rows it knows beside it: at most
16 natural units of that row, under the noise of 4 · 8 on each figure and more for each column asked, and beside the unknown
sums of the other banks. Within one training the rows that tell two columns apart cannot be read better than that, near to
constant or not; across trainings each has noise of its own. `tests/attacks/test_group_columns.py` measures it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from crypto.masked_product import digest_bp, digest_hc
from crypto.masked_product.bank import BankProduct

from .group import GroupPlan, MemberPlan, counts_of, masked_words, opening_specs
from .inputs import BankVector, Opening, check_shape, check_vector, differing_rows
from .limits import InputRefused, Limits
from .rounds import COUNTS, moments_of

Integers = NDArray[np.int64]
Words = NDArray[np.uint64]


def check_group_inputs(opening: Opening, round_: int, part: MemberPlan, levels: Sequence[Integers], limits: Limits) -> None:
    """Check what one bank opened for a round.

    Args:
        opening: of the round; in round 1 labels and bare codes, in round 2 labels and levelled columns.
        round_: 1 or 2.
        part: of this bank.
        levels: int64[B] of each, common to all banks; not looked at in round 1.
        limits: of the project.

    Raises:
        InputRefused: naming the malformed input in plain words.
    """
    plan = part.plan
    if len(opening.seed) != 32 or len(opening.vectors) != len(opening_specs(plan, round_)):
        raise InputRefused("wrong-vectors", f"Round {round_} takes {len(opening_specs(plan, round_))} vectors, labels first")
    for place, vector in enumerate(opening.vectors):
        name = "The label vector" if place == 0 else f"Column {place}"
        check_shape(name, vector, plan.rows)
        if place and round_ == COUNTS:
            _check_codes(name, vector, part.columns[place - 1])
        elif place:
            check_vector(name, vector, limits, labels=False, support=False)
            if not np.array_equal(vector.levels, levels[place - 1]):
                raise InputRefused("levels-not-common", f"{name} has other levels than those common to all banks")
        else:
            check_vector(name, vector, limits, labels=True)
    bads = int(opening.labels.astype(np.int64).sum())
    limits.check_classes(bads, plan.rows, 0)
    for (i, one), (j, other) in combinations(enumerate(opening.vectors), 2):
        differ = differing_rows(one, other)
        if 0 < differ < limits.difference_rows and min(_off_main(one), _off_main(other)) >= limits.difference_rows:
            raise InputRefused(
                "vectors-too-similar",
                f"{'The label vector' if i == 0 else f'Column {i}'} and column {j} say the same of all rows but fewer than "
                f"{limits.difference_rows}",
                "Leave one of them out of the common columns.",
            )


def check_same_codes(first: Sequence[bytes], second: Sequence[bytes]) -> None:
    """Labels and codes of round 2 are those of round 1, by the office's HMACs; raises `InputRefused`."""
    if tuple(first) != tuple(second):
        raise InputRefused(
            "columns-changed",
            "The labels or columns of the second round are not those of the first",
            "Train with one set of labels and columns.",
        )


def check_all_classes(bads: int, rows: int, plan: GroupPlan, limits: Limits) -> None:
    """Both classes over all banks need max(50, 10 d) rows; raises `InputRefused`."""
    limits.check_classes(bads, rows, len(plan.bins) + len(plan.columns))


def codes_as_vectors(opening: Opening) -> tuple[BankVector, ...]:
    """The vectors with bare codes: what round 1 opens, also of an opening of round 2."""
    labels, *columns = opening.vectors
    return (labels, *(code_vector(column.codes) for column in columns))


def code_vector(codes: NDArray[np.uint8]) -> BankVector:
    """A column as round 1 opens it: the codes themselves, as values at scale 1."""
    return BankVector(codes, np.arange(256, dtype=np.int64), 255, 1)


def own_part(opening: Opening, round_: int, bins: Sequence[int]) -> Integers:
    """The bank's own counts int64[2, bins] in round 1, its moments int64[K+2, K+2] in round 2."""
    if round_ == COUNTS:
        return counts_of(opening.labels, [vector.codes for vector in opening.vectors[1:]], bins)
    return moments_of(opening, round_)


@dataclass(frozen=True, eq=False, repr=False)
class GroupRecord:
    """What the office is handed of one bank's product in one round.

    Attributes:
        session_seed: 32 bytes, from both nonces.
        opening: by the bank.
        answer: the node's (h, c) as the bank hands them in.
        product, reply: hex digests of (b, p) and (h, c), as the node signed and logged them.
    """

    session_seed: bytes
    opening: Opening
    answer: tuple[Words, Words]
    product: str
    reply: str


def replayed_words(part: MemberPlan, round_: int, record: GroupRecord) -> Words:
    """The words uint64[words] that the bank must have put under its masks; the inputs themselves are checked before.

    Raises:
        InputRefused: naming the message that is not what the opening gives.
    """
    h, c = record.answer
    if digest_hc(h, c).hex() != record.reply:
        raise InputRefused("answer-not-the-nodes", f"The answer handed in for round {round_} is not the one the node sent")
    alphas = record.opening.alphas[: len(part.plan.vectors(round_))]
    product = BankProduct(part.plan.shape(round_), record.session_seed, alphas, record.opening.seed)
    if digest_bp(*product.encrypt()).hex() != record.product:
        raise InputRefused(
            "product-not-as-committed", f"The encrypted vectors of round {round_} are not the encryption of the committed ones"
        )
    return masked_words(product.answer(h, c), own_part(record.opening, round_, part.columns))


def _check_codes(name: str, vector: BankVector, bins: int) -> None:
    if (vector.bound, vector.scale) != (255, 1) or not np.array_equal(vector.levels, np.arange(256)):
        raise InputRefused("codes-malformed", f"{name} is opened by its bare codes in the first round")
    if int(vector.codes.max()) >= bins:
        raise InputRefused("code-without-level", f"{name} has a row beyond the {bins} common bins")


def _off_main(vector: BankVector) -> int:
    """Rows that do not have the commonest value of a vector."""
    values = np.unique(vector.levels, return_inverse=True)[1][vector.codes]
    return int(values.size - np.bincount(values).max())
