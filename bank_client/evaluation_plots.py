"""Pictures of an evaluation or a comparison: ROC, reliability, gain, AUC by period, as PNG files."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from bank_client.plots import COLOURS, draw_roc
from bank_client.plots import _save as save
from bank_client.plots import _say as say
from bank_client.plots import _shown as shown
from bank_client.plots import _style as style
from models.scorecard.calibration import lift_table, reliability

if TYPE_CHECKING:
    from bank_client.compare import Comparison
    from bank_client.evaluation import Evaluation
    from bank_client.monitoring import DriftReport

Models = Mapping[str, tuple[ArrayLike, ArrayLike]]
"""(labels, probabilities) by name."""


def draw_evaluation(report: Evaluation, folder: Path, note: str = "") -> list[Path]:
    """roc.png, reliability.png, gain.png and, with periods, periods.png."""
    drawn = _draw_models({"model": (report.labels, report.probabilities)}, folder, note)
    if len(report.metrics) > 1:
        drawn.append(_draw(lambda axes: periods_on(axes, report), folder / "periods.png", note))
    return drawn


def draw_comparison(found: Comparison, folder: Path, note: str = "") -> list[Path]:
    """roc.png, reliability.png and gain.png of both models."""
    models = {"champion": (found.labels, found.champion), "challenger": (found.labels, found.challenger)}
    return _draw_models(models, folder, note)


def reliability_on(axes: Axes, models: Models) -> None:
    """Rate of bads by tenth of probability, with 95 % intervals, beside the diagonal."""
    top = 0.0
    for (name, (labels, probabilities)), colour in zip(models.items(), COLOURS, strict=False):
        points = reliability(labels, probabilities)
        x, y = np.array([p.probability for p in points]), np.array([p.rate for p in points])
        below, above = y - [p.low for p in points], [p.high for p in points] - y
        axes.errorbar(x, y, yerr=[below, above], color=colour, marker="o", markersize=4, linewidth=1.4, capsize=2, label=name)
        top = max(top, float(x.max()), float((y + above).max()))
    axes.plot([0, top], [0, top], color="#bbbbbb", linewidth=1)
    axes.set_xlabel(say("Probability of default", "违约概率"))
    axes.set_ylabel(say("Share that defaulted", "实际违约率"))
    axes.legend(loc="upper left", frameon=False)


def gain_on(axes: Axes, models: Models) -> None:
    """Share of all bads among the riskiest tenths."""
    axes.plot([0, 1], [0, 1], color="#bbbbbb", linewidth=1)
    for (name, (labels, scores)), colour in zip(models.items(), COLOURS, strict=False):
        groups = lift_table(labels, scores)
        seen = np.cumsum([group.rows for group in groups]) / np.size(labels)
        axes.plot(np.r_[0, seen], [0.0, *(g.gain for g in groups)], color=colour, marker="o", markersize=3, label=name)
    axes.set_xlabel(say("Share of customers, the riskiest first", "客户占比（风险由高到低）"))
    axes.set_ylabel(say("Share of all defaults", "覆盖的违约占比"))
    axes.legend(loc="lower right", frameon=False)


def periods_on(axes: Axes, report: Evaluation) -> None:
    """AUC by period with 95 % intervals; the line is the AUC of all rows."""
    table = report.metrics.iloc[1:]
    values = table["auc"].to_numpy()
    error = [values - table["auc_low"].to_numpy(), table["auc_high"].to_numpy() - values]
    axes.errorbar(range(len(table)), values, yerr=error, color=COLOURS[0], marker="o", capsize=3)
    axes.axhline(report.metrics["auc"].iloc[0], color="#bbbbbb", linewidth=1)
    axes.set_xticks(range(len(table)), [str(period) for period in table.index], rotation=45)
    axes.set_ylabel("AUC")


def draw_drift(report: DriftReport, path: Path, note: str = "") -> Path:
    """Stability indices against both thresholds: lines over the periods, or bars where there is one."""
    return _draw(lambda axes: drift_on(axes, report), path, note)


def drift_on(axes: Axes, report: DriftReport) -> None:
    """The score is drawn thick, the others thin."""
    table = report.table.pivot(index="period", columns="what", values="psi")
    names = [shown(str(name), f"field {i}") for i, name in enumerate(table.columns)]
    if len(table) == 1:
        axes.barh(names, table.to_numpy()[0], color=COLOURS[0])
        axes.set_xlabel(say("Stability index (PSI)", "群体稳定性指标"))
    else:
        for name, values in zip(names, table.to_numpy().T, strict=True):
            axes.plot(range(len(table)), values, label=name, linewidth=2.4 if name == "score" else 1, marker="o", markersize=3)
        axes.set_xticks(range(len(table)), [str(period) for period in table.index], rotation=45)
        axes.set_ylabel(say("Stability index (PSI)", "群体稳定性指标"))
        axes.legend(loc="upper left", fontsize=7, frameon=False)
    for threshold, colour in ((report.thresholds.moved, COLOURS[1]), (report.thresholds.shifted, COLOURS[3])):
        if len(table) == 1:
            axes.axvline(threshold, color=colour, linewidth=1, linestyle="--")
        else:
            axes.axhline(threshold, color=colour, linewidth=1, linestyle="--")


def _draw_models(models: Models, folder: Path, note: str) -> list[Path]:
    return [
        draw_roc(models, folder / "roc.png", note),
        _draw(lambda axes: reliability_on(axes, models), folder / "reliability.png", note),
        _draw(lambda axes: gain_on(axes, models), folder / "gain.png", note),
    ]


def _draw(on: Callable[[Axes], None], path: Path, note: str) -> Path:
    with mpl.rc_context(style()):
        figure = Figure(figsize=(6.4, 5.0), layout="constrained")
        on(figure.add_subplot())
        return save(figure, path, note)
