"""The register of models: parents, review dates, and every step of a model's life."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.add_column("office_model", sa.Column("parent", sa.String(length=128), nullable=False, server_default=""))
    op.add_column("office_model", sa.Column("version", sa.Integer(), nullable=False, server_default="1"))
    op.add_column("office_model", sa.Column("registered_at", sa.BigInteger(), nullable=False, server_default="0"))
    op.add_column("office_model", sa.Column("review_by", sa.BigInteger()))
    op.add_column("office_model", sa.Column("ends_at", sa.BigInteger()))
    op.create_index("ix_office_model_parent", "office_model", ["parent"])
    op.create_table(
        "office_model_event",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("model", sa.String(length=128), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.String(length=32), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("decided_by", sa.String(length=128), nullable=False),
        sa.Column("review_by", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["model"], ["office_model.id"], name=op.f("fk_office_model_event_model_office_model")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_office_model_event")),
    )
    op.create_index(op.f("ix_office_model_event_model"), "office_model_event", ["model"])


def downgrade() -> None:
    """Take back."""
    op.drop_table("office_model_event")
    op.drop_index("ix_office_model_parent", table_name="office_model")
    for column in ("ends_at", "review_by", "registered_at", "version", "parent"):
        op.drop_column("office_model", column)
