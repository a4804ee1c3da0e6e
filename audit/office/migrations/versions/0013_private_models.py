"""Banks' private models: what the node told of their columns, what was opened of their weights"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "office_private_model",
        sa.Column("model", sa.String(length=128), nullable=False),
        sa.Column("bank", sa.String(length=128), nullable=False),
        sa.Column("moments", sa.LargeBinary(), nullable=False),
        sa.Column("told_at", sa.BigInteger(), nullable=False),
        sa.Column("columns", sa.LargeBinary(), nullable=False, server_default=""),
        sa.Column("band_width", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("r2_most", sa.Float(), nullable=False, server_default="0"),
        sa.Column("r2_mean", sa.Float(), nullable=False, server_default="0"),
        sa.PrimaryKeyConstraint("model", name=op.f("pk_office_private_model")),
    )


def downgrade() -> None:
    """Take back."""
    op.drop_table("office_private_model")
