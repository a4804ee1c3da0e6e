"""Stocks in tens: a figure moves by ten subjects or more, or it stays as it was.

What stands still (archives, borrowers, this quarter so far) is stated again and again, so that two statements could be
subtracted. Therefore a cell's figure is rounded, and as long as fewer than ten subjects have come or gone since it was last
set, the earlier figure is repeated. A cell of fewer than ten says only that. Totals are sums of the figures shown, never of
exact counts: every sum or difference that somebody makes is made of these figures and says no more than they do.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

STEP = 10
FEW = -1


@dataclass(frozen=True)
class Step:
    """A cell's figure, and the exact count at which it was set; the exact one stays with whoever counts."""

    exact: int
    shown: int


def advance(earlier: Step | None, count: int, step: int = STEP) -> Step:
    """The figure of a cell that now counts `count`: a multiple of `step`, or `FEW`."""
    if earlier is not None and abs(count - earlier.exact) < step:
        return earlier
    return Step(count, _round(count, step))


def advance_all(earlier: Mapping[str, Step], counts: Mapping[str, int]) -> dict[str, Step]:
    """The figures of all cells, those that have become empty included."""
    names = sorted({*earlier, *counts})
    return {name: advance(earlier.get(name), counts.get(name, 0)) for name in names}


def total(shown: Iterable[int]) -> int:
    """The sum of figures in tens; cells of fewer than ten count as none."""
    found = sum(max(0, value) for value in shown)
    return found or FEW


def amount_step(amount: int, people: int) -> int:
    """The step of an amount: ten times what one of these people has on average, as a 1, 2 or 5 with zeros."""
    wanted = max(1, -(-STEP * amount // max(people, 1)))
    power = int("1" + "0" * (len(str(wanted)) - 1))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= wanted)


def _round(count: int, step: int) -> int:
    if count < step:
        return FEW
    return (2 * count + step) // (2 * step) * step
