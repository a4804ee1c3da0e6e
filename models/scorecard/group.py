"""Several banks, one model: what banks, node and office agree on before the first message, and what follows from it.

::

    bank u, of K                                          node                               office
    ── own cohort, the common column definitions ───────>  bins by row counts over all cohorts
    round 1: the labels against every bin, and how the common columns fall
      opening (labels, codes, seed) ──────────────────────────────────────────────────────> well-formed? HMACs
      commitments, b, p ────────────────────────────────>
                                <──────────────────────── h, c under masks of this bank
      w, own counts, under the masks of the aggregation ─>
      opening, mask keys ─────────────────────────────────────────────────────────────────> replays: good or dropped
                                                          sum over the survivors − Σ M of just these
                                <──────────────────────── counts of the common bins → one set of WOE levels
    round 2: [labels, common columns] against the node's WOE columns; the same banks as in round 1
      … as round 1; own moments go under the masks too
                                <──────────────────────── figures that name no row; then each bank its bands

Each bank runs the masked product of `rounds` with the node for itself: own seeds, own b, p, h, c. Its scales are those of
the largest cohort and of K banks, so that the answers add up; its answer w goes out under the masks of
`crypto.secure_aggregation`, so the node reads sums over banks and nothing else.

The set of banks is settled in round 1, and round 2 counts only over this very set. A round 2 over fewer would let the node
take the difference: the levels times round 1's bad counts, less round 2's products with the labels, are the lost bank's own.
So a bank that is lost after round 1 is waited for until the deadline, and then the training ends with nothing released.

Leakage. The node learns, over all surviving banks together, noisy bad counts of its bins, the rows and bads of the common
bins, noisy moments of its columns with the labels and the common columns, and the exact moments of these; of one bank its
cohort, its number of rows, and whether it took part. A bank learns noisy rows and bads of the common bins over all banks,
each of about 50 rows or more, and what it learns from a training alone. The office learns what it learns of each bank alone.
With c banks that conspire with the node (`collusion_bound`), a sum is one over the others, at least two.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from crypto.masked_product import VectorSpec
from crypto.secure_aggregation import collusion_bound, threshold

from .limits import LimitRefused
from .rounds import COUNTS, LABELS, Plan

FEWEST_BANKS, MOST_BANKS = 3, 10
CODES = VectorSpec(bound=255, scale=1)  # how a common column is opened in round 1, before it has levels

Words = NDArray[np.uint64]
Integers = NDArray[np.int64]


@dataclass(frozen=True)
class MemberPlan:
    """One bank's part: its masked products, and the bins of each common bank column."""

    plan: Plan
    columns: tuple[int, ...]

    def words(self, round_: int) -> int:
        """Length of the vector that a bank masks in a round: w, then its counts or moments; the same for all banks."""
        shape = self.plan.shape(round_)
        return shape.columns * len(shape.vectors) + int(np.prod(self._side(round_)))

    def split(self, round_: int, words: Words) -> tuple[Words, Integers]:
        """w uint64[J, V], and the counts int64[2, bins] of round 1 or the moments int64[K+2, K+2] of round 2."""
        shape = self.plan.shape(round_)
        end = shape.columns * len(shape.vectors)
        return words[:end].reshape(shape.columns, -1), words[end:].view(np.int64).reshape(self._side(round_))

    def _side(self, round_: int) -> tuple[int, int]:
        return (2, sum(self.columns)) if round_ == COUNTS else (len(self.columns) + 2, len(self.columns) + 2)


@dataclass(frozen=True)
class GroupMember:
    """One bank: its name, the rows of its cohort, and the name of its set of subjects (32 bytes)."""

    bank: str
    rows: int
    subjects: bytes


@dataclass(frozen=True)
class GroupPlan:
    """What every shape of a training of several banks follows from.

    Attributes:
        members: 3 to 10, by name ascending.
        bins: bins of each node field, common to all.
        columns: bins of each common bank column.
        seats: banks of the project, some of which may not have joined; 0 for as many as there are members.

    Raises:
        LimitRefused: fewer or more banks, or a bank twice.
    """

    members: tuple[GroupMember, ...]
    bins: tuple[int, ...]
    columns: tuple[int, ...]
    seats: int = 0

    def __post_init__(self) -> None:
        names = [member.bank for member in self.members]
        if not FEWEST_BANKS <= len(names) <= MOST_BANKS or names != sorted(set(names)):
            raise LimitRefused(
                "group-size",
                f"{len(names)} banks cannot train together",
                f"{FEWEST_BANKS} to {MOST_BANKS} different banks train one model.",
            )

    @property
    def banks(self) -> tuple[str, ...]:
        """Names, ascending."""
        return tuple(member.bank for member in self.members)

    @property
    def fewest(self) -> int:
        """max(t, c + 2): over fewer banks nothing comes out."""
        return max(threshold(self.seats or len(self.members)), self.colluding + 2)

    @property
    def colluding(self) -> int:
        """c: how many of the banks may conspire with the node, and the others stay hidden."""
        return collusion_bound(self.seats or len(self.members))

    def member(self, bank: str) -> GroupMember:
        """A member by name; raises KeyError."""
        return next(iter(member for member in self.members if member.bank == bank))

    def rows(self, banks: Sequence[str]) -> int:
        """Rows of these banks together."""
        return sum(self.member(bank).rows for bank in banks)

    def plan(self, bank: str) -> Plan:
        """One bank's masked products; scales are those of the largest cohort and of all K banks."""
        largest = max(member.rows for member in self.members)
        return Plan(self.member(bank).rows, self.bins, len(self.columns), banks=len(self.members), largest_rows=largest)

    def part(self, bank: str) -> MemberPlan:
        """What one bank is told: its own sizes, and of the others how many they are and the rows of the largest."""
        return MemberPlan(self.plan(bank), self.columns)

    def check_enough(self, banks: Sequence[str]) -> None:
        """Refuse a sum over too few banks; raises `LimitRefused`."""
        if len(banks) < self.fewest:
            raise LimitRefused(
                "too-few-banks",
                f"{len(banks)} of {len(self.members)} banks are left where {self.fewest} are needed, so nothing comes out",
                "Train again when the others are back.",
            )

    def fewest_rows(self) -> int:
        """Rows of the smallest cohorts that a sum may come down to once those of c conspiring banks are known."""
        rows = sorted(member.rows for member in self.members)
        return sum(rows[: self.fewest - self.colluding])

    def check_same(self, first: Sequence[str], second: Sequence[str]) -> None:
        """Refuse a second round over other banks than the first; raises `LimitRefused`."""
        if tuple(first) != tuple(second):
            raise LimitRefused(
                "banks-changed",
                f"{len(set(first) - set(second))} of the banks of the first round are missing in the second; the difference of "
                "both rounds would show what those have, so nothing comes out",
                "Train again with the same banks when they are back, or with changed labels.",
            )


def masked_words(w: Words, own: Integers) -> Words:
    """What goes under the masks of the aggregation: w and the bank's own counts or moments, as words modulo 2^64."""
    return np.concatenate([w.ravel(), np.ascontiguousarray(own, dtype=np.int64).view(np.uint64).ravel()])


def opening_specs(plan: Plan, round_: int) -> tuple[VectorSpec, ...]:
    """Bound and scale of the vectors that a bank opens in a round, labels first."""
    return (LABELS,) + (CODES,) * plan.bank_columns if round_ == COUNTS else plan.vectors(round_)


def counts_of(labels: NDArray[np.uint8], codes: Sequence[NDArray[np.uint8]], bins: Sequence[int]) -> Integers:
    """Rows and bad rows int64[2, bins] of each bin of the common columns, column by column."""
    rows = [np.bincount(column, minlength=count) for column, count in zip(codes, bins, strict=True)]
    bads = [np.bincount(column[labels == 1], minlength=count) for column, count in zip(codes, bins, strict=True)]
    empty = np.zeros(0, dtype=np.int64)
    return np.stack([np.concatenate([empty, *rows]), np.concatenate([empty, *bads])]).astype(np.int64)


def pooled_name(label: bytes, parts: Sequence[tuple[str, bytes]]) -> bytes:
    """One name (32 bytes) for what several banks have each: equal questions to equal banks have equal names."""
    state = hashlib.sha256(b"xinqiao/scorecard/group/" + label)
    for bank, part in sorted(parts):
        for each in (bank.encode(), part):
            state.update(len(each).to_bytes(4, "big") + each)
    return state.digest()
