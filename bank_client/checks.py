"""An authorised check with its receipt kept: what an officer's desk does for one consented applicant.

The receipt is written as two files that `xinqiao verify --receipt F.receipt --entry F.entry` checks offline: the leaf's
entry byte for byte, and its tlog-proof under a checkpoint that the office has cosigned.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bank_client.alignment import open_project
from bank_client.private_query import CheckResult, PrivateQuery
from bank_client.session import Bank
from models.consents import Purpose
from models.problems import NotApproved


@dataclass(frozen=True)
class AuthorisedCheck:
    """The outcome of a check, and where its receipt is kept (without any word of whom it was about)."""

    result: CheckResult
    receipt_file: Path
    entry_file: Path

    @property
    def record(self) -> dict[str, Any] | None:
        """The record's fields as the node holds them, or None where it has none of this subject."""
        return None if self.result.record is None else json.loads(self.result.record)


def authorised_check(
    bank: Bank,
    project: str,
    subject: object,
    purpose: str = Purpose.LOAN_APPROVAL,
    *,
    approver: Bank | None = None,
    table: str = "",
) -> AuthorisedCheck:
    """Ask for one consented subject's record within an approved check project, and keep the receipt.

    Args:
        bank: the officer's session.
        project: id of a check project, or of a joint project whose score table is named in `table`.
        subject: id in any spelling that `models.identity` takes.
        purpose: one that the project and the subject's consent cover.
        approver: a second person's session, where the bank requires a second approval.
        table: the table to ask; by default the project's own.

    Raises:
        Problem: refused; a leaf stands for it.
        Damaged: something did not match what was signed; the office has been told.
    """
    served = table or open_project(bank, project).table
    if not served:
        raise NotApproved("this project is for joint modelling and has no table of records; name a score table")
    result = PrivateQuery(bank, project, served, approver=approver).ask(subject, purpose)
    return AuthorisedCheck(result, *_keep(bank, result))


def _keep(bank: Bank, result: CheckResult) -> tuple[Path, Path]:
    assert result.receipt is not None, "a single check is completed with its receipt"
    folder = bank.config.data_dir / "receipts"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    stem = folder / str(result.receipt.index)
    files = stem.with_suffix(".receipt"), stem.with_suffix(".entry")
    for file, data in zip(files, (result.receipt.proof.encode(), result.receipt.entry), strict=True):
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as out:
            out.write(data)
    return files
