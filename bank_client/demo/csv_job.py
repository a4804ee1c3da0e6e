"""The main job on any two CSV files that share an id column: alignment, training, release and scoring over real HTTP.

The bank's file holds the label and its own columns, the node's file the node's. Rows are taken in order of their id, file
by file: the first `train_rows` are borrowers with known outcomes, the rest are new applicants, each of whom is scored
through a ticket and a private query.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from bank_client.alignment import Progress, silent
from bank_client.demo.job import MainJob, Say, new_consent, quiet
from bank_client.demo.town import Town
from bank_client.frames import columns_of
from bank_client.joint_scorecard import JointScorecard
from bank_client.session import Bank, Phase
from models.catalogue import Catalogue
from models.consents import ConsentKind, Purpose
from models.identity import canonical_id
from models.parties import Institution, InstitutionKind, Role
from models.projects import ProjectKind
from models.scorecard import metrics
from models.scorecard.bank import bank_columns
from models.scorecard.design import Design
from models.scorecard.limits import Limits

FIELD_SET = "data"
BANK, MODELLER = "bank", "bank/modeller"
STEWARD, OPERATOR = "node/steward", "node/operator"


@dataclass(frozen=True)
class CsvJob:
    """Two files (the bank's may come in parts), the names of the id and label columns, and how many rows to train on."""

    bank_csv: tuple[Path, ...]
    node_csv: Path
    id: str
    label: str
    train_rows: int
    max_bins: int = 20


class CsvJobError(ValueError):
    """The files cannot be used as given; the message says why."""


def run_csv_job(job: CsvJob, folder: Path, say: Say = quiet, progress: Progress = silent) -> dict[str, Any]:
    """Run the main job below `folder`; the JSON object of `xinqiao demo --json`."""
    started = time.perf_counter()
    with csv_town(job, folder, say) as place:
        train, test = place.train, place.test
        with Bank(place.town.bank_config(MODELLER)) as bank:
            model = JointScorecard(place.project, bank, max_bins=job.max_bins, progress=progress)
            say(f"aligning {len(train):,} customers and training")
            model.fit(train.drop(columns=job.label), train[job.label])
            model.release()
            say(f"released {len(model.band_means_)} bands for {model.cohort_.rows:,} rows")
            place.main.serve(model)
            say(f"scoring {len(test):,} applicants, one private query each")
            joint = model.predict_proba(test.drop(columns=job.label))[:, 1]
            result = _result(job, model, train, test, joint)
            for log in place.main.verify():
                if not log.ok:
                    raise CsvJobError(f"the {log.name}'s log does not verify: {log.detail}")
                result["leaves" if log.name == "node" else "leaves_office"] = log.leaves
            result["phases"] = {name: _phase(phase) for name, phase in bank.phases.items()}
    result["total_s"] = round(time.perf_counter() - started, 2)
    return result


@dataclass(frozen=True)
class CsvTown:
    """Services that hold the node's file and an approved project, and the bank's rows: known outcomes and applicants."""

    town: Town
    main: MainJob
    project: str
    train: pd.DataFrame
    test: pd.DataFrame


@contextmanager
def csv_town(job: CsvJob, folder: Path, say: Say = quiet) -> Iterator[CsvTown]:
    """Everything up to the bank's first request, with the services running."""
    bank_rows, node_columns = _read(job)
    train, test = bank_rows[: job.train_rows], bank_rows[job.train_rows :]
    catalogue = folder / "catalogue.csv"
    folder.mkdir(parents=True, exist_ok=True)
    catalogue.write_bytes(Catalogue.from_columns(node_columns, category=FIELD_SET, identity="opaque").to_csv())
    say("starting the credit office and the data node")
    with Town(folder, identity="opaque", catalogue=catalogue) as town:
        main = MainJob(town, steward=STEWARD, operator=OPERATOR, say=say)
        _enrol(town, len(bank_rows))
        say("loading the node's file and the consents")
        report = main.load(job.node_csv, FIELD_SET, time.strftime("%Y-%m-%d"), identity_column=job.id)
        say(f"{report.rows_loaded:,} of {report.rows_read:,} rows loaded")
        main.consent(_consents(list(train.index), list(test.index)))
        project = main.project(
            MODELLER,
            ProjectKind.JOINT_SCORECARD,
            "joint scorecard on two CSV files",
            node_columns,
            purpose=Purpose.LOAN_APPROVAL,
            checks=max(1, len(test)),
        )
        yield CsvTown(town, main, project, train, test)


def alone(train: pd.DataFrame, test: pd.DataFrame, label: str) -> NDArray[np.float64]:
    """Probabilities of the test rows from the bank's own columns: the same bins and WOE, logistic regression."""
    features = train.drop(columns=label)
    own = bank_columns(columns_of(features), train[label].to_numpy(np.uint8), Limits())
    design = Design(tuple(own), (0.0,))

    def matrix(frame: pd.DataFrame) -> NDArray[np.float64]:
        return design.matrix(columns_of(frame), np.zeros(len(frame), dtype=np.uint8))[:, :-1]

    fitted = LogisticRegression(max_iter=1000).fit(matrix(features), train[label])
    probabilities: NDArray[np.float64] = fitted.predict_proba(matrix(test.drop(columns=label)))[:, 1]
    return probabilities


def _result(
    job: CsvJob, model: JointScorecard, train: pd.DataFrame, test: pd.DataFrame, joint: NDArray[np.float64]
) -> dict[str, Any]:
    scored = ~np.isnan(joint)
    labels = test[job.label].to_numpy()[scored]
    own = alone(train, test, job.label)[scored]
    fit = model.phases_["fit"]
    return {
        "rows": model.cohort_.rows,
        "scored": int(scored.sum()),
        "auc_alone": round(metrics.auc(labels, own), 4),
        "auc_joint": round(metrics.auc(labels, joint[scored]), 4),
        "ks_alone": round(metrics.ks(labels, own), 4),
        "ks_joint": round(metrics.ks(labels, joint[scored]), 4),
        "fit_s": round(fit.seconds, 2),
        "bytes_up": fit.bytes_up,
        "bytes_down": fit.bytes_down,
        "bands": len(model.band_means_),
        "r2_most": model.leakage_.r2_most,
        "r2_mean": model.leakage_.r2_mean,
    }


def _read(job: CsvJob) -> tuple[pd.DataFrame, list[str]]:
    parts = [_part(path, job) for path in job.bank_csv]
    rows = pd.concat(parts)
    if not rows.index.is_unique:
        raise CsvJobError(f"the column {job.id} of the bank's file names a subject twice")
    node = pd.read_csv(job.node_csv, nrows=0)
    if job.id not in node.columns:
        raise CsvJobError(f"the node's file has no column {job.id}; its columns are {', '.join(map(str, node.columns))}")
    if not 0 < job.train_rows < len(rows):
        raise CsvJobError(f"--train-rows must leave rows to test on: the bank's file has {len(rows):,}")
    return rows, [str(name) for name in node.columns if name != job.id]


def _part(path: Path, job: CsvJob) -> pd.DataFrame:
    frame = pd.read_csv(path)
    absent = [name for name in (job.id, job.label) if name not in frame.columns]
    if absent:
        raise CsvJobError(
            f"{path.name} has no column {' or '.join(absent)}; its columns are {', '.join(map(str, frame.columns))}"
        )
    frame = frame.sort_values(job.id)
    frame.index = pd.Index(frame.pop(job.id).astype(str), name=job.id)
    return frame


def _enrol(town: Town, customers: int) -> None:
    town.enrol_institution(
        Institution(
            id=BANK, name="the bank of the CSV file", kind=InstitutionKind.BANK, licence="demonstration",
            declared_customers=customers,
        )
    )  # fmt: skip
    town.enrol(MODELLER, "demonstration modeller", Role.MODELLER)
    town.enrol(STEWARD, "demonstration steward", Role.STEWARD)
    town.enrol(OPERATOR, "demonstration operator", Role.NODE_OPERATOR)


def _consents(train: list[str], test: list[str]) -> list[Any]:
    def each(ids: list[str], kind: ConsentKind, recipient: str) -> list[Any]:
        return [new_consent(canonical_id("opaque", i), kind, recipient) for i in ids]

    return [
        *each(train + test, ConsentKind.COLLECTION, "*"),
        *each(train, ConsentKind.MODELLING, BANK),
        *each(test, ConsentKind.QUERY, BANK),
    ]


def _phase(phase: Phase) -> dict[str, float]:
    return {"seconds": round(phase.seconds, 2), "bytes_up": phase.bytes_up, "bytes_down": phase.bytes_down}
