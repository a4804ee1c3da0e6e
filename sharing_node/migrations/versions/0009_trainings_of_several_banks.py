"""Trainings of several banks"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "group_training",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("project", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("agreed", sa.String(length=64), nullable=False),
        sa.Column("terms", sa.LargeBinary(), nullable=False),
        sa.Column("phase", sa.String(length=8), nullable=False),
        sa.Column("deadline", sa.BigInteger(), nullable=False),
        sa.Column("session", sa.String(length=32), nullable=False),
        sa.Column("counts", sa.LargeBinary(), nullable=True),
        sa.Column("banks", sa.String(), nullable=False),
        sa.Column("reason", sa.String(length=400), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["project"], ["project.id"], name=op.f("fk_group_training_project_project")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_group_training")),
        sa.UniqueConstraint("project", "name", name=op.f("uq_group_training_project_name")),
    )
    op.create_table(
        "group_seat",
        sa.Column("group_id", sa.String(length=32), nullable=False),
        sa.Column("bank", sa.String(length=64), nullable=False),
        sa.Column("cohort", sa.String(length=64), nullable=False),
        sa.Column("job", sa.String(length=64), nullable=True),
        sa.ForeignKeyConstraint(["cohort"], ["cohort.id"], name=op.f("fk_group_seat_cohort_cohort")),
        sa.ForeignKeyConstraint(["group_id"], ["group_training.id"], name=op.f("fk_group_seat_group_id_group_training")),
        sa.ForeignKeyConstraint(["job"], ["job.id"], name=op.f("fk_group_seat_job_job")),
        sa.PrimaryKeyConstraint("group_id", "bank", name=op.f("pk_group_seat")),
    )


def downgrade() -> None:
    """Take back."""
    op.drop_table("group_seat")
    op.drop_table("group_training")
