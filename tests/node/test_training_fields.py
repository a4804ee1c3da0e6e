"""Which fields a training asks, how the bank has them binned, and what may be shown of them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from sqlalchemy import select, update

from audit.database import open_engine, writing
from models import wire
from models.catalogue import Catalogue, Field
from models.problems import Forbidden, TrainingRefused
from models.projects import Project, ProjectKind
from models.scorecard.binning import CategoryBins, NumericBins
from models.scorecard.limits import Limits
from models.scorecard.options import FieldBinning
from models.scorecard.stability import CohortCounts
from models.training import Figures, JobPlan, OpenJob
from models.wire import Signed
from sharing_node.jobs.columns import node_columns, wanted_fields
from sharing_node.records import repository as records
from sharing_node.state import counts
from sharing_node.state import repository as state
from sharing_node.state.repository import StoredCohort
from sharing_node.state.tables import JobCountsRow
from tests.node.trainings import NOW, OFFICE_KEY, Ask, County, Worker, drive, train

CROPS = ("wheat", "rice", "tea", "fig")
FIELDS = (
    Field("area", "farm", "面积", mode="O", grade="L2"),
    Field("crop", "farm", "作物", type="enum", enum_values=CROPS, mode="A", grade="L2"),
    Field("arrears", "farm", "欠款", mode="J", grade="L3"),
    Field("since", "farm", "始于", type="date", mode="O", grade="L1"),
    Field("secret", "farm", "机密", mode="N", grade="L4"),
)
NAMES = tuple(field.name for field in FIELDS)


def _node(**settings: Any) -> Any:
    return SimpleNamespace(catalogue=Catalogue(FIELDS), settings=SimpleNamespace(identity="opaque", **settings))


def _project(fields: tuple[str, ...]) -> Project:
    return Project(
        id="p", bank="bank-a", kind=ProjectKind.JOINT_SCORECARD, title="t", purpose="modelling", fields=fields,
        valid_from=NOW - 10, valid_to=NOW + 10**8, requested_by="bank-a/mo",
    )  # fmt: skip


def test_a_training_asks_for_fields_of_its_project_only() -> None:
    project = _project(("area", "crop", "arrears"))
    assert [f.name for f in wanted_fields(_node(), project, ())] == ["area", "crop", "arrears"]
    assert [f.name for f in wanted_fields(_node(), project, ["arrears", "area"])] == ["area", "arrears"]
    with pytest.raises(Forbidden, match="not approved for since") as refused:
        wanted_fields(_node(), project, ["area", "since"])
    assert "area, crop, arrears" in refused.value.next_step


def test_a_field_whose_mode_forbids_it_never_appears() -> None:
    """Also where the project was approved before its mode changed."""
    project = _project(("area", "secret"))
    for names in ((), ("secret",), ("area", "secret")):
        with pytest.raises(Forbidden, match="sharing mode of secret forbids joint use"):
            wanted_fields(_node(), project, names)
    assert [f.name for f in wanted_fields(_node(), project, ("area",))] == ["area"]


def _raw(rows: int = 1_500) -> np.ndarray:
    random = np.random.default_rng(1)
    area = np.round(random.gamma(2, 3, rows), 1)
    area[:100] = -1.0
    crop = random.integers(0, 4, rows).astype(np.float64)
    crop[crop == 3] = np.where(random.random((crop == 3).sum()) < 0.1, 3.0, np.nan)
    return np.stack([area, crop, np.round(random.normal(size=rows), 2), np.floor(19_000 + 300 * random.random(rows))], axis=1)


def test_categories_special_and_missing_values_come_through() -> None:
    options = (
        FieldBinning(trend="monotone", min_rows=100),
        FieldBinning(field="area", special=(-1.0,), trend="ascending"),
    )
    columns, notes = node_columns(FIELDS[:4], _raw(), Limits(), 0, options)
    area, crop, arrears, since = columns.fields
    assert notes == []
    assert isinstance(area.bins, NumericBins)
    assert (area.bins.special, area.trend) == ((-1.0,), "ascending")
    assert isinstance(crop.bins, CategoryBins)
    assert set(crop.bins.values) == set(CROPS[:3])
    assert crop.bins.missing is not None
    assert int(columns.counts(1)[crop.bins.missing]) == np.isnan(columns.raw[1]).sum()
    assert arrears.trend == "monotone"
    assert columns.counts(2).min() >= 100
    assert [f.disclosable for f in columns.fields] == [True, True, False, True]
    assert since.dates
    in_order, _ = node_columns(FIELDS[:4], _raw(), Limits(), 0, (FieldBinning(field="crop", categories=False),))
    assert isinstance(in_order.fields[1].bins, NumericBins)


def test_the_plan_repeats_what_was_asked_and_figures_bring_tables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    county = County(tmp_path, f"sqlite:///{tmp_path}/node.db", rows=2_400)
    monkeypatch.setattr(records, "numeric_columns", county.numeric_columns)
    worker = Worker(county)
    options = (FieldBinning(trend="monotone"),)
    opened = OpenJob(
        project="p-bank-a", cohort="c-bank-a", bank_columns=0, max_bins=5, node_fields=("n2", "n0"), binning=options
    )
    plan = wire.decode(worker.ask(Ask("open", opened, {"with": "options"}, Signed)).payload, JobPlan)
    assert [f.name for f in plan.fields] == ["n0", "n2"]
    assert plan.binning == options
    for wrong in ({"binning": (FieldBinning(field="n7"),)}, {"binning": (FieldBinning(min_rows=5_000),)}):
        with pytest.raises(TrainingRefused):
            worker.ask(Ask("open", wire.replace(opened, **wrong), {"wrong": repr(wrong)}, Signed))
    figures: Figures = drive(train(county), worker.ask)
    assert all(f.table and f.psi is None for f in figures.fields)
    assert (figures.compared_with, figures.notes) == ("", ())
    # The same people a second time: equal counts are no second period, and the same question is no further look.
    again: Figures = drive(train(county), lambda ask: worker.ask(ask, key="again" + ask.key))
    # Bad counts move by the product's own noise, which the bank has drawn itself; the node's is the same.
    for one, other in zip(figures.fields, again.fields, strict=True):
        assert sum(e.rows or 0 for e in one.table) == pytest.approx(sum(e.rows or 0 for e in other.table), abs=3)  # rounding
        assert one.iv == pytest.approx(other.iv, abs=0.05)
    assert again.compared_with == ""
    assert len(_questions(worker)) == 1
    # With an earlier period to compare with, the same question is another look, and counts.
    with writing(worker.engine) as connection:
        kept = select(JobCountsRow.counts).where(JobCountsRow.job == figures.job)
        moved = [wire.replace(f, rows=f.rows[::-1]) for f in wire.decode(connection.scalar(kept) or b"", CohortCounts).fields]
        encoded = wire.encode(CohortCounts(fields=tuple(moved)))
        connection.execute(update(JobCountsRow).where(JobCountsRow.job == figures.job).values(counts=encoded))
    later: Figures = drive(train(county), lambda ask: worker.ask(ask, key="later" + ask.key))
    assert later.compared_with == figures.job
    assert len(_questions(worker)) == 2
    worker.close()


def test_what_a_refusal_says_of_the_data_is_paid_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else a bank could ask of cohort after cohort whether 50 people have a value."""
    county = County(tmp_path, f"sqlite:///{tmp_path}/node.db")
    for place, subject in enumerate(county.subjects):
        county.values[subject][2] = 1.0 if place < 49 else np.nan
    monkeypatch.setattr(records, "numeric_columns", county.numeric_columns)
    worker = Worker(county)
    asked = OpenJob(project="p-bank-a", cohort="c-bank-a", bank_columns=0, max_bins=3)
    for number in range(12):
        with pytest.raises(TrainingRefused, match=r"fewer than 50 rows; .*counts as one of the project's trainings"):
            worker.ask(Ask("open", asked, {"number": str(number)}, Signed))
    for fields in ((), ("n0", "n1")):
        with pytest.raises(TrainingRefused, match="used its 12 trainings"):
            worker.ask(Ask("open", wire.replace(asked, node_fields=fields), {"after": str(fields)}, Signed))
    worker.close()


def _questions(worker: Worker) -> set[bytes]:
    with worker.engine.connect() as connection:
        return set(connection.scalars(select(JobCountsRow.question)))


def test_a_subject_is_counted_in_few_tables(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/node.db"
    county = County(tmp_path, url)
    engine = open_engine(url)
    some, nothing = county.subjects[:10], CohortCounts(fields=())
    with writing(engine) as connection:
        state.add_cohort(connection, StoredCohort("c-few", "p-bank-b", "bank-b", b"f" * 32, some), NOW)
        signed = wire.sign(nothing, "office", OFFICE_KEY)
        for number, (cohort, question, at) in enumerate(
            (("c-bank-a", b"1", NOW), ("c-bank-a", b"1", NOW), ("c-few", b"2", NOW), ("c-few", b"", NOW), ("c-few", b"3", 5))
        ):
            stored = state.cohort(connection, cohort)
            state.add_job(connection, f"j{number}", stored, signed, aggregates=0, at=NOW + number)
            counts.add(connection, f"j{number}", nothing, question, at)

        def most(subjects: Sequence[str], question: bytes) -> int:
            return counts.most_questions(connection, subjects, question, NOW - 10)

        assert most(county.subjects, b"4") == 2, "questions of both banks, equal ones once, old and hidden ones not"
        assert most(county.subjects[20:], b"4") == 1
        assert most(county.subjects, b"1") == 1, "asking the same again is no further look"
        assert most(("opaque:nobody",), b"4") == 0
        found = [job for job, _ in counts.earlier(connection, "p-bank-b", "j3")]
        assert found == ["j2"]
    engine.dispose()
