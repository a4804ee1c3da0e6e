"""What the node learns from decoded values, and keeps: WOE levels, all moments, all weights.

The learner takes decoded values in natural units however they were computed (one bank's masked product, or the sum over
several banks), adds the node's own noise first, and never raises on them: a value that the node cannot explain must not
show in an error, a shape or a running time before the inputs behind it are proven.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .columns import NodeColumns, NodeField
from .counts import members, noisy_bads, noisy_rows
from .limits import Limits
from .moments import CLIP, SCALE, Moments, assemble, integer_gram, standard_levels
from .noise import NodeNoise
from .snapshot import LearnedState, MomentsState
from .stability import CohortCounts, counted, drift
from .tables import BinFigure, FieldTable, field_table
from .woe import merged_bins, pooled_woe

__all__ = ["FieldFigure", "Figures", "Learner", "NodeColumns", "NodeField"]

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


@dataclass(frozen=True)
class FieldFigure:
    """What may be shown of a field after the verdict, rounded to three digits; `table` is of its merged bins."""

    name: str
    iv: float
    bins: int
    vif: float
    table: tuple[BinFigure, ...] = ()


@dataclass(frozen=True, eq=False)
class Figures:
    """Figures that name no row: per node field, and correlations float64[d, d] of [node fields | bank columns]."""

    rows: int
    fields: tuple[FieldFigure, ...]
    correlation: Floats


class Learner:
    """Learns one model. Attributes ending in `_` are learned: `levels_`, `ivs_`, `moments_`, `weights_`."""

    def __init__(self, columns: NodeColumns, noise: NodeNoise, limits: Limits) -> None:
        self._columns = columns
        self._noise = noise
        self._limits = limits
        self._label_mac = bytes(32)
        self._members: dict[int, list[bytes]] = {}
        self.levels_: list[Integers] = [np.zeros(count, dtype=np.int64) for count in columns.bins]
        self._bads: list[Floats] = [np.zeros(0) for _ in columns.bins]
        self.moments_: Moments | None = None
        self._shown: Moments | None = None
        self.weights_: Floats | None = None

    def __repr__(self) -> str:
        return f"Learner({self._columns!r}, learned=<secret>)"

    def snapshot(self) -> LearnedState:
        """What was learned so far, for the node's own store."""
        return LearnedState(
            label_mac=self._label_mac,
            levels=tuple(tuple(int(v) for v in levels) for levels in self.levels_),
            bads=tuple(tuple(float(v) for v in bads) for bads in self._bads),
            moments=MomentsState.of(self.moments_),
            shown=MomentsState.of(self._shown),
            weights=() if self.weights_ is None else tuple(float(w) for w in self.weights_),
        )

    def restore(self, state: LearnedState) -> None:
        """Know again what `snapshot` wrote."""
        self._label_mac = state.label_mac
        self.levels_ = [np.array(levels, dtype=np.int64) for levels in state.levels]
        self._bads = [np.array(bads, dtype=np.float64) for bads in state.bads]
        self.moments_ = None if state.moments is None else state.moments.moments()
        self._shown = None if state.shown is None else state.shown.moments()
        self.weights_ = np.array(state.weights) if state.weights else None

    @property
    def ivs_(self) -> list[float]:
        """Information value of each field, as it would be shown."""
        return [self._table(j).iv for j in range(len(self._columns.fields))]

    def learn_woe(self, decoded: Floats, label_mac: bytes) -> None:
        """Round 1: WOE levels of every field from decoded bad counts float64[sum of bins], fields in order."""
        self._label_mac = label_mac
        start = 0
        for j, entry in enumerate(self._columns.fields):
            rows, shown = self._level_rows(j), self._shown_rows(j)
            bads = self._noisy_bads(j, decoded[start : start + rows.size])
            start += rows.size
            # Which bins are merged is shown later, so it rests on counts that all carry noise.
            self._bads[j] = np.clip(bads, 0.0, shown)
            groups = merged_bins(self._bads[j], shown, entry.bins, self._limits.node_noise, entry.trend)
            table = pooled_woe(np.clip(bads, 0.0, rows), rows, groups)
            self.levels_[j] = standard_levels(table.woe, rows)

    def woe_columns(self) -> Integers:
        """The node's columns of round 2: int64[J, N] at scale 2^10, within ± 8."""
        return np.stack([levels[codes] for levels, codes in zip(self.levels_, self._columns.codes, strict=True)])

    def learn_weights(self, decoded: Floats, macs: Sequence[bytes], own: Integers) -> None:
        """Round 2: weights of the whole model.

        Args:
            decoded: float64[J, 1+K], products of the node's columns with [labels, bank columns] in natural units.
            macs: the office's HMAC of each of these vectors.
            own: int64[K+2, K+2], the bank's moments.
        """
        columns = self.woe_columns()
        rows, bounds = self._columns.rows, [1] + [CLIP] * (len(macs) - 1)
        names = [self._definition(j) for j in range(len(self._columns.fields))]
        cross = np.clip(np.nan_to_num(decoded), -rows * CLIP * CLIP, rows * CLIP * CLIP).astype(np.float64)
        for j, name in enumerate(names):
            for v, (mac, bound) in enumerate(zip(macs, bounds, strict=True)):
                cross[j, v] += self._noise.draw(name, mac, bound)
        node = integer_gram(columns) / SCALE**2
        sums = columns.sum(axis=1) / SCALE
        for j, name in enumerate(names):
            sums[j] += self._noise.draw(b"sum" + name)
            for k in range(j, len(names)):
                node[j, k] = node[k, j] = node[j, k] + self._noise.draw(_pair(name, names[k]), bound=CLIP)
        self.moments_ = assemble(rows, node, sums, cross, own)
        self.weights_ = self.moments_.weights()[: len(names)]
        # The bank chose its K columns, and may choose K near copies of one: their mean would have a K-th of the variance.
        # And it may train again with the same labels and columns: its own noise moves the levels, and it knows that noise,
        # so what all such trainings have in common must not be all that stands between it and their differences.
        copies = len(macs) - 1
        exact = [
            b"levels" + name + hashlib.sha256(column.tobytes()).digest() for name, column in zip(names, columns, strict=True)
        ]
        for j, name in enumerate(names):
            for v in range(1, len(macs)):
                cross[j, v] += self._noise.draw(b"shown" + name, macs[v], bounds[v] * math.sqrt(copies - 1))
                cross[j, v] += self._noise.draw(exact[j], macs[v], bounds[v] * math.sqrt(copies))
            for k in range(j, len(names)):
                node[j, k] = node[k, j] = node[j, k] + self._noise.draw(_pair(exact[j], exact[k]), bound=CLIP)
        self._shown = assemble(rows, node, sums, cross, own)

    def figures(self) -> Figures:
        """Figures that name no row; the caller holds the office's verdict."""
        if self._shown is None:
            raise RuntimeError("learn the weights first")
        vif = self._shown.vif()
        shown = []
        for j, entry in enumerate(self._columns.fields):
            table = self._table(j)
            figure = FieldFigure(entry.name, _three(table.iv), entry.bins.count, _three(float(vif[j])), table.bins)
            shown.append(figure)
        return Figures(self._columns.rows, tuple(shown), np.round(self._shown.correlation(), 3))

    def question(self) -> bytes:
        """Names what the tables count, 32 bytes: the same rows in the same bins with the same labels give the same figures."""
        rows = b"".join(digest for j in range(len(self._columns.fields)) for digest in sorted(self._members_of(j)))
        return hashlib.sha256(self._label_mac + rows).digest()

    def counted(self) -> CohortCounts:
        """Noisy row counts of the bins, for the node to keep: a later training is compared with them."""
        return counted(self._columns, self._noise)

    def drift(self, earlier: CohortCounts) -> dict[str, float]:
        """Stability index of each field against an earlier training's counts, three digits."""
        return {name: _three(value) for name, value in drift(earlier, self._columns, self._noise).items()}

    def _table(self, j: int) -> FieldTable:
        return field_table(self._columns.fields[j], self._bads[j], self._shown_rows(j), self._limits)

    def _level_rows(self, j: int) -> Floats:
        """Rows that the levels are made from: they stay inside, as the levels do."""
        return self._columns.counts(j).astype(np.float64)

    def _noisy_bads(self, j: int, decoded: Floats) -> Floats:
        return noisy_bads(self._noise, decoded, self._members_of(j), self._label_mac)

    def _shown_rows(self, j: int) -> Floats:
        return noisy_rows(self._noise, self._columns.counts(j), self._members_of(j))

    def _members_of(self, j: int) -> list[bytes]:
        if j not in self._members:
            self._members[j] = members(self._columns.codes[j], self._columns.bins[j])
        return self._members[j]

    def _definition(self, j: int) -> bytes:
        # Bins, trend and levels are left out: a bank may choose among many that ask nearly the same, and their mean must not
        # have less noise than one of them.
        return b"woe" + self._label_mac + self._columns.fields[j].name.encode()


def _pair(one: bytes, other: bytes) -> bytes:
    return hashlib.sha256(one).digest() + hashlib.sha256(other).digest()


def _three(value: float) -> float:
    return float(f"{value:.3g}")
