"""The office's tables. Times are POSIX seconds; `document` columns hold the MessagePack bytes of a wire message.

================  ================================================================================================
directory         ``office_institution``, ``office_person``, ``office_counter`` (the directory's version)
consents          ``office_consent``, ``office_filing`` (what a leaf stands for), ``office_drive``, ``office_objection``,
                  ``office_repair`` (what is not to be shown any more)
work              ``office_project``, ``office_model`` and ``office_model_event``, ``office_manifest``, ``office_alignment``
batches           ``office_batch`` (what was filed and decided), ``office_batch_subject`` (about whom; erasable)
accountability    ``office_ticket`` (element, proof, consent), ``office_access`` (who asked about whom), ``office_alarm``,
                  ``office_report`` (what became of it), ``office_count`` (what budgets and patterns are held against)
joint trainings   ``office_round`` and ``office_vector`` (commitments and HMACs, never values), ``office_verdict``
several banks     ``office_acceptance`` (who takes part in a project), ``office_opening`` (the word on an input, no value)
================  ================================================================================================
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Float, ForeignKey, Index, Integer, LargeBinary, MetaData, String, Table, Text, text

from audit.log.tables import log_tables
from audit.service.schema import NAMING
from audit.service.tables import add_gate_tables
from audit.witness.store import witness_tables

metadata = MetaData(naming_convention=NAMING)
add_gate_tables(metadata)
log = log_tables(metadata)
witness = witness_tables(metadata)

Id = String(128)
Word = String(32)
# SQLite numbers rows by itself only in an INTEGER primary key.
Serial = BigInteger().with_variant(Integer, "sqlite")

counter = Table(
    "office_counter",
    metadata,
    Column("name", Word, primary_key=True),
    Column("value", BigInteger, nullable=False),
)

institution = Table(
    "office_institution",
    metadata,
    Column("id", Id, primary_key=True),
    Column("name", String(200), nullable=False),
    Column("kind", Word, nullable=False),
    Column("licence", String(64), nullable=False),
    Column("contact", String(200), nullable=False),
    Column("bank_class", Word, nullable=False),
    Column("declared_customers", BigInteger, nullable=False),
    Column("second_approval", Integer, nullable=False),
    Column("suspended", Integer, nullable=False),
)

person = Table(
    "office_person",
    metadata,
    Column("id", Id, primary_key=True),
    Column("institution", Id, ForeignKey("office_institution.id"), nullable=False),
    Column("name", String(200), nullable=False),
    Column("role", Word, nullable=False),
    Column("key", LargeBinary(32), nullable=False, unique=True),
    Column("suspended", Integer, nullable=False),
)

consent = Table(
    "office_consent",
    metadata,
    Column("id", Id, primary_key=True),
    Column("subject", Id, nullable=False),
    Column("kind", Word, nullable=False),
    Column("valid_from", BigInteger, nullable=False),
    Column("valid_to", BigInteger, nullable=False),
    Column("document", LargeBinary, nullable=False),
    Column("filed_by", Id, nullable=False),
    Column("filed_at", BigInteger, nullable=False),
    Column("revoked_at", BigInteger),
    # Whether it is one to sensitive fields, which lets nobody collect anything else.
    Column("sensitive", Integer, nullable=False, server_default="0"),
    Column("drive", Id),
    # Who withdrew it, why, and the leaf that says so; for a receipt, like all below.
    Column("revoked_by", Word),
    Column("revoked_why", Text),
    Column("revoked_queue_id", BigInteger),
    # Its place among what was filed at once, and the salt of what stands for it there (`office_filing`). Consents of
    # before there were receipts have neither.
    Column("filing", BigInteger),
    Column("place", Integer),
    Column("salt", LargeBinary(32)),
    # Holds all that the node's list asks for: whom a consent speaks of and whether it stands, without its document.
    Index("ix_office_consent_filing", "filing"),
    Index("ix_office_consent_standing", "kind", "subject", "valid_from", "valid_to", "revoked_at", "sensitive"),
)

# What was filed at once, by the queue id of its leaf: the salted commitments whose root the leaf names, in their order.
filing = Table(
    "office_filing",
    metadata,
    Column("queue_id", BigInteger, primary_key=True, autoincrement=False),
    Column("commitments", LargeBinary, nullable=False),
)

drive = Table(
    "office_drive",
    metadata,
    Column("id", Id, primary_key=True),
    Column("place", String(200), nullable=False),
    Column("table_digest", String(64), nullable=False),
    Column("rows", Integer, nullable=False),
    Column("consents", Integer, nullable=False),
    Column("filed_by", Id, nullable=False),
    Column("filed_at", BigInteger, nullable=False),
)

objection = Table(
    "office_objection",
    metadata,
    Column("subject", Id, primary_key=True),
    Column("field", String(64), primary_key=True),
    Column("filed_at", BigInteger, nullable=False),
    Column("withheld", Integer, nullable=False, server_default="0"),
)

repair = Table(
    "office_repair",
    metadata,
    Column("subject", Id, primary_key=True),
    Column("field", String(64), primary_key=True),
    Column("decision", String(200), nullable=False),
    Column("filed_by", Id, nullable=False),
    Column("filed_at", BigInteger, nullable=False),
)

project = Table(
    "office_project",
    metadata,
    Column("id", Id, primary_key=True),
    Column("bank", Id, ForeignKey("office_institution.id"), nullable=False),
    Column("document", LargeBinary, nullable=False),
    Column("state", Word, nullable=False),
    Column("reason", Text, nullable=False),
    Column("approval", LargeBinary),
    Column("checks_left", BigInteger, nullable=False),
    Column("suspended", Integer, nullable=False),
)

model = Table(
    "office_model",
    metadata,
    Column("id", Id, primary_key=True),
    Column("bank", Id, ForeignKey("office_institution.id"), nullable=False),
    Column("project", Id, ForeignKey("office_project.id"), nullable=False),
    Column("card", String(64), nullable=False),
    Column("document", LargeBinary, nullable=False),
    Column("registered_by", Id, nullable=False),
    Column("state", Word, nullable=False),
    Column("reason", Text, nullable=False),
    Column("approval", LargeBinary),
    # What this model replaces, and its place in its line, from 1.
    Column("parent", Id, nullable=False, server_default=""),
    Column("version", Integer, nullable=False, server_default="1"),
    Column("registered_at", BigInteger, nullable=False, server_default="0"),
    Column("review_by", BigInteger),
    # When it stops serving before its review date.
    Column("ends_at", BigInteger),
    Index("ix_office_model_parent", "parent"),
)

model_event = Table(
    "office_model_event",
    metadata,
    Column("id", Serial, primary_key=True),
    Column("model", Id, ForeignKey("office_model.id"), nullable=False, index=True),
    Column("at", BigInteger, nullable=False),
    Column("state", Word, nullable=False),
    Column("reason", Text, nullable=False),
    Column("decided_by", Id, nullable=False),
    Column("review_by", BigInteger, nullable=False),
)

manifest = Table(
    "office_manifest",
    metadata,
    Column("table_name", Id, primary_key=True),
    Column("epoch", BigInteger, primary_key=True),
    Column("digest", String(64), nullable=False),
    Column("document", LargeBinary, nullable=False),
    Column("sealed_at", BigInteger, nullable=False),
    Index("ix_office_manifest_sealed_at", "sealed_at"),
)

ticket = Table(
    "office_ticket",
    metadata,
    Column("element", LargeBinary(32), primary_key=True),
    Column("subject", Id, nullable=False, index=True),
    Column("project", Id, nullable=False),
    Column("context", LargeBinary, nullable=False),
    Column("proof", LargeBinary(64), nullable=False),
    Column("query_consent", Id, nullable=False),
    Column("collection_consent", Id, nullable=False),
    Column("salt", LargeBinary(32), nullable=False),
    # Beside the first of each kind: the consents to sensitive fields, one id a line.
    Column("further_query_consents", Text, nullable=False, server_default=""),
    Column("further_collection_consents", Text, nullable=False, server_default=""),
    Column("approval", LargeBinary),
    Column("issued_at", BigInteger, nullable=False),
    # Tickets of the first schema have neither of these.
    Column("digest", String(64)),
    Column("batch", Id),
    # Of the context, what the daily reconciliation counts by.
    Column("table_name", Id, nullable=False, server_default=""),
    Column("epoch", BigInteger, nullable=False, server_default="-1"),
    Column("expires", BigInteger, nullable=False, server_default="0"),
    Index("ix_office_ticket_digest", "digest", unique=True),
    Index("ix_office_ticket_issued_at", "issued_at"),
)

batch = Table(
    "office_batch",
    metadata,
    Column("id", Id, primary_key=True),
    Column("bank", Id, ForeignKey("office_institution.id"), nullable=False),
    Column("officer", Id, nullable=False),
    Column("project", Id, ForeignKey("office_project.id"), nullable=False),
    Column("purpose", Word, nullable=False),
    Column("place", String(200), nullable=False),
    Column("digest", String(64), nullable=False),
    Column("size", Integer, nullable=False),
    Column("valid_from", BigInteger, nullable=False),
    Column("valid_to", BigInteger, nullable=False),
    Column("approval", LargeBinary),
    Column("filed_at", BigInteger, nullable=False),
    Column("state", Word, nullable=False),
    Column("reason", Text, nullable=False),
    Column("suspended", Integer, nullable=False),
)

batch_subject = Table(
    "office_batch_subject",
    metadata,
    Column("batch", Id, primary_key=True),
    Column("subject", Id, primary_key=True, index=True),
    Column("asked", Integer, nullable=False),
)

count = Table(
    "office_count",
    metadata,
    Column("scope", Word, primary_key=True),
    Column("name", Id, primary_key=True),
    Column("period", BigInteger, primary_key=True, autoincrement=False),
    Column("value", BigInteger, nullable=False),
)

report = Table(
    "office_report",
    metadata,
    Column("ticket", String(64), primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("officer", Id, nullable=False),
    Column("outcome", Word, nullable=False),
    Column("digest", String(64), nullable=False),
    Column("document", LargeBinary, nullable=False),
    Column("filed_at", BigInteger, nullable=False),
    Index("ix_office_report_filed_at", "filed_at"),
)

access = Table(
    "office_access",
    metadata,
    Column("id", Serial, primary_key=True),
    Column("subject", Id, nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("bank", Id, nullable=False),
    Column("officer", Id, nullable=False),
    Column("purpose", Word, nullable=False),
    Column("table_name", Id, nullable=False),
    Column("outcome", Word, nullable=False),
    Column("queue_id", BigInteger, nullable=False),
    Column("region", Word),
    Column("batch", Id),
    Column("ticket", String(64)),
    Column("project", Id, nullable=False, server_default=""),
    Column("epoch", BigInteger, nullable=False, server_default="-1"),
    # An auditor's search begins with one of these, newest first; most rows are in no batch.
    Index("ix_office_access_at", "at"),
    *(
        Index(f"ix_office_access_{name}_at", name, "at")
        for name in ("officer", "subject", "bank", "project", "table_name", "outcome")
    ),
    Index("ix_office_access_ticket", "ticket"),
    Index(
        "ix_office_access_batch_at",
        "batch",
        "at",
        sqlite_where=text("batch is not null"),
        postgresql_where=text("batch is not null"),
    ),
)

alignment = Table(
    "office_alignment",
    metadata,
    Column("root", LargeBinary(32), primary_key=True),
    Column("project", Id, ForeignKey("office_project.id"), nullable=False),
    Column("bank", Id, nullable=False),
    Column("modeller", Id, nullable=False),
    Column("context", LargeBinary, nullable=False),
    Column("rows", BigInteger, nullable=False),
    Column("filed_at", BigInteger, nullable=False),
)

aligned_subject = Table(
    "office_aligned_subject",
    metadata,
    Column("bank", Id, primary_key=True),
    Column("subject", Id, primary_key=True),
    Column("last_filed_at", BigInteger, nullable=False),
)

round_ = Table(
    "office_round",
    metadata,
    Column("job", Id, primary_key=True),
    Column("round", Integer, primary_key=True),
    Column("bank", Id, nullable=False),
    Column("plan", String(64), nullable=False),
    Column("digest", String(64), nullable=False),
    Column("filed_at", BigInteger, nullable=False),
)

vector = Table(
    "office_vector",
    metadata,
    Column("job", Id, primary_key=True),
    Column("round", Integer, primary_key=True),
    Column("place", Integer, primary_key=True),
    Column("subjects", LargeBinary(32), nullable=False),
    Column("hmac", LargeBinary(32), nullable=False),
    Column("commitment", LargeBinary(32), nullable=False),
    Column("filed_at", BigInteger, nullable=False),
    Index("ix_office_vector_labels", "subjects", "place"),
)

acceptance = Table(
    "office_acceptance",
    metadata,
    Column("project", Id, ForeignKey("office_project.id"), primary_key=True),
    Column("bank", Id, primary_key=True),
    Column("document", LargeBinary, nullable=False),
    Column("at", BigInteger, nullable=False),
)

opening = Table(
    "office_opening",
    metadata,
    Column("session", Word, primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("bank", Id, primary_key=True),
    Column("masked", LargeBinary(32), nullable=False),
    Column("document", LargeBinary, nullable=False),
    Column("at", BigInteger, nullable=False),
)

verdict = Table(
    "office_verdict",
    metadata,
    Column("job", Id, primary_key=True),
    Column("bank", Id, nullable=False),
    Column("usable", Integer, nullable=False),
    Column("document", LargeBinary, nullable=False),
    Column("given_at", BigInteger, nullable=False),
)

alarm = Table(
    "office_alarm",
    metadata,
    Column("id", Serial, primary_key=True),
    Column("at", BigInteger, nullable=False),
    Column("kind", Word, nullable=False),
    Column("institution", Id, nullable=False),
    Column("about", String(200), nullable=False),
    Column("detail", Text, nullable=False),
    Column("evidence", LargeBinary),
    # What an alarm that may come again is known by: it is counted and not repeated.
    Column("same", String(64)),
    Column("count", BigInteger, nullable=False, server_default="1"),
    Column("last_at", BigInteger),
    # What an auditor said of it last, and the numbers of its rule where it has any.
    Column("state", Word, nullable=False, server_default="open"),
    Column("handled_by", Id, nullable=False, server_default=""),
    Column("handled_at", BigInteger),
    Column("reason", Text, nullable=False, server_default=""),
    Column("measured", Float),
    Column("threshold", Float),
    Index("ix_office_alarm_same", "same", unique=True),
    Index("ix_office_alarm_state", "state", "id"),
)
