"""Figures as a CSV file: UTF-8 with a byte order mark, so that Excel reads the Chinese; two header lines; stable columns."""

from __future__ import annotations

import csv
import io

from models.supervision.messages import Shown, YearFigures
from models.supervision.words import measure, unit, word

COLUMNS = {
    "measure": "指标代码",
    "measure_zh": "指标",
    "measure_en": "指标（英文）",
    "period": "期间",
    "area": "地区代码",
    "key": "维度一",
    "second": "维度二",
    "value": "数值",
    "unit": "单位",
    "shown": "公布方式",
    "log_origin": "日志",
    "log_first": "日志起始序号",
    "log_size": "日志条数",
    "log_root": "日志根哈希",
    "sources": "来源声明摘要",
}
"""Names of the columns, which do not change; the Chinese ones stand in the second line."""
SOURCES = {"coverage": "coverage", "freshness": "coverage", "credit": "credit"}
"""Kinds of statements by the first word of the measures that come from them; all others come from the log itself."""


def write(found: YearFigures, area: str = "") -> bytes:
    """The file; with an `area` (a county's six digits) only figures of that county, and those of no area."""
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\r\n")
    rows.writerow(COLUMNS)
    rows.writerow(COLUMNS.values())
    bases = {basis.period: basis for basis in found.bases}
    for figure in found.figures:
        if area and figure.area not in ("", area) and not figure.area.startswith(area):
            continue
        kind = SOURCES.get(figure.measure.split(".")[0], "")
        basis = None if kind else bases.get(figure.period)
        # A cell that begins like a formula would be one: only the marks of totals and of what is not known do.
        rows.writerow(
            [
                figure.measure,
                measure(figure.measure, "zh"),
                measure(figure.measure, "en"),
                figure.period,
                _plain(figure.area),
                _plain(figure.key),
                _plain(figure.second),
                "" if figure.shown in (Shown.HIDDEN, Shown.FEW) else figure.value,
                unit(figure.measure, "zh"),
                str(figure.shown),
                basis.origin if basis else "",
                basis.first if basis else "",
                basis.size if basis else "",
                basis.root.hex() if basis else "",
                " ".join(
                    source.digest for source in found.sources if kind and _of(source.kind, source.period, kind, figure.period)
                ),
            ]
        )
    return b"\xef\xbb\xbf" + text.getvalue().encode()


def _plain(key: str) -> str:
    return word(key, "en") if key[:1] in tuple("=+-@*") else key


def _of(kind: str, period: str, wanted: str, quarter: str) -> bool:
    if kind != wanted:
        return False
    month = period.partition("-")[2]
    return period == quarter or (bool(month) and f"{period[:4]}Q{(int(month) + 2) // 3}" == quarter)
