"""One bank's role in a training of several: its own cohort, the common columns, answers that go under the masks."""

from __future__ import annotations

import secrets
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from crypto.masked_product import ProductShape

from .bank import BankRounds
from .group import MemberPlan, masked_words
from .group_inputs import check_group_inputs, code_vector, own_part
from .inputs import BankVector, Opening
from .limits import Limits
from .rounds import COUNTS, MOMENTS, ROUNDS

Words = NDArray[np.uint64]
Codes = NDArray[np.uint8]
Integers = NDArray[np.int64]


class GroupBankTraining(BankRounds):
    """One training at one of the banks. For each round: `opening` (to the office), `open_round`, `encrypt`, `answer`.

    Args:
        part: from the node.
        labels: uint8[N], 0 or 1, in the cohort's order.
        codes: uint8[N] of each common column, in the same order.
        limits: of the project.
        seeds: 32 fresh bytes a round; drawn here unless a stored job is taken up again.

    Raises:
        InputRefused: the office would refuse these inputs; the reason names which.
    """

    def __init__(
        self,
        part: MemberPlan,
        labels: Codes,
        codes: Sequence[Codes],
        limits: Limits,
        seeds: Sequence[bytes] | None = None,
    ) -> None:
        super().__init__(part.plan.backend)
        self.part, self._limits = part, limits
        self._codes = tuple(np.asarray(column, dtype=np.uint8) for column in codes)
        self._labels = BankVector.of_labels(labels)
        self._seeds = tuple(seeds or [secrets.token_bytes(32) for _ in ROUNDS])
        first = Opening((self._labels, *(code_vector(column) for column in self._codes)), self._seeds[0])
        self._openings = {COUNTS: self._checked(first, COUNTS, ())}

    def shape(self, round_: int) -> ProductShape:
        """What a round's product looks like."""
        return self.part.plan.shape(round_)

    def take_levels(self, levels: Sequence[Integers]) -> None:
        """The common levels int64[B] of each column, before round 2; raises `InputRefused`."""
        columns = [BankVector.of_column(codes, level) for codes, level in zip(self._codes, levels, strict=True)]
        second = Opening((self._labels, *columns), self._seeds[1])
        self._openings[MOMENTS] = self._checked(second, MOMENTS, levels)

    def answer(self, h: Words, c: Words) -> Words:
        """(h, c) → the words that go under the masks: w and the bank's own counts or moments. Never send them bare."""
        w = self._close(h, c)
        return masked_words(w, own_part(self._openings[self._round], self._round, self.part.columns))

    def _checked(self, opening: Opening, round_: int, levels: Sequence[Integers]) -> Opening:
        check_group_inputs(opening, round_, self.part, levels, self._limits)
        return opening
