"""Budgets, batches, reports, and alarms that count."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

ADDED = {
    "office_ticket": (("digest", sa.String(length=64)), ("batch", sa.String(length=128))),
    "office_access": (
        ("region", sa.String(length=32)),
        ("batch", sa.String(length=128)),
        ("ticket", sa.String(length=64)),
    ),
    "office_alarm": (("same", sa.String(length=64)), ("last_at", sa.BigInteger())),
}
INDEXES = (
    ("ix_office_ticket_digest", "office_ticket", ["digest"], True),
    ("ix_office_access_officer_at", "office_access", ["officer", "at"], False),
    ("ix_office_alarm_same", "office_alarm", ["same"], True),
)


def upgrade() -> None:
    """Apply."""
    for table, columns in ADDED.items():
        for name, kind in columns:
            op.add_column(table, sa.Column(name, kind))
    op.add_column("office_alarm", sa.Column("count", sa.BigInteger(), nullable=False, server_default="1"))
    for index, table, named, unique in INDEXES:
        op.create_index(index, table, named, unique=unique)
    op.create_table(
        "office_batch",
        sa.Column("id", sa.String(length=128), nullable=False),
        sa.Column("bank", sa.String(length=128), nullable=False),
        sa.Column("officer", sa.String(length=128), nullable=False),
        sa.Column("project", sa.String(length=128), nullable=False),
        sa.Column("purpose", sa.String(length=32), nullable=False),
        sa.Column("place", sa.String(length=200), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("valid_from", sa.BigInteger(), nullable=False),
        sa.Column("valid_to", sa.BigInteger(), nullable=False),
        sa.Column("approval", sa.LargeBinary(), nullable=True),
        sa.Column("filed_at", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.String(length=32), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("suspended", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["bank"], ["office_institution.id"], name=op.f("fk_office_batch_bank_office_institution")),
        sa.ForeignKeyConstraint(["project"], ["office_project.id"], name=op.f("fk_office_batch_project_office_project")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_office_batch")),
    )
    op.create_table(
        "office_batch_subject",
        sa.Column("batch", sa.String(length=128), nullable=False),
        sa.Column("subject", sa.String(length=128), nullable=False),
        sa.Column("asked", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("batch", "subject", name=op.f("pk_office_batch_subject")),
    )
    op.create_index(op.f("ix_office_batch_subject_subject"), "office_batch_subject", ["subject"])
    op.create_table(
        "office_count",
        sa.Column("scope", sa.String(length=32), nullable=False),
        sa.Column("name", sa.String(length=128), nullable=False),
        sa.Column("period", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("value", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("scope", "name", "period", name=op.f("pk_office_count")),
    )
    op.create_table(
        "office_report",
        sa.Column("ticket", sa.String(length=64), nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("officer", sa.String(length=128), nullable=False),
        sa.Column("outcome", sa.String(length=32), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("document", sa.LargeBinary(), nullable=False),
        sa.Column("filed_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("ticket", "number", name=op.f("pk_office_report")),
    )


def downgrade() -> None:
    """Take back."""
    for table in ("office_report", "office_count", "office_batch_subject", "office_batch"):
        op.drop_table(table)
    for index, table, _, _ in reversed(INDEXES):
        op.drop_index(index, table_name=table)
    for table, columns in ADDED.items():
        for name, _ in columns:
            op.drop_column(table, name)
    op.drop_column("office_alarm", "count")
