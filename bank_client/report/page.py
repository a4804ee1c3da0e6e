"""From content to one HTML file that needs nothing beside it: styles and charts inside, no script, no address."""

from __future__ import annotations

import itertools
import math
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from bank_client.report import pictures
from bank_client.report.content import Content, FieldPage, ModelPage, day, number
from bank_client.report.svg import with_names_of
from models.durable import write_private

MOST_FIELD_CHARTS = 24
SECTIONS = (
    ("summary", "Summary"),
    ("comparison", "Comparison"),
    ("discrimination", "Discrimination"),
    ("calibration", "Calibration"),
    ("stability", "Stability"),
    ("fields", "Fields"),
    ("card", "Model card"),
    ("leakage", "Leakage"),
    ("signatures", "Signatures"),
    ("verify", "Verify"),
)
SIDES = {"bank": "bank", "node": "data node"}
FIGURES = {"auc": "AUC", "gini": "Gini", "ks": "KS", "brier": "Brier score (lower is better)"}
SWAPS = {"both": "both", "champion": "the champion alone", "challenger": "the challenger alone", "neither": "neither"}


def render(content: Content) -> str:
    """The page as one string."""
    templates = Environment(
        loader=PackageLoader("bank_client.report"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    templates.globals |= {"number": number, "percent": percent, "day": day}
    source, _, _ = templates.loader.get_source(templates, "report.css") if templates.loader else ("", None, None)
    return templates.get_template("report.html.j2").render(
        content=content,
        comparison=content.comparison,
        first=content.models[0],
        css=Markup(source),  # noqa: S704 - our own file
        links=[(target, name) for target, name in SECTIONS if target != "comparison" or len(content.models) > 1],
        pictures=_pictures(content),
        sides=SIDES,
        figure_names=FIGURES,
        swap_names=SWAPS,
    )


def write(content: Content, path: str | Path) -> Path:
    """Write the page, mode 0600: it tells the bank's own bins and rates."""
    target = Path(path)
    write_private(target, render(content).encode())
    return target


def percent(share: float | None) -> str:
    """A share in percent."""
    return "–" if share is None or not math.isfinite(share) else f"{100 * share:.1f} %"


def _pictures(content: Content) -> dict[str, Any]:
    """All charts; they are our own SVG, in which every name was escaped when it was drawn."""
    models, placed = content.models, itertools.count(1)
    rows = {model.name: (model.labels, model.probabilities) for model in models}
    over_time = {model.name: model.evaluation.metrics for model in models if model.by_period}

    def place(svg: str) -> Markup:
        return Markup(with_names_of(svg, next(placed)))  # noqa: S704

    return {
        "roc": place(pictures.roc(rows)),
        "separation": place(pictures.separation(rows)),
        "lift": place(pictures.lift(rows)),
        "gain": place(pictures.gain(rows)),
        "calibration": place(pictures.calibration(rows)),
        "distribution": place(pictures.distribution(rows)),
        "periods": place(pictures.periods(over_time)) if over_time else "",
        "bands": [place(pictures.bands(model.card.node.band_means, model.bands)) for model in models],
        "correlation": [
            "" if model.correlation is None else place(pictures.correlation(model.correlation)) for model in models
        ],
        "fields": [[(page, place(_field_picture(page))) for page in _charted(model)] for model in models],
    }


def _charted(model: ModelPage) -> list[FieldPage]:
    """The strongest fields of which bins may be shown."""
    return [page for page in model.fields if page.table][:MOST_FIELD_CHARTS]


def _field_picture(page: FieldPage) -> str:
    names = [entry.label or f"#{place}" for place, entry in enumerate(page.table, 1)]
    return pictures.woe(page.name, names, [entry.woe for entry in page.table], [entry.rows for entry in page.table])
