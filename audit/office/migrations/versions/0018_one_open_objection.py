"""One open objection to a field of a subject, also of two that are filed at the same instant"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None

ONE_OPEN = sa.text("state = 'open'")


def upgrade() -> None:
    """Apply."""
    op.create_index(
        "ix_office_dispute_open",
        "office_dispute",
        ["subject", "field"],
        unique=True,
        sqlite_where=ONE_OPEN,
        postgresql_where=ONE_OPEN,
    )


def downgrade() -> None:
    """Take back."""
    op.drop_index("ix_office_dispute_open", "office_dispute")
