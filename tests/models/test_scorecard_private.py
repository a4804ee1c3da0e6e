"""A joint training under differential privacy: the noise is there, proven like all else, and asked for only once."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from crypto.masked_product import BankProduct, NodeProduct, OneHot
from models.privacy import PlannedPrivacy, Side, epsilon_of, rho_of
from models.scorecard import private, private_learner
from models.scorecard.columns import NodeColumns
from models.scorecard.inputs import Opening
from models.scorecard.limits import InputRefused
from models.scorecard.moments import SCALE
from models.scorecard.node import NodeSecrets, NodeTraining
from models.scorecard.private_learner import PrivateLearner
from models.scorecard.rounds import COUNTS, MOMENTS, Plan, moments_of, replay_round
from tests.models.scorecard_job import LIMITS, OFFICE, OFFICE_KEY, TRANSCRIPTS, Cohort, Job, cohort, node_columns

DELTA = 1e-6


def privacy(epsilon: float, *protects: Side, fields: int = 8, columns: int = 3) -> PlannedPrivacy:
    noise = private.label_noise(epsilon, DELTA, fields, columns) if "labels" in protects else (0, 0)
    return PlannedPrivacy(epsilon=epsilon, delta=DELTA, protects=protects, answer_noise=noise[0], own_noise=noise[1])


@pytest.fixture(scope="module")
def made() -> Cohort:
    return cohort(3)


@pytest.fixture(scope="module")
def jobs(made: Cohort) -> dict[tuple[Side, ...], Job]:
    wanted: list[tuple[Side, ...]] = [("labels",), ("rows",), ("labels", "rows")]
    return {sides: Job.of(made, privacy=privacy(2.0, *sides)).rounds() for sides in wanted}


@pytest.mark.parametrize("sides", [("labels",), ("rows",), ("labels", "rows")])
def test_a_private_training_is_proven_and_gives_figures(jobs: dict[tuple[Side, ...], Job], sides: tuple[Side, ...]) -> None:
    job = jobs[sides]
    figures = job.close().figures()
    assert len(figures.fields) == 8
    assert np.isfinite(figures.correlation).all()
    learned = job.node.learned()
    assert isinstance(learned, PrivateLearner)
    assert np.isfinite(learned.weights_ if learned.weights_ is not None else np.nan).all()


def test_protected_rows_show_no_edge_of_a_bin(jobs: dict[tuple[Side, ...], Job], made: Cohort) -> None:
    assert not any(entry.label for field in jobs[("rows",)].node.figures().fields for entry in field.table)
    plain = Job.of(made).rounds().close().figures()
    assert any(entry.label for field in plain.fields for entry in field.table)


# ---------------------------------------------------------------- labels against the node


def test_label_noise_covers_both_places_where_the_node_sees_labels() -> None:
    """ρ of the answers and of the bank's own counts add up to no more than was wished."""
    for fields, columns in [(1, 0), (10, 13), (40, 20)]:
        for epsilon in (0.1, 1.0, 8.0):
            answers, own = private.label_noise(epsilon, DELTA, fields, columns)
            planned = privacy(epsilon, "labels", fields=fields, columns=columns)
            shape = Plan(24_000, (20,) * fields, columns, privacy=planned).shape(COUNTS)
            assert shape.answer_sd(0) * 1024 >= answers * shape.unit(0)
            step = -(-shape.answer_sd(0) // 4096)
            steps = math.sqrt(fields) * shape.unit(0) / step + math.sqrt(fields)
            rho = steps**2 / (2 * 4096**2) + (columns + 1) / (2 * own**2)
            assert rho <= rho_of(epsilon, DELTA) * (1 + 1e-9)
            assert epsilon_of(rho, DELTA) <= epsilon * (1 + 1e-9)


def test_what_the_node_decodes_has_the_planned_noise() -> None:
    rows, bins = 1_000, (5, 5)
    plan = Plan(rows, bins, 0, privacy=privacy(1.0, "labels", fields=2, columns=0))
    random = np.random.default_rng(1)
    codes = random.integers(0, 5, (2, rows)).astype(np.uint8)
    labels = random.integers(0, 2, (1, rows)).astype(np.int64)
    exact = np.concatenate([np.bincount(c, labels[0], minlength=5) for c in codes])
    errors = []
    for trial in range(12):
        seed = bytes([trial]) * 32
        bank = BankProduct(plan.shape(COUNTS), seed, labels, seed)
        node = NodeProduct(plan.shape(COUNTS), seed, OneHot(codes, bins), seed)
        errors.append(node.recover(bank.answer(*node.respond(*bank.encrypt())))[:, 0] - exact)
    found, planned = float(np.std(errors)), privacy(1.0, "labels", fields=2, columns=0).answer_noise / 1024
    assert 0.7 * planned < found < 1.3 * planned  # 120 samples: five standard errors are 0.32
    assert planned > 5, "the noise that the protocol itself needs is one row"


def test_label_products_of_the_second_round_are_withheld(jobs: dict[tuple[Side, ...], Job]) -> None:
    """Uniform words: their distance to the true products is nowhere near zero, for columns it is."""
    job = jobs[("labels",)]
    opening, (h, c) = job.bank.opening(MOMENTS), job.seen_by_bank[1]
    shape = job.plan.shape(MOMENTS)
    bank = BankProduct(shape, bytes([MOMENTS]) * 32, opening.alphas, opening.seed)
    noiseless = c - np.stack([h @ secret.view(np.uint64) for secret in bank._secrets], axis=1)
    away = np.abs((bank.answer(h, c) - noiseless).view(np.int64).astype(np.float64))
    assert (away[:, 0] > 2.0**50).all()
    assert (away[:, 1:] < 20.0 * shape.answer_sd(1)).all()


def test_moments_of_labels_follow_from_noisy_counts_and_others_are_exact(jobs: dict[tuple[Side, ...], Job]) -> None:
    job = jobs[("labels",)]
    opening, noise = job.bank.opening(MOMENTS), job.plan.own_noise
    exact, made = moments_of(opening, MOMENTS), moments_of(opening, MOMENTS, noise)
    assert (made[:-1, :-1] == exact[:-1, :-1]).all()
    assert (made == made.T).all()
    assert (made[-1] != exact[-1]).all()
    for k, vector in enumerate(opening.vectors[1:]):
        bads = private.own_bads(vector.codes, opening.labels, vector.levels.size, opening.seed, k, noise)
        assert made[-1, 1 + k] == vector.levels @ bads
    assert made[-1, 0] == made[-1, -1]


def test_two_label_vectors_that_differ_in_one_row_send_what_could_come_of_either(made: Cohort) -> None:
    """The bank's own counts, with seeds drawn afresh: the shift of one row drowns in the noise as ε says; without it shows."""
    plan = Plan(2_400, (5,) * 8, 3, privacy=privacy(1.0, "labels"))
    codes, labels = np.zeros(2_400, dtype=np.uint8), made.labels.copy()
    labels[0] = 0
    other = labels.copy()
    other[0] = 1

    def counts(of: NDArray[np.uint8], sd: int, run: int) -> NDArray[np.int64]:
        seeds = [bytes([run]) + n.to_bytes(31, "big") for n in range(3_000)]
        return np.array([private.own_bads(codes, of, 1, seed, 0, sd)[0] for seed in seeds])

    one, two = counts(labels, plan.own_noise, 1), counts(other, plan.own_noise, 2)
    threshold = labels.sum() + 0.5
    gain = float((two > threshold).mean() - (one > threshold).mean())
    assert gain <= math.tanh(1.0 / 2) + 5 * math.sqrt(0.5 / 3_000)
    tiny = counts(other, 1, 2) > threshold
    assert float(tiny.mean() - (counts(labels, 1, 1) > threshold).mean()) > 0.3


# ---------------------------------------------------------------- proven like all else


def test_a_bank_that_adds_less_noise_than_planned_is_found_out(made: Cohort) -> None:
    job = Job.of(made, privacy=privacy(2.0, "labels"))
    weaker = Plan(job.plan.rows, job.plan.bins, job.plan.bank_columns, privacy=privacy(8.0, "labels"))
    job.bank.plan = weaker
    job.rounds()
    with pytest.raises(InputRefused, match=r"encryption|response"):
        replay_round(job.plan, COUNTS, job.records[0], LIMITS)


def test_exact_moments_under_protected_labels_are_found_out(made: Cohort) -> None:
    job = Job.of(made, privacy=privacy(2.0, "labels"))
    exact = moments_of(job.bank.opening(MOMENTS), MOMENTS)
    job.rounds(lambda step, round_, message, _answer: exact if (step, round_) == ("moments", 2) else message)
    with pytest.raises(InputRefused, match="moments"):
        replay_round(job.plan, MOMENTS, job.records[1], LIMITS)


def test_a_plan_with_too_little_noise_stops_the_bank(made: Cohort) -> None:
    strong, weak = privacy(1.0, "labels"), privacy(2.0, "labels")
    lie = PlannedPrivacy(
        epsilon=1.0, delta=DELTA, protects=("labels",), answer_noise=strong.answer_noise, own_noise=weak.own_noise
    )
    with pytest.raises(InputRefused, match="less noise"):
        Job.of(made, privacy=lie)


def test_a_column_beyond_the_bound_that_the_nodes_noise_counts_on_is_refused(jobs: dict[tuple[Side, ...], Job]) -> None:
    job = jobs[("rows",)]
    opening = job.bank.opening(MOMENTS)
    private.check_column_bounds(opening)
    assert max(int(np.abs(vector.levels).max()) for vector in opening.vectors[1:]) <= 3 * SCALE
    vector = opening.vectors[1]
    higher = vector.levels.copy()
    higher[int(vector.codes[0])] = 3 * SCALE + 1
    wide = type(vector)(vector.codes, higher, vector.bound, vector.scale)
    with pytest.raises(InputRefused, match="± 3"):
        private.check_column_bounds(Opening((opening.vectors[0], wide, *opening.vectors[2:]), opening.seed))


# ---------------------------------------------------------------- rows against the bank


def learner(made: Cohort, sides: tuple[Side, ...] = ("rows",), seed: bytes = b"s" * 32) -> PrivateLearner:
    columns = node_columns(made)
    plan = Plan(columns.rows, columns.bins, 3, privacy=privacy(1.0, *sides))
    found = private_learner.learner_of(plan, columns, None, LIMITS, seed)  # type: ignore[arg-type]
    assert isinstance(found, PrivateLearner)
    return found


def bad_counts(columns: NodeColumns, labels: NDArray[np.uint8]) -> NDArray[np.float64]:
    parts = [np.bincount(codes, labels, minlength=count) for codes, count in zip(columns.codes, columns.bins, strict=True)]
    return np.concatenate(parts)


def test_nothing_is_learned_of_rows_but_what_the_budget_pays_for(made: Cohort) -> None:
    """The node's ordinary noise is not there at all, so a figure that used it would raise; each part has its share of ρ."""
    one = learner(made)
    sums = sum(one._shares.values())
    assert sums == pytest.approx(1.0)
    one.learn_woe(bad_counts(one._columns, made.labels), b"m" * 32)
    one.learn_weights(np.zeros((8, 4)), [b"m" * 32] * 4, np.eye(5, dtype=np.int64) * 2_400)
    one.figures()
    one.counted()
    assert one.drift(one.counted()) == {}


def test_sensitivities_bound_every_row_that_there_could_be(made: Cohort) -> None:
    """All rows that the levels allow, replaced by one another: no pair moves the products by more than the noise covers."""
    one = learner(made)
    one.learn_woe(bad_counts(one._columns, made.labels), b"m" * 32)
    levels = [level / SCALE for level in one.levels_]
    random = np.random.default_rng(2)
    rows = np.stack([level[random.integers(0, level.size, 600)] for level in levels])
    extremes = np.array([[level.max() for level in levels], [level.min() for level in levels]]).T
    rows = np.concatenate([rows, extremes, np.where(random.random((8, 200)) < 0.5, extremes[:, :1], extremes[:, 1:])], axis=1)
    upper = np.triu_indices(8, 1)
    products = np.stack([np.outer(row, row)[upper] for row in rows.T])
    farthest = max(float(np.linalg.norm(products - product, axis=1).max()) for product in products)
    pairs, cross = one._pairs_grid(levels), one._cross_grid(levels)
    rho = one._rho * one._shares["pairs"]
    assert (farthest / pairs.step + math.sqrt(28)) ** 2 / (2 * pairs.sd**2) <= rho
    farthest = max(float(np.linalg.norm(rows.T - row, axis=1).max()) for row in rows.T) * 3 * math.sqrt(3)
    assert (farthest / cross.step + math.sqrt(24)) ** 2 / (2 * cross.sd**2) <= one._rho * one._shares["cross"]


def test_noise_of_rows_is_one_jobs_own_and_does_not_show_equal_rows(made: Cohort) -> None:
    """By the question, as elsewhere, two fields with the same rows would have the same noise; here nothing shows it."""
    twins = Cohort({**made.node, "n7": made.node["n0"]}, made.bank, made.labels)
    one = learner(twins)
    first, last = one._shown_rows(0), one._shown_rows(7)
    assert one._columns.codes[0].tolist() == one._columns.codes[7].tolist()
    assert (first != last).any()
    assert (one._shown_rows(0) == learner(twins)._shown_rows(0)).all(), "within a job the same question has the same noise"
    assert (one._shown_rows(0) != learner(twins, seed=b"t" * 32)._shown_rows(0)).any()


def test_a_private_training_goes_on_from_its_snapshot_to_the_same_model(made: Cohort) -> None:
    job = Job.of(made, privacy=privacy(2.0, "labels", "rows")).rounds()
    fresh = NodeTraining(
        "job",
        job.plan,
        job.columns,
        cohort_root=b"root",
        secrets=NodeSecrets(noise_key=b"n" * 32, job_seed=b"s" * 32),
        limits=LIMITS,
    )
    fresh.restore(job.node.snapshot())
    fresh.accept_verdict(job.verdict(), OFFICE, OFFICE_KEY.public_key(), TRANSCRIPTS)
    once = job.close()
    assert fresh.figures().fields == once.figures().fields
    assert (fresh.learned().weights_ == once.learned().weights_).all()  # type: ignore[union-attr]


def test_statements_and_budgets_speak_of_each_protected_side() -> None:
    assert private.sentences(None) == ((), ())
    node, bank = private.sentences(privacy(1.0, "labels"))
    assert len(node) == 1
    assert bank == ()
    assert "(1, 1e-06)" in node[0]
    node, bank = private.sentences(privacy(0.5, "labels", "rows"))
    assert "own band" in bank[0]
