"""The ledger of differential privacy"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "privacy_spending",
        sa.Column("job", sa.String(length=64), nullable=False),
        sa.Column("side", sa.String(length=8), nullable=False),
        sa.Column("project", sa.String(length=64), nullable=False),
        sa.Column("rho", sa.Float(), nullable=False),
        sa.Column("epsilon", sa.Float(), nullable=False),
        sa.Column("delta", sa.Float(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["job"], ["job.id"], name=op.f("fk_privacy_spending_job_job")),
        sa.ForeignKeyConstraint(["project"], ["project.id"], name=op.f("fk_privacy_spending_project_project")),
        sa.PrimaryKeyConstraint("job", "side", name=op.f("pk_privacy_spending")),
    )
    op.create_index(op.f("ix_privacy_spending_project"), "privacy_spending", ["project"])


def downgrade() -> None:
    """Take back."""
    op.drop_table("privacy_spending")
