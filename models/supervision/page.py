"""Figures as a printable page in Chinese or English: tables, charts, and what everything was counted from.

`body` is what stands within a page of the office's console; `render` is a file of its own, the same in every byte for the same
figures, which is what an official report is a digest of.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from functools import cache
from html import escape
from importlib.resources import files

from models.charts import Bar, Series, bars, columns
from models.supervision.book import NOT_SHOWN, Book, amount, percent
from models.supervision.messages import ALL, YearFigures
from models.supervision.words import Language, theme, word

QUESTIONS = ("questions.granted", "questions.refused")
ACTS = ("batches.filed", "trainings.usable", "trainings.unusable", "models.registered")
Row = tuple[Sequence[str], str]
"""Cells of a table's row, and its class."""


@cache
def stylesheet() -> str:
    """The page's CSS."""
    return files("models.supervision").joinpath("page.css").read_text(encoding="utf-8")


def render(found: YearFigures, language: Language, county: str = "") -> bytes:
    """A whole HTML file, which needs nothing else."""
    texts = _Texts(language)
    title = texts(f"{found.year} 年农村信用数据共享统计", f"Rural credit data sharing: figures of {found.year}")
    head = f'<meta charset="utf-8"><title>{escape(title)}</title><style>{_PAPER}{stylesheet()}</style>'
    lang = "zh-CN" if language == "zh" else "en"
    return (
        f'<!doctype html>\n<html lang="{lang}"><head>{head}</head><body><h1>{escape(title)}</h1>'
        f"{body(found, language, county)}</body></html>\n"
    ).encode()


def body(found: YearFigures, language: Language, county: str = "") -> str:
    """The sections of the page as HTML; every text in it is escaped."""
    book, texts = Book(found, county), _Texts(language)
    sections = (_coverage, _freshness, _use, _objections, _credit, _basis)
    return f'<div class="figures">{"".join(section(book, texts) for section in sections)}</div>'


class _Texts:
    """Chooses the language."""

    def __init__(self, language: Language) -> None:
        self.language = language

    def __call__(self, zh: str, en: str) -> str:
        return zh if self.language == "zh" else en

    def area(self, area: str) -> str:
        """An area for people; codes stand for themselves."""
        return word(area, self.language)


def _coverage(book: Book, texts: _Texts) -> str:
    period = book.last("coverage")
    if not period:
        return _section(
            texts("建档覆盖", "Coverage of archives"), _missing(texts, "数据局尚未报送", "The node has not stated any yet")
        )
    names = ("declared", "households", "households_served", "organisations", "organisations_served")
    header = [texts("地区", "area"), texts("村报农户", "declared"), texts("建档农户", "households"), texts("可查询", "served"),
              texts("覆盖率", "coverage"), texts("建档主体", "organisations"), texts("可查询", "served")]  # fmt: skip
    places = book.places("coverage.households", period)
    rows: list[Row] = []
    chart = []
    for place in [*(place.area for place in places), *([] if book.county else [ALL])]:
        cells = [book.text(f"coverage.{name}", period, place) for name in names]
        share = book.share("coverage.households_served", "coverage.declared", period, place)
        rows.append(([texts.area(place), *cells[:3], percent(share), *cells[3:]], "sum" if place in (ALL, book.county) else ""))
        chart.append(Bar(texts.area(place), share, percent(share)))
    note = texts(
        f"{period} 末次报送。人数按十取整，变动不足十户不改；“<10”为不足十户；合计为所列数之和。",
        f"As last stated in {period}. In tens; a figure moves by ten or not at all; <10 is fewer; totals add up what is shown.",
    )
    title = texts("建档覆盖", "Coverage of archives")
    return _section(title, f'<p class="note">{escape(note)}</p>{bars(chart, title)}{_table(header, rows)}')


def _freshness(book: Book, texts: _Texts) -> str:
    period = book.last("freshness")
    title = texts("数据更新及时性（按部门）", "Freshness by department")
    if not period:
        return _section(title, _missing(texts, "数据局尚未报送", "The node has not stated any yet"))
    rows = []
    header = "".join(
        f"<th>{escape(cell)}</th>"
        for cell in (texts("部门", "department"), texts("目录 / 周期", "category / cycle"), texts("按期", "in time"),
                     texts("逾期一个周期内", "one cycle late"), texts("逾期更久", "later"), texts("按期占比", "share in time"))
    )  # fmt: skip
    for department in book.keys(["freshness.fresh"]):
        for second in book.seconds(["freshness.fresh"]):
            if book.get("freshness.fresh", period, "", department, second) is None:
                continue
            values = [book.value(f"freshness.{name}", period, "", department, second) or 0 for name in ("fresh", "late", "old")]
            share = values[0] / sum(values) if sum(values) else None
            cells = [book.text(f"freshness.{name}", period, "", department, second) for name in ("fresh", "late", "old")]
            category, _, cycle = second.partition("/")
            told = f"{theme(category, texts.language)} / {word(cycle, texts.language)}"
            heat = "" if share is None else f' class="heat-{min(4, int(share * 5))}"'
            inner = "".join(f"<td>{escape(cell)}</td>" for cell in (word(department, texts.language), told, *cells))
            rows.append(f"<tr>{inner}<td{heat}>{escape(percent(share))}</td></tr>")
    return _section(title, f"<table><thead><tr>{header}</tr></thead><tbody>{''.join(rows)}</tbody></table>")


def _use(book: Book, texts: _Texts) -> str:
    language, quarters = texts.language, book.counted
    title = texts("银行使用情况", "Use by banks")
    series = [
        Series(
            texts(*names),
            [book.value(measure, quarter, "", ALL, ALL) for quarter in quarters],
            [book.text(measure, quarter, "", ALL, ALL) for quarter in quarters],
        )
        for measure, names in zip(QUESTIONS, (("获准查询", "granted"), ("拒绝查询", "refused")), strict=True)
    ]
    parts = [columns(quarters, series, title)]
    for measure, names in zip(QUESTIONS, (("获准查询", "Questions granted"), ("拒绝查询", "Questions refused")), strict=True):
        header = [texts(*names), texts("用途", "purpose"), *book.periods]
        rows: list[Row] = []
        for bank in [*book.keys([measure]), ALL]:
            for purpose in [*book.seconds([measure]), ALL]:
                cells = [book.text(measure, period, "", bank, purpose) for period in book.periods]
                if any(cell not in ("", "0") for cell in cells):
                    total = "sum" if ALL in (bank, purpose) else ""
                    rows.append(([word(bank, language), word(purpose, language), *cells], total))
        parts.append(_table(header, rows))
    parts.append(_by_county(book, texts, "questions.granted", texts("获准查询（按县）", "Questions granted, by county")))
    header = [texts("机构行为", "Acts of banks"), texts("银行", "bank"), *book.periods]
    acts: list[Row] = []
    for measure in ACTS:
        for bank in book.keys([measure]):
            acts.append(
                ([_act(measure, language), bank, *(book.text(measure, period, "", bank) or "0" for period in book.periods)], "")
            )
    parts.append(_table(header, acts))
    note = texts(
        "已结束季度为实数，少于十次者及可由他数推出者不公布（—）；未结束季度按十取整，每日最多更新一次，不分县。",
        "Quarters that are over are exact, small cells and what would give them away are not shown (—); a quarter that goes"
        " on is in tens, counted once a day, and not told by county.",
    )
    return _section(title, f'<p class="note">{escape(note)}</p>{"".join(parts)}')


def _objections(book: Book, texts: _Texts) -> str:
    language, quarters, periods = texts.language, book.counted, book.periods
    title = texts("异议处理与时限", "Objections and their deadlines")
    names = (("in-time", texts("按期答复", "answered in time")), ("late", texts("超期答复", "answered late")))
    series = [
        Series(
            label,
            [book.value("objections.answered", quarter, "", ALL, second) for quarter in quarters],
            [book.text("objections.answered", quarter, "", ALL, second) or "0" for quarter in quarters],
        )
        for second, label in names
    ]
    rows: list[Row] = [
        ([texts("提出", "filed"), *(book.text("objections.filed", period, "", ALL, ALL) or "0" for period in periods)], "sum")
    ]
    for finding in book.keys(["objections.answered"]):
        for second, label in names:
            cells = [book.text("objections.answered", period, "", finding, second) or "0" for period in periods]
            rows.append(
                (
                    [
                        f"{word(finding, language)}，{label}" if language == "zh" else f"{word(finding, language)}, {label}",
                        *cells,
                    ],
                    "",
                )
            )
    for measure, label in (
        ("objections.open", texts("期末未答复", "open at the end")),
        ("objections.overdue", texts("其中超期", "of these overdue")),
    ):
        rows.append(([label, *(book.text(measure, period, ALL) for period in periods)], ""))
    table = _table([texts("异议", "objections"), *periods], rows)
    by_county = _by_county(book, texts, "objections.filed", texts("提出异议（按县）", "Objections filed, by county"))
    return _section(title, f"{columns(quarters, series, title)}{table}{by_county}")


def _credit(book: Book, texts: _Texts) -> str:
    period, language = book.last("credit"), texts.language
    title = texts("涉农贷款占比（银行报送）", "Share of agricultural credit, as banks report it")
    if not period:
        return _section(title, _missing(texts, "尚无银行报送", "No bank has reported yet"))
    header = [
        texts("地区 / 银行", "area / bank"),
        texts("涉农贷款（万元）", "agricultural (thousand yuan)"),
        texts("涉农户数", "borrowers"),
        texts("各项贷款（万元）", "all loans (thousand yuan)"),
        texts("占比", "share"),
    ]
    rows: list[Row] = []
    chart = []
    places = [place.area for place in book.places("credit.loans", period)]
    named = [(area, "") for area in places] + (
        [] if book.county else [(ALL, ""), *((ALL, bank) for bank in book.keys(["credit.loans"]))]
    )
    for area, bank in named:
        label = bank or texts.area(area)
        share = book.share("credit.agricultural", "credit.loans", period, area, bank)
        amounts = [amount(book.get(f"credit.{name}", period, area, bank), language) for name in ("agricultural", "loans")]
        people = book.text("credit.agricultural_borrowers", period, area, bank)
        rows.append(([label, amounts[0], people, amounts[1], percent(share)], "sum" if area == ALL and not bank else ""))
        chart.append(Bar(label, share, percent(share)))
    note = texts(
        f"{period} 末。户数按十取整；金额按该地十户平均贷款额取整。",
        f"At the end of {period}. Borrowers in tens, amounts in steps of ten average loans.",
    )
    return _section(title, f'<p class="note">{escape(note)}</p>{bars(chart, title)}{_table(header, rows)}')


def _basis(book: Book, texts: _Texts) -> str:
    title = texts("数据来源与核验", "What the figures come from")
    header = [
        texts("期间", "period"),
        texts("日志", "log"),
        texts("条目", "entries"),
        texts("截至", "until"),
        texts("根哈希", "root"),
    ]
    rows: list[Row] = [
        ([basis.period, basis.origin, f"{basis.first} – {basis.size}", _day(basis.until), basis.root.hex()], "")
        for basis in book.found.bases
    ]
    told = texts.language
    said = [([word(source.kind, told), source.period, source.signer, source.digest], "") for source in book.found.sources]
    kinds = [texts("声明", "statement"), texts("期间", "period"), texts("签署方", "signed by"), "SHA-256"]
    note = texts(
        "查询、建模、异议各数由日志条目重算可得；覆盖与贷款各数取自已签名并登记于日志的声明。",
        "Questions, trainings and objections can be counted again from the log's entries; coverage and credit come from signed"
        " statements whose digests stand in the log.",
    )
    return _section(title, f'<p class="note">{escape(note)}</p>{_table(header, rows)}{_table(kinds, said) if said else ""}')


def _by_county(book: Book, texts: _Texts, measure: str, title: str) -> str:
    areas = sorted({f.area for f in book.found.figures if f.measure == measure and f.area and f.area != ALL})
    wanted = [area for area in areas if not book.county or area == book.county]
    rows: list[Row] = [
        ([texts.area(area), *(book.text(measure, period, area) for period in book.periods)], "") for area in wanted
    ]
    return _table([title, *book.periods], rows) if rows else ""


def _act(measure: str, language: Language) -> str:
    from models.supervision.words import measure as name

    return name(measure, language)


def _day(moment: int) -> str:
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%d %H:%M UTC")


def _missing(texts: _Texts, zh: str, en: str) -> str:
    return f'<p class="note">{escape(texts(zh, en))} {NOT_SHOWN}</p>'


def _section(title: str, inside: str) -> str:
    return f"<section><h2>{escape(title)}</h2>{inside}</section>"


def _table(header: Iterable[str], rows: Iterable[Row]) -> str:
    head = "".join(f"<th>{escape(cell)}</th>" for cell in header)
    lines = []
    for cells, name in rows:
        inner = "".join(f"<td{_hash(cell)}>{escape(cell)}</td>" for cell in cells)
        lines.append(f'<tr class="{name}">{inner}</tr>' if name else f"<tr>{inner}</tr>")
    return f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(lines)}</tbody></table>"


def _hash(cell: str) -> str:
    return ' class="hash"' if len(cell) == 64 else ""


_PAPER = (
    "body{font-family:'Noto Sans CJK SC','Source Han Sans SC','Microsoft YaHei',sans-serif;max-width:46rem;margin:2rem auto;"
    "padding:0 1rem}h1{font-size:1.4rem}@media print{body{margin:0;max-width:none}}@page{size:A4;margin:16mm}"
)
