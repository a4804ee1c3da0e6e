"""The office's table of purges; the same metadata as `audit.office.tables`."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Table

from audit.office.tables import Serial, Word, metadata

# `upto`: for openings, the entries before this index have been gone through.
retention = Table(
    "office_retention",
    metadata,
    Column("id", Serial, primary_key=True),
    Column("at", BigInteger, nullable=False),
    Column("name", Word, nullable=False, index=True),
    Column("before", BigInteger, nullable=False),
    Column("count", BigInteger, nullable=False),
    Column("upto", BigInteger, nullable=False, server_default="0"),
)
