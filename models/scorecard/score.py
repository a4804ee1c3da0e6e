"""The node's half of a trained model: bins, levels, weights and bands, applied to cohort rows and to new ones.

A score table holds for every eligible subject the band and, as reason codes, up to three themes that speak against it
most. Themes come only from fields that a bank may be told about: never from fields in joint-model-only mode and never
from L4 fields. Reason codes are counted as leakage together with all bands; where they would pass the limit they are left
out, and the table says so.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .binning import bins_from_definition
from .learner import NodeColumns, NodeField
from .limits import LimitRefused, Limits
from .moments import SCALE
from .release import Bands, Leakage, LeakGauge, Release

Floats = NDArray[np.float64]
Codes = NDArray[np.uint8]

MOST_THEMES = 3
ADVERSE = 0.25  # a theme is named where it adds so much to the risk, in standard deviations of u


@dataclass(frozen=True)
class NodeModel:
    """The node's half of one model; secret, kept by the node alone.

    Attributes:
        fields: J node fields.
        levels: the integer WOE levels of each field, scale 2^10.
        weights: J weights; u = X·w in standard deviations of the training cohort.
        bands: fixed at release.
    """

    fields: tuple[NodeField, ...]
    levels: tuple[tuple[int, ...], ...]
    weights: tuple[float, ...]
    bands: Bands

    def __repr__(self) -> str:
        return f"NodeModel(fields={len(self.fields)}, weights=<secret>)"

    @classmethod
    def of(cls, columns: NodeColumns, levels: Sequence[NDArray[np.int64]], made: Release) -> NodeModel:
        """From what was learned and released."""
        return cls(
            columns.fields,
            tuple(tuple(int(v) for v in level) for level in levels),
            tuple(float(w) for w in made.weights),
            made.bands,
        )

    def to_bytes(self) -> bytes:
        """Canonical bytes for the node's own store."""
        body = {
            "fields": [
                {
                    "bins": f.bins.definition().decode(),
                    "theme": f.theme,
                    "disclosable": f.disclosable,
                    "categories": f.categories,
                }
                for f in self.fields
            ],
            "levels": self.levels,
            "weights": self.weights,
            "edges": self.bands.edges,
            "means": self.bands.means,
        }
        return json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> NodeModel:
        """The model that `to_bytes` wrote."""
        body = json.loads(data)
        fields = tuple(
            NodeField(
                bins_from_definition(f["bins"].encode()),
                f["theme"],
                f["disclosable"],
                categories=tuple(f.get("categories", ())),
            )
            for f in body["fields"]
        )
        levels = tuple(tuple(level) for level in body["levels"])
        return cls(fields, levels, tuple(body["weights"]), Bands(tuple(body["edges"]), tuple(body["means"])))

    def codes(self, columns: Mapping[str, Sequence[object] | NDArray[np.generic]]) -> Codes:
        """Bin codes uint8[J, M] of columns by field name, each [M]."""
        return np.stack([field.codes(columns[field.name]) for field in self.fields])

    def parts(self, codes: Codes) -> Floats:
        """What each field adds to u: float64[J, M]."""
        levels = [np.asarray(level)[code] for level, code in zip(self.levels, codes, strict=True)]
        return np.asarray(np.stack(levels) / SCALE * np.asarray(self.weights)[:, None], dtype=np.float64)

    def bands_for_new_rows(self, columns: Mapping[str, Sequence[object] | NDArray[np.generic]]) -> Codes:
        """Bands uint8[M] by the fixed edges."""
        return self.bands.apply(self.parts(self.codes(columns)).sum(axis=0))

    @property
    def themes(self) -> tuple[str, ...]:
        """Themes that reason codes may name, in alphabetical order."""
        return tuple(sorted({field.theme for field in self.fields if field.disclosable and field.theme}))

    def reasons(self, parts: Floats) -> NDArray[np.bool_]:
        """bool[T, M]: whether theme t is named for row m, for parts float64[J, M]; at most three a row."""
        themes = self.themes
        totals = np.zeros((len(themes), parts.shape[1]))
        for field, part in zip(self.fields, parts, strict=True):
            if field.disclosable and field.theme:
                totals[themes.index(field.theme)] += part
        order = np.argsort(-totals, axis=0, kind="stable")
        place = np.argsort(order, axis=0, kind="stable")
        return (totals >= ADVERSE) & (place < MOST_THEMES)


@dataclass(frozen=True, eq=False)
class ScoreTable:
    """What the private query serves: bands uint8[M] and themes (a tuple of names a row), with what it gives away."""

    bands: Codes
    themes: tuple[tuple[str, ...], ...]
    leakage: Leakage
    note: str


def score_table(model: NodeModel, columns: NodeColumns, earlier: Sequence[Codes], limits: Limits) -> ScoreTable:
    """Bands and reason codes of all eligible subjects, within the limits of a release.

    Args:
        model: trained and released.
        columns: of the eligible subjects, with raw values; codes by `model.codes`.
        earlier: uint8[M] each, released before on these subjects (`NOT_RELEASED` where not), this model's cohort included.
        limits: of the project.

    Raises:
        LimitRefused: even without reason codes the bands would say too much.
    """
    parts = model.parts(columns.codes)
    bands = model.bands.apply(parts.sum(axis=0))
    gauge = LeakGauge(columns, parts / np.where(np.asarray(model.weights) == 0, 1.0, model.weights)[:, None], earlier)
    named = model.reasons(parts)
    leakage = gauge.measure([bands, *named.astype(np.uint8)])
    note = ""
    if not leakage.within(limits):
        named = np.zeros_like(named)
        leakage = gauge.measure([bands])
        note = "Reason codes were left out: with them the table would say too much about a node column."
    if not leakage.within(limits):
        raise LimitRefused(
            "table-says-too-much",
            "A score table of this model, together with what was released before on the same subjects, would say too much "
            f"about a node column (R² of at most {limits.r2_column:.2f} and {limits.r2_mean:.2f} on average)",
            "Retrain with more node fields, or serve the table to subjects with fewer earlier releases.",
        )
    names = model.themes
    themes = tuple(tuple(name for name, says in zip(names, row, strict=True) if says) for row in named.T)
    return ScoreTable(bands, themes, leakage, note)
