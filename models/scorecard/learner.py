"""What the node learns from decoded values, and keeps: WOE levels, all moments, all weights.

The learner takes decoded values in natural units however they were computed (one bank's masked product, or the sum over
several banks), adds the node's own noise first, and never raises on them: a value that the node cannot explain must not
show in an error, a shape or a running time before the inputs behind it are proven.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from .binning import Bins
from .limits import Limits
from .moments import CLIP, SCALE, Moments, assemble, integer_gram, standard_levels
from .noise import NodeNoise
from .snapshot import LearnedState, MomentsState
from .woe import pool_alike, pooled_woe, woe_table

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Codes = NDArray[np.uint8]


@dataclass(frozen=True)
class NodeField:
    """One node field of a model: its bins, its theme, and whether reason codes may speak of it (no J-only, no L4)."""

    bins: Bins
    theme: str = ""
    disclosable: bool = False

    @property
    def name(self) -> str:
        """The catalogue's name."""
        return self.bins.field


@dataclass(frozen=True, eq=False, repr=False)
class NodeColumns:
    """The node's columns of a cohort, in the cohort's order.

    Attributes:
        fields: J of them.
        codes: uint8[J, N].
        raw: float64[J, N], NaN where missing; only to measure what bands say about them.
    """

    fields: tuple[NodeField, ...]
    codes: Codes
    raw: Floats = field(default_factory=lambda: np.zeros((0, 0)))

    def __repr__(self) -> str:
        return f"NodeColumns(fields={len(self.fields)}, rows={self.rows}, values=<secret>)"

    @property
    def rows(self) -> int:
        """N."""
        return int(self.codes.shape[1])

    @property
    def bins(self) -> tuple[int, ...]:
        """Bins of each field."""
        return tuple(entry.bins.count for entry in self.fields)

    def counts(self, j: int) -> NDArray[np.int64]:
        """Rows of each bin of field j."""
        return np.bincount(self.codes[j], minlength=self.fields[j].bins.count).astype(np.int64)


@dataclass(frozen=True)
class FieldFigure:
    """What may be shown of a field after the verdict, rounded to three digits."""

    name: str
    iv: float
    bins: int
    vif: float


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
        self.levels_: list[Integers] = [np.zeros(count, dtype=np.int64) for count in columns.bins]
        self.ivs_: list[float] = [0.0 for _ in columns.bins]
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
            ivs=tuple(float(iv) for iv in self.ivs_),
            moments=MomentsState.of(self.moments_),
            shown=MomentsState.of(self._shown),
            weights=() if self.weights_ is None else tuple(float(w) for w in self.weights_),
        )

    def restore(self, state: LearnedState) -> None:
        """Know again what `snapshot` wrote."""
        self._label_mac = state.label_mac
        self.levels_ = [np.array(levels, dtype=np.int64) for levels in state.levels]
        self.ivs_ = list(state.ivs)
        self.moments_ = None if state.moments is None else state.moments.moments()
        self._shown = None if state.shown is None else state.shown.moments()
        self.weights_ = np.array(state.weights) if state.weights else None

    def learn_woe(self, decoded: Floats, label_mac: bytes) -> None:
        """Round 1: WOE levels of every field from decoded bad counts float64[sum of bins], fields in order."""
        self._label_mac = label_mac
        start = 0
        for j, entry in enumerate(self._columns.fields):
            rows = self._columns.counts(j)
            bads = np.array([self._noisy_bads(j, b, decoded[start + b], label_mac) for b in range(rows.size)])
            start += rows.size
            bads = np.clip(bads, 0.0, rows)
            groups = pool_alike(bads, rows.astype(np.float64), entry.bins.ordered, self._limits.node_noise)
            table = pooled_woe(bads, rows.astype(np.float64), groups)
            self.levels_[j] = standard_levels(table.woe, rows)
            self.ivs_[j] = woe_table(bads, self._shown_counts(j)).iv

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
                pair = hashlib.sha256(name).digest() + hashlib.sha256(names[k]).digest()
                node[j, k] = node[k, j] = node[j, k] + self._noise.draw(pair, bound=CLIP)
        self.moments_ = assemble(rows, node, sums, cross, own)
        self.weights_ = self.moments_.weights()[: len(names)]
        # The bank chose its K columns, and may choose K near copies of one: their mean would have a K-th of the variance.
        copies = len(macs) - 1
        for j, name in enumerate(names):
            for v in range(1, len(macs)):
                cross[j, v] += self._noise.draw(b"shown" + name, macs[v], bounds[v] * math.sqrt(copies - 1))
        self._shown = assemble(rows, node, sums, cross, own)

    def figures(self) -> Figures:
        """Figures that name no row; the caller holds the office's verdict."""
        if self._shown is None:
            raise RuntimeError("learn the weights first")
        vif = self._shown.vif()
        shown = tuple(
            FieldFigure(entry.name, _three(iv), entry.bins.count, _three(float(vif[j])))
            for j, (entry, iv) in enumerate(zip(self._columns.fields, self.ivs_, strict=True))
        )
        return Figures(self._columns.rows, shown, np.round(self._shown.correlation(), 3))

    def _noisy_bads(self, j: int, b: int, value: float, mac: bytes) -> float:
        definition = b"bin" + b.to_bytes(2, "big") + self._columns.fields[j].bins.definition()
        return float(np.nan_to_num(value)) + self._noise.draw(definition, mac)

    def _shown_counts(self, j: int) -> Floats:
        definition = self._columns.fields[j].bins.definition()
        noise = [self._noise.draw(b"rows" + b.to_bytes(2, "big") + definition) for b in range(self._columns.bins[j])]
        return np.asarray(np.maximum(self._columns.counts(j) + np.array(noise), 1.0), dtype=np.float64)

    def _definition(self, j: int) -> bytes:
        # The levels are left out: they follow from the bins and the labels, up to the bank's own noise, and the same
        # question must get the same noise.
        return b"woe" + self._label_mac + self._columns.fields[j].bins.definition()


def _three(value: float) -> float:
    return float(f"{value:.3g}")
