"""Row counts of proven trainings, for the stability of fields between periods"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "job_counts",
        sa.Column("job", sa.String(length=64), nullable=False),
        sa.Column("counts", sa.LargeBinary(), nullable=False),
        sa.Column("question", sa.LargeBinary(), nullable=False),
        sa.Column("shown_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["job"], ["job.id"], name=op.f("fk_job_counts_job_job")),
        sa.PrimaryKeyConstraint("job", name=op.f("pk_job_counts")),
    )


def downgrade() -> None:
    """Take back."""
    op.drop_table("job_counts")
