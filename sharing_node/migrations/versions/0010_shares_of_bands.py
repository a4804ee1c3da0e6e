"""Shares of a score table's bands, by quarter"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "band_shares",
        sa.Column("model", sa.String(length=64), nullable=False),
        sa.Column("quarter", sa.String(length=8), nullable=False),
        sa.Column("shown", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["model"], ["model.id"], name=op.f("fk_band_shares_model_model")),
        sa.PrimaryKeyConstraint("model", "quarter", name=op.f("pk_band_shares")),
    )


def downgrade() -> None:
    """Take back."""
    op.drop_table("band_shares")
