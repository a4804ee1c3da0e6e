"""A supervisor subtracts: tables, counties, quarters, the year, two reports. Nobody and no cell of fewer than ten comes out.

The attacker knows everything shown in all periods, that figures are sums, and a mirror of the log: bank and purpose of every
question, exactly, at every moment, but never a county. What follows is computed here in exact fractions, independent of the
code that hides. The naive build of each (small cells hidden alone; exact stocks) gives them away.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Collection, Mapping
from fractions import Fraction
from itertools import pairwise, product

import numpy as np
import pytest
from scipy.optimize import linprog

from models.supervision.disclosure import FEWEST, Base, Name, Plan
from models.supervision.messages import ALL, Figure, Shown
from models.supervision.release import closed, running
from models.supervision.steps import FEW, Step, advance, amount_step
from models.supervision.tally import GRANTED, Tally

QUARTERS = ("2026Q1", "2026Q2", "2026Q3", "2026Q4")
BANKS, PURPOSES, COUNTIES = ("a", "b", "c"), ("loan", "post"), ("532301", "532302", "532323")
SIZES = (1, 2, 4, 9, 13, 40, 200)


def county(seed: int) -> dict[Base, int]:
    """A year of questions, thin enough that many cells are small."""
    random_ = random.Random(seed)
    cells = product(BANKS, PURPOSES, COUNTIES, QUARTERS)
    return {cell: random_.choice(SIZES) for cell in cells if random_.random() < 0.35}


def in_the_log(name: Name) -> bool:
    return not name[2]


def settled(cells: Mapping[Base, int]) -> dict[Name, int | None]:
    """What is shown over the year, quarter by quarter as time goes on, then the year."""
    shown: dict[Name, int | None] = {}
    for place, period in enumerate((*QUARTERS, ALL)):
        earlier = QUARTERS[: min(place, 4)]
        known = {cell: count for cell, count in cells.items() if period == ALL or cell[3] <= period}
        hidden = [name for name, count in shown.items() if count is None]
        shown |= Plan(known, BANKS, PURPOSES, COUNTIES, in_the_log).settle(period, earlier, hidden)
    return shown


def naive(cells: Mapping[Base, int]) -> dict[Name, int | None]:
    """The same figures with nothing hidden but the small cells themselves."""
    names = [name for period in (*QUARTERS, ALL) for name in Plan(cells, BANKS, PURPOSES, COUNTIES).names(period)]
    counts = {name: sum(n for cell, n in cells.items() if covers(name, cell)) for name in names}
    return {name: None if 0 < count < FEWEST else count for name, count in counts.items()}


def covers(name: Name, cell: Base) -> bool:
    return all(wanted in (ALL, "", actual) for wanted, actual in zip(name, cell, strict=True))


def row_of(name: Name) -> list[Fraction]:
    return [Fraction(covers(name, cell)) for cell in product(BANKS, PURPOSES, COUNTIES, QUARTERS)]


class Echelon:
    """Rows brought into echelon form one by one, over fractions."""

    def __init__(self, names: Collection[Name]) -> None:
        self._rows: dict[int, list[Fraction]] = {}
        for name in names:
            rest = self._reduced(row_of(name))
            lead = next((place for place, value in enumerate(rest) if value), None)
            if lead is not None:
                self._rows[lead] = [value / rest[lead] for value in rest]

    def _reduced(self, row: list[Fraction]) -> list[Fraction]:
        for lead in sorted(self._rows):
            if factor := row[lead]:
                row = [value - factor * other for value, other in zip(row, self._rows[lead], strict=True)]
        return row

    def gives(self, name: Name) -> bool:
        return not any(self._reduced(row_of(name)))


def exposed(shown: Mapping[Name, int | None], cells: Mapping[Base, int]) -> list[Name]:
    """Hidden figures of 1 to 9 that follow from what is shown and from the log."""
    known = Echelon([name for name, count in shown.items() if count is not None or in_the_log(name)])
    hidden = [name for name, count in shown.items() if count is None and not in_the_log(name)]
    small = [name for name in hidden if 0 < sum(n for cell, n in cells.items() if covers(name, cell)) < FEWEST]
    return [name for name in small if known.gives(name)]


@pytest.mark.parametrize("seed", range(4))
def test_no_cell_of_fewer_than_ten_follows_from_all_tables_of_a_year(seed: int) -> None:
    cells = county(seed)
    shown = settled(cells)
    assert any(count is not None for count in shown.values())
    assert exposed(shown, cells) == []
    assert exposed(naive(cells), cells)


@pytest.mark.parametrize("seed", range(3))
def test_nor_do_bounds_leave_a_county_one_value(seed: int) -> None:
    """Linear programs over all base cells: the least and the most that a hidden small cell of a county can be."""
    cells = county(seed)
    shown = settled(cells)
    base = list(product(BANKS, PURPOSES, COUNTIES, QUARTERS))
    known = [name for name, count in shown.items() if count is not None or in_the_log(name)]
    rows = np.array([[float(covers(name, cell)) for cell in base] for name in known])
    sums = rows @ np.array([cells.get(cell, 0) for cell in base])
    for name, count in shown.items():
        exact = sum(n for cell, n in cells.items() if covers(name, cell))
        if count is None and not in_the_log(name) and 0 < exact < FEWEST:
            target = np.array([float(covers(name, cell)) for cell in base])
            least, most = (sign * float(linprog(sign * target, A_eq=rows, b_eq=sums).fun or 0) for sign in (1, -1))
            assert most - least > 0.5, name


def test_quarters_of_few_questions_are_not_pinned_by_their_year() -> None:
    """All four questions of one quarter and all eight of another from one county: their sum would say so."""
    cells = {("a", "loan", "532301", quarter): n for quarter, n in zip(QUARTERS, (4, 8, 50, 0), strict=True)}
    cells |= {("b", "loan", "532302", "2026Q3"): 60, ("b", "post", "532323", "2026Q3"): 40}
    shown = settled(cells)
    assert shown["", "", "532301", "2026Q3"] == 50
    assert shown["", "", "532301", ALL] is None


def test_small_quarters_are_not_summed_up_by_their_year() -> None:
    """Two and three people in two quarters: the year would say that they were five."""
    north = zip(QUARTERS, (2, 3, 50, 30), strict=True)
    cells = {("a", "loan", "532301", quarter): n for quarter, n in north}
    cells |= {("a", "loan", area, quarter): 40 for area in COUNTIES[1:] for quarter in QUARTERS}
    shown = settled(cells)
    assert [shown["", "", "532301", quarter] for quarter in QUARTERS] == [None, None, 50, 30]
    assert shown["", "", "532301", ALL] is None


def test_where_the_log_tells_less_small_purposes_are_kept_as_well() -> None:
    """Of a refused question the log tells the bank and not the purpose."""

    def banks_alone(name: Name) -> bool:
        return not name[2] and name[1] == ALL

    cells = county(3)
    quarter = {cell: count for cell, count in cells.items() if cell[3] == QUARTERS[0]}
    shown = Plan(quarter, BANKS, PURPOSES, COUNTIES, banks_alone).settle(QUARTERS[0])
    known = Echelon([name for name, count in shown.items() if count is not None or banks_alone(name)])
    small = [n for n in shown if not banks_alone(n) and 0 < sum(c for cell, c in quarter.items() if covers(n, cell)) < FEWEST]
    assert small
    assert not [name for name in small if known.gives(name)]


@pytest.mark.parametrize("seed", range(4))
def test_what_is_shown_is_true_and_what_a_total_leaves_over_is_nobody_or_ten(seed: int) -> None:
    cells = county(seed)
    shown = settled(cells)
    exact = {name: sum(n for cell, n in cells.items() if covers(name, cell)) for name in shown}
    assert all(count in (None, exact[name]) for name, count in shown.items())
    assert not any(count is not None and 0 < count < FEWEST for count in shown.values())
    for period in (*QUARTERS, ALL):
        parts = [shown["", "", area, period] for area in COUNTIES]
        rest = exact[ALL, ALL, "", period] - sum(part or 0 for part in parts)
        # The total stands in the log. Of less than ten in all, nothing is told by county.
        assert not 0 < rest < FEWEST or parts == [None] * len(COUNTIES)


def test_an_earlier_quarter_is_never_shown_otherwise_later() -> None:
    cells = county(7)
    shown = settled(cells)
    quarter = {cell: count for cell, count in cells.items() if cell[3] == QUARTERS[0]}
    first = Plan(quarter, BANKS, PURPOSES, COUNTIES, in_the_log).settle(QUARTERS[0])
    assert {name: shown[name] for name in first} == first


# ---------------------------------------------------------------------- reports asked for again and again


def test_one_question_more_moves_nothing_until_ten_have_come() -> None:
    """Two looks at the running quarter differ by one subject's question in the attacker's mind; the figures do not."""
    seen: list[list[Figure]] = []
    steps: dict[str, Step] = {}
    for questions in range(60):
        tally = Tally(
            flows=Counter({(GRANTED, "a", "loan-approval", COUNTIES[0]): questions, (GRANTED, "b", "other", "-"): 31})
        )
        figures, steps = running("2026Q4", tally, steps)
        seen.append(figures)
    moved = [place for place in range(1, 60) if seen[place] != seen[place - 1]]
    assert all(later - earlier >= FEWEST for earlier, later in pairwise(moved))
    assert all(figure.shown in (Shown.TENS, Shown.FEW) for figures in seen for figure in figures if figure.measure == GRANTED)
    naive_build = [advance(None, questions, step=1).shown for questions in range(60)]
    assert all(later - earlier == 1 for earlier, later in pairwise(naive_build[1:]))


def test_totals_in_tens_say_no_more_than_their_parts() -> None:
    """A total rounded by itself would say what its parts together are rounded by; here it follows from them."""
    flows = Counter(
        {(GRANTED, bank, "loan-approval", area): n for bank, area, n in zip("abc", COUNTIES, (14, 14, 3), strict=True)}
    )
    figures, _ = running("2026Q4", Tally(flows=flows), {})
    by_key = {figure.key: figure for figure in figures if figure.measure == GRANTED and figure.second == "loan-approval"}
    assert by_key[ALL].value == sum(by_key[bank].value for bank in "abc") == 20
    assert by_key["c"].shown is Shown.FEW


def test_a_stock_moves_by_ten_subjects_or_stays() -> None:
    random_ = random.Random(5)
    count, step = 37, advance(None, 37)
    last_moved = count
    for _ in range(3_000):
        count = max(0, count + random_.choice((-1, 1)))
        later = advance(step, count)
        if later.shown != step.shown:
            assert abs(count - last_moved) >= FEWEST
            last_moved = count
        elif later is not step:
            last_moved = count
        step = later
        assert step.shown == FEW or step.shown % FEWEST == 0


def test_one_borrowers_loan_is_below_the_step_of_its_area() -> None:
    random_ = random.Random(6)
    for people in (10, 60, 900):
        loans = [random_.randrange(20_000, 200_000) for _ in range(people)]
        amount = sum(loans)
        shown = advance(None, amount, amount_step(amount, people))
        for loan in loans[:50]:
            assert advance(shown, amount - loan, amount_step(amount - loan, people - 1)) == shown
            assert advance(None, amount, 1).shown - advance(None, amount - loan, 1).shown == loan  # the naive build


def test_a_year_that_closes_shows_no_question_that_a_quarter_hid() -> None:
    """Three quarters with none and one with four: the year's four would name the quarter's."""
    quiet = {quarter: Tally() for quarter in QUARTERS}
    quiet["2026Q2"].flows[GRANTED, "a", "loan-approval", COUNTIES[0]] = 4
    quiet["2026Q3"].flows[GRANTED, "a", "loan-approval", COUNTIES[0]] = 50
    figures: list[Figure] = []
    for place, quarter in enumerate(QUARTERS):
        figures += closed(quarter, {name: quiet[name] for name in QUARTERS[: place + 1]}, figures)
    figures += closed("2026", quiet, figures)
    of_county = {f.period: f for f in figures if f.measure == GRANTED and f.area == COUNTIES[0]}
    assert of_county["2026Q2"].shown is Shown.HIDDEN
    assert of_county["2026Q3"].value == 50
    assert of_county["2026"].shown is Shown.HIDDEN
