"""Bands of the node's contribution, and the limit on what all bands ever released say about a node column.

The node's contribution u = X·w goes out as at most 20 quantile bands with the mean of each at three digits. A band is a
coarse look at every column that went into it, and bands of several models and banks add up, so before a release each of
the node's columns is regressed on all bands ever released for these subjects (additive one-hot). If the new bands would
say too much, the largest weights are shrunk until the limit holds; if none of that helps, the release is refused.

Leakage of a release: log2(bands) bits a subject (4.3 for 20), and the R² of each column that the statement shows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from .learner import NodeColumns
from .limits import LimitRefused, Limits
from .moments import SCALE

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Codes = NDArray[np.uint8]

NOT_RELEASED = 255  # in an earlier release's codes: this subject was not in it
_SHRINK = 0.93
_ROOM = 0.005  # kept free at release, since a score table is measured again on whoever it serves that night
_WEIGHT_SCALE = 1 << 20  # weights are multiples of 2^-20, so that sums of them are exact in any order and on any build
_ROWS_PER_LEVEL = 10  # a group of subjects is measured on its own from so many rows for each regressor on


@dataclass(frozen=True)
class Bands:
    """Fixed edges float[B-1] of u and the mean of u in each band, three digits, in standard deviations of u."""

    edges: tuple[float, ...]
    means: tuple[float, ...]

    def apply(self, u: Floats) -> Codes:
        """Band uint8[M] of contributions float64[M], also of new rows."""
        return np.searchsorted(np.asarray(self.edges), u, side="right").astype(np.uint8)


@dataclass(frozen=True)
class ColumnLeak:
    """R² of one node column on all bands ever released: as WOE column, as raw values, as ranks."""

    name: str
    woe: float
    raw: float
    rank: float

    @property
    def most(self) -> float:
        """The largest of the three."""
        return max(self.woe, self.raw, self.rank)


@dataclass(frozen=True)
class Leakage:
    """What all bands ever released say about the node's columns, over the group of subjects where they say most."""

    columns: tuple[ColumnLeak, ...]

    @property
    def most(self) -> float:
        """The largest R² of any column."""
        return max(column.most for column in self.columns)

    @property
    def mean(self) -> float:
        """The largest of the three averages over the columns."""
        views = np.array([[column.woe, column.raw, column.rank] for column in self.columns])
        return float(views.mean(axis=0).max())

    def worst(self, other: Leakage) -> Leakage:
        """The larger R² of each column and view, of two populations."""
        pairs = zip(self.columns, other.columns, strict=True)
        return Leakage(tuple(ColumnLeak(a.name, max(a.woe, b.woe), max(a.raw, b.raw), max(a.rank, b.rank)) for a, b in pairs))

    def within(self, limits: Limits) -> bool:
        """Whether the limits hold."""
        return self.most <= limits.r2_column and self.mean <= limits.r2_mean


@dataclass(frozen=True, eq=False)
class Release:
    """Bands of a cohort.

    Attributes:
        weights: float64[J] after shrinking, u in standard deviations; stays inside the node.
        bands: edges stay inside the node, means go out.
        codes: uint8[N], what goes out, in the cohort's order.
        leakage: for the statement.
        shrunk: names of the fields whose weights were shrunk.
    """

    weights: Floats
    bands: Bands
    codes: Codes
    leakage: Leakage
    shrunk: tuple[str, ...]


def release(
    columns: NodeColumns,
    levels: Sequence[Integers],
    weights: Floats,
    earlier: Sequence[Codes],
    limits: Limits,
    served: tuple[NodeColumns, Sequence[Codes]] | None = None,
) -> Release:
    """Bands of a cohort within the limits.

    Args:
        columns: the node's, with raw values.
        levels: int64[B] of each field, from the learner.
        weights: float64[J], from the learner.
        earlier: uint8[N] each, everything ever released on these subjects to any bank, in this cohort's order;
            `NOT_RELEASED` for subjects that were not in it.
        limits: of the project.
        served: the subjects whom the model's score table will serve, and what was released on them: they are others
            than the cohort, so the limit is held on them as well.

    Raises:
        LimitRefused: no shrinking makes the bands say little enough.
    """
    X = _columns_of(columns, levels)
    count = limits.band_count(len(columns.fields))
    gauge = LeakGauge(columns, X, earlier)
    room = replace(limits, r2_column=limits.r2_column - _ROOM, r2_mean=limits.r2_mean - _ROOM)
    X_served = np.zeros((len(levels), 0)) if served is None else _columns_of(served[0], levels)
    served_gauge = LeakGauge(served[0], X_served, served[1]) if served is not None else None
    size = np.abs(weights)
    cap = float(size.max(initial=0.0))
    least = float(size[size > 0].min(initial=cap))
    while cap > 0:
        tried = np.clip(weights, -cap, cap)
        u = tried @ X
        spread = float(u.std())
        if spread > 0:
            tried = np.rint(tried / spread * _WEIGHT_SCALE) / _WEIGHT_SCALE
            u = tried @ X
            bands = make_bands(u, count, limits.level_rows)
            codes = bands.apply(u)
            leakage = gauge.measure([codes])
            if served_gauge is not None and leakage.within(room):
                leakage = leakage.worst(served_gauge.measure([bands.apply(tried @ X_served)]))
            if leakage.within(room):
                names = tuple(f.name for f, s in zip(columns.fields, size, strict=True) if s > cap)
                return Release(tried, bands, codes, leakage, names)
        if cap <= least:
            break
        cap = max(cap * _SHRINK, least)
    raise LimitRefused(
        "bands-say-too-much",
        "The bands, together with those released before for the same subjects, would say too much about a node column "
        f"(R² of at most {limits.r2_column:.2f} for any and {limits.r2_mean:.2f} on average is allowed)",
        "Train with more node fields or fewer that say the same, or on subjects with fewer earlier releases.",
    )


def _columns_of(columns: NodeColumns, levels: Sequence[Integers]) -> Floats:
    """WOE columns float64[J, N] in standard deviations of the cohort."""
    return np.asarray(np.stack([level[codes] for level, codes in zip(levels, columns.codes, strict=True)]) / SCALE)


def make_bands(u: Floats, count: int, support: int) -> Bands:
    """At most `count` quantile bands of u float64[N], each of at least `support` rows; equal values stay in one band."""
    edges = np.unique(np.quantile(u, np.linspace(0, 1, count + 1)[1:-1]))
    while edges.size:
        rows = np.bincount(np.searchsorted(edges, u, side="right"), minlength=edges.size + 1)
        thin = int(np.argmin(rows))
        if rows[thin] >= support:
            break
        edges = np.delete(edges, max(0, thin - 1))
    codes = np.searchsorted(edges, u, side="right")
    rows = np.bincount(codes, minlength=edges.size + 1)
    means = np.bincount(codes, u, minlength=edges.size + 1) / np.maximum(rows, 1)
    return Bands(tuple(edges.tolist()), tuple(float(f"{mean:.3g}") for mean in means))


def explained(targets: Floats, codes: Sequence[NDArray[np.integer]]) -> Floats:
    """R² float64[M] of targets float64[M, N] on additive one-hot codes, each [N]; 0 for a constant target."""
    centred = targets - targets.mean(axis=1, keepdims=True)
    variance = (centred**2).sum(axis=1)
    if not codes:
        return np.zeros(targets.shape[0])
    dense = [np.unique(code, return_inverse=True)[1] for code in codes]
    widths = [int(code.max()) + 1 for code in dense]
    starts = np.concatenate([[0], np.cumsum(widths)])
    gram = np.zeros((starts[-1], starts[-1]))
    right = np.zeros((starts[-1], targets.shape[0]))
    for a, one in enumerate(dense):
        rows = slice(starts[a], starts[a + 1])
        for b, other in enumerate(dense[: a + 1]):
            table = np.bincount(one * widths[b] + other, minlength=widths[a] * widths[b]).reshape(widths[a], widths[b])
            gram[rows, starts[b] : starts[b + 1]] = table
            gram[starts[b] : starts[b + 1], rows] = table.T
        for m, target in enumerate(centred):
            right[rows, m] = np.bincount(one, target, minlength=widths[a])
    fitted = (right * (np.linalg.pinv(gram, rcond=1e-10, hermitian=True) @ right)).sum(axis=0)
    return np.asarray(np.clip(np.where(variance > 1e-9, fitted / np.maximum(variance, 1e-9), 0.0), 0.0, 1.0))


class LeakGauge:
    """Measures what released codes say about the node's columns, over all subjects and over those of earlier releases.

    Args:
        columns: the node's, with raw values.
        X: float64[J, N], its WOE columns.
        earlier: uint8[N] each, with `NOT_RELEASED`.
    """

    def __init__(self, columns: NodeColumns, X: Floats, earlier: Sequence[Codes]) -> None:
        if columns.raw.shape != X.shape:
            raise ValueError("a release needs the raw values of the node's columns, to measure what bands say of them")
        raw = np.array([_filled(row) for row in columns.raw])
        self._names = tuple(entry.name for entry in columns.fields)
        self._targets = np.concatenate([X, raw, np.array([_ranks(row) for row in raw])])
        self._earlier = [np.asarray(code) for code in earlier]

    def __repr__(self) -> str:
        return f"LeakGauge(fields={len(self._names)}, values=<secret>)"

    def measure(self, codes: Sequence[NDArray[np.integer]]) -> Leakage:
        """R² of every column on all earlier codes and the given new ones, each [N]."""
        all_codes = [*self._earlier, *codes]
        worst = explained(self._targets, all_codes)
        for rows in self._groups():
            inside = [code[rows] for code in all_codes]
            if np.count_nonzero(rows) >= _ROWS_PER_LEVEL * sum(np.unique(code).size for code in inside):
                worst = np.maximum(worst, explained(self._targets[:, rows], inside))
        woe, raw, rank = worst.reshape(3, -1).tolist()
        return Leakage(tuple(ColumnLeak(*row) for row in zip(self._names, woe, raw, rank, strict=True)))

    def _groups(self) -> list[NDArray[np.bool_]]:
        """Subjects of each earlier release, and of all of them, where these are not simply everybody."""
        inside = [code != NOT_RELEASED for code in self._earlier]
        if len(inside) > 1:
            inside.append(np.logical_and.reduce(inside))
        return [rows for rows in inside if rows.any() and not rows.all()]


def _filled(values: Floats) -> Floats:
    """Missing values as the mean of the others."""
    present = ~np.isnan(values)
    mean = values[present].mean() if present.any() else 0.0
    return np.where(present, values, mean)


def _ranks(values: Floats) -> Floats:
    """Average ranks float64[N]."""
    _, place, count = np.unique(values, return_inverse=True, return_counts=True)
    return np.asarray((np.cumsum(count) - (count - 1) / 2)[place], dtype=np.float64)
