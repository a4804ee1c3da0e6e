"""The office's tables of audit work; the same metadata as `audit.office.tables`.

================  ================================================================================================
logs              ``office_seen_log``, ``office_seen_leaf``: both logs as far as they were followed and verified
reconciliation    ``office_reconciliation`` (a run over a day), ``office_table_count``, ``office_finding``
alarms            ``office_alarm_event`` (what auditors said of them)
cases             ``office_case``, ``office_case_item``
search            ``office_table_field`` (which tables hold a field)
================  ================================================================================================
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, ForeignKey, Index, Integer, LargeBinary, String, Table, Text

from audit.office.tables import Id, Serial, Word, metadata

alarm_event = Table(
    "office_alarm_event",
    metadata,
    Column("id", Serial, primary_key=True),
    Column("alarm", Serial, ForeignKey("office_alarm.id"), nullable=False, index=True),
    Column("at", BigInteger, nullable=False),
    Column("by", Id, nullable=False),
    Column("state", Word, nullable=False),
    Column("reason", Text, nullable=False),
)

# What leaves of both logs say, once their place in a signed tree was verified: nothing personal is in them.
seen_leaf = Table(
    "office_seen_leaf",
    metadata,
    Column("log", Word, primary_key=True),
    Column("index", BigInteger, primary_key=True, autoincrement=False),
    Column("leaf", LargeBinary(32), nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("action", String(64), nullable=False),
    Column("outcome", Word, nullable=False),
    Column("institution", Id, nullable=False),
    Column("table_name", Id, nullable=False),
    Column("epoch", BigInteger, nullable=False),
    Column("purpose", Word, nullable=False),
    Column("project", Id, nullable=False),
    # The digest of the ticket or manifest that it names; empty where it names neither.
    Column("about", String(64), nullable=False),
    Index("ix_office_seen_leaf_about", "about"),
    Index("ix_office_seen_leaf_at", "log", "at"),
)

seen_log = Table(
    "office_seen_log",
    metadata,
    Column("log", Word, primary_key=True),
    Column("size", BigInteger, nullable=False),
    Column("peaks", LargeBinary, nullable=False),
    Column("note", Text, nullable=False),
    Column("at", BigInteger, nullable=False),
)

reconciliation = Table(
    "office_reconciliation",
    metadata,
    Column("id", Serial, primary_key=True),
    Column("day", String(10), nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("state", Word, nullable=False),
    *(
        Column(name, BigInteger, nullable=False)
        for name in ("tickets", "leaves", "evaluations", "unused", "findings", "node_size", "office_size", "queue_id")
    ),
    Column("detail", Text, nullable=False),
    Index("ix_office_reconciliation_day", "day", "id"),
)

table_count = Table(
    "office_table_count",
    metadata,
    Column("run", Serial, ForeignKey("office_reconciliation.id"), primary_key=True, autoincrement=False),
    Column("table_name", Id, primary_key=True),
    Column("epoch", BigInteger, primary_key=True, autoincrement=False),
    *(Column(name, BigInteger, nullable=False) for name in ("tickets", "leaves", "evaluations", "unused")),
)

finding = Table(
    "office_finding",
    metadata,
    Column("id", Serial, primary_key=True),
    Column("run", Serial, ForeignKey("office_reconciliation.id"), nullable=False, index=True),
    Column("day", String(10), nullable=False),
    Column("rule", Word, nullable=False),
    Column("table_name", Id, nullable=False),
    Column("epoch", BigInteger, nullable=False),
    Column("ticket", String(64), nullable=False),
    Column("node_index", BigInteger, nullable=False),
    Column("office_index", BigInteger, nullable=False),
    Column("detail", Text, nullable=False),
)

case = Table(
    "office_case",
    metadata,
    Column("id", Serial, primary_key=True),
    Column("title", String(200), nullable=False),
    Column("state", Word, nullable=False),
    Column("opened_by", Id, nullable=False),
    Column("opened_at", BigInteger, nullable=False),
    Column("finding", Text, nullable=False, server_default=""),
    Column("closed_by", Id, nullable=False, server_default=""),
    Column("closed_at", BigInteger),
    # What was exported last, so that a case that has not changed since gives the same bytes.
    Column("bundle", LargeBinary),
    # Its digest and when that was: these stay when the bytes go, with whom they name.
    Column("bundle_digest", String(64), nullable=False, server_default=""),
    Column("exported_at", BigInteger),
    Index("ix_office_case_state", "state", "id"),
)

case_item = Table(
    "office_case_item",
    metadata,
    Column("case", Serial, ForeignKey("office_case.id"), primary_key=True, autoincrement=False),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("kind", Word, nullable=False),
    Column("ref", BigInteger, nullable=False),
    Column("text", Text, nullable=False),
    Column("by", Id, nullable=False),
    Column("at", BigInteger, nullable=False),
)

# Which fields the tables hold, without their manifests' megabytes.
table_field = Table(
    "office_table_field",
    metadata,
    Column("field", String(64), primary_key=True),
    Column("table_name", Id, primary_key=True),
)
