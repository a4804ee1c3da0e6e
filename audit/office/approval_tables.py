"""The office's tables of acts that wait for a second clerk and of asked budgets; the same metadata as `audit.office.tables`."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, ForeignKey, Index, Integer, LargeBinary, String, Table, Text

from audit.office.tables import Id, Word, metadata

# An act may name people or a subject in its document: it may be erased.
act = Table(
    "office_act",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("action", Word, nullable=False),
    Column("document", LargeBinary, nullable=False),
    Column("reason", Text, nullable=False),
    Column("filed_by", Id, nullable=False),
    Column("filed_at", BigInteger, nullable=False),
    Column("state", Word, nullable=False, index=True),
    Column("decided_by", Id, nullable=False),
    Column("decided_at", BigInteger, nullable=False),
    Column("decision", Text, nullable=False),
)

budget_request = Table(
    "office_budget_request",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("project", Id, ForeignKey("office_project.id"), nullable=False),
    Column("bank", Id, nullable=False),
    Column("asked_by", Id, nullable=False),
    Column("asked_at", BigInteger, nullable=False),
    Column("trainings", Integer, nullable=False),
    Column("releases", Integer, nullable=False),
    Column("checks", Integer, nullable=False),
    Column("reason", Text, nullable=False),
    Column("state", Word, nullable=False, index=True),
    Column("before", String(64), nullable=False),
    Column("checks_left", BigInteger, nullable=False),
    Column("decided_by", Id, nullable=False),
    Column("decided_at", BigInteger, nullable=False),
    Column("decision", Text, nullable=False),
    Index("ix_office_budget_request_project", "project", "asked_at"),
)
