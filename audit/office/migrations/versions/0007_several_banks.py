"""Projects of several banks, and the office's word on inputs of sums over them"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "office_acceptance",
        sa.Column("project", sa.String(length=128), nullable=False),
        sa.Column("bank", sa.String(length=128), nullable=False),
        sa.Column("document", sa.LargeBinary(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["project"], ["office_project.id"], name=op.f("fk_office_acceptance_project_office_project")),
        sa.PrimaryKeyConstraint("project", "bank", name=op.f("pk_office_acceptance")),
    )
    op.create_table(
        "office_opening",
        sa.Column("session", sa.String(length=32), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("bank", sa.String(length=128), nullable=False),
        sa.Column("masked", sa.LargeBinary(length=32), nullable=False),
        sa.Column("document", sa.LargeBinary(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("session", "number", "bank", name=op.f("pk_office_opening")),
    )


def downgrade() -> None:
    """Take back."""
    op.drop_table("office_opening")
    op.drop_table("office_acceptance")
