"""Answers to exposure checks are committed to with a salt"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    with op.batch_alter_table("exposure_answer") as table:
        table.add_column(sa.Column("salt", sa.LargeBinary(), nullable=True))


def downgrade() -> None:
    """Take back."""
    with op.batch_alter_table("exposure_answer") as table:
        table.drop_column("salt")
