"""Sums over banks over real HTTP: with every bank there, with one that drops out in each step, and with one that comes back."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from sqlalchemy import select

from bank_client import Bank
from bank_client import statistics as tables
from bank_client.aggregation import Aggregation
from models import wire
from models.aggregation import ENDED, Advance, AggregationPlan, AggregationState, Phase, StepTaken, SurvivorCall
from models.problems import Conflict, Damaged, Forbidden, InputsRefused, NotApproved, OverBudget, TooFewBanks, Unusable
from models.projects import Decision, ProjectStatus
from models.statistics import BankTable, Kind, Measure, StatisticsTable, read
from sharing_node.aggregation import repository
from sharing_node.aggregation.tables import AggregationMessageRow
from tests.services import Services, services
from tests.several import accept, enrol_banks, modeller, sessions, shared_project

THREE = ("bank-a", "bank-b", "bank-c")
FOUR = (*THREE, "bank-d")
TOWNS = tuple(f"51010{n}" for n in range(6))
STEPS = (Phase.KEYS, Phase.SHARES, Phase.INPUT, Phase.LIST, Phase.UNMASK)


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Services]:
    with services(tmp_path_factory.mktemp("several")) as made:
        enrol_banks(made, FOUR)
        yield made


@pytest.fixture(scope="module")
def four(pair: Services) -> Iterator[dict[str, Bank]]:
    shared_project(pair, "four", FOUR)
    with sessions(pair, FOUR) as banks:
        yield banks


@pytest.fixture(scope="module")
def three(pair: Services) -> Iterator[dict[str, Bank]]:
    shared_project(pair, "three", THREE)
    with sessions(pair, THREE) as banks:
        yield banks


def _day(step: Phase) -> int:
    return list(Phase).index(step) + 1


def table(project: str, period: str) -> StatisticsTable:
    measures = (Measure(name="non_performing", kind=Kind.COUNT), Measure(name="exposure", kind=Kind.AMOUNT, unit="fen"))
    return StatisticsTable(
        project=project, title="non-performing by township", period=period, row_key="township", rows=TOWNS, measures=measures
    )


def cells(seed: int) -> BankTable:
    rng = np.random.default_rng(seed)
    borrowers = rng.integers(40, 90, (len(TOWNS), 1))
    bad, exposure = rng.integers(12, 20, borrowers.shape), rng.integers(10**6, 10**9, borrowers.shape)
    return BankTable(borrowers, np.stack([bad, exposure]))


class Running:
    """One sum with a part of each bank; a step is over time where the test says so, and never by itself."""

    def __init__(self, pair: Services, banks: dict[str, Bank], period: str, *, proven: bool = False) -> None:
        first = next(iter(banks.values()))
        project = "three" if len(banks) == 3 else "four"
        self.pair, self.banks = pair, banks
        self.opened = tables.begin(first, table(project, period), proven=proven, step_seconds=3600)
        self.cells = {name: cells(n) for n, name in enumerate(banks)}
        self.parts = {name: self.part(name) for name in banks}

    def part(self, name: str) -> Aggregation:
        """As another process of the bank would begin it."""
        bank = self.banks[name]
        return tables.aggregation(bank, tables.look(bank, self.opened.session), self.cells[name])

    @property
    def state(self) -> AggregationState:
        first = next(iter(self.banks.values()))
        return first.node.get(f"/aggregations/{self.opened.session}", AggregationState)

    def until(self, phase: Phase, absent: tuple[str, ...] = ()) -> AggregationState:
        """Everybody but the absent takes steps until the session stands there, or has ended; over time is who holds it up."""
        for _ in range(40):
            state = self.state
            if state.phase in {phase, *ENDED}:
                return state
            for name, part in self.parts.items():
                if name not in absent:
                    part.step()
            if (after := self.state).phase is state.phase and after.round == state.round:
                self.over_time(after)
        raise AssertionError("the session does not go on")

    def over_time(self, state: AggregationState) -> None:
        with self.pair.engine.begin() as connection:
            repository.move(connection, self.opened.session, deadline=1)
        ask = Advance(round=state.round, phase=state.phase)
        person = modeller(next(iter(self.banks)))
        self.pair.client(person).logged(f"/aggregations/{self.opened.session}/advance", ask, StepTaken)

    def expect(self, *absent: str) -> None:
        """The sum is that of the others."""
        state = self.until(Phase.DONE, absent)
        alive = tuple(name for name in self.banks if name not in absent)
        assert state.phase is Phase.DONE, state.reason
        assert state.survivors == alive
        for name in alive:
            assert self.parts[name].finish(state) == alive
        released = tables.result(self.banks[alive[0]], self.opened, alive)
        values, shown = read(released)
        assert shown.all()
        total = np.sum([self.cells[name].measures for name in alive], axis=0)
        np.testing.assert_array_equal(values[1:, :-1], total)
        np.testing.assert_array_equal(values[1:, -1], total.sum(axis=1))


def test_a_table_of_three_banks(pair: Services, three: dict[str, Bank]) -> None:
    before = pair.logged()
    Running(pair, three, "2026-01").expect()
    actions = [leaf["action"] for leaf in pair.leaves(before)]
    for step in STEPS:
        assert actions.count(f"aggregate.{step.value}") == 3
    assert actions.index("aggregate.end") < actions.index("statistics.release")


@pytest.mark.parametrize("step", STEPS)
def test_with_three_banks_nothing_comes_out_without_one(pair: Services, three: dict[str, Bank], step: Phase) -> None:
    """t is 3 of 3. Until the list is signed the node begins anew, and a bank that is back is in the sum."""
    sum_ = Running(pair, three, f"2026-02-{_day(step):02}")
    sum_.until(step)
    for name in THREE[:2]:
        sum_.parts[name].step()
    sum_.over_time(sum_.state)
    state = sum_.state
    if step is Phase.UNMASK:
        assert (state.phase, state.survivors) == (Phase.FAILED, ())
        with pytest.raises(TooFewBanks, match="2 survivors answered where 3 are needed"):
            sum_.parts["bank-a"].run()
        with pytest.raises(TooFewBanks):
            tables.result(three["bank-a"], sum_.opened)
    else:
        assert (state.phase, state.round) == (Phase.KEYS, 2)
        sum_.expect()


@pytest.mark.parametrize("step", [Phase.INPUT, Phase.UNMASK])
def test_four_banks_go_on_without_one(pair: Services, four: dict[str, Bank], step: Phase) -> None:
    """t is 3 of 4: who drops out before the inputs is not in the sum, who drops out after the list is."""
    sum_ = Running(pair, four, f"2026-03-{_day(step):02}")
    sum_.until(step)
    if step is Phase.UNMASK:
        state = sum_.until(Phase.DONE, absent=("bank-d",))
        assert state.survivors == FOUR
        assert sum_.parts["bank-d"].run() == FOUR
        return
    sum_.expect("bank-d")
    # Who was left out hears so, and gives nothing late.
    assert sum_.parts["bank-d"].run() == THREE


@pytest.mark.parametrize("step", [Phase.SHARES, Phase.PROOF])
def test_a_bank_that_missed_a_step_looks_on_without_alarm(pair: Services, four: dict[str, Bank], step: Phase) -> None:
    sum_ = Running(pair, four, f"2026-12-{_day(step):02}", proven=True)
    sum_.until(step)
    alarms = len(pair.office.leaves())
    for name in THREE:
        sum_.parts[name].step()
    sum_.over_time(sum_.state)
    state = sum_.until(Phase.DONE)
    assert (state.round, state.survivors) == (1, THREE)
    assert sum_.parts["bank-d"].finish(state) == THREE
    assert "evidence" not in [leaf["action"] for leaf in pair.office.leaves()[alarms:]]


def test_with_the_office_s_word_on_every_input(pair: Services, four: dict[str, Bank]) -> None:
    sum_ = Running(pair, four, "2026-04", proven=True)
    before = pair.logged()
    sum_.expect()
    actions = [leaf["action"] for leaf in pair.leaves(before)]
    assert max(i for i, a in enumerate(actions) if a == "aggregate.proof") < actions.index("aggregate.list")


def test_an_input_that_is_none_counts_as_dropped(pair: Services, four: dict[str, Bank]) -> None:
    """A bank that puts 3 where a flag stands would have cells shown that three banks did not fill."""
    sum_ = Running(pair, four, "2026-05", proven=True)
    part = sum_.parts["bank-d"]
    part._vector = part._vector.copy()
    part._vector[-1] = 3
    sum_.until(Phase.PROOF)
    with pytest.raises(InputsRefused, match="flags"):
        part.step()
    sum_.expect("bank-d")


def test_a_bank_that_is_killed_between_any_two_steps_goes_on(pair: Services, three: dict[str, Bank]) -> None:
    sum_ = Running(pair, three, "2026-06", proven=True)
    while sum_.state.phase not in ENDED:
        for name in three:
            sum_.parts[name] = sum_.part(name)
            sum_.parts[name].step()
    sum_.expect()


def test_a_kill_before_sending_gives_the_same_bytes(
    pair: Services, three: dict[str, Bank], monkeypatch: pytest.MonkeyPatch
) -> None:
    sum_ = Running(pair, three, "2026-07")
    sent: list[tuple[int, Phase, bytes]] = []
    post = Aggregation._post

    def losing(part: Aggregation, number: int, phase: Phase, body: bytes) -> StepTaken:
        first = (number, phase, body) not in sent
        assert first or (number, phase, body) in sent
        sent.append((number, phase, body))
        if first and part is sum_.parts["bank-a"]:
            raise KeyboardInterrupt
        return post(part, number, phase, body)

    monkeypatch.setattr(Aggregation, "_post", losing)
    while sum_.state.phase not in ENDED:
        for name in three:
            try:
                sum_.parts[name].step()
            except KeyboardInterrupt:
                sum_.parts[name] = sum_.part(name)
                sum_.parts[name].step()
    sum_.expect()
    own = {(n, p) for n, p, _ in sent}
    assert len(own) == len(STEPS)


def test_one_bank_fewer_on_the_same_figures_is_refused(pair: Services, four: dict[str, Bank]) -> None:
    """The second sum would show the first one's difference: the fourth bank."""
    question = bytes(32)
    first, second = (Running(pair, four, f"2026-08-{n:02}") for n in (1, 2))
    bank, opened = four["bank-a"], first.opened
    retitled = replace(opened, table=wire.replace(opened.table, title="the same once more"))
    assert tables.aggregation(bank, retitled, first.cells["bank-a"])._question == first.parts["bank-a"]._question
    assert first.parts["bank-a"]._question != second.parts["bank-a"]._question
    for sum_ in (first, second):
        for part in sum_.parts.values():
            part._question = question
    first.expect()
    second.until(Phase.LIST, absent=("bank-d",))
    with pytest.raises(Unusable, match="differs by too few"):
        second.parts["bank-a"].step()


def test_a_second_round_of_a_session_is_not_unmasked(pair: Services, three: dict[str, Bank]) -> None:
    """The node goes back to a new round, with other keys and perhaps other banks, after one share of the first was given."""
    sum_ = Running(pair, three, "2027-04")
    sum_.until(Phase.UNMASK)
    sum_.parts["bank-a"].step()
    with pair.engine.begin() as connection:
        repository.move(connection, sum_.opened.session, round=2, phase=Phase.KEYS, survivors=b"")
    sum_.until(Phase.UNMASK)
    with pytest.raises(Damaged, match="another round of this session"):
        sum_.parts["bank-a"].step()


def test_what_the_node_shows_and_cannot_be_true_is_evidence(
    pair: Services, three: dict[str, Bank], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another key for a bank in the plan, another input in the list: nothing is answered, and the office is told."""
    sum_ = Running(pair, three, "2027-01")
    bank, told = three["bank-a"], len(pair.office.leaves())
    get = bank.node.get

    def other_key(path: str, kind: Any) -> Any:
        state = get(path, kind)
        plan = wire.decode(state.plan.payload, AggregationPlan)
        seats = (*plan.seats[:2], wire.replace(plan.seats[2], key=plan.seats[1].key[::-1]))
        return wire.replace(state, plan=pair.office.by_node(wire.replace(plan, seats=seats)))

    monkeypatch.setattr(bank.node, "get", other_key)
    with pytest.raises(Damaged, match="not the sum that was agreed on"):
        sum_.parts["bank-a"].step()
    monkeypatch.undo()
    sum_.until(Phase.LIST)

    def other_input(path: str, kind: Any) -> Any:
        answer = get(path, kind)
        if kind is not SurvivorCall:
            return answer
        fields = msgspec.msgpack.decode(answer.survivors)
        fields["inputs"][0] = bytes(32)
        return wire.replace(answer, survivors=msgspec.msgpack.encode(fields, order="deterministic"))

    monkeypatch.setattr(bank.node, "get", other_input)
    with pytest.raises(Damaged, match="another input"):
        sum_.parts["bank-a"].step()
    monkeypatch.undo()
    assert [leaf["action"] for leaf in pair.office.leaves()[told:]].count("evidence") == 2
    assert sum_.state.done == ()


def test_a_sum_that_nobody_goes_on_with_is_given_up(pair: Services, three: dict[str, Bank]) -> None:
    sum_ = Running(pair, three, "2027-02")
    sum_.until(Phase.INPUT)
    with pair.engine.begin() as connection:
        repository.move(connection, sum_.opened.session, deadline=1)
    tables.begin(three["bank-a"], table("three", "2027-03"))
    assert sum_.state.phase is Phase.FAILED
    with pair.engine.connect() as connection:
        left = connection.execute(
            select(AggregationMessageRow.body).where(AggregationMessageRow.session == sum_.opened.session)
        )
        assert {row.body for row in left} == {None}
    with pytest.raises(TooFewBanks, match="nobody has gone on"):
        sum_.parts["bank-b"].run()


def test_no_measure_of_a_period_is_shown_in_two_tables(pair: Services, three: dict[str, Bank]) -> None:
    bank = three["bank-a"]
    tables.begin(bank, table("three", "2026-09"))
    with pytest.raises(Unusable, match="another table"):
        tables.begin(bank, table("three", "2026-09"))


def test_who_may(pair: Services, three: dict[str, Bank], four: dict[str, Bank]) -> None:
    opened = tables.begin(three["bank-a"], table("three", "2026-10"))
    with pytest.raises(Forbidden):
        tables.begin(four["bank-d"], table("three", "2026-11"))
    stranger = four["bank-d"].node
    with pytest.raises(Exception, match="no such sum"):
        stranger.get(f"/aggregations/{opened.session}", AggregationState)
    with pytest.raises(Conflict, match="not come out"):
        tables.result(three["bank-a"], opened)


def test_banks_that_come_at_the_same_time(tmp_path: Path, database_url: str) -> None:
    """Each in its own thread, on either database: every step once, and one end."""
    with services(tmp_path, database_url) as pair:
        enrol_banks(pair, FOUR)
        shared_project(pair, "four", FOUR)
        with sessions(pair, FOUR) as banks:
            opened = tables.begin(banks["bank-a"], table("four", "2026"), proven=True)
            with ThreadPoolExecutor(4) as pool:
                parts = [pool.submit(tables.take_part, bank, opened, cells(n)) for n, bank in enumerate(banks.values())]
                released = [part.result() for part in parts]
        assert all(each == released[0] for each in released)
        assert released[0].banks == FOUR
        actions = [leaf["action"] for leaf in pair.leaves() if leaf["outcome"] == "done"]
        assert [actions.count(f"aggregate.{step}") for step in ("keys", "shares", "input", "proof", "list")] == [4] * 5
        assert actions.count("aggregate.end") == 1


def test_a_project_of_several_needs_every_bank(pair: Services) -> None:
    world = pair.office
    fields = {"kind": "statistics", "fields": (), "purpose": "modelling"}
    for others in ((), ("bank-b",), ("bank-b", "bank-b"), ("bank-a", "bank-b"), ("bank-b", "nobody")):
        with pytest.raises(Unusable):
            world.project("s1", approve=False, banks=others, **fields)
    project = world.project("s1", approve=False, banks=("bank-b", "bank-c"), **fields)
    accept(pair, project, "bank-b")
    with pytest.raises(Conflict, match="already"):
        accept(pair, project, "bank-b")
    with pytest.raises(NotApproved, match="bank-c"):
        decide(pair, "s1")
    with pytest.raises(Forbidden):
        accept(pair, project, "bank-d")
    accept(pair, project, "bank-c")
    decide(pair, "s1")
    with sessions(pair, ("bank-a",)) as banks:
        for month in range(1, 5):
            tables.begin(banks["bank-a"], table("s1", f"2026-{month:02}"))
        with pytest.raises(OverBudget, match="all 4 tables"):
            tables.begin(banks["bank-a"], table("s1", "2026-05"))


def decide(pair: Services, project: str) -> None:
    pair.office.clerk.logged(
        f"/projects/{project}/decision", Decision(subject=project, approve=True, reason="in order"), ProjectStatus
    )
