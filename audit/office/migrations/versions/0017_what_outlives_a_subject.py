"""Forms whose consents are gone; what stays of a bundle whose bytes were dropped"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "office_form_gone",
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_office_form_gone")),
    )
    op.add_column("office_case", sa.Column("bundle_digest", sa.String(length=64), nullable=False, server_default=""))
    op.add_column("office_case", sa.Column("exported_at", sa.BigInteger()))
    op.create_index("ix_office_consent_filing", "office_consent", ["filing"])


def downgrade() -> None:
    """Take back."""
    op.drop_index("ix_office_consent_filing", "office_consent")
    op.drop_column("office_case", "exported_at")
    op.drop_column("office_case", "bundle_digest")
    op.drop_table("office_form_gone")
