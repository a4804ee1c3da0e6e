"""The bank's role in a joint training: its own columns, its committed vectors, and one answer to each message."""

from __future__ import annotations

import secrets
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from crypto.masked_product import ProductShape

from .binning import Bins, column_bins
from .inputs import BankVector, Opening, check_inputs
from .limits import InputRefused, Limits, OutOfOrder
from .moments import standard_levels
from .options import Trend
from .private import clipped, own_bads, verify_label_noise
from .rounds import COUNTS, ROUNDS, Plan, moments_of
from .schemes import Backend, BankSide, Words
from .woe import merged_bins, pooled_woe

Codes = NDArray[np.uint8]
Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


@dataclass(frozen=True, eq=False, repr=False)
class BankColumn:
    """One of the bank's own fields: bins, codes uint8[N], WOE float64[B] on its own labels, integer levels int64[B]."""

    bins: Bins
    codes: Codes
    woe: Floats
    levels: Integers
    iv: float

    def __repr__(self) -> str:
        return f"BankColumn({self.bins.field!r}, values=<secret>)"

    def apply(self, values: Sequence[object] | NDArray[np.generic]) -> Floats:
        """WOE float64[M] of values [M], also of new rows."""
        woe: Floats = self.woe[self.bins.apply(values)]
        return woe


def bank_columns(
    columns: Mapping[str, Sequence[object] | NDArray[np.generic]], labels: Codes, limits: Limits
) -> list[BankColumn]:
    """Bins and WOE of the bank's own fields on its own labels: at most 20 levels of at least 50 rows each.

    Neighbouring bins that cannot be told apart share their WOE, but keep their codes.

    Args:
        columns: field name to values [N], numbers (NaN for missing) or categories.
        labels: uint8[N], 1 for bad.
        limits: of the project.

    Raises:
        LimitRefused: a column has too few values.
    """
    made = []
    for name, values in columns.items():
        bins = column_bins(name, values, limits.levels, limits)
        made.append(bank_column(bins, bins.apply(values), labels))
    return made


def bank_column(bins: Bins, codes: Codes, labels: Codes, *, pool: bool = True, trend: Trend = "free") -> BankColumn:
    """One of the bank's own fields from its bins, codes uint8[N] and labels uint8[N].

    `pool` lets bins that bad rates cannot tell apart share their WOE; a trend pools those that do not follow it.
    """
    rows = np.bincount(codes, minlength=bins.count)
    bads = np.bincount(codes, labels, minlength=bins.count).astype(np.float64)
    groups = merged_bins(bads, rows.astype(np.float64), bins, 0.0, trend, z=float(pool))
    table = pooled_woe(bads, rows.astype(np.float64), groups)
    return BankColumn(bins, codes, table.woe, standard_levels(table.woe, rows), table.iv)


def sent_levels(plan: Plan, column: BankColumn, number: int, labels: Codes, seed: bytes) -> Integers:
    """Integer levels int64[B] of the bank's column `number` as a training sends them.

    Where labels are protected they follow from bad counts with noise, and where rows are protected they are clipped.
    """
    levels = column.levels
    if plan.own_noise:
        count, rows = column.bins.count, np.bincount(column.codes, minlength=column.bins.count)
        bads = np.clip(own_bads(column.codes, labels, count, seed, number, plan.own_noise), 0, rows).astype(np.float64)
        groups = merged_bins(bads, rows.astype(np.float64), column.bins, float(plan.own_noise))
        levels = standard_levels(pooled_woe(bads, rows.astype(np.float64), groups).woe, rows)
    return clipped(levels) if plan.privacy is not None and plan.privacy.rows else levels


class BankRounds(ABC):
    """The rounds of one training at a bank, in their order: what alone and together with others has in common."""

    def __init__(self, backend: Backend) -> None:
        self.backend = backend
        self._openings: dict[int, Opening] = {}
        self._round = 0
        self._product: BankSide | None = None

    def __repr__(self) -> str:
        return f"{type(self).__name__}(round={self._round}, inputs=<secret>)"

    @abstractmethod
    def shape(self, round_: int) -> ProductShape:
        """What a round's product looks like."""

    def opening(self, round_: int) -> Opening:
        """What the office is shown: before the round for its word on the inputs, and once more for its replay."""
        if round_ not in self._openings:
            raise OutOfOrder("the inputs of this round are not known yet", "Finish the round before it first.")
        return self._openings[round_]

    def open_round(self, session_seed: bytes) -> None:
        """Begin the next round with the seed from both nonces."""
        if self._product is not None or self._round >= ROUNDS[-1]:
            raise OutOfOrder("no further round can be opened now", "Finish the present one, or start a new training.")
        opening, shape = self.opening(self._round + 1), self.shape(self._round + 1)
        self._round += 1
        self._product = self.backend.bank(shape, session_seed, opening.alphas[: len(shape.vectors)], opening.seed)

    def encrypt(self) -> tuple[Words, Words]:
        """(b, p), of the sizes that the scheme gives them."""
        return self._current.encrypt()

    def _close(self, h: Words, c: Words) -> Words:
        """(h, c) → w; once a round, since two answers under one seed would tell it."""
        w = self._current.answer(h, c)
        self._product = None
        return w

    @property
    def _current(self) -> BankSide:
        if self._product is None:
            raise OutOfOrder("no round is open", "Open a round first.")
        return self._product


class BankTraining(BankRounds):
    """One training at the bank. For each of two rounds: `opening` (to the office), `open_round`, `encrypt`, `answer`.

    Args:
        plan: from the node.
        labels: uint8[N], 0 or 1, in the cohort's order.
        columns: the bank's own, in the same order; `plan.bank_columns` of them.
        limits: of the project.
        seeds: 32 fresh bytes a round; drawn here unless a stored job is taken up again.

    Raises:
        InputRefused: the office would refuse these inputs; the reason names which.
        LimitRefused: the plan's scheme is not installed here.
    """

    def __init__(
        self,
        plan: Plan,
        labels: Codes,
        columns: Sequence[BankColumn],
        limits: Limits,
        seeds: Sequence[bytes] | None = None,
    ) -> None:
        super().__init__(plan.backend)
        if len(columns) != plan.bank_columns:
            raise InputRefused("wrong-vectors", f"The plan names {plan.bank_columns} columns of the bank")
        if plan.privacy is not None:
            verify_label_noise(plan.privacy, plan.node_fields, plan.bank_columns)
        own = seeds or [secrets.token_bytes(32) for _ in ROUNDS]
        label_vector = BankVector.of_labels(labels)
        column_vectors = [
            BankVector.of_column(column.codes, sent_levels(plan, column, k, labels, own[-1]))
            for k, column in enumerate(columns)
        ]
        self.plan = plan
        self._openings = {
            round_: Opening((label_vector,) if round_ == COUNTS else (label_vector, *column_vectors), own[i])
            for i, round_ in enumerate(ROUNDS)
        }
        for round_ in reversed(ROUNDS):  # the last one has all columns, so a limit by their number is told as it is
            check_inputs(self._openings[round_], limits, plan.rows, plan.node_fields)

    def shape(self, round_: int) -> ProductShape:
        """What a round's product looks like."""
        return self.plan.shape(round_)

    def answer(self, h: Words, c: Words) -> tuple[Words, Integers]:
        """(h, c) → w and the bank's moments."""
        return self._close(h, c), moments_of(self._openings[self._round], self._round, self.plan.own_noise)
