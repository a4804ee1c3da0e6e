"""Charts as SVG inside an HTML page: no font, no script, no address of anything in them, and text that can be searched.

The letters are the reader's own: a page that is read where there is a Chinese font shows Chinese, whatever the machine had
that drew it.
"""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Callable
from typing import Any

import matplotlib as mpl
from cycler import cycler
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bank_client.plots import COLOURS, both_languages

MEASURED = "DejaVu Sans"  # comes with matplotlib, so every machine lays a chart out alike
INK, QUIET, RULE = "#22302b", "#5d6b66", "#d9dfdc"
STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "text.parse_math": False,  # a field's name may have a dollar sign
    "font.family": MEASURED,  # what the layout is measured with; the page names what is read
    "font.size": 9,
    "axes.titlesize": 9.5,
    "axes.labelsize": 8.5,
    "axes.labelcolor": QUIET,
    "axes.edgecolor": RULE,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.unicode_minus": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.prop_cycle": cycler(color=COLOURS),
    "grid.color": "#edf0ee",
    "grid.linewidth": 0.8,
    "text.color": INK,
    "xtick.color": QUIET,
    "ytick.color": QUIET,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "legend.frameon": False,
    "legend.fontsize": 8.5,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
}
_NO_METADATA = {"Date": None, "Creator": None, "Format": None, "Type": None}
_NAMESPACE = re.compile(r'\sxmlns(:\w+)?="[^"]*"')
_ID = re.compile(r'\sid="([^"]*)"')


Margins = tuple[float, float, float, float]
"""Where a chart begins and ends, as shares of its figure: left, bottom, right, top."""


def chart(
    draw: Callable[[Axes], None], label: str, size: tuple[float, float] = (5.2, 3.7), margins: Margins | None = None
) -> str:  # fmt: skip
    """One chart; `label` is what a screen reader says of it. With `margins` nothing is measured, which halves its cost."""
    return charts(lambda figure: draw(figure.add_subplot()), label, size, margins)


def charts(draw: Callable[[Figure], None], label: str, size: tuple[float, float], margins: Margins | None = None) -> str:
    """A figure of several charts."""
    # Equal charts get equal names inside, so that equal models give equal reports.
    with warnings.catch_warnings(), mpl.rc_context({**STYLE, "svg.hashsalt": label}), both_languages():
        warnings.filterwarnings("ignore", message=r"Glyph .* missing")
        figure = Figure(figsize=size, layout=None if margins else "constrained")
        if margins:
            figure.subplots_adjust(*margins)
        draw(figure)
        file = io.StringIO()
        figure.savefig(file, format="svg", metadata=_NO_METADATA)
    return _inline(file.getvalue(), label)


def _inline(document: str, label: str) -> str:
    """A document's one element, as HTML takes it: without prologue, namespaces, sizes, and names that nothing refers to."""
    element = document[document.index("<svg") :]
    element = re.sub(r"<metadata>.*?</metadata>", "", element, flags=re.DOTALL)
    element = _NAMESPACE.sub("", element).replace("xlink:href", "href")
    element = re.sub(r'(<svg\b[^>]*?)\swidth="[^"]*"', r"\1", re.sub(r'(<svg\b[^>]*?)\sheight="[^"]*"', r"\1", element))
    element = element.replace(f"'{MEASURED}'", "var(--letters)")
    used = set(re.findall(r'(?:url\(#|href="#)([^)"]+)', element))
    element = _ID.sub(lambda found: found.group(0) if found.group(1) in used else "", element)
    return element.replace("<svg", f'<svg role="img" aria-label="{_attribute(label)}"', 1).strip()


def with_names_of(svg: str, number: int) -> str:
    """The same chart with names of its own inside, so that many of them stand in one page."""
    return re.sub(r'(\sid="|url\(#|href="#)', rf"\g<1>c{number}-", svg)


def _attribute(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace('"', "&quot;")
