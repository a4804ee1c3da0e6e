"""Banks' private models, and the places of subjects in their blocks"""

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
        "private_model",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("project", sa.String(length=64), nullable=False),
        sa.Column("bank", sa.String(length=64), nullable=False),
        sa.Column("layout", sa.LargeBinary(), nullable=False),
        sa.Column("bins", sa.LargeBinary(), nullable=False),
        sa.Column("node_card", sa.LargeBinary(), nullable=False),
        sa.Column("filed", sa.LargeBinary(), nullable=True),
        sa.Column("approval", sa.LargeBinary(), nullable=True),
        sa.Column("opened_at", sa.BigInteger(), nullable=False),
        sa.Column("served_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["project"], ["project.id"], name=op.f("fk_private_model_project_project")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_private_model")),
    )
    op.create_index(op.f("ix_private_model_bank"), "private_model", ["bank"])
    op.create_table(
        "private_place",
        sa.Column("subject", sa.String(length=80), nullable=False),
        sa.Column("place", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("subject", name=op.f("pk_private_place")),
        sa.UniqueConstraint("place", name=op.f("uq_private_place_place")),
    )


def downgrade() -> None:
    """Take back."""
    op.drop_table("private_place")
    op.drop_index(op.f("ix_private_model_bank"), table_name="private_model")
    op.drop_table("private_model")
