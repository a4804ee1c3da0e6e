"""Exposure checks: questions that are relayed, and the answers of banks to them"""

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
        "exposure",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("question", sa.LargeBinary(), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("ticket", sa.String(length=64), nullable=False),
        sa.Column("project", sa.String(length=64), nullable=False),
        sa.Column("bank", sa.String(length=64), nullable=False),
        sa.Column("asked", sa.String(), nullable=False),
        sa.Column("state", sa.String(length=8), nullable=False),
        sa.Column("deadline", sa.BigInteger(), nullable=False),
        sa.Column("opened_at", sa.BigInteger(), nullable=False),
        sa.Column("exponent", sa.LargeBinary(), nullable=True),
        sa.Column("sum", sa.LargeBinary(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_exposure")),
        sa.UniqueConstraint("digest", name=op.f("uq_exposure_digest")),
        sa.UniqueConstraint("ticket", name=op.f("uq_exposure_ticket")),
    )
    op.create_index("ix_exposure_state_deadline", "exposure", ["state", "deadline"])
    op.create_table(
        "exposure_answer",
        sa.Column("question", sa.String(length=32), nullable=False),
        sa.Column("bank", sa.String(length=64), nullable=False),
        sa.Column("signed", sa.LargeBinary(), nullable=False),
        sa.Column("ciphertext", sa.LargeBinary(), nullable=True),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["question"], ["exposure.id"], name=op.f("fk_exposure_answer_question_exposure")),
        sa.PrimaryKeyConstraint("question", "bank", name=op.f("pk_exposure_answer")),
    )


def downgrade() -> None:
    """Take back."""
    op.drop_table("exposure_answer")
    op.drop_table("exposure")
