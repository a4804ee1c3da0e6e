"""Sums over the banks of a project"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "aggregation",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("project", sa.String(length=64), nullable=False),
        sa.Column("plan", sa.LargeBinary(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("round", sa.Integer(), nullable=False),
        sa.Column("phase", sa.String(length=8), nullable=False),
        sa.Column("deadline", sa.BigInteger(), nullable=False),
        sa.Column("survivors", sa.LargeBinary(), nullable=False),
        sa.Column("reason", sa.String(length=400), nullable=False),
        sa.Column("result", sa.LargeBinary(), nullable=True),
        sa.Column("opened_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["project"], ["project.id"], name=op.f("fk_aggregation_project_project")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_aggregation")),
    )
    op.create_index(op.f("ix_aggregation_project"), "aggregation", ["project"], unique=False)
    op.create_table(
        "aggregation_message",
        sa.Column("session", sa.String(length=32), nullable=False),
        sa.Column("round", sa.Integer(), nullable=False),
        sa.Column("step", sa.String(length=8), nullable=False),
        sa.Column("bank", sa.String(length=64), nullable=False),
        sa.Column("digest", sa.LargeBinary(length=32), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=True),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["session"], ["aggregation.id"], name=op.f("fk_aggregation_message_session_aggregation")),
        sa.PrimaryKeyConstraint("session", "round", "step", "bank", name=op.f("pk_aggregation_message")),
    )


def downgrade() -> None:
    """Take back."""
    op.drop_table("aggregation_message")
    op.drop_index(op.f("ix_aggregation_project"), table_name="aggregation")
    op.drop_table("aggregation")
