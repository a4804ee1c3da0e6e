"""Objections that withhold a field, and repairs."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.add_column("office_objection", sa.Column("withheld", sa.Integer(), nullable=False, server_default="0"))
    op.create_table(
        "office_repair",
        sa.Column("subject", sa.String(length=128), nullable=False),
        sa.Column("field", sa.String(length=64), nullable=False),
        sa.Column("decision", sa.String(length=200), nullable=False),
        sa.Column("filed_by", sa.String(length=128), nullable=False),
        sa.Column("filed_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("subject", "field", name=op.f("pk_office_repair")),
    )


def downgrade() -> None:
    """Take back."""
    op.drop_table("office_repair")
    with op.batch_alter_table("office_objection", schema=None) as batch_op:
        batch_op.drop_column("withheld")
