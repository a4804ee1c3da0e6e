"""The office's tables of exposure checks; the same metadata as `audit.office.tables`.

``office_exposure`` (who asked about whom, on which consents, what was released) and ``office_exposure_demand`` (answers that
the office wanted opened). Both name people and may be erased.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, ForeignKey, Index, Integer, LargeBinary, String, Table, Text

from audit.office.tables import Id, Word, metadata

exposure = Table(
    "office_exposure",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("subject", Id, nullable=False),
    Column("bank", Id, nullable=False),
    Column("project", Id, nullable=False),
    Column("context", LargeBinary, nullable=False),
    Column("question", LargeBinary, nullable=False),
    Column("digest", String(64), nullable=False),
    Column("ticket", String(64), nullable=False),
    Column("query_consent", Id, nullable=False),
    Column("collection_consent", Id, nullable=False),
    Column("salt", LargeBinary(32), nullable=False),
    Column("approval", LargeBinary),
    Column("issued_at", BigInteger, nullable=False),
    Column("released_at", BigInteger),
    # The node's word on what was released, and the banks that it is of, one a line.
    Column("tally", LargeBinary),
    Column("answered", Text, nullable=False, server_default=""),
    Index("ix_office_exposure_subject_bank", "subject", "bank"),
    Index("ix_office_exposure_ticket", "ticket"),
    Index("ix_office_exposure_issued_at", "issued_at"),
)

exposure_demand = Table(
    "office_exposure_demand",
    metadata,
    Column("question", String(32), ForeignKey("office_exposure.id"), primary_key=True),
    Column("bank", Id, primary_key=True),
    Column("at", BigInteger, nullable=False),
    Column("reason", String(400), nullable=False),
    Column("demanded_by", Id, nullable=False),
    Column("state", Word, nullable=False),
    Column("amount", BigInteger, nullable=False),
    Column("counted", Integer, nullable=False),
    Index("ix_office_exposure_demand_bank_state", "bank", "state"),
)
