"""Monthly statements on coverage"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "coverage_statement",
        sa.Column("month", sa.String(length=7), nullable=False),
        sa.Column("stated_at", sa.BigInteger(), nullable=False),
        sa.Column("document", sa.LargeBinary(), nullable=False),
        sa.Column("steps", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("month", name=op.f("pk_coverage_statement")),
    )


def downgrade() -> None:
    """Take back."""
    op.drop_table("coverage_statement")
