"""One officer's questions to a private model, through the services of a node with a city's subjects."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from bank_client import Bank
from bank_client.alignment import open_project
from bank_client.demo.job import MainJob
from bank_client.private_model import PrivateModel
from benchmarks.city import BANK, City, catalogue_of, subject
from models.approvals import ActKind
from models.consents import Purpose
from models.projects import Decision, ProjectKind
from models.tables import ModelStatus
from models.wire import Message


class ModelCity(City):
    """A city whose records have so many fields of small numbers."""

    def __init__(self, folder: Path, subjects: int, fields: int, asked: int) -> None:
        self.names = [f"f{number:02}" for number in range(fields)]
        super().__init__(folder, subjects, len(b""), 1, asked)

    def catalogue_csv(self) -> str:
        """Integers only."""
        return catalogue_of(dict.fromkeys(self.names, "int"))

    def values(self, number: int) -> dict[str, Any]:
        """Numbers that have nothing to do with each other."""
        drawn = np.random.default_rng(number).integers(0, 1000, len(self.names))
        return dict(zip(self.names, drawn.tolist(), strict=True))

    def plain(self, number: int) -> bytes:
        """Nothing is checked field by field here."""
        return b""


def questions(subjects: int, fields: int, asked: int) -> tuple[float, float]:
    """Median and 99th percentile of one officer's questions, ms: ticket, evaluation, retrieval, score, cosigned receipt."""
    with tempfile.TemporaryDirectory(prefix="xinqiao-model-city-") as name:
        place = ModelCity(Path(name), subjects, fields, asked)
        place.seed()
        with place.town:
            job = place.enrol()
            officer = _model(place, job, Path(name) / "model")
            officer.ask(subject(place.asked[0]))  # the epoch's hint and scores, once a day
            spent = []
            for number in place.asked[1:]:
                began = time.perf_counter()
                score = officer.ask(subject(number)).score
                spent.append(1e3 * (time.perf_counter() - began))
                if (score is None) != (number >= subjects):
                    raise RuntimeError("somebody on record has no score, or the other way round")
    return float(np.percentile(spent, 50)), float(np.percentile(spent, 99))


def _model(place: ModelCity, job: MainJob, file: Path) -> PrivateModel:
    """A served private model with its first epoch, in the hands of an officer."""
    modeller = f"{BANK}/modeller"
    project = job.project(
        modeller, ProjectKind.JOINT_SCORECARD, "own model", place.names, purpose=Purpose.MODELLING, checks=1_000_000
    )
    with Bank(place.town.bank_config(modeller)) as bank:
        open_project(bank, project)
        model = PrivateModel.open(bank, project)
        model.register({name: 3 - (i % 5) or 1 for i, name in enumerate(place.names)})
        decision: Message = Decision(subject=model.model_id_, approve=True, reason="checked")
        place.town.act(ActKind.MODEL_APPROVE, f"/models/{model.model_id_}/decision", decision, ModelStatus, "checked")
        job.build(model.serve())
        model.save(file)
    return PrivateModel.load(file, place.town.bank(place.officers[0]))
