"""The ledger of differential privacy: paid when a training is opened, by any process, for ever, and never beyond the budget."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import func, select

from models import wire
from models.privacy import PrivacyWish, Side, epsilon_of, rho_of
from models.problems import Conflict, OverBudget, TrainingRefused
from models.scorecard.card import NodeCard
from models.training import JobPlan
from models.wire import Signed
from sharing_node.jobs import privacy_ledger
from sharing_node.records import repository as records
from sharing_node.state import repository as state
from sharing_node.state.tables import JobRow, PrivacySpendingRow
from tests.node.trainings import Ask, County, Worker, drive, release, train

DELTA = 1e-6


@pytest.fixture
def place(tmp_path: Path, database_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Worker]]:
    """A process of a node whose project has this budget; a second call is another process of the same node."""
    made: list[County] = []
    started: list[Worker] = []

    def start(epsilon: float = 1.0, sides: tuple[Side, ...] = ("labels",), *, budget: bool = True) -> Worker:
        if not made:
            whole = PrivacyWish(epsilon=epsilon, delta=DELTA, protects=sides) if budget else None
            made.append(County(tmp_path, database_url, rows=2_400, privacy=whole))
            monkeypatch.setattr(records, "numeric_columns", made[0].numeric_columns)
        started.append(Worker(made[0]))
        return started[-1]

    yield start
    for worker in started:
        worker.close()


def opening(worker: Worker, wish: PrivacyWish | None, key: str) -> JobPlan:
    signed: Signed = worker.ask(next(train(worker.county, privacy=wish)), key=key)
    return wire.decode(signed.payload, JobPlan)


def wish(epsilon: float, *sides: Side, delta: float = DELTA) -> PrivacyWish:
    return PrivacyWish(epsilon=epsilon, delta=delta, protects=sides or ("labels",))


def test_spendings_add_up_across_processes_and_restarts_until_the_budget_is_used(place: Callable[..., Worker]) -> None:
    first = place(1.0)
    plan = opening(first, wish(0.6), "1")
    assert plan.privacy is not None
    assert plan.privacy.spendings[0].epsilon == pytest.approx(0.6)
    first.close()  # a restart

    second = place()
    plan = opening(second, wish(0.6), "2")
    assert plan.privacy is not None
    both = plan.privacy.spendings[0]
    assert both.rho == pytest.approx(2 * rho_of(0.6, DELTA))
    assert both.epsilon == pytest.approx(epsilon_of(both.rho, DELTA))
    assert 0.6 < both.epsilon < 1.0

    third = place()
    with pytest.raises(OverBudget) as refused:
        opening(third, wish(0.6), "3")
    assert "labels" in refused.value.detail
    left = rho_of(1.0, DELTA) - both.rho
    largest = math.floor(100 * epsilon_of(left, DELTA)) / 100
    assert f"epsilon {largest:g}" in refused.value.next_step
    opening(third, wish(largest), "4")  # what the advice says is still allowed
    with pytest.raises(OverBudget, match="no training"):
        opening(second, wish(0.1), "5")
    with second.engine.connect() as connection:
        total = privacy_ledger.spent(connection, "p-bank-a", "labels")
        assert total <= rho_of(1.0, DELTA)
        assert connection.scalar(select(func.count()).select_from(JobRow)) == 3, "what was refused is no training"


def test_each_spending_is_a_leaf_and_each_side_has_its_own(place: Callable[..., Worker]) -> None:
    worker = place(2.0, ("labels", "rows"))
    outcome = worker.handle(next(train(worker.county, privacy=wish(1.0, "labels", "rows"))))
    assert [leaf.action for leaf in outcome.leaves] == ["job.open", "privacy.spend", "privacy.spend"]
    facts = [leaf.facts for leaf in outcome.leaves[1:]]
    assert [f["side"] for f in facts] == ["labels", "rows"]
    assert all(float(str(f["rho"])) == pytest.approx(rho_of(1.0, DELTA), abs=1e-6) for f in facts)
    with worker.engine.connect() as connection:
        assert privacy_ledger.spent(connection, "p-bank-a", "rows") == 0, "nothing is paid before the leaf is there"


def test_of_two_that_pay_at_the_same_moment_one_is_told_to_open_again(place: Callable[..., Worker]) -> None:
    one, two = place(1.0), place()
    ask = next(train(one.county, privacy=wish(0.8)))
    outcomes = one.handle(ask), two.handle(ask)
    one.commit(outcomes[0], ask, key="1")
    with pytest.raises(Conflict):
        two.commit(outcomes[1], ask, key="2")
    with one.engine.connect() as connection:
        assert connection.scalar(select(func.count()).select_from(PrivacySpendingRow)) == 1


def test_the_same_request_again_is_answered_and_not_paid_again(place: Callable[..., Worker]) -> None:
    one, two = place(1.0), place()
    assert opening(one, wish(0.8), "same") == opening(two, wish(0.8), "same")
    with one.engine.connect() as connection:
        assert privacy_ledger.spent(connection, "p-bank-a", "labels") == pytest.approx(rho_of(0.8, DELTA))


@pytest.mark.parametrize(
    ("asked", "why"),
    [
        (None, "states an epsilon"),
        (PrivacyWish(epsilon=0.5, protects=("rows",)), "states an epsilon"),
        (PrivacyWish(epsilon=0.5, protects=()), "states an epsilon"),
        (PrivacyWish(epsilon=0.01), "epsilon is 0.1 to 8"),
        (PrivacyWish(epsilon=1.0, delta=0.1), "delta is"),
        (PrivacyWish(epsilon=math.inf), "epsilon is 0.1 to 8"),
    ],
)
def test_what_does_not_fit_the_budget_is_refused(place: Callable[..., Worker], asked: PrivacyWish | None, why: str) -> None:
    with pytest.raises(TrainingRefused, match=why):
        opening(place(1.0), asked, "1")


def test_without_a_budget_there_is_nothing_to_spend(place: Callable[..., Worker]) -> None:
    worker = place(budget=False)
    with pytest.raises(TrainingRefused, match="without a privacy budget"):
        opening(worker, wish(1.0), "1")
    assert opening(worker, None, "2").privacy is None


def test_a_private_training_from_worker_to_worker_ends_in_a_card_that_names_what_was_spent(
    place: Callable[..., Worker],
) -> None:
    workers = [place(2.0, ("labels", "rows")), place()]
    turns = itertools.cycle(workers)

    def ask(asked: Ask) -> object:
        return next(turns).ask(asked)

    figures = drive(train(workers[0].county, privacy=wish(1.5, "labels", "rows")), ask)
    released = workers[1].ask(release(figures.job))
    card = wire.decode(released.card.payload, NodeCard)
    budgets = {budget.name: (budget.used, budget.allowed) for budget in card.budgets}
    assert budgets["thousandths of epsilon for the labels in this project, at delta 1e-06"] == (1500, 2000)
    assert budgets["thousandths of epsilon for the rows in this project, at delta 1e-06"] == (1500, 2000)
    assert any("(1.5, 1e-06)-differential privacy" in said for said in card.leakage.node_learns)
    assert any("own band" in said for said in card.leakage.bank_learns)
    with workers[0].engine.connect() as connection:
        assert state.trainings_used(connection, "p-bank-a") == 1
        assert privacy_ledger.spent(connection, "p-bank-a", "rows") > 0, "what was spent stays when the training ends"
