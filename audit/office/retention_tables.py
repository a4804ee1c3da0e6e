"""The office's tables of purges, and of forms that no consent rests on any more; the same metadata as `audit.office.tables`."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, String, Table

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

# Whoever keeps the scan of such a form deletes it; the digest tells nothing of it.
form_gone = Table(
    "office_form_gone",
    metadata,
    Column("digest", String(64), primary_key=True),
    Column("at", BigInteger, nullable=False),
)
