"""Exposure checks by ticket and by day, as the daily reconciliation looks them up"""

from __future__ import annotations

from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.create_index("ix_office_exposure_ticket", "office_exposure", ["ticket"])
    op.create_index("ix_office_exposure_issued_at", "office_exposure", ["issued_at"])


def downgrade() -> None:
    """Take back."""
    op.drop_index("ix_office_exposure_issued_at", "office_exposure")
    op.drop_index("ix_office_exposure_ticket", "office_exposure")
