"""Trainings under way"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "training",
        sa.Column("job", sa.String(length=64), nullable=False),
        sa.Column("opened", sa.LargeBinary(), nullable=False),
        sa.Column("progress", sa.LargeBinary(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("touched_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["job"], ["job.id"], name=op.f("fk_training_job_job")),
        sa.PrimaryKeyConstraint("job", name=op.f("pk_training")),
    )
    op.create_table(
        "training_column",
        sa.Column("job", sa.String(length=64), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["job"], ["training.job"], name=op.f("fk_training_column_job_training")),
        sa.PrimaryKeyConstraint("job", "position", name=op.f("pk_training_column")),
    )


def downgrade() -> None:
    """Take back."""
    op.drop_table("training_column")
    op.drop_table("training")
