"""The charts of a report, each from plain numbers: curves of rows, periods, bins, bands, correlations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from bank_client.evaluation_plots import gain_on, reliability_on
from bank_client.plots import COLOURS, roc_on
from bank_client.plots import _say as say
from bank_client.report.svg import QUIET, RULE, chart, charts
from models.scorecard.calibration import lift_table

if TYPE_CHECKING:
    from bank_client.report.summary import Counts

Codes = NDArray[np.uint8]
Floats = NDArray[np.float64]
Rows = Mapping[str, tuple[Codes, Floats]]
"""(labels, probabilities) by the model's name."""

BAD, GOOD = COLOURS[3], COLOURS[0]
PARTS = 40
MOST_LABEL = 16
SHADES = 41  # a colour bar of more than 50 is drawn as an image
_DIVERGING = mpl.colors.LinearSegmentedColormap.from_list("risk", ["#1f6f54", "#f6f7f6", "#8c2f39"], N=SHADES)


def roc(rows: Rows) -> str:
    """ROC curves."""
    return chart(lambda axes: roc_on(axes, rows), "ROC curve")


def separation(rows: Rows) -> str:
    """How goods and bads accumulate over the scores, and where they are farthest apart (KS)."""

    def draw(axes: Axes) -> None:
        for number, (name, (labels, found)) in enumerate(rows.items()):
            order = np.argsort(found, kind="stable")
            bad, good = np.cumsum(labels[order]) / labels.sum(), np.cumsum(1 - labels[order]) / (1 - labels).sum()
            ends = np.flatnonzero(np.r_[np.diff(found[order]) != 0, True])  # equal scores stay together
            most = int(ends[np.argmax(good[ends] - bad[ends])])
            at = np.unique(np.append(ends[:: max(1, ends.size // 300)], [most, labels.size - 1]))
            x = (at + 1) / labels.size
            style = "-" if number == 0 else "--"
            where, low, high = (most + 1) / labels.size, float(bad[most]), float(good[most])
            distance = f", KS {high - low:.3f}" if len(rows) > 1 else ""
            axes.plot(x, good[at], color=GOOD, linestyle=style, label=f"{name}: {_flat('goods', '好客户')}")
            axes.plot(x, bad[at], color=BAD, linestyle=style, label=f"{name}: {_flat('bads', '坏客户')}{distance}")
            axes.plot([where] * 2, [low, high], color=QUIET, linestyle=":", linewidth=1.2)
            if len(rows) > 1:
                continue
            axes.annotate(f"KS {high - low:.3f}", (where, (low + high) / 2), xytext=(5, 0), textcoords="offset points",
                          fontsize=8.5, color=QUIET)  # fmt: skip
        axes.set_xlabel(say("Share of customers, the safest first", "客户占比（风险由低到高）"))
        axes.set_ylabel(say("Cumulative share", "累计占比"))
        axes.legend(loc="upper left")

    return chart(draw, "KS curve")


def gain(rows: Rows) -> str:
    """Share of all bads among the riskiest."""
    return chart(lambda axes: gain_on(axes, rows), "Gain curve")


def lift(rows: Rows) -> str:
    """Bad rate of each tenth over the average one, the riskiest first."""

    def draw(axes: Axes) -> None:
        width = 0.8 / len(rows)
        for number, (name, (labels, found)) in enumerate(rows.items()):
            values = [group.lift for group in lift_table(labels, found)]
            x = np.arange(len(values)) + 1 + (number - (len(rows) - 1) / 2) * width
            axes.bar(x, values, width, color=COLOURS[number], label=name)
        axes.axhline(1, color=QUIET, linewidth=0.9)
        axes.grid(visible=False, axis="x")
        axes.set_xticks(range(1, 11))
        axes.set_xlabel(say("Tenth, the riskiest first", "十等分（风险由高到低）"))
        axes.set_ylabel(say("Lift over the average", "提升度"))
        if len(rows) > 1:
            axes.legend(loc="upper right")

    return chart(draw, "Lift by tenth")


def calibration(rows: Rows) -> str:
    """What was said and what came: by tenth of probability, with 95 % intervals."""
    return chart(lambda axes: reliability_on(axes, rows), "Calibration")


def distribution(rows: Rows) -> str:
    """Probabilities of goods and of bads."""

    def draw(figure: Figure) -> None:
        grid = figure.subplots(1, len(rows), squeeze=False, sharey=True).ravel()
        top = max(float(np.quantile(found, 0.995)) for _, found in rows.values())
        edges = np.linspace(0, top, PARTS + 1)
        for axes, (name, (labels, found)) in zip(grid, rows.items(), strict=True):
            clipped = np.minimum(found, top)
            for of, colour, word in ((0, GOOD, _flat("goods", "好客户")), (1, BAD, _flat("bads", "坏客户"))):
                inside = clipped[labels == of]
                axes.hist(inside, edges, weights=np.full(inside.size, 1 / inside.size), color=colour, alpha=0.55, label=word)
            axes.set_title(name if len(rows) > 1 else "")
            axes.set_xlabel(say("Probability of default", "违约概率"))
            axes.legend(loc="upper right")
        grid[0].set_ylabel(say("Share of its class", "本类占比"))

    return charts(draw, "Scores of goods and bads", (5.2 * max(1, len(rows)), 3.7))


def periods(tables: Mapping[str, pd.DataFrame]) -> str:
    """AUC with its interval and stability of the score, by period (rows after the first of `Evaluation.metrics`)."""

    def draw(figure: Figure) -> None:
        above, below = figure.subplots(2, 1, sharex=True, height_ratios=(3, 2))
        for number, (name, table) in enumerate(tables.items()):
            by_period, colour = table.iloc[1:], COLOURS[number]
            at = np.arange(len(by_period)) + 0.12 * number
            value = by_period["auc"].to_numpy()
            error = [value - by_period["auc_low"].to_numpy(), by_period["auc_high"].to_numpy() - value]
            above.errorbar(at, value, yerr=error, color=colour, marker="o", markersize=4, capsize=2.5, label=name)
            below.plot(at, by_period["psi"].to_numpy(), color=colour, marker="o", markersize=4)
        for level, colour in ((0.1, COLOURS[1]), (0.25, BAD)):
            below.axhline(level, color=colour, linewidth=0.9, linestyle="--")
        above.set_ylabel("AUC")
        below.set_ylabel("PSI")
        below.set_xticks(range(len(by_period)), [str(period) for period in by_period.index], rotation=30, ha="right")
        above.legend(loc="lower left")

    return charts(draw, "Stability over time", (10.4, 4.4))


def woe(label: str, names: Sequence[str], values: Sequence[float | None], rows: Sequence[float | None]) -> str:
    """One field: WOE by bin (up: riskier) over the share of rows in each; a bin that is not shown has no bar."""

    def draw(axes: Axes) -> None:
        shares = np.array([0.0 if n is None else float(n) for n in rows])
        x, heights = np.arange(len(names)), np.array([0.0 if value is None else float(value) for value in values])
        if shares.sum() > 0:
            behind = axes.twinx()
            behind.bar(x, shares / shares.sum(), 0.92, color="#e4e9e6")
            behind.set_ylim(0, max(0.05, float((shares / shares.sum()).max()) * 1.6))
            behind.set_yticks([])
            behind.grid(visible=False)
            behind.spines[:].set_visible(False)
            axes.set_zorder(behind.get_zorder() + 1)
            axes.set_facecolor("none")
        axes.bar(x, heights, 0.5, color=[BAD if value > 0 else GOOD for value in heights])
        axes.axhline(0, color=QUIET, linewidth=0.8)
        axes.grid(visible=False, axis="x")
        axes.set_xticks(x, [_short(name) for name in names], rotation=50, ha="right", fontsize=7)
        axes.set_ylabel("WOE")

    return chart(draw, f"WOE of {label}", (4.2, 2.6), margins=(0.15, 0.3, 0.98, 0.97))


def bands(means: Sequence[float], counts: Counts | None) -> str:
    """The node's bands: mean contribution, and where known how many rows and what became of them."""

    def draw(figure: Figure) -> None:
        grid = figure.subplots(1, 2 if counts else 1, squeeze=False).ravel()
        x = np.arange(1, len(means) + 1)
        grid[0].bar(x, means, color=[BAD if mean > 0 else GOOD for mean in means])
        grid[0].axhline(0, color=QUIET, linewidth=0.8)
        grid[0].set_ylabel(say("Mean contribution (log odds)", "平均贡献（对数几率）"))
        if counts:
            rows, bads = np.array(counts.rows, dtype=float), np.array(counts.bads)
            grid[1].bar(x, rows / rows.sum(), color="#dbe3df")
            grid[1].set_ylabel(say("Share of rows", "样本占比"))
            rate = grid[1].twinx()
            rate.plot(x, bads / np.maximum(rows, 1), color=BAD, marker="o", markersize=3.5)
            rate.set_ylabel(say("Bad rate", "坏账率"), color=BAD)
            rate.spines["right"].set_visible(True)
            rate.set_ylim(bottom=0)
            rate.grid(visible=False)
        for axes in grid:
            axes.set_xlabel(say("Band", "分档"))
            axes.set_xticks(x[:: max(1, len(x) // 10)])

    return charts(draw, "The node's bands", (10.4 if counts else 5.2, 3.4))


def correlation(matrix: pd.DataFrame) -> str:
    """Heat map of all fields' correlations."""
    side = len(matrix)

    def draw(axes: Axes) -> None:
        picture = axes.pcolormesh(matrix.to_numpy()[::-1], cmap=_DIVERGING, vmin=-1, vmax=1, edgecolors="white", linewidth=0.6)
        names = [_short(str(name), 22) for name in matrix.columns]
        axes.set_xticks(np.arange(side) + 0.5, names, rotation=60, ha="right", fontsize=7)
        axes.set_yticks(np.arange(side) + 0.5, names[::-1], fontsize=7)
        axes.tick_params(length=0)
        axes.grid(visible=False)
        axes.spines[:].set_visible(False)
        if side <= 24:
            for i, row in enumerate(matrix.to_numpy()[::-1]):
                for j, value in enumerate(row):
                    colour = "white" if abs(value) > 0.55 else QUIET
                    axes.text(j + 0.5, i + 0.5, f"{value:.2f}".replace("0.", ".", 1), ha="center", va="center",
                              fontsize=6, color=colour)  # fmt: skip
        bar = axes.figure.colorbar(picture, ax=axes, fraction=0.03, pad=0.01)
        bar.outline.set_edgecolor(RULE)

    width = min(10.4, 3.2 + 0.34 * side)
    return chart(draw, "Correlation of all fields", (width, width * 0.78))


def _flat(english: str, chinese: str) -> str:
    return f"{chinese} {english}"


def _short(name: str, most: int = MOST_LABEL) -> str:
    return name if len(name) <= most else name[: most - 1] + "…"
