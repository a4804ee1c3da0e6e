"""The office's tables of subjects' rights; the same metadata as `audit.office.tables`. All of these may be erased.

==================  ==============================================================================================
accounts            ``office_account``: who may act through the self-service window
objections          ``office_dispute`` with its evidence and letter, ``office_correction``: what a source was asked
credit repair       ``office_repair_case``: applications and how they were decided
use in cohorts      ``office_alignment_element`` (all elements of a root), ``office_alignment_row`` (whose they are)
==================  ==============================================================================================
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, ForeignKey, Index, Integer, LargeBinary, String, Table, Text, text

from audit.office.tables import Id, Word, metadata

ONE_OPEN = text("state = 'open'")

account = Table(
    "office_account",
    metadata,
    Column("account", String(64), primary_key=True),
    Column("subject", Id, nullable=False, index=True),
    Column("checked", String(200), nullable=False),
    Column("opened_by", Id, nullable=False),
    Column("opened_at", BigInteger, nullable=False),
    Column("closed_at", BigInteger, nullable=False),
)

dispute = Table(
    "office_dispute",
    metadata,
    Column("id", Word, primary_key=True),
    Column("subject", Id, nullable=False, index=True),
    Column("field", String(64), nullable=False),
    Column("statement", Text, nullable=False),
    Column("withheld", Integer, nullable=False),
    Column("filed_by", Id, nullable=False),
    Column("filed_at", BigInteger, nullable=False),
    # The last of the warnings that was given, in days.
    Column("warned", Integer, nullable=False),
    Column("state", Word, nullable=False),
    Column("evidence_name", String(100), nullable=False),
    Column("evidence_digest", String(64), nullable=False),
    Column("evidence", LargeBinary, nullable=False),
    Column("letter", LargeBinary),
    Index("ix_office_dispute_state_filed_at", "state", "filed_at"),
    # One open objection to a field, also of two that are filed at the same instant.
    Index("ix_office_dispute_open", "subject", "field", unique=True, sqlite_where=ONE_OPEN, postgresql_where=ONE_OPEN),
)

correction = Table(
    "office_correction",
    metadata,
    Column("id", Word, primary_key=True),
    Column("dispute", Word, ForeignKey("office_dispute.id"), nullable=False, index=True),
    Column("subject", Id, nullable=False),
    Column("field", String(64), nullable=False),
    Column("request", Text, nullable=False),
    Column("asked_at", BigInteger, nullable=False),
    Column("state", Word, nullable=False),
    Column("reply", Text, nullable=False),
    Column("batch", Word, nullable=False),
    Column("answered_by", Id, nullable=False),
    Column("answered_at", BigInteger, nullable=False),
)

repair_case = Table(
    "office_repair_case",
    metadata,
    Column("id", Word, primary_key=True),
    Column("subject", Id, nullable=False, index=True),
    Column("field", String(64), nullable=False),
    Column("grounds", Text, nullable=False),
    Column("filed_by", Id, nullable=False),
    Column("filed_at", BigInteger, nullable=False),
    Column("state", Word, nullable=False, index=True),
    Column("reason", Text, nullable=False),
    Column("decided_by", Id, nullable=False),
    Column("decided_at", BigInteger, nullable=False),
    Column("evidence_name", String(100), nullable=False),
    Column("evidence_digest", String(64), nullable=False),
    Column("evidence", LargeBinary, nullable=False),
)

alignment_element = Table(
    "office_alignment_element",
    metadata,
    Column("root", LargeBinary(32), ForeignKey("office_alignment.root"), primary_key=True),
    Column("elements", LargeBinary, nullable=False),
)

alignment_row = Table(
    "office_alignment_row",
    metadata,
    Column("root", LargeBinary(32), ForeignKey("office_alignment.root"), primary_key=True),
    Column("place", Integer, primary_key=True, autoincrement=False),
    Column("subject", Id, nullable=False, index=True),
    Column("proof", LargeBinary(64), nullable=False),
)
