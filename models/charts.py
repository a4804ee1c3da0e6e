"""Small charts as SVG: bars beside each other, stacked bars. No script, no style attribute, no address; the page's CSS colours
them by class, so that a strict content security policy lets them stand and a printer shows them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

WIDTH = 640
_LABEL, _VALUE, _ROW = 190, 90, 24
_PLOT_HEIGHT, _FOOT, _HEAD = 150, 34, 22


@dataclass(frozen=True)
class Bar:
    """One horizontal bar: its share of the width (0 to 1, None where nothing is shown), and what stands beside it."""

    label: str
    share: float | None
    text: str


@dataclass(frozen=True)
class Series:
    """One colour of a column chart; None where a value is not shown. `texts` stand above the columns."""

    label: str
    values: Sequence[float | None]
    texts: Sequence[str]


def bars(rows: Sequence[Bar], title: str) -> str:
    """Horizontal bars below each other; `title` is what a screen reader says."""
    room = WIDTH - _LABEL - _VALUE
    parts = []
    for number, row in enumerate(rows):
        y = number * _ROW
        parts.append(f'<text class="label" x="{_LABEL - 8}" y="{y + 16}" text-anchor="end">{escape(row.label)}</text>')
        parts.append(f'<rect class="ground" x="{_LABEL}" y="{y + 4}" width="{room}" height="15"/>')
        if row.share is not None:
            width = round(room * min(max(row.share, 0.0), 1.0), 1)
            parts.append(f'<rect class="s0" x="{_LABEL}" y="{y + 4}" width="{width}" height="15"/>')
        parts.append(f'<text class="value" x="{WIDTH - _VALUE + 8}" y="{y + 16}">{escape(row.text)}</text>')
    return _svg(parts, max(1, len(rows)) * _ROW, title)


def columns(labels: Sequence[str], series: Sequence[Series], title: str) -> str:
    """Columns for each label, a colour for each series, beside each other; with a legend above."""
    most = max((value for one in series for value in one.values if value), default=1.0)
    slot = WIDTH / max(1, len(labels))
    width = min(46.0, slot * 0.8 / max(1, len(series)))
    base = _HEAD + _PLOT_HEIGHT
    parts = [f'<line class="axis" x1="0" y1="{base}" x2="{WIDTH}" y2="{base}"/>']
    for place, label in enumerate(labels):
        left = slot * (place + 0.5) - width * len(series) / 2
        parts.append(
            f'<text class="label" x="{slot * (place + 0.5):.1f}" y="{base + 16}" text-anchor="middle">{escape(label)}</text>'
        )
        for number, one in enumerate(series):
            value, x = one.values[place], left + number * width
            height = 0.0 if not value else (_PLOT_HEIGHT - 16) * value / most
            if height:
                box = f'x="{x + 1:.1f}" y="{base - height:.1f}" width="{width - 2:.1f}" height="{height:.1f}"'
                parts.append(f'<rect class="s{number}" {box}/>')
            top = f'x="{x + width / 2:.1f}" y="{base - height - 4:.1f}"'
            parts.append(f'<text class="value" {top} text-anchor="middle">{escape(one.texts[place])}</text>')
    for number, one in enumerate(series):
        x = number * WIDTH / max(1, len(series))
        parts.append(f'<rect class="s{number}" x="{x:.1f}" y="2" width="11" height="11"/>')
        parts.append(f'<text class="label" x="{x + 16:.1f}" y="12">{escape(one.label)}</text>')
    return _svg(parts, base + _FOOT - 12, title)


def _svg(parts: Sequence[str], height: float, title: str) -> str:
    inside = "".join(parts)
    return (
        f'<svg class="chart" role="img" aria-label="{escape(title, quote=True)}" viewBox="0 0 {WIDTH} {height:.0f}"'
        f' width="{WIDTH}" height="{height:.0f}">{inside}</svg>'
    )
