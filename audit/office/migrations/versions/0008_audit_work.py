"""Audit work: indexes to search by, leaves of both logs as they were verified, reconciliation, handled alarms, cases."""

from __future__ import annotations

import msgspec
import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

SERIAL = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
IN_BATCH = sa.text("batch is not null")


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "office_case",
        sa.Column("id", SERIAL, nullable=False),
        sa.Column("title", sa.String(length=200), nullable=False),
        sa.Column("state", sa.String(length=32), nullable=False),
        sa.Column("opened_by", sa.String(length=128), nullable=False),
        sa.Column("opened_at", sa.BigInteger(), nullable=False),
        sa.Column("finding", sa.Text(), server_default="", nullable=False),
        sa.Column("closed_by", sa.String(length=128), server_default="", nullable=False),
        sa.Column("closed_at", sa.BigInteger(), nullable=True),
        sa.Column("bundle", sa.LargeBinary(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_office_case")),
    )
    op.create_index("ix_office_case_state", "office_case", ["state", "id"], unique=False)
    op.create_table(
        "office_reconciliation",
        sa.Column("id", SERIAL, nullable=False),
        sa.Column("day", sa.String(length=10), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.String(length=32), nullable=False),
        sa.Column("tickets", sa.BigInteger(), nullable=False),
        sa.Column("leaves", sa.BigInteger(), nullable=False),
        sa.Column("evaluations", sa.BigInteger(), nullable=False),
        sa.Column("unused", sa.BigInteger(), nullable=False),
        sa.Column("findings", sa.BigInteger(), nullable=False),
        sa.Column("node_size", sa.BigInteger(), nullable=False),
        sa.Column("office_size", sa.BigInteger(), nullable=False),
        sa.Column("queue_id", sa.BigInteger(), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_office_reconciliation")),
    )
    op.create_index("ix_office_reconciliation_day", "office_reconciliation", ["day", "id"], unique=False)
    op.create_table(
        "office_seen_leaf",
        sa.Column("log", sa.String(length=32), nullable=False),
        sa.Column("index", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("leaf", sa.LargeBinary(length=32), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("action", sa.String(length=64), nullable=False),
        sa.Column("outcome", sa.String(length=32), nullable=False),
        sa.Column("institution", sa.String(length=128), nullable=False),
        sa.Column("table_name", sa.String(length=128), nullable=False),
        sa.Column("epoch", sa.BigInteger(), nullable=False),
        sa.Column("purpose", sa.String(length=32), nullable=False),
        sa.Column("project", sa.String(length=128), nullable=False),
        sa.Column("about", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("log", "index", name=op.f("pk_office_seen_leaf")),
    )
    op.create_index("ix_office_seen_leaf_about", "office_seen_leaf", ["about"], unique=False)
    op.create_index("ix_office_seen_leaf_at", "office_seen_leaf", ["log", "at"], unique=False)
    op.create_table(
        "office_seen_log",
        sa.Column("log", sa.String(length=32), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("peaks", sa.LargeBinary(), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("log", name=op.f("pk_office_seen_log")),
    )
    op.create_table(
        "office_table_field",
        sa.Column("field", sa.String(length=64), nullable=False),
        sa.Column("table_name", sa.String(length=128), nullable=False),
        sa.PrimaryKeyConstraint("field", "table_name", name=op.f("pk_office_table_field")),
    )
    op.create_table(
        "office_alarm_event",
        sa.Column("id", SERIAL, nullable=False),
        sa.Column("alarm", SERIAL, nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("by", sa.String(length=128), nullable=False),
        sa.Column("state", sa.String(length=32), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["alarm"], ["office_alarm.id"], name=op.f("fk_office_alarm_event_alarm_office_alarm")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_office_alarm_event")),
    )
    op.create_index(op.f("ix_office_alarm_event_alarm"), "office_alarm_event", ["alarm"], unique=False)
    op.create_table(
        "office_case_item",
        sa.Column("case", SERIAL, autoincrement=False, nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("ref", sa.BigInteger(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("by", sa.String(length=128), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["case"], ["office_case.id"], name=op.f("fk_office_case_item_case_office_case")),
        sa.PrimaryKeyConstraint("case", "number", name=op.f("pk_office_case_item")),
    )
    op.create_table(
        "office_finding",
        sa.Column("id", SERIAL, nullable=False),
        sa.Column("run", SERIAL, nullable=False),
        sa.Column("day", sa.String(length=10), nullable=False),
        sa.Column("rule", sa.String(length=32), nullable=False),
        sa.Column("table_name", sa.String(length=128), nullable=False),
        sa.Column("epoch", sa.BigInteger(), nullable=False),
        sa.Column("ticket", sa.String(length=64), nullable=False),
        sa.Column("node_index", sa.BigInteger(), nullable=False),
        sa.Column("office_index", sa.BigInteger(), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["run"], ["office_reconciliation.id"], name=op.f("fk_office_finding_run_office_reconciliation")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_office_finding")),
    )
    op.create_index(op.f("ix_office_finding_run"), "office_finding", ["run"], unique=False)
    op.create_table(
        "office_table_count",
        sa.Column("run", SERIAL, autoincrement=False, nullable=False),
        sa.Column("table_name", sa.String(length=128), nullable=False),
        sa.Column("epoch", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("tickets", sa.BigInteger(), nullable=False),
        sa.Column("leaves", sa.BigInteger(), nullable=False),
        sa.Column("evaluations", sa.BigInteger(), nullable=False),
        sa.Column("unused", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["run"], ["office_reconciliation.id"], name=op.f("fk_office_table_count_run_office_reconciliation")
        ),
        sa.PrimaryKeyConstraint("run", "table_name", "epoch", name=op.f("pk_office_table_count")),
    )
    op.add_column("office_access", sa.Column("project", sa.String(length=128), server_default="", nullable=False))
    op.add_column("office_access", sa.Column("epoch", sa.BigInteger(), server_default="-1", nullable=False))
    op.drop_index(op.f("ix_office_access_subject"), table_name="office_access")
    op.create_index("ix_office_access_at", "office_access", ["at"], unique=False)
    op.create_index("ix_office_access_bank_at", "office_access", ["bank", "at"], unique=False)
    op.create_index(
        "ix_office_access_batch_at",
        "office_access",
        ["batch", "at"],
        unique=False,
        sqlite_where=IN_BATCH,
        postgresql_where=IN_BATCH,
    )
    op.create_index("ix_office_access_outcome_at", "office_access", ["outcome", "at"], unique=False)
    op.create_index("ix_office_access_project_at", "office_access", ["project", "at"], unique=False)
    op.create_index("ix_office_access_subject_at", "office_access", ["subject", "at"], unique=False)
    op.create_index("ix_office_access_table_name_at", "office_access", ["table_name", "at"], unique=False)
    op.create_index("ix_office_access_ticket", "office_access", ["ticket"], unique=False)
    op.add_column("office_alarm", sa.Column("state", sa.String(length=32), server_default="open", nullable=False))
    op.add_column("office_alarm", sa.Column("handled_by", sa.String(length=128), server_default="", nullable=False))
    op.add_column("office_alarm", sa.Column("handled_at", sa.BigInteger(), nullable=True))
    op.add_column("office_alarm", sa.Column("reason", sa.Text(), server_default="", nullable=False))
    op.add_column("office_alarm", sa.Column("measured", sa.Float(), nullable=True))
    op.add_column("office_alarm", sa.Column("threshold", sa.Float(), nullable=True))
    op.create_index("ix_office_alarm_state", "office_alarm", ["state", "id"], unique=False)
    op.create_index("ix_office_manifest_sealed_at", "office_manifest", ["sealed_at"], unique=False)
    op.create_index("ix_office_report_filed_at", "office_report", ["filed_at"], unique=False)
    op.add_column("office_ticket", sa.Column("table_name", sa.String(length=128), server_default="", nullable=False))
    op.add_column("office_ticket", sa.Column("epoch", sa.BigInteger(), server_default="-1", nullable=False))
    op.add_column("office_ticket", sa.Column("expires", sa.BigInteger(), server_default="0", nullable=False))
    op.create_index("ix_office_ticket_issued_at", "office_ticket", ["issued_at"], unique=False)
    _fill_tickets()
    _fill_fields()


def _fill_tickets() -> None:
    """What earlier tickets say of table, epoch and expiry stands in their contexts."""
    connection = op.get_bind()
    ticket, access = _table("office_ticket"), _table("office_access")
    for element, digest, context in connection.execute(sa.select(ticket.c.element, ticket.c.digest, ticket.c.context)).all():
        said = msgspec.msgpack.decode(bytes(context))
        values = {"table_name": said["table"], "epoch": said["epoch"], "expires": said["expires"]}
        connection.execute(sa.update(ticket).where(ticket.c.element == element).values(values))
        if digest is not None:
            values = {"project": said["project"], "epoch": said["epoch"]}
            connection.execute(sa.update(access).where(access.c.ticket == digest).values(values))


def _fill_fields() -> None:
    connection = op.get_bind()
    manifest, table_field = _table("office_manifest"), _table("office_table_field")
    fields: set[tuple[str, str]] = set()
    for document in connection.execute(sa.select(manifest.c.document)).scalars():
        said = msgspec.msgpack.decode(msgspec.msgpack.decode(bytes(document))["payload"])
        fields |= {(field, said["table"]) for field in said["fields"] or said["field_sets"]}
    if fields:
        rows = [{"field": field, "table_name": table} for field, table in sorted(fields)]
        connection.execute(sa.insert(table_field), rows)


def _table(name: str) -> sa.Table:
    return sa.Table(name, sa.MetaData(), autoload_with=op.get_bind())


def downgrade() -> None:
    """Take back."""

    op.drop_index("ix_office_ticket_issued_at", table_name="office_ticket")
    op.drop_column("office_ticket", "expires")
    op.drop_column("office_ticket", "epoch")
    op.drop_column("office_ticket", "table_name")
    op.drop_index("ix_office_report_filed_at", table_name="office_report")
    op.drop_index("ix_office_manifest_sealed_at", table_name="office_manifest")
    op.drop_index("ix_office_alarm_state", table_name="office_alarm")
    op.drop_column("office_alarm", "threshold")
    op.drop_column("office_alarm", "measured")
    op.drop_column("office_alarm", "reason")
    op.drop_column("office_alarm", "handled_at")
    op.drop_column("office_alarm", "handled_by")
    op.drop_column("office_alarm", "state")
    op.drop_index("ix_office_access_ticket", table_name="office_access")
    op.drop_index("ix_office_access_table_name_at", table_name="office_access")
    op.drop_index("ix_office_access_subject_at", table_name="office_access")
    op.drop_index("ix_office_access_project_at", table_name="office_access")
    op.drop_index("ix_office_access_outcome_at", table_name="office_access")
    op.drop_index(
        "ix_office_access_batch_at",
        table_name="office_access",
        sqlite_where=IN_BATCH,
        postgresql_where=IN_BATCH,
    )
    op.drop_index("ix_office_access_bank_at", table_name="office_access")
    op.drop_index("ix_office_access_at", table_name="office_access")
    op.create_index(op.f("ix_office_access_subject"), "office_access", ["subject"], unique=False)
    op.drop_column("office_access", "epoch")
    op.drop_column("office_access", "project")
    op.drop_table("office_table_count")
    op.drop_index(op.f("ix_office_finding_run"), table_name="office_finding")
    op.drop_table("office_finding")
    op.drop_table("office_case_item")
    op.drop_index(op.f("ix_office_alarm_event_alarm"), table_name="office_alarm_event")
    op.drop_table("office_alarm_event")
    op.drop_table("office_table_field")
    op.drop_table("office_seen_log")
    op.drop_index("ix_office_seen_leaf_at", table_name="office_seen_leaf")
    op.drop_index("ix_office_seen_leaf_about", table_name="office_seen_leaf")
    op.drop_table("office_seen_leaf")
    op.drop_index("ix_office_reconciliation_day", table_name="office_reconciliation")
    op.drop_table("office_reconciliation")
    op.drop_index("ix_office_case_state", table_name="office_case")
    op.drop_table("office_case")
