"""The bank's private model at the desk: its file names the table that is asked, and turns a cell into a score."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from bank_client.private_query import CheckResult
from bank_client.session import Bank
from models.problems import NotApproved
from models.records import CheckRecord, Source
from models.tables import SCORE_FIELD_SET, Manifest


def table(bank: Bank, project: str, file: Path) -> str:
    """The table of the model in a file; raises `NotApproved` where the model is of another project."""
    from bank_client.private_model import PrivateModel  # SEAL is loaded by desks that have a model

    model = PrivateModel.load(file, bank)
    if model.layout_.project != project:
        raise NotApproved("the private model of these settings belongs to another project; name the model's own")
    return model.table_


def fetch(bank: Bank, file: Path, manifest: Manifest) -> None:
    """Have the epoch's padded scores at the desk, whoever is asked about next."""
    from bank_client.private_model import PrivateModel

    PrivateModel.load(file, bank).fetch(manifest)


def record(bank: Bank, file: Path, result: CheckResult, manifest: Manifest) -> CheckRecord:
    """The score as a record of one field, of the day on which the epoch was opened; raises `Damaged`."""
    from bank_client.private_model import PrivateModel

    score = PrivateModel.load(file, bank).read(result).score
    assert score is not None, "a cell that was opened has a score"
    day = datetime.fromtimestamp(manifest.opened_at, UTC).date().isoformat()
    return CheckRecord(fields={SCORE_FIELD_SET: score}, sources={SCORE_FIELD_SET: Source(department="", as_of=day)})
