"""Hiding small cells of a table with margins, and enough others that no hidden cell can be computed from what is shown.

Every line of the table (a row or column, its margin last) is an equation: its cells add up to its margin. After the small cells
are hidden, two things are repaired until nothing is left to repair, each time by hiding one more cell, the smallest there is:

1. A line with a shown margin gives away the sum of its hidden cells. So it hides at least two, with as many borrowers together
   as a cell needs, one of them with enough banks of its own.
2. The equations together must not determine a small cell. Rows and columns are the vertices of a graph and unknown cells its
   edges; with margins negated every line adds up to zero, and so a cell is determined exactly if its edge is a bridge, on no
   cycle of unknown cells. (Two hidden cells in every line are not enough for this.)

Both hold for each bank as well, which knows a cell that it alone has filled: small cells of several banks are protected as if
the cells of single banks were shown.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Mask = NDArray[np.bool_]


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


def hide(table: Table, fewest: int, banks: int, also: Mask | None = None) -> Mask:
    """Which cells and margins are hidden, bool[R', C']: the small ones, those of `also`, and what protects the small ones."""
    lines = _lines(table.counts.shape)
    hidden, alone = table.small.copy() if also is None else table.small | also, table.banks < 2
    while True:
        more: list[int] = []
        for known in (np.zeros_like(alone), alone):
            doubtful, guarded = hidden & ~known, table.small & ~known
            more = more or _cycle(table, doubtful, guarded, hidden, known)
            more = more or _line(lines, table, doubtful, guarded, hidden, fewest, banks)
        if not more:
            return hidden
        hidden.flat[more] = True


def _lines(shape: tuple[int, ...]) -> list[list[int]]:
    """The places of each line, its margin last."""
    places = np.arange(shape[0] * shape[1]).reshape(shape)
    rows = [list(map(int, row)) for row in places] if shape[1] > 1 else []
    columns = [list(map(int, column)) for column in places.T] if shape[0] > 1 else []
    return rows + columns


def _line(
    lines: list[list[int]], table: Table, doubtful: Mask, guarded: Mask, hidden: Mask, fewest: int, banks: int
) -> list[int]:
    """One more cell to hide in a line whose shown margin says too much of a guarded cell; none where there is no such line."""
    counts, contributing = table.counts.ravel(), table.banks.ravel()
    for line in lines:
        inner = [place for place in line[:-1] if doubtful.flat[place]]
        if doubtful.flat[line[-1]] or not guarded.flat[inner].any():
            continue
        people, most = counts[inner].sum(), contributing[inner].max()
        if len(inner) >= 2 and people >= fewest and most >= banks:
            continue
        left = [place for place in line if not hidden.flat[place]] or list(map(int, np.flatnonzero(~hidden)))
        # The smallest that is enough; the margin, or an empty cell, only where there is nothing else.
        return sorted(
            left,
            key=lambda place: (place == line[-1], counts[place] == 0, max(contributing[place], most) < banks, counts[place]),
        )[:1]
    return []


def _cycle(table: Table, doubtful: Mask, guarded: Mask, hidden: Mask, known: Mask) -> list[int]:
    """Cells to hide so that a guarded cell which is determined comes to lie on a cycle; none where no such cell is."""
    rows, columns = table.counts.shape
    for place in sorted(_bridges(table.counts.shape, doubtful)):
        if not guarded.flat[place]:
            continue
        price = _prices(table, hidden, known)
        if 1 in (rows, columns):
            return sorted(map(int, np.flatnonzero(~hidden)), key=lambda n: float(price.flat[n]))[:1]
        # With one row and one column more the four corners of a rectangle are a cycle: the cheapest one.
        row, column = divmod(place, columns)
        corners = price + price[row][None, :] + price[:, column][:, None]
        corners[row, :] = corners[:, column] = np.inf
        other, crossing = divmod(int(corners.argmin()), columns)
        chosen = [row * columns + crossing, other * columns + column, other * columns + crossing]
        more = [corner for corner in chosen if not hidden.flat[corner]]
        if np.isfinite(corners[other, crossing]) and more:
            return more
        return list(map(int, np.flatnonzero(~hidden)))  # no rectangle is left: nothing is shown
    return []


def _prices(table: Table, hidden: Mask, known: Mask) -> NDArray[np.float64]:
    """What it costs to hide a cell: few cells come first, then inner ones, then those with anybody in them, then small ones."""
    price: NDArray[np.float64] = 1e12 + table.counts + 1e10 * (table.counts == 0)
    if price.shape[0] > 1:
        price[-1, :] += 1e11
    if price.shape[1] > 1:
        price[:, -1] += 1e11
    price[hidden] = 0
    price[known] = np.inf
    return price


def _bridges(shape: tuple[int, ...], unknown: Mask) -> set[int]:
    """The unknown cells that no cycle of unknown cells passes through (Tarjan, 1974)."""
    places = list(map(int, np.flatnonzero(unknown)))
    if 1 in shape:  # one line, or none
        return set(places) if len(places) == 1 and max(shape) > 1 else set()
    rows, columns = shape
    edges: list[list[tuple[int, int]]] = [[] for _ in range(rows + columns)]
    for place in places:
        row, column = place // columns, rows + place % columns
        edges[row].append((column, place))
        edges[column].append((row, place))
    seen: dict[int, int] = {}
    found = set()

    def visit(vertex: int, by: int) -> int:
        lowest = seen[vertex] = len(seen)
        for other, place in edges[vertex]:
            if place == by:
                continue
            if other in seen:
                lowest = min(lowest, seen[other])
                continue
            reached = visit(other, place)
            lowest = min(lowest, reached)
            if reached > seen[vertex]:
                found.add(place)
        return lowest

    for vertex in range(rows + columns):
        if vertex not in seen:
            visit(vertex, -1)
    return found
