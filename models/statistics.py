"""Statistics across banks: each gives counts and sums by public cells, only sums come out, and small cells do not.

A table has one or two public keys (a township code; a township code and a crop). Each borrower of a bank falls into one cell at
most. A bank's vector, int64 as two's complement in Z_2^64:

    borrowers [R, C] ‖ each measure [R, C] ‖ of each amount, borrowers who have any [R, C]
    ‖ "has any borrower here", 0 or 1, of cells and margins [R', C']

R' = R + 1 where there is more than one row, C' likewise. The flags add up to the number of contributing banks.

What is hidden. A cell with 1 to 9 borrowers, or with 1 or 2 contributing banks; of a measure that counts borrowers also where
1 to 9 of them have the property, or have it not; of an amount also where 1 to 9 have any of it. And as many others as it takes
that no hidden cell follows from the margins: `models.suppression`.

Leakage statement. Everyone learns the shown cells and margins, which cells are hidden, and which banks took part. The node
learns the sums of hidden cells as well. Where inputs are proven, the office sees each bank's table while it checks it. Without
that nothing in a bank's table is checked: a bank that invents borrowers can have small cells shown. A bank knows its part of
each cell, so of a cell with three banks it learns the sum of two. Tables of one project never show one measure of one period
twice, so that two partitions of the same people cannot be subtracted from each other; over projects the office decides.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from models import wire
from models.problems import BadMessage
from models.suppression import Table, hide, with_margins
from models.wire import Message, pack, unpack

FEWEST_BORROWERS = 10
FEWEST_BANKS = 3
MOST_CELLS = 4096
MOST_MEASURES = 16
LARGEST_COUNT = 1 << 31
LARGEST_SUM = 1 << 53

Ints = NDArray[np.int64]
Noise = Callable[[str, Ints], Ints]
"""Adds noise to what is released: (name of the measure, exact values with margins) to noisy values of the same shape."""


class MalformedInput(ValueError):
    """A bank's vector cannot be one of this table; the message names the place and no value."""


class Kind(StrEnum):
    """A count says how many of a cell's borrowers have a property; an amount is a sum over them."""

    COUNT = "count"
    AMOUNT = "amount"


class Measure(Message):
    """What is summed, e.g. ``non_performing`` (count) or ``exposure`` (amount, in ``fen``)."""

    name: str
    kind: Kind
    unit: str = ""


_PERIOD = re.compile(r"20[0-9]{2}(-Q[1-4]|-(0[1-9]|1[0-2])(-(0[1-9]|[12][0-9]|3[01]))?)?")


class StatisticsTable(Message):
    """What the banks agree on. `rows` and `columns` are public keys; with one dimension `columns` is ``("",)``."""

    project: str
    title: str
    period: str
    row_key: str
    rows: tuple[str, ...]
    measures: tuple[Measure, ...]
    column_key: str = ""
    columns: tuple[str, ...] = ("",)

    @property
    def shape(self) -> tuple[int, int]:
        """R, C."""
        return len(self.rows), len(self.columns)

    @property
    def shape_with_margins(self) -> tuple[int, int]:
        """R', C'."""
        rows, columns = self.shape
        return rows + (rows > 1), columns + (columns > 1)

    @property
    def length(self) -> int:
        """Words of a bank's vector."""
        layers = 1 + len(self.measures) + self.amounts
        return int(np.prod(self.shape)) * layers + int(np.prod(self.shape_with_margins))

    @property
    def amounts(self) -> int:
        """How many of the measures are amounts."""
        return sum(measure.kind is Kind.AMOUNT for measure in self.measures)

    def check(self) -> None:
        """Raise `BadMessage` for a table that cannot be."""
        for what, keys in (("rows", self.rows), ("columns", self.columns)):
            if not keys or len(set(keys)) != len(keys) or any(len(key) > 64 or not key.isprintable() for key in keys):
                raise BadMessage(f"the {what} of a table are different printable keys of at most 64 characters")
        if int(np.prod(self.shape)) > MOST_CELLS or not 0 <= len(self.measures) <= MOST_MEASURES:
            raise BadMessage(f"a table has at most {MOST_CELLS} cells and {MOST_MEASURES} measures")
        names = [measure.name for measure in self.measures]
        if len(set(names)) != len(names) or not all(name.isidentifier() and len(name) <= 64 for name in names):
            raise BadMessage("measures have different names of letters, digits and underscores")
        # One spelling for one period: what was shown of it is remembered by this name.
        if not _PERIOD.fullmatch(self.period) or not 1 <= len(self.title) <= 200:
            raise BadMessage("a table has a title of at most 200 characters and a period: 2026, 2026-Q2, 2026-06 or 2026-06-30")


class StatisticsRelease(Message):
    """What comes out of a session: int64[1 + measures, R', C'] with margins last, zero where `shown` (as many bytes) is 0.

    The first layer are borrowers. `noise` names the noise that was added, if any.
    """

    session: str
    table: StatisticsTable
    banks: tuple[str, ...]
    values: bytes
    shown: bytes
    hidden: int
    noise: str = ""


@dataclass(frozen=True, repr=False)
class BankTable:
    """One bank's cells: `borrowers` int64[R, C], `measures` int64[M, R, C].

    `holders` int64[A, R, C] says of each amount how many borrowers have any of it; None says that all of a cell have, where
    the cell's amount is not zero.
    """

    borrowers: Ints
    measures: Ints
    holders: Ints | None = None

    def vector(self, table: StatisticsTable) -> NDArray[np.uint64]:
        """The bank's summand, uint64[length]; raises `MalformedInput`."""
        if self.borrowers.shape != table.shape or self.measures.shape != (len(table.measures), *table.shape):
            raise MalformedInput("the bank's cells have another shape than the table")
        holders = self.holders
        if holders is None:
            amounts = [measure.kind is Kind.AMOUNT for measure in table.measures]
            holders = np.where(self.measures[amounts] != 0, self.borrowers, 0)
        if holders.shape != (table.amounts, *table.shape):
            raise MalformedInput("the bank's cells have another shape than the table")
        flags = (with_margins(self.borrowers) > 0).astype(np.int64)
        parts = (self.borrowers, self.measures, holders, flags)
        words = np.concatenate([part.ravel() for part in parts]).astype(np.int64).view(np.uint64)
        check_input(table, words)
        return words


def decode_table(form: bytes) -> StatisticsTable:
    """The table that a session's form holds; raises `BadMessage`."""
    table = wire.decode(form, StatisticsTable)
    table.check()
    return table


def check_input(table: StatisticsTable, vector: NDArray[np.uint64]) -> None:
    """Raise `MalformedInput` unless a vector can be a bank's: whole numbers in their ranges, nothing where nobody is."""
    borrowers, measures, holders, flags = split(table, vector)
    if borrowers.min() < 0 or borrowers.max() > LARGEST_COUNT:
        raise MalformedInput("a number of borrowers is negative, or larger than any bank has")
    if not np.array_equal(flags, with_margins(borrowers) > 0):
        raise MalformedInput("the flags of contributing do not follow from the numbers of borrowers")
    if holders.size and (holders.min() < 0 or (holders > borrowers).any()):
        raise MalformedInput("more borrowers have an amount than there are in a cell, or fewer than none")
    held = iter(holders)
    # Measures by number: the reason stands in logs, and their names are words that a bank has chosen.
    for number, (measure, values) in enumerate(zip(table.measures, measures, strict=True), start=1):
        if measure.kind is Kind.COUNT and (values.min() < 0 or (values > borrowers).any()):
            raise MalformedInput(f"measure {number} counts more borrowers than there are in a cell, or fewer than none")
        if values.min() < -LARGEST_SUM or values.max() > LARGEST_SUM or values[borrowers == 0].any():
            raise MalformedInput(f"measure {number} is beyond its range, or not zero where nobody is")
        if measure.kind is Kind.AMOUNT and values[next(held) == 0].any():
            raise MalformedInput(f"measure {number} is not zero where nobody has any of it")


def split(table: StatisticsTable, vector: NDArray[np.uint64]) -> tuple[Ints, Ints, Ints, Ints]:
    """Of a vector or a sum of vectors: borrowers int64[R, C], measures int64[M, R, C], who has any of each amount
    int64[A, R, C], and flags int64[R', C']."""
    if vector.shape != (table.length,) or vector.dtype != np.uint64:
        raise MalformedInput(f"a vector of this table has {table.length} words of 64 bits")
    flags = vector.size - int(np.prod(table.shape_with_margins))
    layers = vector.view(np.int64)[:flags].reshape(-1, *table.shape)
    end = 1 + len(table.measures)
    return layers[0], layers[1:end], layers[end:], vector.view(np.int64)[flags:].reshape(table.shape_with_margins)


def release(
    session: str,
    table: StatisticsTable,
    banks: Sequence[str],
    total: NDArray[np.uint64],
    noise: tuple[str, Noise] | None = None,
) -> StatisticsRelease:
    """What may be shown of a sum. `noise` is a name that says what it is, and the function that adds it.

    What is hidden follows from the exact sums, noise or not; with noise margins need not add up.
    """
    borrowers, measures, holders, flags = split(table, total)
    held = iter(holders)
    counts = with_margins(borrowers)
    few = _few(counts) | ((counts > 0) & (flags < FEWEST_BANKS))
    hidden_counts = hide(Table(counts, flags, few), FEWEST_BORROWERS, FEWEST_BANKS)
    values, hidden = [counts], [hidden_counts]
    for measure, inner in zip(table.measures, measures, strict=True):
        full = with_margins(inner)
        if measure.kind is Kind.AMOUNT:
            having = with_margins(next(held))
            mask = hide(Table(having, flags, hidden_counts | _few(having)), FEWEST_BORROWERS, FEWEST_BANKS)
        else:
            small = hidden_counts | _few(full) | _few(counts - full)
            mask = _hide_both(full, counts - full, flags, small)
        values.append(full)
        hidden.append(mask)
    if noise is not None:
        names = ["borrowers", *(measure.name for measure in table.measures)]
        values = [noise[1](name, exact) for name, exact in zip(names, values, strict=True)]
    mask = np.stack(hidden)
    return StatisticsRelease(
        session=session,
        table=table,
        banks=tuple(banks),
        values=pack(np.where(mask, 0, np.stack(values)).astype(np.int64)),
        shown=(~mask).astype(np.uint8).tobytes(),
        hidden=int(mask.sum()),
        noise=noise[0] if noise else "",
    )


def read(released: StatisticsRelease) -> tuple[Ints, NDArray[np.bool_]]:
    """Values int64[1 + M, R', C'] and which of them are shown; raises `BadMessage`."""
    shape = (1 + len(released.table.measures), *released.table.shape_with_margins)
    return unpack(released.values, "<i8", shape, "the values"), unpack(released.shown, "u1", shape, "shown") == 1


def _hide_both(have: Ints, have_not: Ints, flags: Ints, small: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """What is hidden of a count: with the borrowers known, its cells say as much of those who have the property not."""
    mask = small
    while True:
        before = mask
        for layer in (have, have_not):
            mask = hide(Table(layer, flags, small), FEWEST_BORROWERS, FEWEST_BANKS, mask)
        if np.array_equal(mask, before):
            return mask


def _few(counts: Ints) -> NDArray[np.bool_]:
    return (counts > 0) & (counts < FEWEST_BORROWERS)
