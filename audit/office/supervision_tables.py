"""The office's tables of supervision; the same metadata as `audit.office.tables`. Nothing of a single person is in them.

==================  ==============================================================================================
statements          ``office_statement``: what the node stated, as it signed it
credit              ``office_credit_report``: what banks reported, ``office_step``: figures in tens as last shown
figures             ``office_period``: a quarter or year as counted from the log; ``office_yearly_report``: as issued
==================  ==============================================================================================
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, ForeignKey, Integer, LargeBinary, String, Table

from audit.office.tables import Id, Word, metadata

statement = Table(
    "office_statement",
    metadata,
    Column("kind", Word, primary_key=True),
    Column("period", String(8), primary_key=True),
    Column("digest", String(64), nullable=False),
    Column("document", LargeBinary, nullable=False),
    Column("filed_at", BigInteger, nullable=False),
)

credit_report = Table(
    "office_credit_report",
    metadata,
    Column("bank", Id, ForeignKey("office_institution.id"), primary_key=True),
    Column("period", String(8), primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("digest", String(64), nullable=False),
    Column("document", LargeBinary, nullable=False),
    Column("filed_by", Id, nullable=False),
    Column("filed_at", BigInteger, nullable=False),
)

# A figure in tens as it was last shown, by what it says; `exact` is where it was set and is shown to nobody.
step = Table(
    "office_step",
    metadata,
    Column("period", String(8), primary_key=True),
    Column("measure", Word, primary_key=True),
    Column("area", String(12), primary_key=True),
    Column("key", Id, primary_key=True),
    Column("exact", BigInteger, nullable=False),
    Column("shown", BigInteger, nullable=False),
)

# `day` is empty once the period is over; until then it is the day on which it was counted last.
period = Table(
    "office_period",
    metadata,
    Column("period", String(8), primary_key=True),
    Column("day", String(10), nullable=False),
    Column("basis", LargeBinary, nullable=False),
    Column("exact", LargeBinary, nullable=False),
    Column("figures", LargeBinary, nullable=False),
)

yearly_report = Table(
    "office_yearly_report",
    metadata,
    Column("year", Integer, primary_key=True, autoincrement=False),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("issued_by", Id, nullable=False),
    Column("issued_at", BigInteger, nullable=False),
    Column("document", LargeBinary, nullable=False),
)
