"""Tables over several banks: what a bank may send, what comes out of a sum, and that nothing hidden follows from it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from models.problems import BadMessage
from models.statistics import (
    FEWEST_BANKS,
    FEWEST_BORROWERS,
    BankTable,
    Kind,
    MalformedInput,
    Measure,
    StatisticsTable,
    check_input,
    read,
    release,
)
from models.suppression import Table, hide, with_margins
from models.wire import replace

Ints = NDArray[np.int64]
MEASURES = (Measure(name="bad", kind=Kind.COUNT), Measure(name="exposure", kind=Kind.AMOUNT, unit="fen"))


def table(rows: int, columns: int = 1) -> StatisticsTable:
    crops = tuple(f"crop-{n}" for n in range(columns)) if columns > 1 else ("",)
    return StatisticsTable(
        project="p", title="t", period="2026", row_key="township", rows=tuple(f"{n:06d}" for n in range(rows)),
        measures=MEASURES, column_key="crop" if columns > 1 else "", columns=crops,
    )  # fmt: skip


def bank(borrowers: Ints, bad: Ints | None = None) -> BankTable:
    bad = borrowers * 0 if bad is None else bad
    return BankTable(borrowers, np.stack([bad, borrowers * 1000]))


def summed(asked: StatisticsTable, parts: list[BankTable]) -> NDArray[np.uint64]:
    total: NDArray[np.uint64] = np.sum([part.vector(asked) for part in parts], axis=0, dtype=np.uint64)
    return total


# ---------------------------------------------------------------------------------------------------- what comes out


def test_sums_and_margins_of_three_banks() -> None:
    asked = table(3, 2)
    parts = [bank(np.full((3, 2), 20 + n), np.full((3, 2), 4 + n)) for n in range(3)]
    made = release("s", asked, ("a", "b", "c"), summed(asked, parts))
    values, shown = read(made)
    assert values.shape == (3, 4, 3)
    assert shown.all()
    assert made.hidden == 0
    np.testing.assert_array_equal(values[0], with_margins(np.full((3, 2), 63)))
    np.testing.assert_array_equal(values[1], with_margins(np.full((3, 2), 15)))
    np.testing.assert_array_equal(values[2], with_margins(np.full((3, 2), 63_000)))


def test_a_negative_amount_comes_through_the_ring() -> None:
    asked = table(2)
    part = bank(np.full((2, 1), 30))
    part.measures[1] = [[-5000], [7000]]
    values, _ = read(release("s", asked, (), summed(asked, [part] * 3)))
    np.testing.assert_array_equal(values[2].ravel(), [-15000, 21000, 6000])


def test_few_borrowers_and_few_banks_are_hidden_with_one_more() -> None:
    asked = table(5)
    first = np.array([[3], [40], [20], [50], [60]])
    others = [np.array([[3], [40], [0], [50], [60]])] * 2
    made = release("s", asked, (), summed(asked, [bank(counts) for counts in (first, *others)]))
    values, shown = read(made)
    # Row 0 has 9 borrowers, row 2 one bank alone, which knows it: row 1 goes with them, or that bank would know row 0.
    np.testing.assert_array_equal(shown[0].ravel(), [False, False, False, True, True, True])
    assert not values[~shown].any()
    np.testing.assert_array_equal(shown[2], shown[0])


def test_a_rate_that_names_few_is_hidden_and_the_cell_is_not() -> None:
    asked = table(4)
    borrowers, bad = np.full((4, 1), 30), np.array([[1], [10], [28], [12]])
    _, shown = read(release("s", asked, (), summed(asked, [bank(borrowers, bad)] * 3)))
    assert shown[0].all()
    # 3 of 90 are bad, and 84 of 90, which is 6 that are not.
    np.testing.assert_array_equal(shown[1].ravel()[[0, 2]], [False, False])
    assert shown[2].all()


def test_an_amount_that_few_have_is_hidden_and_the_cell_is_not() -> None:
    """Else what one borrower owes is the sum over all who owe anything."""
    asked = table(3)
    parts = [bank(np.full((3, 1), 30)) for _ in range(3)]
    parts[0].measures[1, 0], parts[1].measures[1, 0], parts[2].measures[1, 0] = 0, 0, 7_000
    parts[2] = BankTable(parts[2].borrowers, parts[2].measures, np.array([[[1], [30], [30]]]))
    _, shown = read(release("s", asked, ("a", "b", "c"), summed(asked, parts)))
    assert shown[:2].all()
    assert not shown[2, 0, 0]
    assert shown[2].sum() == 2  # one more is hidden, or the margin would tell


def test_hidden_counts_together_do_not_name_the_few_who_have_it_not() -> None:
    """One of 72 borrowers of the first two cells has it not: margin and rest would say so, were only these two hidden."""
    borrowers, bad = np.array([[51], [21], [120], [90]]), np.array([[50], [21], [60], [45]])
    given = StatisticsTable(
        project="p",
        title="t",
        period="2026",
        row_key="town",
        rows=("a", "b", "c", "d"),
        measures=(Measure(name="bad", kind=Kind.COUNT),),
    )
    third = bad // 3 + np.array([[1], [0], [0], [0]])
    parts = [BankTable(borrowers // 3, each[None]).vector(given) for each in (third, third, bad - 2 * third)]
    values, shown = read(release("s", given, ("x", "y", "z"), parts[0] + parts[1] + parts[2]))
    assert shown[0].all()
    hidden = ~shown[1, :-1]
    assert hidden[0]
    assert shown[1, -1]
    without = borrowers[hidden].sum() - (values[1, -1, 0] - values[1, :-1][~hidden].sum())
    assert without >= FEWEST_BORROWERS


def test_noise_is_added_to_what_is_shown_and_named() -> None:
    asked, seen = table(2), []

    def noise(name: str, exact: Ints) -> Ints:
        seen.append(name)
        return exact + 1

    total = summed(asked, [bank(np.full((2, 1), 30))] * 3)
    made = release("s", asked, (), total, ("laplace, ε = 1", noise))
    assert made.noise == "laplace, ε = 1"
    assert seen == ["borrowers", "bad", "exposure"]
    np.testing.assert_array_equal(read(made)[0] - read(release("s", asked, (), total))[0], 1)


# ---------------------------------------------------------------------------------------------------- what goes in


def test_a_vector_that_is_none_is_named() -> None:
    asked = table(3)
    good = bank(np.array([[20], [0], [30]]), np.array([[5], [0], [30]]))
    check_input(asked, good.vector(asked))
    cells = 3

    def changed(place: int, value: int) -> NDArray[np.uint64]:
        words = good.vector(asked).copy()
        words.view(np.int64)[place] = value
        return words

    for place, value, match in (
        (0, -1, "negative"),
        (0, 1 << 40, "larger"),
        (cells, 21, "more borrowers"),
        (cells, -1, "fewer than none"),
        (2 * cells + 1, 5, "nobody is"),
        (2 * cells, 1 << 60, "beyond its range"),
        (3 * cells, 21, "more borrowers have an amount"),
        (3 * cells, 0, "nobody has any"),
        (4 * cells, 0, "flags"),
        (4 * cells, 3, "flags"),
        (4 * cells + 1, 1, "flags"),
    ):
        with pytest.raises(MalformedInput, match=match):
            check_input(asked, changed(place, value))
    with pytest.raises(MalformedInput, match="words"):
        check_input(asked, good.vector(asked)[:-1])
    with pytest.raises(MalformedInput, match="another shape"):
        good.vector(table(4))


@pytest.mark.parametrize(
    "changes",
    [
        {"rows": ()},
        {"rows": ("a", "a")},
        {"rows": ("a\n",)},
        {"rows": tuple(map(str, range(5000)))},
        {"measures": (MEASURES[0], MEASURES[0])},
        {"measures": (Measure(name="a b", kind=Kind.COUNT),)},
        {"title": ""},
        {"period": "2026-Q5"},
        {"period": "2026Q2"},
        {"period": "2026-06 "},
    ],
)
def test_tables_that_cannot_be(changes: dict[str, object]) -> None:
    with pytest.raises(BadMessage):
        replace(table(3), **changes).check()


# ---------------------------------------------------------------------------------------------------- what is hidden


def determined(hidden: NDArray[np.bool_], place: int) -> bool:
    """Whether the shown cells and margins fix a hidden cell: by the rank of the equations with and without it."""
    unknown = np.flatnonzero(hidden)
    places = np.arange(hidden.size).reshape(hidden.shape)
    lines = ([*places] if hidden.shape[1] > 1 else []) + ([*places.T] if hidden.shape[0] > 1 else [])
    equations = np.zeros((len(lines), hidden.size))
    for equation, line in zip(equations, lines, strict=True):
        equation[line[:-1]], equation[line[-1]] = 1, -1
    matrix, unit = equations[:, unknown], (unknown == place).astype(float)
    return bool(np.linalg.matrix_rank(np.vstack([matrix, unit])) == np.linalg.matrix_rank(matrix))


def test_two_hidden_cells_in_every_line_are_not_enough() -> None:
    """Two blocks of four hidden cells and one between them: rows of the first block less its columns leave that one."""
    cells = np.random.default_rng(5).integers(20, 60, (4, 4))
    cells[0, 2] = 3
    counts = with_margins(cells)
    naive = np.zeros(counts.shape, bool)
    naive[:2, :2] = naive[2:4, 2:4] = naive[0, 2] = True
    lines = [*naive[:-1], *naive.T[:-1]]
    assert min(line.sum() for line in lines) == 2
    shown = np.where(naive, 0, counts)
    left = shown[:2, -1].sum() - shown[-1, :2].sum() - shown[:2, 2:4].sum() + shown[2:4, :2].sum()
    assert left == 3
    assert determined(naive, 2)
    small = np.zeros(counts.shape, bool)
    small[0, 2] = True
    hidden = hide(Table(counts, np.full(counts.shape, 5), small | naive), FEWEST_BORROWERS, FEWEST_BANKS)
    assert not determined(hidden, 2)


@settings(max_examples=60)
@given(st.integers(2, 6), st.integers(1, 6), st.integers(0, 2**32 - 1))
def test_nothing_hidden_follows_from_what_is_shown(rows: int, columns: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    counts = with_margins(rng.integers(0, 60, (rows, columns)) * rng.integers(0, 2, (rows, columns)))
    banks = with_margins(rng.integers(1, 6, (rows, columns)))
    small = ((counts > 0) & (counts < FEWEST_BORROWERS)) | ((counts > 0) & (banks < FEWEST_BANKS))
    hidden = hide(Table(counts, banks, small), FEWEST_BORROWERS, FEWEST_BANKS)
    assert hidden[small].all()
    if not small.any():
        assert not hidden.any()
    for place in map(int, np.flatnonzero(small)):
        assert not determined(hidden, place)
        if banks.flat[place] > 1 and not hidden.all():  # nor for a bank that knows what it alone has filled
            assert not determined(hidden & (banks > 1), place)
