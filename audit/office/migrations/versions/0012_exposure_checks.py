"""Exposure checks: who asked about whom and what was released, and answers that the office wanted opened"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "office_exposure",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("subject", sa.String(length=128), nullable=False),
        sa.Column("bank", sa.String(length=128), nullable=False),
        sa.Column("project", sa.String(length=128), nullable=False),
        sa.Column("context", sa.LargeBinary(), nullable=False),
        sa.Column("question", sa.LargeBinary(), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("ticket", sa.String(length=64), nullable=False),
        sa.Column("query_consent", sa.String(length=128), nullable=False),
        sa.Column("collection_consent", sa.String(length=128), nullable=False),
        sa.Column("salt", sa.LargeBinary(length=32), nullable=False),
        sa.Column("approval", sa.LargeBinary(), nullable=True),
        sa.Column("issued_at", sa.BigInteger(), nullable=False),
        sa.Column("released_at", sa.BigInteger(), nullable=True),
        sa.Column("tally", sa.LargeBinary(), nullable=True),
        sa.Column("answered", sa.Text(), server_default="", nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_office_exposure")),
    )
    op.create_index("ix_office_exposure_subject_bank", "office_exposure", ["subject", "bank"])
    op.create_table(
        "office_exposure_demand",
        sa.Column("question", sa.String(length=32), nullable=False),
        sa.Column("bank", sa.String(length=128), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("reason", sa.String(length=400), nullable=False),
        sa.Column("demanded_by", sa.String(length=128), nullable=False),
        sa.Column("state", sa.String(length=32), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("counted", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["question"], ["office_exposure.id"], name=op.f("fk_office_exposure_demand_question_office_exposure")
        ),
        sa.PrimaryKeyConstraint("question", "bank", name=op.f("pk_office_exposure_demand")),
    )
    op.create_index("ix_office_exposure_demand_bank_state", "office_exposure_demand", ["bank", "state"])


def downgrade() -> None:
    """Take back."""
    op.drop_table("office_exposure_demand")
    op.drop_table("office_exposure")
