"""Plots of a scorecard as PNG files: ROC with its KS distance, and WOE of the bank's strongest fields.

Labels are in Chinese and English where the machine has a CJK font, otherwise in English alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
import numpy as np
from matplotlib import font_manager
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike, NDArray

from models.scorecard.metrics import auc, ks
from models.scorecard.tables import group_labels

if TYPE_CHECKING:
    from bank_client.joint_scorecard import JointScorecard
    from models.scorecard.bank import BankColumn

Floats = NDArray[np.float64]
CJK_FONTS = (
    *("Noto Sans CJK SC", "Noto Sans SC", "Source Han Sans SC", "WenQuanYi Micro Hei", "WenQuanYi Zen Hei"),
    *("Microsoft YaHei", "SimHei", "PingFang SC", "Heiti SC"),
)
MOST_FIELDS = 6
MOST_POINTS = 400  # of a curve: more cannot be seen
_both_languages = ContextVar("both_languages", default=False)
COLOURS = ("#0b6e4f", "#b1740f", "#3b5b92", "#8c2f39")


def draw_roc(models: Mapping[str, tuple[ArrayLike, ArrayLike]], path: Path, note: str = "") -> Path:
    """ROC curves of (labels, scores) by name, with AUC and KS; `note` stands below, e.g. that data are synthetic."""
    with mpl.rc_context(_style()):
        figure = Figure(figsize=(6.4, 5.6), layout="constrained")
        roc_on(figure.add_subplot(), models)
        return _save(figure, path, note)


def roc_on(axes: Axes, models: Mapping[str, tuple[ArrayLike, ArrayLike]]) -> None:
    """ROC curves with AUC and KS; the dotted line of each is its KS distance."""
    axes.plot([0, 1], [0, 1], color="#bbbbbb", linewidth=1)
    for (name, (labels, scores)), colour in zip(models.items(), COLOURS, strict=False):
        x, y = _roc(np.asarray(labels, dtype=np.float64), np.asarray(scores, dtype=np.float64))
        most = int(np.argmax(y - x))
        label = f"{name}: AUC {auc(labels, scores):.3f}, KS {ks(labels, scores):.3f}"
        shown = np.unique(np.linspace(0, x.size - 1, MOST_POINTS).astype(int))
        axes.plot(x[shown], y[shown], color=colour, linewidth=1.8, label=label)
        axes.plot([x[most]] * 2, [x[most], y[most]], color=colour, linewidth=1, linestyle=":")
    axes.set_xlabel(_say("Share of good customers refused", "好客户误拒率"))
    axes.set_ylabel(_say("Share of bad customers found", "坏客户识别率"))
    axes.legend(loc="lower right", frameon=False)


def draw_woe(model: JointScorecard, path: Path, note: str = "") -> Path:
    """WOE by bin of the bank's strongest fields. (The node's bins and WOE stay at the node.)"""
    strongest = sorted(model.columns_, key=lambda column: -column.iv)[:MOST_FIELDS]
    with mpl.rc_context(_style()):
        rows = -(-len(strongest) // 2)
        figure = Figure(figsize=(9.6, 2.6 * rows), layout="constrained")
        grid = figure.subplots(rows, 2, squeeze=False).ravel()
        for axes, column in zip(grid, strongest, strict=False):
            _bars(axes, column)
        for axes in grid[len(strongest) :]:
            axes.set_axis_off()
        figure.supylabel(_say("Weight of evidence (up: riskier)", "证据权重（越高风险越大）"))
        return _save(figure, path, note)


def _bars(axes: Axes, column: BankColumn) -> None:
    colours = [COLOURS[3] if woe > 0 else COLOURS[0] for woe in column.woe]
    axes.bar(range(column.woe.size), column.woe, color=colours)
    axes.axhline(0, color="#444444", linewidth=0.8)
    axes.set_title(f"{_shown(column.bins.field, 'field')}  (IV {column.iv:.3f})", fontsize=10)
    axes.set_xticks(range(column.woe.size), bin_names(column), rotation=60, fontsize=7)


def bin_names(column: BankColumn) -> list[str]:
    """What each bin of a column holds, in words."""
    names = group_labels(column.bins, np.arange(column.bins.count, dtype=np.intp))
    words = {"all": _say("all", "全部"), "missing": _say("missing", "缺失"), "others": _say("others", "其他")}
    return [words.get(name) or _shown(name, f"#{code}") for code, name in enumerate(names)]


def _roc(labels: Floats, scores: Floats) -> tuple[Floats, Floats]:
    """False and true positive rates at each distinct score, from the highest score down."""
    order = np.argsort(-scores, kind="stable")
    last = np.flatnonzero(np.r_[np.diff(scores[order]) != 0, True])
    bads = np.cumsum(labels[order])[last]
    goods = last + 1 - bads
    return np.r_[0.0, goods / goods[-1]], np.r_[0.0, bads / bads[-1]]


def _save(figure: Figure, path: Path, note: str) -> Path:
    if note:
        # Without a font for Chinese the note's English half is what can be read.
        shown = note if _cjk() else "".join(c for c in note if c.isascii()).strip()
        figure.supxlabel(shown, fontsize=8, color="#777777")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=144)
    return path


def _cjk() -> str | None:
    if _both_languages.get():
        return CJK_FONTS[0]
    installed = {font.name for font in font_manager.fontManager.ttflist}
    return next((name for name in CJK_FONTS if name in installed), None)


@contextmanager
def both_languages() -> Iterator[None]:
    """Label charts in both languages, whatever fonts this machine has: for formats whose reader brings the font."""
    before = _both_languages.set(True)
    try:
        yield
    finally:
        _both_languages.reset(before)


def _say(english: str, chinese: str) -> str:
    return f"{chinese}\n{english}" if _cjk() else english


def _shown(text: str, otherwise: str) -> str:
    """The bank's own names may be Chinese where no font has the signs."""
    return text if text.isascii() or _cjk() else otherwise


def _style() -> dict[Any, Any]:
    font = _cjk()
    families = [font, "DejaVu Sans"] if font else ["DejaVu Sans"]
    return {"font.family": families, "axes.spines.top": False, "axes.spines.right": False, "axes.unicode_minus": False}
