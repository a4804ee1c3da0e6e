"""Figures as a page reads them: looked up by name, written as people read them, never a hidden one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from models.supervision.messages import ALL, COUNTY_DIGITS, Figure, Shown, YearFigures
from models.supervision.periods import quarters_of
from models.supervision.words import Language

NOT_SHOWN, NOTHING, FEW = "—", "", "<10"
TEN_THOUSAND = 10_000


@dataclass(frozen=True)
class Place:
    """A row of a table by area: its code, and whether it is a county's sum."""

    area: str
    is_county: bool


class Book:
    """The figures of a year; with a `county` (six digits) those of its townships."""

    def __init__(self, found: YearFigures, county: str = "") -> None:
        self.found = found
        self.county = county
        self._by_name = {(f.measure, f.period, f.area, f.key, f.second): f for f in found.figures}

    @property
    def quarters(self) -> list[str]:
        """The quarters of the year that have figures."""
        known = {figure.period for figure in self.found.figures}
        return [str(quarter) for quarter in quarters_of(self.found.year) if str(quarter) in known]

    @property
    def counted(self) -> list[str]:
        """The quarters that were counted from the log, which may have begun within the year."""
        bases = {basis.period for basis in self.found.bases}
        return [quarter for quarter in self.quarters if quarter in bases]

    @property
    def periods(self) -> list[str]:
        """The counted quarters, and the year where it is complete."""
        return self.counted + ([str(self.found.year)] if self.found.complete else [])

    @property
    def counties(self) -> list[str]:
        """All counties that a figure speaks of."""
        areas = {figure.area[:COUNTY_DIGITS] for figure in self.found.figures if figure.area[:1].isdigit()}
        return sorted(areas)

    def get(self, measure: str, period: str, area: str = "", key: str = "", second: str = "") -> Figure | None:
        """One figure, or None."""
        return self._by_name.get((measure, period, area, key, second))

    def last(self, measure: str) -> str:
        """The last quarter with figures of a kind (``coverage``, ``freshness``, ``credit``), or none."""
        known = {figure.period for figure in self.found.figures if figure.measure.startswith(measure + ".")}
        return max((quarter for quarter in self.quarters if quarter in known), default="")

    def places(self, measure: str, period: str) -> list[Place]:
        """The rows of a table by area: all counties and what is not known, or one county and its townships."""
        areas = {f.area for f in self.found.figures if f.measure == measure and f.period == period and f.area not in ("", ALL)}
        if self.county:
            return [Place(area, area == self.county) for area in sorted(areas) if area.startswith(self.county)]
        return [Place(area, True) for area in sorted(areas) if len(area) <= COUNTY_DIGITS]

    def keys(self, measures: Iterable[str]) -> list[str]:
        """The keys of these measures, totals left out."""
        wanted = set(measures)
        return sorted({f.key for f in self.found.figures if f.measure in wanted and f.key not in ("", ALL)})

    def seconds(self, measures: Iterable[str]) -> list[str]:
        """The second keys of these measures, totals left out."""
        wanted = set(measures)
        return sorted({f.second for f in self.found.figures if f.measure in wanted and f.second not in ("", ALL)})

    def text(self, measure: str, period: str, area: str = "", key: str = "", second: str = "") -> str:
        """A figure as it is written."""
        return written(self.get(measure, period, area, key, second))

    def value(self, measure: str, period: str, area: str = "", key: str = "", second: str = "") -> float | None:
        """A figure's value; None where there is none to be shown."""
        figure = self.get(measure, period, area, key, second)
        return None if figure is None or figure.shown in (Shown.HIDDEN, Shown.FEW) else float(figure.value)

    def share(self, part: str, whole: str, period: str, area: str = "", key: str = "") -> float | None:
        """One figure as a share of another; None where one of them is not shown."""
        over, under = self.value(part, period, area, key), self.value(whole, period, area, key)
        return None if over is None or not under else over / under

    def freshness(self, period: str, department: str) -> float | None:
        """Share of a department's records within their cycle; None where there are none to be shown."""
        rows: Sequence[Figure] = [f for f in self.found.figures if f.period == period and f.key == department]
        sums = {name: sum(f.value for f in rows if f.measure == f"freshness.{name}") for name in ("fresh", "late", "old")}
        return sums["fresh"] / sum(sums.values()) if sum(sums.values()) else None


def written(figure: Figure | None) -> str:
    """A figure as it is written: ``—`` is not shown, ``<10`` fewer than ten."""
    if figure is None:
        return NOTHING
    if figure.shown is Shown.HIDDEN:
        return NOT_SHOWN
    return FEW if figure.shown is Shown.FEW else f"{figure.value:,}"


def percent(share: float | None) -> str:
    """A share in whole percent; what is in tens allows for no more."""
    return NOT_SHOWN if share is None else f"{100 * share:.0f} %"


def amount(figure: Figure | None, language: Language) -> str:
    """An amount in 万元, or in thousands in English; of fewer than ten people there is none."""
    if figure is None or figure.shown is not Shown.TENS:
        return NOTHING if figure is None else NOT_SHOWN
    return f"{figure.value / TEN_THOUSAND:,.0f}" if language == "zh" else f"{figure.value / 1000:,.0f}"
