"""A training under LWE and under Paillier: the same steps, the same model up to the stated noise, the same replay."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass, replace
from functools import cache
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest

from crypto.errors import ParameterError
from models.problems import BadMessage
from models.scorecard import schemes
from models.scorecard.inputs import BankVector
from models.scorecard.limits import InputRefused, LimitRefused, OutOfOrder
from models.scorecard.node import NodeSecrets, NodeTraining
from models.scorecard.rounds import COUNTS, MOMENTS, ROUNDS, Plan, no_moments, replay_round
from models.scorecard.schemes import MOST_PAILLIER_ROWS, SCHEMES, Scheme, backend, check_scheme, installed
from models.wire import pack
from tests.models.scorecard_job import LIMITS, Job, cohort, macs, sign_verdict

ROWS, FIELDS = 1_000, 3


@dataclass
class Trained:
    job: Job
    sent: dict[tuple[str, int], Any]  # what the bank sent, by message and round


@cache
def trained(scheme: Scheme) -> Trained:
    made = cohort(1, ROWS, bank_fields=2)
    made = replace(made, node={name: made.node[name] for name in list(made.node)[:FIELDS]})
    sent: dict[tuple[str, int], Any] = {}

    def keep(step: str, round_: int, message: Any, _answer: Any) -> Any:
        sent[step, round_] = message
        return message

    job = Job.of(made, scheme=scheme, limits=replace(LIMITS, levels=4)).rounds(keep)
    job.close(sign_verdict(usable=True))
    return Trained(job, sent)


def test_both_schemes_learn_the_same_model() -> None:
    """Equal node noise in both; what differs is the bank's noise of one row on each label sum, of 8 on each moment."""
    one, two = (trained(scheme).job.node.learned() for scheme in SCHEMES)
    assert one.moments_ is not None
    assert two.moments_ is not None
    assert one.weights_ is not None
    assert two.weights_ is not None
    assert one.moments_.correlation() == pytest.approx(two.moments_.correlation(), abs=6 * 2 * 8 / ROWS)
    assert one.weights_ == pytest.approx(two.weights_, abs=0.01)
    scores = [made - made.mean() for made in (one.weights_ @ one.woe_columns(), two.weights_ @ two.woe_columns())]
    assert float(scores[0] @ scores[1]) > 0.99 * float(np.linalg.norm(scores[0]) * np.linalg.norm(scores[1]))


@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_round_goes_on_in_another_process_after_the_answer(scheme: Scheme) -> None:
    """A crash between the node's answer and the bank's: the same sums come out, and no second answer."""
    done, sent = trained(scheme).job, trained(scheme).sent
    record = done.records[0]
    secrets = NodeSecrets(noise_key=b"n" * 32, job_seed=b"s" * 32)

    def fresh() -> NodeTraining:
        return NodeTraining("job", done.plan, done.columns, cohort_root=b"root", secrets=secrets, limits=LIMITS)

    first = fresh()
    first.open_round(record.session_seed, macs(record.opening))
    answer = first.respond(*sent["b, p", COUNTS])
    assert all(np.array_equal(again, before) for again, before in zip(answer, record.answer, strict=True))
    second = fresh()
    second.restore(first.snapshot())
    with pytest.raises(OutOfOrder):
        second.respond(*sent["b, p", COUNTS])
    assert second.receive(sent["w", COUNTS], no_moments()) == record.seen


@pytest.mark.attack
@pytest.mark.parametrize("scheme", SCHEMES)
def test_messages_of_other_labels_do_not_pass_the_replay(scheme: Scheme) -> None:
    done = trained(scheme).job
    record, labels = done.records[0], done.made.labels.copy()
    labels[3] ^= 1
    lied = replace(record, opening=replace(record.opening, vectors=(BankVector.of_labels(labels),)))
    with pytest.raises(InputRefused) as refused:
        replay_round(done.plan, COUNTS, lied, LIMITS)
    assert refused.value.rule == "product-not-as-committed"


@pytest.mark.parametrize("scheme", SCHEMES)
def test_messages_have_the_sizes_that_the_plan_gives_them(scheme: Scheme) -> None:
    done = trained(scheme).job
    for round_, record in zip(ROUNDS, done.records, strict=True):
        shape = done.plan.shape(round_)
        for name, array in zip("hc", record.answer, strict=True):
            again = done.plan.backend.unpack(shape, name, pack(array))
            assert np.array_equal(again, array)
            assert again.dtype == array.dtype
            with pytest.raises(BadMessage):
                done.plan.backend.unpack(shape, name, pack(array) + b"\0")
    for name in "bpw":
        with pytest.raises(BadMessage):
            done.plan.backend.unpack(done.plan.shape(COUNTS), name, b"")


@pytest.mark.parametrize(
    ("rows", "banks", "private", "rule"),
    [
        (1_000, 3, False, "scheme-alone"),
        (1_000, 1, True, "scheme-without-privacy"),
        (MOST_PAILLIER_ROWS + 1, 1, False, "scheme-too-slow"),
    ],
)
def test_what_only_lwe_serves_is_refused_by_name(rows: int, banks: int, private: bool, rule: str) -> None:
    check_scheme("lwe", rows, banks, private)
    check_scheme("paillier", MOST_PAILLIER_ROWS, 1, private=False)
    with pytest.raises(LimitRefused, match="LWE") as refused:
        check_scheme("paillier", rows, banks, private)
    assert refused.value.rule == rule


def test_there_is_no_plan_that_its_scheme_does_not_serve() -> None:
    with pytest.raises(LimitRefused, match="several banks"):
        Plan(1_200, (3, 3), 1, banks=3, scheme="paillier")


def test_a_plaintext_has_room_for_46_columns() -> None:
    check = backend("paillier").check
    check(Plan(1_200, (3, 3), 46, scheme="paillier").shape(MOMENTS))
    with pytest.raises(ParameterError, match="47 vectors"):
        check(Plan(1_200, (3, 3), 47, scheme="paillier").shape(MOMENTS))


def test_a_program_without_the_extra_says_what_to_install() -> None:
    plan = Plan(1_200, (3, 3), 1, scheme="paillier")
    with patch.object(schemes, "find_spec", lambda _name: None):
        assert installed("lwe")
        assert not installed("paillier")
        backend.cache_clear()
        with pytest.raises(LimitRefused, match=r"xinqiao\[paillier\]"):
            _ = plan.backend
    assert plan.backend is backend("paillier")


def test_lwe_alone_needs_nothing_of_paillier() -> None:
    code = "import sys, models.scorecard.node, models.scorecard.bank; sys.exit('phe' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
