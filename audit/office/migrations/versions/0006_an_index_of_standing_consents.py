"""An index of standing consents: the node's list is read from it alone."""

from __future__ import annotations

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

COLUMNS = ["kind", "subject", "valid_from", "valid_to", "revoked_at"]


def upgrade() -> None:
    """Apply."""
    op.create_index("ix_office_consent_standing", "office_consent", COLUMNS)
    op.drop_index("ix_office_consent_subject", table_name="office_consent")


def downgrade() -> None:
    """Take back."""
    op.create_index("ix_office_consent_subject", "office_consent", ["subject"])
    op.drop_index("ix_office_consent_standing", table_name="office_consent")
