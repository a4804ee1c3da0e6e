"""Several banks train one model over real HTTP, each in a thread of its own: one is lost, one lies, the others come out.

Time passes for the node only where the test says so: once all who are left have taken a step, that step is over time.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sqlalchemy import func, select, update
from typer.testing import CliRunner

from audit.database import writing
from bank_client import Bank, JointScorecard
from bank_client.alignment import AlignedCohort, align
from bank_client.cli import app
from bank_client.group_training import Group, GroupTraining, _Played, _RoundSum
from crypto.secure_aggregation import Unmasked
from models import wire
from models.aggregation import ENDED, AggregationPlan, AggregationPurpose, Phase
from models.consents import ConsentKind, Purpose
from models.group_training import GroupPhase, GroupState
from models.problems import InputsRefused, TooFewBanks, TrainingRefused, Unusable
from models.projects import ProjectKind
from models.scorecard.group_columns import propose, read_definitions
from models.scorecard.limits import Limits
from models.wire import Signed
from sharing_node.aggregation.tables import AggregationMessageRow, AggregationRow
from sharing_node.state import repository as state
from sharing_node.state.repository import StoredCohort
from tests.services import FIELDS, Services, services
from tests.several import enrol_banks, sessions, shared_project

SEVEN = tuple(f"bank-{letter}" for letter in "abcdefg")
THREE = SEVEN[:3]
LOST, LIAR = "bank-c", "bank-f"
COUNTS = AggregationPurpose.COUNTS
ROWS = 1_010


class Banks:
    """What each bank has: a session, an aligned cohort for each project, its own column and labels."""

    def __init__(self, pair: Services, banks: dict[str, Bank]) -> None:
        self.pair, self.banks = pair, banks
        self.cohorts: dict[tuple[str, str], AlignedCohort] = {}
        random = np.random.default_rng(5)
        self.rows, self.labels = {}, {}
        for bank in banks:
            ids = pd.Index([f"{bank}{n:04d}" for n in range(ROWS)])
            own = np.round(random.normal(size=ROWS), 1)
            self.rows[bank] = pd.DataFrame({"own": own, "other": random.normal(size=ROWS)}, index=ids)
            self.labels[bank] = (random.random(ROWS) < 1 / (1 + np.exp(1 - own))).astype(np.uint8)

    def load(self) -> None:
        random = np.random.default_rng(6)
        ids = [subject for rows in self.rows.values() for subject in rows.index]
        self.pair.load([(i, {f: round(float(random.normal()), 2) for f in FIELDS}) for i in ids])
        self.pair.willing([f"opaque:{i}" for i in ids], ConsentKind.MODELLING)

    def group(self, name: str) -> Group:
        """The first bank proposes the columns."""
        return Group(name, tuple(propose({"own": self.rows["bank-a"]["own"].to_numpy()}, Limits(levels=6))), step_seconds=900)

    def cohort(self, project: str, bank: str) -> AlignedCohort:
        """As an alignment leaves it at both sides; aligning itself has tests of its own."""
        if (project, bank) not in self.cohorts:
            subjects = tuple(f"opaque:{i}" for i in self.rows[bank].index)
            known = AlignedCohort(project, f"{project}-{bank}", bank.encode().ljust(32), subjects, ROWS)
            with writing(self.pair.engine) as connection:
                state.add_cohort(connection, StoredCohort(known.id, project, bank, known.root, subjects), 0)
            self.cohorts[project, bank] = known
        return self.cohorts[project, bank]

    def model(self, project: str, bank: str, group: Group) -> JointScorecard:
        return JointScorecard(project, self.banks[bank], self.cohort(project, bank), max_bins=6, group=group)

    def fit(self, project: str, bank: str, group: Group) -> JointScorecard:
        return self.model(project, bank, group).fit(self.rows[bank], self.labels[bank])

    def training(self, kind: type[GroupTraining], project: str, bank: str, group: Group) -> GroupTraining:
        cohort = self.cohort(project, bank)
        order = self.rows[bank].index.get_indexer(pd.Index([subject.removeprefix("opaque:") for subject in cohort.subjects]))
        rows, labels = self.rows[bank].iloc[order], self.labels[bank][order]
        return kind(self.banks[bank], cohort, labels, group.codes(rows), group, max_bins=6)


class JoinsOnly(GroupTraining):
    """A bank that is lost once it has joined."""

    def join(self) -> None:
        self._bank.node.logged("/groups", self._terms(), GroupState)


class OtherLabels(GroupTraining):
    """A bank that shows the office other labels than it has encrypted."""

    def _play_part(self, *arguments: Any) -> Generator[Any, Any, _Played]:
        played = yield from super()._play_part(*arguments)
        labels, *columns = played.round.opening.columns
        codes = bytes(1 - code for code in labels.codes[:60]) + labels.codes[60:]
        opening = wire.replace(played.round.opening, columns=(wire.replace(labels, codes=codes), *columns))
        return _Played(played.words, wire.replace(played.round, opening=opening))


@contextmanager
def time_passes(pair: Services, left: Callable[[AggregationPurpose, int], int]) -> Iterator[None]:
    """A step of a sum is over time once as many banks as are left have taken it."""
    over = threading.Event()

    def watch() -> None:
        while not over.wait(0.1):
            with writing(pair.engine) as connection:
                for row in connection.execute(
                    select(AggregationRow.__table__).where(AggregationRow.phase.not_in(sorted(ENDED)))
                ):
                    message = AggregationMessageRow
                    taken = select(func.count()).where(
                        message.session == row.id, message.round == row.round, message.step == row.phase
                    )
                    plan = wire.decode(wire.decode(row.plan, Signed).payload, AggregationPlan)
                    if (connection.scalar(taken) or 0) >= left(plan.purpose, row.round):
                        connection.execute(update(AggregationRow).where(AggregationRow.id == row.id).values(deadline=0))

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Services]:
    with services(tmp_path_factory.mktemp("group")) as made:
        enrol_banks(made, SEVEN)
        yield made


@pytest.fixture(scope="module")
def banks(pair: Services) -> Iterator[Banks]:
    with sessions(pair, SEVEN) as opened:
        made = Banks(pair, opened)
        made.load()
        yield made


def project(pair: Services, name: str, members: Sequence[str]) -> str:
    fields = {"fields": FIELDS, "purpose": Purpose.LOAN_APPROVAL, "releases": 4}
    return shared_project(pair, name, members, kind=ProjectKind.JOINT_SCORECARD, **fields).id


def test_one_bank_is_lost_and_one_lies_and_five_of_seven_come_out_with_one_model(pair: Services, banks: Banks) -> None:
    name, group = project(pair, "seven", SEVEN), banks.group("first")
    honest = [bank for bank in SEVEN if bank not in {LOST, LIAR}]
    before = pair.logged()
    banks.training(JoinsOnly, name, LOST, group).join()  # type: ignore[attr-defined]
    with ThreadPoolExecutor(6) as threads, time_passes(pair, lambda purpose, _: 6 if purpose is COUNTS else 5):
        lying: Future[Any] = threads.submit(banks.training(OtherLabels, name, LIAR, group).run)
        fits = {bank: threads.submit(banks.fit, name, bank, group) for bank in honest}
        with pytest.raises(InputsRefused, match="not those that were filed"):
            lying.result()
        models = {bank: fit.result() for bank, fit in fits.items()}
    first = models[honest[0]]
    assert first.figures_.rows == 5 * ROWS
    for model in models.values():
        assert wire.replace(model.figures_, job="") == wire.replace(first.figures_, job="")
        assert model.columns_[0].levels.tolist() == first.columns_[0].levels.tolist()
    codes = np.concatenate([group.codes(banks.rows[bank])[0] for bank in honest])
    z = first.columns_[0].levels[codes] / 1024
    assert (z.mean(), z.std()) == (pytest.approx(0, abs=2e-2), pytest.approx(1, abs=2e-2))  # counts carry noise
    released = first.release()
    assert released.card_.node.job == first.job_
    other = models[honest[1]].release()
    for model in (released, other):
        assert "5 of 7 banks" in model.leakage_.text()
        assert (model.card_.node.group, model.card_.node.banks) == (released.card_.node.group, SEVEN)
    actions = [leaf["action"] for leaf in pair.leaves(before)]
    assert (actions.count("group.plan"), actions.count("group.learn"), actions.count("job.release")) == (1, 2, 2)
    assert actions.index("aggregate.end") < actions.index("group.learn") < actions.index("group.figures")


def test_of_three_banks_none_may_be_missing(pair: Services, banks: Banks) -> None:
    name, group = project(pair, "three", THREE), banks.group("first")
    with ThreadPoolExecutor(3) as threads, time_passes(pair, lambda _, number: 3 if number == 1 else 2):
        fits = [threads.submit(banks.fit, name, bank, group) for bank in THREE[:2]]
        lying = threads.submit(banks.training(OtherLabels, name, "bank-c", group).run)
        with pytest.raises(InputsRefused):
            lying.result()
        for fit in fits:
            with pytest.raises(TooFewBanks):
                fit.result()
    with pair.engine.connect() as connection:
        found = connection.execute(select(AggregationRow.phase, AggregationRow.result)).all()
    assert {row.phase for row in found if row.result is None} == {Phase.FAILED}


def test_a_bank_joins_with_the_same_terms_or_not_at_all(pair: Services, banks: Banks) -> None:
    name = project(pair, "terms", THREE)
    one, other = banks.group("first"), Group("first", banks.group("x").columns, step_seconds=60)
    banks.cohorts[name, "bank-a"] = align(banks.banks["bank-a"], name, list(banks.rows["bank-a"].index))
    banks.training(JoinsOnly, name, "bank-a", one).join()  # type: ignore[attr-defined]
    with pytest.raises(Exception, match="other columns, bins or times"):
        banks.training(JoinsOnly, name, "bank-b", other).join()  # type: ignore[attr-defined]
    found = banks.banks["bank-b"].node.get(f"/groups/{_group(pair, name)}", GroupState)
    assert (found.phase, found.joined, found.plan) == (GroupPhase.JOINING, ("bank-a",), None)


def test_a_node_under_paillier_opens_no_training_of_several_banks(
    pair: Services, banks: Banks, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = project(pair, "standardised", THREE)
    monkeypatch.setattr(pair.settings, "masked_product", "paillier")
    with pytest.raises(TrainingRefused, match="only LWE adds masked answers of several banks") as refused:
        banks.training(JoinsOnly, name, "bank-a", banks.group("first")).join()  # type: ignore[attr-defined]
    assert "Train alone" in refused.value.next_step


def test_a_bank_gives_no_share_for_a_second_round_over_fewer_banks() -> None:
    part = _RoundSum.__new__(_RoundSum)
    part._question, part.expected = b"labels", SEVEN
    part._check_banks(SEVEN, [Unmasked(b"labels", SEVEN)], 2)
    for left in (SEVEN[1:], SEVEN[3:]):
        with pytest.raises(Unusable, match=r"first round are missing|differs by too few"):
            part._check_banks(left, [Unmasked(b"labels", SEVEN)], 2)


def _group(pair: Services, project_id: str) -> str:
    from sharing_node.jobs.group_store import named

    with pair.engine.connect() as connection:
        return named(connection, project_id, "first") or ""


def test_columns_are_proposed_on_the_command_line(tmp_path: Path) -> None:
    random = np.random.default_rng(2)
    rows = pd.DataFrame({"id": range(ROWS), "own": random.normal(size=ROWS).round(1), "kind": random.choice(["a", "b"], ROWS)})
    rows.to_csv(tmp_path / "customers.csv", index=False)
    ask = ["group", "propose", str(tmp_path / "customers.csv"), "--id", "id", "--out", str(tmp_path / "columns.json")]
    done = CliRunner().invoke(app, [*ask, "--columns", "own, kind", "--max-bins", "6", "--json"])
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["bins"] == {"own": 6, "kind": 2}
    assert [bins.field for bins in read_definitions(tmp_path / "columns.json", Limits())] == ["own", "kind"]
    refused = CliRunner().invoke(app, [*ask, "--columns", "own,income"])
    assert refused.exit_code == 1
    assert "customers.csv has no column income" in refused.output
