"""The demonstration bank's own secret scorecard over the node's fields; the office alone sees its weights."""

from __future__ import annotations

from dataclasses import dataclass

from bank_client.alignment import open_project
from bank_client.demo.county_job import JOINT_FIELDS, MODELLER, OFFICER, CountyJob
from bank_client.demo.job import new_consent
from bank_client.private_model import PrivateModel, PrivateScore
from models.approvals import ActKind
from models.consents import ConsentKind, Purpose
from models.projects import Decision, ProjectKind
from models.tables import SCORE_FIELD_SET, ModelStatus
from models.wire import replace

WEIGHTS = {name: 2 + i % 3 for i, name in enumerate(JOINT_FIELDS)} | {
    "penalty_count_36m": -3, "enforcement_count_36m": -4, "litigation_count_36m": -3, "commitment_breach_count": -4,
    "utility_overdue_days_12m": -3,
}  # fmt: skip


@dataclass(frozen=True)
class OwnScore:
    """What the officer saw, and over how many fields."""

    score: PrivateScore
    fields: int


def score_by_own_model(job: CountyJob, subject: str) -> OwnScore:
    """Layout, encrypted weights, the office's check and approval, an epoch, and an officer's question about one applicant."""
    kind, purpose = ProjectKind.JOINT_SCORECARD, Purpose.LOAN_APPROVAL
    project = job.main.project(MODELLER, kind, "the bank's own scorecard", JOINT_FIELDS, purpose=purpose, checks=100)
    file = job.town.folder / "own.model"
    with job.town.bank(MODELLER) as bank:
        open_project(bank, project)
        model = PrivateModel.open(bank, project)
        model.register(WEIGHTS, keep=file)
        decision = Decision(subject=model.model_id_, approve=True, reason="weights and encryption checked")
        path = f"/models/{model.model_id_}/decision"
        job.town.act(ActKind.MODEL_APPROVE, path, decision, ModelStatus, decision.reason)
        job.main.build(model.serve())
    job.main.consent([replace(new_consent(subject, ConsentKind.QUERY), field_sets=(SCORE_FIELD_SET,))])
    with job.town.bank(OFFICER) as officer:
        score = PrivateModel.load(file, officer).ask(subject)
    return OwnScore(score, len(WEIGHTS))
