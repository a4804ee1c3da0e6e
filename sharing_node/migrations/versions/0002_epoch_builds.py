"""Builds of epochs, and which process may build"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "epoch_build",
        sa.Column("table_id", sa.String(length=64), nullable=False),
        sa.Column("epoch", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.String(length=8), nullable=False),
        sa.Column("stage", sa.String(length=32), nullable=False),
        sa.Column("done", sa.BigInteger(), nullable=False),
        sa.Column("total", sa.BigInteger(), nullable=False),
        sa.Column("detail", sa.String(length=1000), nullable=False),
        sa.Column("asked_at", sa.BigInteger(), nullable=False),
        sa.Column("begun_at", sa.BigInteger(), nullable=True),
        sa.Column("ended_at", sa.BigInteger(), nullable=True),
        sa.Column("leaf", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["table_id"], ["served_table.id"], name=op.f("fk_epoch_build_table_id_served_table")),
        sa.PrimaryKeyConstraint("table_id", "epoch", name=op.f("pk_epoch_build")),
    )
    with op.batch_alter_table("epoch_build", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_epoch_build_state"), ["state"], unique=False)

    op.create_table(
        "builder_lease",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("holder", sa.String(length=64), nullable=False),
        sa.Column("expires", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_builder_lease")),
    )


def downgrade() -> None:
    """Take back."""
    op.drop_table("builder_lease")
    with op.batch_alter_table("epoch_build", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_epoch_build_state"))

    op.drop_table("epoch_build")
