"""From counts to figures that may be shown: closed quarters exactly with small cells hidden, all else in tens."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence

from models.supervision.disclosure import Base, Name, Plan
from models.supervision.messages import ALL, COUNTY_DIGITS, CoverageStatement, Figure, Shown
from models.supervision.steps import FEW, Step, advance_all, total
from models.supervision.tally import ACTS, FLOWS, REFUSED, Tally

FRESHNESS = ("fresh", "late", "old")
COVERAGE = ("households", "households_served", "organisations", "organisations_served")


def closed(period: str, tallies: Mapping[str, Tally], before: Iterable[Figure] = ()) -> list[Figure]:
    """The figures of a closed quarter, or of the year (`period` its number) once its quarters are.

    `tallies` are those of this and all earlier quarters of the year, `before` the figures that the earlier ones closed with.
    """
    is_year = period not in tallies
    earlier = [quarter for quarter in tallies if is_year or quarter < period]
    hidden = [figure for figure in before if figure.shown is Shown.HIDDEN]
    figures = []
    for measure in FLOWS:
        cells: dict[Base, int] = {
            (*cell, quarter): count for quarter, found in tallies.items() for cell, count in found.of(measure).items()
        }
        keys, seconds, areas = (sorted({cell[axis] for cell in cells} - {""}) for axis in range(3))
        plan = Plan(cells, keys, seconds, areas, _public(measure))
        kept: set[Name] = {(f.key, f.second, f.area, f.period) for f in hidden if f.measure == measure}
        settled = plan.settle(ALL if is_year else period, earlier, kept)
        figures += [_flow(measure, period, name, count) for name, count in settled.items()]
    acts = sum((found.acts for quarter, found in tallies.items() if is_year or quarter == period), start=Tally().acts)
    return figures + _acts(period, acts)


def standing(period: str, counts: Mapping[str, int], earlier: Mapping[str, Step]) -> tuple[list[Figure], dict[str, Step]]:
    """What stands at a period's end, by measure, in tens."""
    steps = advance_all(earlier, counts)
    return [in_tens(measure, period, step.shown, area=ALL) for measure, step in steps.items()], steps


def running(period: str, found: Tally, earlier: Mapping[str, Step]) -> tuple[list[Figure], dict[str, Step]]:
    """The figures of a quarter that goes on, in tens, and what the next ones are stepped from.

    None by county: the log tells everybody the second of each question, so that the day on which a county's figure moved would
    tell of which county one of that day was.
    """
    counts: dict[str, int] = defaultdict(int)
    for (measure, key, second, _), count in found.flows.items():
        counts["\t".join((measure, key or ALL, second or ALL))] += count
    steps = advance_all(earlier, counts)
    figures = []
    for measure in FLOWS:
        keyed = {name[1:]: step.shown for name, step in _named(steps) if name[0] == measure}
        sums = {(key, ALL): total(v for (k, _), v in keyed.items() if k == key) for key, _ in keyed}
        sums |= {(ALL, second): total(v for (_, s), v in keyed.items() if s == second) for _, second in keyed}
        sums |= {(ALL, ALL): total(keyed.values())}
        figures += [
            in_tens(measure, period, value, key=key, second=second) for (key, second), value in {**keyed, **sums}.items()
        ]
    return figures + _acts(period, found.acts), steps


def coverage(period: str, stated: CoverageStatement) -> list[Figure]:
    """A node's statement as figures of a quarter, with sums by county and over all."""
    declared = with_sums({area.area: area.declared for area in stated.areas}, sum)
    figures = [Figure(measure="coverage.declared", period=period, area=area, value=value) for area, value in declared.items()]
    for name in COVERAGE:
        by_area = with_sums({area.area: int(getattr(area, name)) for area in stated.areas}, total)
        figures += [in_tens(f"coverage.{name}", period, value, area=area) for area, value in by_area.items()]
    for row in stated.freshness:
        for name in FRESHNESS:
            value = getattr(row, name)
            figures.append(
                in_tens(f"freshness.{name}", period, value, key=row.department, second=f"{row.category}/{row.cycle}")
            )
    return figures


def with_sums(by_area: Mapping[str, int], add: Callable[[Sequence[int]], int]) -> dict[str, int]:
    """Figures by area, with those of each county (its townships and what is known of no township) and over all."""
    counties: dict[str, list[int]] = defaultdict(list)
    for area, value in by_area.items():
        counties[area[:COUNTY_DIGITS]].append(value)
    return {**by_area, **{county: add(values) for county, values in counties.items()}, ALL: add(list(by_area.values()))}


def in_tens(measure: str, period: str, value: int, *, area: str = "", key: str = "", second: str = "") -> Figure:
    """A figure in tens; `FEW` says fewer than ten."""
    few = value == FEW
    return Figure(
        measure=measure, period=period, area=area, key=key, second=second, value=0 if few else value,
        shown=Shown.FEW if few else Shown.TENS,
    )  # fmt: skip


def _public(measure: str) -> Callable[[Name], bool]:
    """Which figures of a measure the log tells to everybody: all but counties, and for which purpose somebody was refused."""
    if measure == REFUSED:
        return lambda name: not name[2] and name[1] == ALL
    return lambda name: not name[2]


def _flow(measure: str, period: str, name: Name, count: int | None) -> Figure:
    key, second, area, _ = name
    shown = Shown.HIDDEN if count is None else Shown.EXACT
    return Figure(measure=measure, period=period, area=area, key=key, second=second, value=count or 0, shown=shown)


def _acts(period: str, acts: Mapping[tuple[str, str], int]) -> list[Figure]:
    figures = []
    for measure in ACTS:
        of = {bank: count for (which, bank), count in acts.items() if which == measure}
        figures += [Figure(measure=measure, period=period, key=bank, value=count) for bank, count in sorted(of.items())]
        figures.append(Figure(measure=measure, period=period, key=ALL, value=sum(of.values())))
    return figures


def _named(steps: Mapping[str, Step]) -> Sequence[tuple[tuple[str, str, str], Step]]:
    return [((*name.split("\t"),), step) for name, step in steps.items()]  # type: ignore[misc]
