"""Hiding small cells of a table with margins, and enough others that no hidden cell can be computed from what is shown.

Every line of the table (a row or column, its margin last) is an equation: its cells add up to its margin. After the small cells
are hidden, two things are repaired until nothing is left to repair, each time by hiding one more cell, the smallest there is:

1. A line with a shown margin gives away the sum of its hidden cells. So it hides at least two, with as many borrowers together
   as a cell needs, one of them with enough banks of its own.
2. The equations together must not determine a small cell: some vector of the null space of the hidden cells' equations must not
   be zero there. (Two hidden cells in every line are not enough for this.)
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Mask = NDArray[np.bool_]
_ZERO = 1e-9


@dataclass(frozen=True, repr=False)
class Table:
    """Counts with margins, contributing banks of each, and which cells must not be seen: all [R', C']."""

    counts: Ints
    banks: Ints
    small: Mask


def with_margins(cells: Ints) -> Ints:
    """int64[R, C] with a margin in each direction that has more than one cell: int64[R', C']."""
    for axis in (0, 1):
        if cells.shape[axis] > 1:
            cells = np.concatenate([cells, cells.sum(axis=axis, keepdims=True)], axis=axis)
    return cells


def hide(table: Table, fewest: int, banks: int) -> Mask:
    """Which cells and margins are hidden, bool[R', C']: the small ones, and what protects them."""
    lines, counts, contributing = _lines(table.counts.shape), table.counts.ravel(), table.banks.ravel()
    hidden = table.small.ravel().copy()
    small = hidden.copy()
    while True:
        place = _unprotected_line(lines, hidden, counts, contributing, fewest, banks)
        if place is None:
            place = _determined(lines, hidden, small)
        if place is None:
            return hidden.reshape(table.counts.shape)
        hidden[_next(place, hidden, counts)] = True


def _lines(shape: tuple[int, ...]) -> list[list[int]]:
    """The places of each line, its margin last."""
    places = np.arange(shape[0] * shape[1]).reshape(shape)
    rows = [list(map(int, row)) for row in places] if shape[1] > 1 else []
    columns = [list(map(int, column)) for column in places.T] if shape[0] > 1 else []
    return rows + columns


def _unprotected_line(
    lines: list[list[int]], hidden: Mask, counts: Ints, contributing: Ints, fewest: int, banks: int
) -> list[int] | None:
    for line in lines:
        inner = [place for place in line[:-1] if hidden[place]]
        if not inner or hidden[line[-1]]:
            continue
        if len(inner) < 2 or counts[inner].sum() < fewest or contributing[inner].max() < banks:
            return line
    return None


def _determined(lines: list[list[int]], hidden: Mask, small: Mask) -> list[int] | None:
    """A line through a small cell that the shown cells determine, with something left to hide; None where there is none."""
    unknown = np.flatnonzero(hidden)
    if not unknown.size:
        return None
    equations = np.zeros((len(lines), hidden.size))
    for equation, line in zip(equations, lines, strict=True):
        equation[line[:-1]], equation[line[-1]] = 1, -1
    matrix = equations[:, unknown]
    _, sizes, basis = np.linalg.svd(matrix)
    rank = int((sizes > _ZERO * max(matrix.shape)).sum())
    free = np.abs(basis[rank:]).max(axis=0, initial=0.0) > _ZERO
    for place in unknown[~free]:
        if small[place]:
            through = [line for line in lines if place in line and not hidden[line].all()]
            return through[0] if through else list(map(int, np.flatnonzero(~hidden)))
    return None


def _next(line: list[int], hidden: Mask, counts: Ints) -> int:
    """The smallest shown cell of a line that has anybody in it, else an empty one, its margin last."""
    left = [place for place in line if not hidden[place]]
    return min(left, key=lambda place: (place == line[-1], counts[place] == 0, counts[place]))
