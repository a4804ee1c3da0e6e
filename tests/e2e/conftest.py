"""One village for most of the tests, and the main job done once in it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from bank_client import Bank, JointScorecard
from models.tables import Manifest
from tests.e2e.village import Village, Watch, village


@dataclass
class MainRun:
    """The main job as it went: the released and served model, and how new applicants were scored.

    `ends` says how long each log was when it was done: what stands beyond, other tests did.
    """

    bank: Bank
    model: JointScorecard
    manifest: Manifest
    watch: Watch = field(repr=False)
    scores: NDArray[Any] = field(repr=False)
    ends: dict[str, int] = field(default_factory=dict)


@pytest.fixture(scope="session")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Village]:
    """The village that most tests share; none of them may stop its services."""
    with village(tmp_path_factory.mktemp("village")) as made:
        yield made


@pytest.fixture(scope="session")
def run(place: Village) -> Iterator[MainRun]:
    """Align, fit, release, register, serve, score: once for all tests."""
    for made in main_job(place):
        made.ends = {name: len(place.entries(name)) for name in ("node", "office")}
        yield made


def main_job(place: Village, max_bins: int = 8) -> Iterator[MainRun]:
    watch = Watch()
    with place.bank("bank-a/modeller", watch) as bank:
        model = JointScorecard(place.joint_project(), bank, max_bins=max_bins)
        X, y = place.rows(place.borrowers)
        model.fit(X, y).release()
        manifest = place.main.serve(model)
        applicants, _ = place.rows(place.applicants)
        scores = model.predict_proba(applicants)[:, 1]
        assert not np.isnan(scores).any()
        yield MainRun(bank, model, manifest, watch, scores)


@pytest.fixture(scope="session")
def check_project(place: Village) -> str:
    """An approved check project of bank-a whose table is open."""
    return open_checks(place)


def open_checks(place: Village) -> str:
    from bank_client.alignment import open_project

    project = place.check_project()
    with place.bank("bank-a/modeller") as bank:
        table = open_project(bank, project).table
    place.main.build(table)
    place.checks = (project, table)
    return project
