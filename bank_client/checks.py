"""An authorised check with its receipt kept: what an officer's desk does for one consented applicant.

The receipt is written as two files that `xinqiao verify --receipt F.receipt --entry F.entry` checks offline: the leaf's
entry byte for byte, and its tlog-proof under a checkpoint that the office has cosigned.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from bank_client.alignment import open_project
from bank_client.batch_results import read_record
from bank_client.private_query import CheckResult, PrivateQuery
from bank_client.receipts import keep_receipt
from bank_client.session import Bank
from models.consents import Purpose
from models.problems import NotApproved
from models.records import CheckRecord


@dataclass(frozen=True)
class AuthorisedCheck:
    """The outcome of a check, and where its receipt is kept (without any word of whom it was about).

    `record` is None where the table has nothing of this subject. What its fields mean is in `bank_client.meanings`; where
    one is named in `record.disputed`, what it says may be wrong. A score table's record has the fields band and reasons.
    """

    result: CheckResult
    record: CheckRecord | None = field(repr=False)
    receipt_file: Path
    entry_file: Path


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
        BadMessage: the record does not have the form that its manifest states.
    """
    served = table or open_project(bank, project).table
    if not served:
        raise NotApproved("this project is for joint modelling and has no table of records; name a score table")
    query = PrivateQuery(bank, project, served, approver=approver)
    prepared = query.prepare(subject, purpose)
    result = query.ask_prepared(prepared)
    record = None if result.record is None else read_record(prepared.epoch.manifest, result.record)
    assert result.receipt is not None, "a single check is completed with its receipt"
    return AuthorisedCheck(result, record, *keep_receipt(bank, result.receipt))
