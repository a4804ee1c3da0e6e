"""Attack: read one person's cell off the tables of a field, with 300 known people and every look that is allowed.

The bank builds cohorts out of people whom it knows, with the target and without, and trains on each: the rows and bads of
a bin, less those of the known people, differ by the target's cell. Or it keeps the cohort, and changes the target's label.
Tables show two counts a bin, and a field of two bins shows each of them twice, since the cohort's size is known.

Naive build: the counts are shown as they are, and one pair of trainings reads the cell. A build with noise but without a
limit on looks reads it from some dozens.

Criterion: over all different questions whose tables a subject may be counted in within a year, R² of the target's cell is
at most 0.10; asking the same in other words (another number of bins, a special value that nobody has) draws no new noise.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from models.scorecard.binning import NumericBins, column_bins
from models.scorecard.columns import NodeColumns, NodeField
from models.scorecard.counts import members, noisy_rows
from models.scorecard.learner import Learner
from models.scorecard.limits import LimitRefused
from models.scorecard.noise import NodeNoise, alpha_mac
from models.scorecard.options import FieldBinning, check_binnings
from models.scorecard.tables import BinFigure
from tests.attacks.toy import r_squared
from tests.models.scorecard_job import LIMITS, MAC_KEY

pytestmark = pytest.mark.attack

NAME = "field-tables"
FULL_COUNT = 20
SMALL_COUNT = 3
TRIALS = 150  # a count
ROWS, KNOWN, LARGEST = 1_000, 300, 0.10
MANY = 64  # looks of a build without a limit

Floats = NDArray[np.float64]
Flags = NDArray[np.uint8]


class _NoNoise(NodeNoise):
    def draw(self, definition: bytes, mac: bytes = bytes(32), bound: float = 1.0) -> float:
        return 0.0


def _table(flag: Flags, labels: Flags, noise: NodeNoise) -> tuple[BinFigure, ...]:
    """The table that a training on these rows shows of a flag that is far from saying nothing."""
    columns = NodeColumns((NodeField(NumericBins("flag", (0.5,), 0)),), flag[None])
    learner = Learner(columns, noise, LIMITS)
    bads = np.bincount(flag, labels, minlength=2).astype(np.float64)
    learner.learn_woe(bads, alpha_mac(MAC_KEY, labels.astype(np.int64)))
    return learner._table(0).bins


def _counts(table: tuple[BinFigure, ...]) -> Floats:
    """Rows and bads of both bins, float64[2, 2]; nothing is read where bins were merged or are not shown."""
    if len(table) != 2:
        return np.zeros((2, 2))
    return np.array([[e.rows, (e.bad_rate or 0.0) * e.rows] if e.rows is not None else [0.0, 0.0] for e in table])


def _by_cohorts(random: np.random.Generator, looks: int, naive: bool) -> tuple[int, float]:
    """The target's flag, and what is read of it from cohorts with and without the target; labels are the bank's."""
    others = (random.random(ROWS) < 0.5).astype(np.uint8)
    known = (random.random(KNOWN) < 0.5).astype(np.uint8)
    label = lambda flags: (random.random(flags.size) < 0.15 + 0.4 * flags).astype(np.uint8)  # noqa: E731
    other_labels, known_labels, target = label(others), label(known), int(random.integers(2))
    found: dict[bool, list[Floats]] = {True: [], False: []}
    for look in range(looks):
        chosen, there = random.permutation(KNOWN)[: KNOWN // 2], look % 2 == 0
        flags = np.concatenate([others, known[chosen], [target] if there else []]).astype(np.uint8)
        labels = np.concatenate([other_labels, known_labels[chosen], [1] if there else []]).astype(np.uint8)
        noise = (_NoNoise if naive else NodeNoise)(random.bytes(32), b"root", LIMITS)
        counts = _counts(_table(flags, labels, noise))
        rows = np.bincount(known[chosen], minlength=2)
        bads = np.bincount(known[chosen], known_labels[chosen], minlength=2)
        found[there].append(counts - np.stack([rows, bads], axis=1))
    difference = np.mean(found[True], axis=0) - np.mean(found[False], axis=0)
    return target, float((difference[1] - difference[0]).sum())


def _by_labels(random: np.random.Generator, looks: int, naive: bool) -> tuple[int, float]:
    """The same from one cohort, its labels differing in the target and in known people."""
    flags = (random.random(ROWS) < 0.5).astype(np.uint8)
    first = (random.random(ROWS) < 0.15 + 0.4 * flags).astype(np.uint8)
    noise = (_NoNoise if naive else NodeNoise)(random.bytes(32), b"root", LIMITS)
    found: dict[int, list[Floats]] = {0: [], 1: []}
    for look in range(looks):
        labels, bit = first.copy(), look % 2
        labels[0] = bit
        flipped = 1 + random.permutation(KNOWN)[: look // 2]  # no vector is asked twice
        labels[flipped] ^= 1
        counts = _counts(_table(flags, labels, noise))
        change = np.bincount(flags[flipped], labels[flipped] - first[flipped].astype(float), minlength=2)
        found[bit].append(counts[:, 1] - change)
    difference = np.mean(found[1], axis=0) - np.mean(found[0], axis=0)
    return int(flags[0]), float(difference[1] - difference[0])


def _read(way: Any, trials: int, looks: int, seed: int, naive: bool = False) -> float:
    random = np.random.default_rng(seed)
    pairs = [way(random, looks, naive) for _ in range(trials)]
    cells, guesses = np.array(pairs, dtype=np.float64).T
    return r_squared(guesses, cells)


def campaign(count: int, seed: int) -> dict[str, Any]:
    allowed, trials = LIMITS.field_tables, TRIALS * count
    cohorts = _read(_by_cohorts, trials, allowed, seed)
    labels = _read(_by_labels, trials, allowed, seed)
    naive = [_read(way, 50, 2, seed, naive=True) for way in (_by_cohorts, _by_labels)]
    unlimited = _read(_by_cohorts, 10 * count, MANY, seed)
    assert min(naive) > 0.95, "exact counts must read the cell"
    assert unlimited > LARGEST, "without a limit on looks, many of them must read the cell"
    assert cohorts <= LARGEST, "tables of cohorts with and without the target read its cell"
    assert labels <= LARGEST, "tables under two labels of the target read its cell"
    return {
        "looks": allowed,
        "known rows": KNOWN,
        "R², cohorts": round(cohorts, 4),
        "R², labels": round(labels, 4),
        "R², exact counts": round(min(naive), 4),
        "R², no limit on looks": round(unlimited, 4),
    }


def test_tables_read_no_cell_of_one_person() -> None:
    campaign(SMALL_COUNT, 12)


def test_the_same_question_in_other_words_gets_the_same_noise() -> None:
    """A naive build draws noise by the definition of a bin: then every idle option is another look."""
    values = np.random.default_rng(5).integers(0, 6, ROWS).astype(np.float64)
    noise = NodeNoise(b"n" * 32, b"root", LIMITS)
    shown, naive = [], []
    for most, special in ((20, ()), (12, ()), (20, (-1.0,)), (20, (77.0, 78.0))):
        bins = column_bins("x", values, most, LIMITS, FieldBinning(special=special))
        codes = bins.apply(values)
        shown.append(noisy_rows(noise, np.bincount(codes), members(codes, bins.count)).tolist())
        asked = f"{most} {special}".encode()
        naive.append([noise.draw(b"rows" + bytes([b]) + asked + bins.definition()) for b in range(bins.count)])
    assert all(one == shown[0] for one in shown)
    assert not all(one == naive[0] for one in naive)


class _Set(NodeNoise):
    """Noise on row counts that a test chooses, by bin; none on bad counts."""

    def __init__(self, rows: dict[bytes, float]) -> None:
        super().__init__(bytes(32), b"root", LIMITS)
        self._rows = rows

    def draw(self, definition: bytes, mac: bytes = bytes(32), bound: float = 1.0) -> float:
        return self._rows.get(definition.removeprefix(b"rows"), 0.0)


def test_a_table_is_a_function_of_noisy_counts_alone() -> None:
    """Two neighbouring cohorts whose noisy counts happen to be the same have the same table: no exact count goes into it."""
    one = (np.arange(ROWS) < 400).astype(np.uint8)
    other = one.copy()
    other[-1] = 1
    labels = (np.arange(ROWS) % np.where(one, 2, 5) == 0).astype(np.uint8)
    labels[-1] = 0  # so that the bad counts are equal as well
    moved = dict(zip(members(other, 2), (np.bincount(one) - np.bincount(other)).tolist(), strict=True))
    assert _table(other, labels, _Set(moved)) == _table(one, labels, _Set({}))
    assert _table(other, labels, _Set({})) != _table(one, labels, _Set({}))


def test_no_plan_counts_the_rows_of_a_value() -> None:
    """A plan states the number of bins, and so whether a value has the rows asked for, exactly; and a refusal costs nothing."""
    values = np.where(np.arange(ROWS) < 237, -1.0, np.arange(ROWS) % 7)

    def has(rows: int) -> bool:
        return bool(column_bins("flag", values, 20, LIMITS, FieldBinning(special=(-1.0,), min_rows=rows)).special)  # type: ignore[union-attr]

    assert sum(has(rows) for rows in range(50, ROWS)) == 237 - 49, "naive: any number may be asked for, so the rows are counted"
    offered = []
    for rows in range(50, ROWS // 2 + 1):
        with suppress(LimitRefused):
            check_binnings([FieldBinning(min_rows=rows)], [], ROWS)
            offered.append(rows)
    assert offered == [50, 100, 200, 400]
