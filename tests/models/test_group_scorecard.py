"""Several banks, one model, in one process: what comes out, what does not, and whom the office drops."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from crypto.errors import AggregationRefused
from models.scorecard.binning import Bins, CategoryBins, NumericBins
from models.scorecard.columns import NodeColumns
from models.scorecard.group import GroupMember, GroupPlan, MemberPlan, counts_of, pooled_name
from models.scorecard.group_columns import common_columns, propose, read_definitions, support_groups, write_definitions
from models.scorecard.group_inputs import check_all_classes, check_group_inputs, check_same_codes, code_vector
from models.scorecard.group_node import MemberTraining, _noisy_counts
from models.scorecard.inputs import BankVector, Opening
from models.scorecard.limits import InputRefused, LimitRefused
from models.scorecard.moments import SCALE
from models.scorecard.node import NodeSecrets
from models.scorecard.noise import NodeNoise, alpha_mac
from models.scorecard.rounds import COUNTS, MOMENTS, Plan
from tests.models.group_job import BankRows, GroupJob
from tests.models.scorecard_job import LIMITS, cohort, node_columns

BANKS = ("a", "b", "c", "d")


def cohorts(banks: tuple[str, ...] = BANKS[:3], rows: int = 1_100) -> tuple[dict[str, BankRows], list[Any]]:
    """Equal shares of one synthetic population: bins are common, since one population was binned."""
    made = cohort(7, rows=rows * len(banks), bank_fields=2)
    columns = node_columns(made)
    definitions = propose(made.bank, LIMITS)
    parts = {}
    for k, bank in enumerate(banks):
        part = slice(k * rows, (k + 1) * rows)
        parts[bank] = BankRows(
            NodeColumns(columns.fields, columns.codes[:, part], columns.raw[:, part]),
            [b.apply(made.bank[b.field][part]) for b in definitions],
            made.labels[part],
        )
    return parts, definitions


def job(banks: tuple[str, ...] = BANKS[:3], **changes: Any) -> GroupJob:
    return GroupJob(*cohorts(banks), **changes)


@pytest.fixture(scope="module")
def finished() -> GroupJob:
    made = job()
    made.run()
    return made


def test_all_banks_come_out_with_one_model_of_all_rows(finished: GroupJob) -> None:
    learners = [finished.node[bank].learned() for bank in BANKS[:3]]
    weights = np.array([learner.weights_ for learner in learners])
    assert (weights == weights[0]).all()
    figures = finished.node["b"].figures()
    assert figures.rows == 3_300
    assert figures.correlation.shape == (10, 10)
    X = np.concatenate([learner.woe_columns() for learner in learners], axis=1) / SCALE
    labels = np.concatenate([finished.cohorts[bank].labels for bank in BANKS[:3]])
    assert np.corrcoef(weights[0] @ X, labels)[0, 1] > 0.3


def test_common_columns_are_those_of_all_rows_together(finished: GroupJob) -> None:
    for k, column in enumerate(finished.columns):
        codes = np.concatenate([finished.cohorts[bank].codes[k] for bank in BANKS[:3]])
        assert column.rows == pytest.approx(np.bincount(column.groups[codes]), abs=6 * LIMITS.node_noise)
        assert (column.rows >= LIMITS.level_rows).all()
        z = column.levels[codes] / SCALE
        assert (z.mean(), z.std()) == (pytest.approx(0, abs=2e-2), pytest.approx(1, abs=2e-2))


def test_what_banks_are_told_of_the_common_columns_reads_no_single_row() -> None:
    """Two trainings that differ in one label of one bank, as another bank sees them.

    Counts that are exact differ in just the bin of the changed row.
    """
    told = []
    for flip in (0, 0, 1):
        parts, definitions = cohorts(BANKS[:3])
        labels = parts["a"].labels.copy()
        labels[:flip] = 1 - labels[:flip]
        mac = pooled_name(b"vector", [("a", alpha_mac(b"k" * 32, labels.astype(np.int64)))])
        noise = NodeNoise(b"n" * 32, b"root", LIMITS)
        exact = counts_of(labels, parts["a"].codes[:1], [definitions[0].count])
        told.append((exact, _noisy_counts(noise, definitions[0].definition(), mac, exact)))
    (first, shown), (_, again), (changed, after) = told
    assert np.abs(changed - first).sum() == 1
    assert (again == shown).all()  # asking again averages nothing away
    assert (after[0] == shown[0]).all()  # the rows are the same
    assert np.abs(after[1] - shown[1]).sum() > 10


def test_correlations_of_common_columns_carry_noise(finished: GroupJob) -> None:
    codes = [np.concatenate([finished.cohorts[bank].codes[k] for bank in BANKS[:3]]) for k in range(len(finished.columns))]
    exact = np.corrcoef([column.levels[c] for column, c in zip(finished.columns, codes, strict=True)])
    shown = finished.node["a"].figures().correlation[-len(codes) :, -len(codes) :]
    off = ~np.eye(len(codes), dtype=bool)
    assert (np.abs(shown - exact)[off] > 1e-3).any()
    assert np.abs(shown - exact).max() < 0.15


def test_the_node_sees_no_single_banks_answer(finished: GroupJob) -> None:
    # What leaves a bank is masked: the words themselves stand nowhere in what the node was sent.
    for (bank, round_), words in finished.inputs.items():
        assert finished.node[bank].digests(round_).response == ""
        assert words.size == finished.plan.part(bank).words(round_)


@pytest.mark.parametrize("step", ["opening"])
def test_a_bank_that_is_lost_in_round_1_is_left_out(step: str) -> None:
    first, _ = job(BANKS, lost={"b": (COUNTS, step)}).counts()
    assert first == ("a", "c", "d")


def test_a_bank_that_is_lost_after_its_office_s_word_still_counts() -> None:
    # Its seed comes from the shares of the others: its word is proven, so nothing is lost but its own bands.
    assert job(BANKS, lost={"d": (MOMENTS, "unmask")}).run().rows == 4_400


@pytest.mark.parametrize(
    ("banks", "lost"),
    [
        (BANKS, {"a": (COUNTS, "keys"), "b": (COUNTS, "keys")}),
        (BANKS[:3], {"c": (COUNTS, "unmask")}),
    ],
)
def test_over_too_few_banks_nothing_comes_out(banks: tuple[str, ...], lost: dict[str, tuple[int, str]]) -> None:
    made = job(banks, lost=lost)
    with pytest.raises((AggregationRefused, LimitRefused)):
        made.counts()


def test_round_2_counts_over_the_banks_of_round_1_or_not_at_all() -> None:
    made = job(BANKS, lost={"b": (MOMENTS, "input")})
    first, counted = made.counts()
    with pytest.raises(LimitRefused, match="difference of both rounds"):
        made.moments(first, counted)


def _flip(rows: int) -> Any:
    def change(value: Opening) -> Opening:
        codes = value.labels.copy()
        codes[:rows] = 1 - codes[:rows]
        return replace(value, vectors=(BankVector.of_labels(codes), *value.vectors[1:]))

    return change


LIES: dict[str, tuple[str, int, Any, str]] = {
    "other labels in the opening": ("opening", COUNTS, _flip(60), "product-not-as-committed"),
    "other counts or answers": ("words", COUNTS, lambda w: w + np.uint64(1), "response-not-as-committed"),
    "other mask keys": ("masks", COUNTS, lambda m: m[:-20] + bytes(20), "masks-not-as-committed"),
}


@pytest.mark.parametrize("lie", list(LIES))
def test_a_bank_that_lies_counts_as_dropped(lie: str) -> None:
    what, round_, change, rule = LIES[lie]
    made = job(tamper=lambda b, r, w, value: change(value) if (b, r, w) == ("c", round_, what) else value)
    with pytest.raises(LimitRefused, match="nothing comes out"):
        made.counts()
    assert made.failed == {"c": rule}


def _vectors(rows: int) -> dict[str, tuple[int, Opening]]:
    random = np.random.default_rng(4)
    y = BankVector.of_labels((random.random(rows) < 0.3).astype(np.uint8))
    codes = random.integers(0, 4, rows).astype(np.uint8)
    levelled = BankVector.of_column(codes, np.array([-900, 10, 20, 1_500]))
    near = codes.copy()
    near[:20] = (near[:20] + 1) % 4
    few = BankVector.of_labels((np.arange(rows) < 49).astype(np.uint8))

    def opening(*vectors: BankVector) -> Opening:
        return Opening(vectors, b"s" * 32)

    return {
        "labels-not-binary": (COUNTS, opening(BankVector(y.codes, np.array([0, 2]), 1, 1), code_vector(codes))),
        "code-without-level": (COUNTS, opening(y, code_vector(codes + np.uint8(1)))),
        "codes-malformed": (COUNTS, opening(y, levelled)),
        "levels-not-common": (MOMENTS, opening(y, BankVector.of_column(codes, np.array([-900, 10, 20, 1_501])))),
        "value-out-of-bounds": (MOMENTS, opening(y, BankVector.of_column(codes, np.array([-900, 10, 20, 8_193])))),
        "class-too-small": (COUNTS, opening(few, code_vector(codes))),
        "wrong-vectors": (COUNTS, opening(y)),
        "wrong-rows": (COUNTS, opening(y, code_vector(codes[:-1]))),
    }


@pytest.mark.parametrize("rule", list(_vectors(1_200)))
def test_malformed_inputs_of_one_bank_are_refused(rule: str) -> None:
    round_, opening = _vectors(1_200)[rule]
    with pytest.raises(InputRefused) as refused:
        check_group_inputs(opening, round_, MemberPlan(Plan(1_200, (5,), 1), (4,)), [np.array([-900, 10, 20, 1_500])], LIMITS)
    assert refused.value.rule == rule


def test_near_copies_within_one_bank_are_refused_unless_next_to_constant() -> None:
    random = np.random.default_rng(5)
    y = BankVector.of_labels((random.random(1_200) < 0.3).astype(np.uint8))
    halves, rare, rarer = (np.arange(1_200) % 2).astype(np.uint8), np.zeros(1_200, np.uint8), np.zeros(1_200, np.uint8)
    near = halves.copy()
    near[:20], rare[:30], rarer[5:40] = 1 - near[:20], 1, 1
    part = MemberPlan(Plan(1_200, (5,), 2), (2, 2))
    with pytest.raises(InputRefused, match="say the same"):
        check_group_inputs(Opening((y, code_vector(halves), code_vector(near)), b"s" * 32), COUNTS, part, [], LIMITS)
    check_group_inputs(Opening((y, code_vector(rare), code_vector(rarer)), b"s" * 32), COUNTS, part, [], LIMITS)


def test_codes_and_labels_stay_those_of_the_first_round() -> None:
    check_same_codes([b"a", b"b"], [b"a", b"b"])
    with pytest.raises(InputRefused, match="second round"):
        check_same_codes([b"a", b"b"], [b"a", b"c"])
    plan = GroupPlan(tuple(GroupMember(bank, 1_200, b"s" * 32) for bank in "abc"), (20,) * 8, (5,) * 4)
    with pytest.raises(InputRefused, match="fewer than 120"):
        check_all_classes(119, 3_600, plan, LIMITS)


def test_thin_bins_are_pooled_by_rows_alone() -> None:
    numeric = NumericBins("amount", (1.0, 2.0, 3.0), 4)
    assert support_groups(numeric, np.array([400, 10, 30, 300, 60]), 50).tolist() == [0, 1, 1, 1, 2]
    assert support_groups(numeric, np.array([400, 10, 60, 300, 6]), 50).tolist() == [0, 1, 1, 2, 1]
    kinds = CategoryBins("kind", ("x", "y", "z"), (0, 1, 2), 3)
    assert support_groups(kinds, np.array([500, 20, 200, 10]), 50).tolist() == [0, 1, 1, 1]
    with pytest.raises(LimitRefused, match="fewer than 50 rows"):
        support_groups(kinds, np.array([10, 9, 10, 10]), 50)


def test_summed_counts_that_cannot_be_are_refused() -> None:
    bins = NumericBins("amount", (1.0,), 0)
    with pytest.raises(InputRefused, match="more bad rows"):
        common_columns([bins], np.array([[100, 100], [101, 5]]), LIMITS)
    with pytest.raises(LimitRefused):
        common_columns([bins], np.array([[-100, 100], [0, 5]]), LIMITS)


def test_counts_are_of_the_common_bins() -> None:
    labels, codes = np.array([1, 0, 1, 1], np.uint8), [np.array([0, 2, 2, 0], np.uint8), np.array([1, 1, 0, 1], np.uint8)]
    assert counts_of(labels, codes, [3, 2]).tolist() == [[2, 0, 2, 1, 3], [2, 0, 1, 1, 2]]
    assert counts_of(labels, [], []).shape == (2, 0)


def test_definitions_travel_as_a_file(tmp_path: Path) -> None:
    definitions: list[Bins] = [NumericBins("amount", (1.5, 2.0), 3), CategoryBins("kind", ("x", "y"), (0, 1), 2)]
    write_definitions(definitions, tmp_path / "columns.json")
    assert read_definitions(tmp_path / "columns.json", LIMITS) == definitions
    (tmp_path / "bad.json").write_text('{"format": "other", "columns": []}')
    with pytest.raises(ValueError, match=r"bad\.json does not define common columns"):
        read_definitions(tmp_path / "bad.json", LIMITS)
    write_definitions([definitions[0]] * 2, tmp_path / "twice.json")
    with pytest.raises(LimitRefused, match="twice"):
        read_definitions(tmp_path / "twice.json", LIMITS)


@pytest.mark.parametrize("banks", [("a", "b"), tuple("abcdefghijk"), ("b", "a", "c")])
def test_three_to_ten_banks_train_together(banks: tuple[str, ...]) -> None:
    with pytest.raises(LimitRefused, match="3 to 10 different banks"):
        GroupPlan(tuple(GroupMember(bank, 1_200, b"s" * 32) for bank in banks), (5,), ())


def test_a_member_goes_on_elsewhere_at_any_step(finished: GroupJob) -> None:
    source = finished.node["a"]
    twin = MemberTraining(
        "job-a",
        finished.plan,
        "a",
        source.columns,
        cohort_root=b"a",
        secrets=NodeSecrets(b"n" * 32, b"s" * 31 + b"\0"),
        limits=LIMITS,
        order_seed=b"o" * 32,
    )
    twin.restore(source.snapshot())
    assert twin.figures().correlation.tolist() == source.figures().correlation.tolist()
    assert twin.figures().fields == source.figures().fields
    assert twin.learned().snapshot() == source.learned().snapshot()
    assert "secret" in repr(source.columns)
