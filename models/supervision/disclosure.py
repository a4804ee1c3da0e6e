"""What may be shown of counts in linked tables: nobody computes a cell of fewer than ten, however the tables are combined.

One measure (questions granted, say) is counted in base cells: key × second × area × quarter. Everything shown is a sum over
some of them: by key and second with margins, by area with the same total, by year. After `models.suppression` has hidden what
one table alone would give away, three things are repaired over all tables and periods, hiding one more figure each time:

1. *Linked*: a hidden figure of 1 to 9 must be no linear combination of known ones. With M the 0/1 matrix of figures over base
   cells, figure h is one exactly if its row lies in the row space of the known rows.
2. *Left over*: where a total is known, what its hidden parts hold together is nobody or ten.
3. *Pinned*: nor do bounds leave one value. No count is negative, so that a known total bounds its parts from above, and the
   others' bounds each of them from below.

Known is what was shown, and what anybody counts from a mirror of the log: leaves name bank, purpose and second, never a county.
Such figures are hidden where they are small as all others are, but nothing else leans on that (`public`).

What an earlier period showed stays shown, and what it hid stays hidden: a quarter is settled once, the year after its quarters.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from math import inf

import numpy as np
from numpy.typing import NDArray

from models.supervision.messages import ALL
from models.suppression import Table, hide, with_margins

FEWEST = 10
_EXACT = 1e-7
Base = tuple[str, str, str, str]
"""(key, second, area, quarter) of a base cell."""
Name = tuple[str, str, str, str]
"""The same with ``ALL`` for a sum, and ``""`` in the place of a dimension that a table does not have."""


@dataclass(frozen=True)
class Line:
    """A total and the parts that it is the sum of."""

    total: Name
    parts: tuple[Name, ...]


class Plan:
    """The figures of one measure: `cells` count its base cells in the period to be settled and in all settled before.

    `public` says which figures the log itself tells to everybody.
    """

    def __init__(
        self,
        cells: Mapping[Base, int],
        keys: Sequence[str],
        seconds: Sequence[str],
        areas: Sequence[str],
        public: Callable[[Name], bool] = lambda _: False,
    ) -> None:
        self._cells = dict(cells)
        self._axes = (tuple(keys), tuple(seconds), tuple(areas))
        self._public = public

    def settle(self, period: str, earlier: Sequence[str] = (), hidden_before: Collection[Name] = ()) -> dict[Name, int | None]:
        """The figures of a period, None for a hidden one: of a quarter after `earlier` ones, or of ``ALL`` after all four.

        `hidden_before` are the hidden figures of the earlier quarters; all others of theirs have been shown.
        """
        fixed = {name for before in earlier for name in self.names(before)}
        counted = self._counted()
        counts = {name: counted[name] for name in (*fixed, *self.names(period))}
        hidden = set(hidden_before) | self._single_tables(period, counts)
        public = {name for name in counts if self._public(name)}
        if counts[ALL, ALL, "", period] < FEWEST:
            # Of so few in all, not even where there are none is told.
            hidden |= {name for name in self.names(period) if name[2]}
        lines = self._lines(period, earlier)
        linked = _Linked(list(counts), self._axes, [*earlier, *([] if period == ALL else [period])])
        unknown, kept = hidden - public, fixed | public
        while more := (
            _left_over(lines, counts, unknown, kept)
            or linked.exposed(counts, unknown, kept)
            or _pinned(lines, counts, unknown, kept)
        ):
            unknown.add(more)
        return {name: None if name in hidden | unknown else counts[name] for name in self.names(period)}

    def names(self, period: str) -> list[Name]:
        """The names of all figures of a period, hidden ones included."""
        keys, seconds, areas = self._axes
        inner: list[Name] = [(key, second, "", period) for key in (*keys, ALL) for second in (*seconds, ALL)]
        return inner + [("", "", area, period) for area in areas]

    def _counted(self) -> Counter[Name]:
        """The counts of all figures, by name; what is not in it is zero."""
        found: Counter[Name] = Counter()
        for (key, second, area, quarter), count in self._cells.items():
            for period in (quarter, ALL):
                for a, b in {(key, second), (key, ALL), (ALL, second), (ALL, ALL)}:
                    found[a, b, "", period] += count
                found["", "", area, period] += count
        return found

    def _single_tables(self, period: str, counts: Mapping[Name, int]) -> set[Name]:
        """What each table hides by itself."""
        keys, seconds, areas = self._axes
        found: set[Name] = set()
        for rows, columns, name in (
            (keys, seconds, lambda r, c: (r, c, "", period)),
            (areas, ("",), lambda r, c: (ALL, ALL, "", period) if r == ALL else ("", "", r, period)),
        ):
            if not rows or not columns:
                continue
            inner = np.array([[counts[name(row, column)] for column in columns] for row in rows], dtype=np.int64)
            full = with_margins(inner)
            small = (full > 0) & (full < FEWEST)
            mask = hide(Table(full, np.full(full.shape, 2, dtype=np.int64), small), FEWEST, 1)
            labels_r, labels_c = (*rows, ALL)[: full.shape[0]], (*columns, ALL)[: full.shape[1]]
            for r, c in np.argwhere(mask):
                found.add(name(labels_r[r], labels_c[c]))
        return found

    def _lines(self, period: str, earlier: Sequence[str]) -> list[Line]:
        keys, seconds, areas = self._axes
        lines = []
        for p in (*earlier, period):
            lines += [Line((key, ALL, "", p), tuple((key, second, "", p) for second in seconds)) for key in (*keys, ALL)]
            lines += [Line((ALL, second, "", p), tuple((key, second, "", p) for key in keys)) for second in (*seconds, ALL)]
            lines.append(Line((ALL, ALL, "", p), tuple(("", "", area, p) for area in areas)))
        if period == ALL:
            lines += [Line(name, tuple((*name[:3], quarter) for quarter in earlier)) for name in self.names(ALL)]
        return [line for line in lines if line.parts]


def _left_over(lines: Sequence[Line], counts: Mapping[Name, int], hidden: set[Name], fixed: set[Name]) -> Name | None:
    """A figure to hide since the unknown parts of a known total hold a few people together; None where none do."""
    for line in lines:
        rest = sum(counts[part] for part in line.parts if part in hidden)
        free = [name for name in (*line.parts, line.total) if name not in hidden and name not in fixed]
        if line.total not in hidden and 0 < rest < FEWEST and free:
            return min(free, key=lambda name: (name == line.total, counts[name] == 0, counts[name], name))
    return None


def _pinned(lines: Sequence[Line], counts: Mapping[Name, int], unknown: set[Name], kept: set[Name]) -> Name | None:
    """A figure to hide since bounds leave a small unknown one a single value; None where they do for none."""
    low = dict.fromkeys(unknown, 0)
    high: dict[Name, float] = dict.fromkeys(unknown, inf)
    rests = [
        (line, counts[line.total] - sum(counts[part] for part in line.parts if part not in unknown), parts)
        for line in lines
        if line.total not in unknown and (parts := [part for part in line.parts if part in unknown])
    ]
    narrowed = True
    while narrowed:
        narrowed = False
        for line, rest, parts in rests:
            least, most = sum(low[part] for part in parts), sum(high[part] for part in parts)
            for part in parts:
                above, below = rest - (least - low[part]), rest - (most - high[part]) if most < inf else 0
                if above < high[part] or below > low[part]:
                    low[part], high[part], narrowed = max(low[part], int(below)), min(high[part], above), True
                    least, most = sum(low[part] for part in parts), sum(high[part] for part in parts)
            found = [part for part in parts if low[part] == high[part] and 0 < counts[part] < FEWEST]
            free = [name for name in (*line.parts, line.total) if found and name not in unknown and name not in kept]
            if free:
                return min(free, key=lambda name: (name == line.total, counts[name] == 0, counts[name], name))
    return None


class _Linked:
    """The linear algebra over all figures that were ever shown of a measure and year: inner products are all it needs."""

    def __init__(self, names: Sequence[Name], axes: tuple[tuple[str, ...], ...], quarters: Sequence[str]) -> None:
        self._names = list(names)
        sizes = (*(max(1, len(axis)) for axis in axes), len(quarters))
        # Two figures share as many base cells as their labels share in each dimension.
        self._products = np.ones((len(self._names), len(self._names)))
        for place, size in enumerate(sizes):
            self._products *= _shared([name[place] or ALL for name in self._names], size)

    def exposed(self, counts: Mapping[Name, int], hidden: set[Name], fixed: set[Name]) -> Name | None:
        """A figure to hide since a small unknown one follows from what is known; None where none does."""
        shown = [place for place, name in enumerate(self._names) if name not in hidden]
        small = [place for place, name in enumerate(self._names) if name in hidden and 0 < counts[name] < FEWEST]
        if not small or not shown:
            return None
        gram = self._products[np.ix_(shown, shown)]
        towards = self._products[np.ix_(shown, small)]
        found, *_ = np.linalg.lstsq(gram, towards, rcond=None)
        missing = np.diag(self._products)[small] - np.einsum("ij,ij->j", towards, found)
        for column in np.flatnonzero(np.abs(missing) < _EXACT * np.diag(self._products)[small].max()):
            used = [self._names[shown[row]] for row in np.flatnonzero(np.abs(found[:, column]) > _EXACT)]
            free = [name for name in used if name not in fixed]
            if free:
                return min(free, key=lambda name: (name.count(ALL), counts[name] == 0, counts[name], name))
        return None


def _shared(labels: Sequence[str], size: int) -> NDArray[np.float64]:
    """How many of a dimension's entries each pair of labels has in common: float64[figures, figures]."""
    known = {label: code for code, label in enumerate(sorted({*labels} - {ALL}))}
    codes = np.array([known.get(label, -1) for label in labels])
    whole = codes == -1
    shared = (codes[:, None] == codes[None, :]) | whole[:, None] | whole[None, :]
    return np.where(whole[:, None] & whole[None, :], float(size), shared.astype(np.float64))
