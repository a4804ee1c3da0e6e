"""Both roles over the real masked product, and everything that the office checks before a figure leaves the node."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from models import training
from models.problems import BadMessage, BadSignature
from models.scorecard.bank import BankTraining, bank_columns
from models.scorecard.inputs import BankVector, Opening, differing_rows
from models.scorecard.limits import InputRefused, LimitRefused, OutOfOrder
from models.scorecard.messages import macs_of, moments_from, opening_message, opening_of, vector_infos
from models.scorecard.moments import SCALE
from models.scorecard.rounds import COUNTS, MOMENTS, ROUNDS, Plan, moments_of, replay_job
from models.wire import decode, encode, pack
from tests.models.scorecard_job import (
    LIMITS,
    MAC_KEY,
    OFFICE_KEY,
    TRANSCRIPTS,
    Job,
    cohort,
    macs,
    node_columns,
    refusal,
    sign_verdict,
)

OTHER_KEY = Ed25519PrivateKey.from_private_bytes(b"x" * 32)


@pytest.fixture(scope="module")
def finished() -> Job:
    job = Job.of(cohort(1)).rounds()
    job.close()
    return job


def test_a_training_learns_what_the_data_say_up_to_its_noise(finished: Job) -> None:
    learned, made = finished.node.learned(), finished.made
    assert learned.moments_ is not None
    assert learned.weights_ is not None
    node = learned.woe_columns() / SCALE
    bank = finished.bank.opening(MOMENTS).alphas[1:] / SCALE
    exact = np.corrcoef(np.concatenate([node, bank]))
    assert learned.moments_.correlation() == pytest.approx(exact, abs=6 * 33 / made.labels.size)
    assert np.corrcoef(learned.weights_ @ node, made.labels)[0, 1] > 0.3


def test_figures_name_no_row_and_no_weight(finished: Job) -> None:
    figures = finished.node.figures()
    assert [f.bins for f in figures.fields] == list(finished.plan.bins)
    assert figures.correlation.shape == (11, 11)
    assert all(f.iv >= 0 and f.vif >= 1 for f in figures.fields)
    assert not hasattr(figures, "weights")


def test_the_office_replays_an_honest_bank_and_nothing_else(finished: Job) -> None:
    replay_job(finished.plan, finished.records, LIMITS)
    with pytest.raises(InputRefused, match="Both rounds"):
        replay_job(finished.plan, finished.records[:1], LIMITS)


def test_nothing_is_shown_before_the_verdict_and_steps_keep_their_order() -> None:
    job = Job.of(cohort(2, rows=1_200, bank_fields=1))
    with pytest.raises(OutOfOrder, match="open_round"):
        job.node.respond(np.zeros((1, 1_200), np.uint64), np.zeros((1, 2_048), np.uint64))
    job.rounds()
    for early in (job.node.figures, job.node.learned):
        with pytest.raises(OutOfOrder, match="accept_verdict"):
            early()
    with pytest.raises(OutOfOrder):
        job.bank.open_round(b"x" * 32)
    job.close()
    assert job.node.figures().rows == 1_200


@pytest.mark.parametrize(
    ("signed", "error"),
    [
        (lambda: sign_verdict(usable=True, key=OTHER_KEY), BadSignature),
        (lambda: sign_verdict(usable=True, job="another"), InputRefused),
        (lambda: sign_verdict(usable=False, reason="The label vector is not binary"), InputRefused),
    ],
    ids=["another-key", "another-job", "unusable"],
)
def test_only_the_offices_good_word_on_this_job_opens_it(signed: Callable[[], object], error: type[Exception]) -> None:
    job = Job.of(cohort(3, rows=1_200, bank_fields=0)).rounds()
    with pytest.raises(error):
        job.close(signed())  # type: ignore[arg-type]
    with pytest.raises(OutOfOrder):
        job.node.figures()


def test_a_verdict_on_other_transcripts_is_refused() -> None:
    job = Job.of(cohort(3, rows=1_200, bank_fields=0)).rounds()
    with pytest.raises(InputRefused, match="transcripts"):
        job.node.accept_verdict(sign_verdict(usable=True), "office", OFFICE_KEY.public_key(), (TRANSCRIPTS[0], "another"))


def test_equal_trainings_get_equal_node_noise(finished: Job) -> None:
    # Only the bank's own noise and the LWE noise are fresh; the node's noise of 4 natural units repeats.
    again = Job.of(finished.made, job_seed=b"t" * 32).rounds()
    again.close()
    one, two = finished.node.learned(), again.node.learned()
    assert np.abs(np.array(one.ivs_) - np.array(two.ivs_)).max() < 0.02


def test_other_labels_in_the_second_round_are_refused() -> None:
    job = Job.of(cohort(4, rows=1_200, bank_fields=0))
    job.node.open_round(b"1" * 32, [b"a" * 32])
    job.bank.open_round(b"1" * 32)
    h, c = job.node.respond(*job.bank.encrypt())
    job.node.receive(*job.bank.answer(h, c))
    with pytest.raises(InputRefused, match="second round"):
        job.node.open_round(b"2" * 32, [b"b" * 32])


def test_the_plan_gives_every_shape() -> None:
    plan = Plan(2_400, (20, 3), 4, banks=3, largest_rows=5_000)
    first, second = (plan.shape(r) for r in ROUNDS)
    assert (first.columns, len(first.vectors)) == (23, 1)
    assert (second.columns, len(second.vectors)) == (2, 5)
    assert (second.column_scale, second.column_bound) == (1_024, 8_192)
    assert (second.banks, second.largest_rows) == (3, 5_000)
    assert plan.label_aggregates == 25


def test_small_cohorts_are_refused_at_the_node() -> None:
    with pytest.raises(LimitRefused, match="at least 1000"):
        Job.of(cohort(5, rows=999, bank_fields=0))


def test_secrets_do_not_print(finished: Job) -> None:
    column = bank_columns(finished.made.bank, finished.made.labels, LIMITS)[0]
    shown = [finished.node, finished.bank, finished.bank.opening(1), column, finished.columns, finished.node.learned()]
    for thing in shown:
        assert "array(" not in repr(thing)
        assert "b'1111" not in repr(thing)


def _vector(codes: np.ndarray, levels: list[int]) -> BankVector:
    return BankVector.of_column(codes.astype(np.uint8), np.array(levels, dtype=np.int64))


def _malformed(rows: int) -> dict[str, tuple[BankVector, ...]]:
    random = np.random.default_rng(8)
    y = BankVector.of_labels((random.random(rows) < 0.3).astype(np.uint8))
    halves = (np.arange(rows) % 2).astype(np.uint8)
    one_hot, rare, near = np.zeros(rows, np.uint8), np.zeros(rows, np.uint8), halves.copy()
    one_hot[17], rare[:49], near[5] = 1, 1, 1 - near[5]
    counting = BankVector(y.codes, np.array([0, 2], dtype=np.int64), 1, 1)
    return {
        "The label vector holds values other than 0 and 1": (counting,),
        "The label vector must have bound 1": (BankVector(y.codes, y.levels, 8, 1_024),),
        "Column 1 has a level with fewer than 50 rows": (y, _vector(one_hot, [0, 1_024])),
        "Column 2 has a level with fewer than 50 rows": (y, _vector(halves, [0, 9]), _vector(rare, [0, 1_024])),
        "Column 1 holds values beyond ± 8": (y, _vector(halves, [0, 8_193])),
        "Column 1 holds values": (y, _vector(halves, [0, -(2**63)])),
        "Column 1 has more than 20 levels": (y, _vector(np.arange(rows) % 21, list(range(21)))),
        "Column 1 has a row whose code": (y, _vector(halves * 7, [0, 1])),
        "Column 1 and column 2 say the same of all rows but fewer than 50": (
            y, _vector(halves, [0, 9]), _vector(near, [-500, 700])
        ),
        "One of the two label classes": (BankVector.of_labels((np.arange(rows) < 79).astype(np.uint8)),),
        "The label vector does not have one code": (BankVector.of_labels(y.codes[:-1]),),
    }  # fmt: skip


@pytest.mark.parametrize("reason", list(_malformed(1_200)))
def test_malformed_inputs_are_named_in_plain_words(reason: str) -> None:
    refused = refusal(Opening(_malformed(1_200)[reason], b"s" * 32), 1_200)
    assert refused is not None
    assert refused.reason.startswith(reason)


def test_equal_values_under_two_codes_do_not_hide_a_difference_of_one_row() -> None:
    random = np.random.default_rng(9)
    halves = (np.arange(1_200) % 2).astype(np.uint8)
    near = halves.copy()
    near[3] = 1 - near[3]
    split = near + 2 * random.integers(0, 2, 1_200)
    assert differing_rows(_vector(halves, [0, 900]), _vector(split, [0, 900, 0, 900])) == 1


def test_a_bank_learns_at_home_that_its_inputs_would_be_refused() -> None:
    made = cohort(10, rows=1_200, bank_fields=2)
    own = bank_columns(made.bank, made.labels, LIMITS)
    moved = own[0].codes.copy()
    moved[7] = (moved[7] + 1) % own[0].bins.count
    own[1] = replace(own[0], codes=moved)
    with pytest.raises(InputRefused, match="say the same"):
        BankTraining(Plan(1_200, node_columns(made).bins, 2), made.labels, own, LIMITS)


def test_openings_and_the_offices_word_travel_over_the_wire(finished: Job) -> None:
    opening = finished.bank.opening(MOMENTS)
    message = decode(encode(opening_message("job", MOMENTS, opening)), training.Opening)
    again = opening_of(message, finished.plan)
    assert again.commitments() == opening.commitments()
    assert np.array_equal(again.alphas, opening.alphas)
    infos = vector_infos(again, MAC_KEY)
    inputs = training.RoundInputs(job="job", round=MOMENTS, rows=2_400, bank="bank", plan="00", vectors=infos)
    assert list(macs_of(inputs, finished.plan)) == macs(opening)
    moments = moments_of(opening, MOMENTS)
    assert np.array_equal(moments_from(pack(moments), finished.plan, MOMENTS), moments)
    assert moments_from(b"", finished.plan, COUNTS).shape == (0, 0)


def test_messages_that_do_not_fit_the_plan_are_refused(finished: Job) -> None:
    opening = finished.bank.opening(COUNTS)
    message = opening_message("job", COUNTS, opening)
    column = message.columns[0]
    huge = training.Column(codes=column.codes, levels=(0, 1 << 80), bound=1, scale=1)
    short = training.Column(codes=column.codes[1:], levels=(0, 1), bound=1, scale=1)
    for columns, error in (((), InputRefused), ((huge,), InputRefused), ((short,), BadMessage)):
        with pytest.raises(error):
            opening_of(training.Opening(job="job", round=COUNTS, rows=2_400, columns=columns, seed=message.seed), finished.plan)
    inputs = training.RoundInputs(
        job="job", round=MOMENTS, rows=2_400, bank="bank", plan="00", vectors=vector_infos(opening, MAC_KEY)
    )
    with pytest.raises(InputRefused, match="office's word"):
        macs_of(inputs, finished.plan)
    with pytest.raises(BadMessage):
        moments_from(b"12345678", finished.plan, COUNTS)
