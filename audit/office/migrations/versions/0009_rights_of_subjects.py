"""Accounts at the window, objections with evidence and letters, applications for credit repair, and whose elements are whose"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

ID, WORD, NUMBER = sa.String(length=128), sa.String(length=32), sa.BigInteger()


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "office_account",
        sa.Column("account", sa.String(length=64), nullable=False),
        sa.Column("subject", ID, nullable=False),
        sa.Column("checked", sa.String(length=200), nullable=False),
        sa.Column("opened_by", ID, nullable=False),
        sa.Column("opened_at", NUMBER, nullable=False),
        sa.Column("closed_at", NUMBER, nullable=False),
        sa.PrimaryKeyConstraint("account", name=op.f("pk_office_account")),
    )
    op.create_index(op.f("ix_office_account_subject"), "office_account", ["subject"])
    op.create_table(
        "office_dispute",
        sa.Column("id", WORD, nullable=False),
        sa.Column("subject", ID, nullable=False),
        sa.Column("field", sa.String(length=64), nullable=False),
        sa.Column("statement", sa.Text(), nullable=False),
        sa.Column("withheld", sa.Integer(), nullable=False),
        sa.Column("filed_by", ID, nullable=False),
        sa.Column("filed_at", NUMBER, nullable=False),
        sa.Column("warned", sa.Integer(), nullable=False),
        sa.Column("state", WORD, nullable=False),
        *_evidence(),
        sa.Column("letter", sa.LargeBinary()),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_office_dispute")),
    )
    op.create_index(op.f("ix_office_dispute_subject"), "office_dispute", ["subject"])
    op.create_index("ix_office_dispute_state_filed_at", "office_dispute", ["state", "filed_at"])
    op.create_table(
        "office_correction",
        sa.Column("id", WORD, nullable=False),
        sa.Column("dispute", WORD, nullable=False),
        sa.Column("subject", ID, nullable=False),
        sa.Column("field", sa.String(length=64), nullable=False),
        sa.Column("request", sa.Text(), nullable=False),
        sa.Column("asked_at", NUMBER, nullable=False),
        sa.Column("state", WORD, nullable=False),
        sa.Column("reply", sa.Text(), nullable=False),
        sa.Column("batch", WORD, nullable=False),
        sa.Column("answered_by", ID, nullable=False),
        sa.Column("answered_at", NUMBER, nullable=False),
        sa.ForeignKeyConstraint(["dispute"], ["office_dispute.id"], name=op.f("fk_office_correction_dispute_office_dispute")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_office_correction")),
    )
    op.create_index(op.f("ix_office_correction_dispute"), "office_correction", ["dispute"])
    op.create_table(
        "office_repair_case",
        sa.Column("id", WORD, nullable=False),
        sa.Column("subject", ID, nullable=False),
        sa.Column("field", sa.String(length=64), nullable=False),
        sa.Column("grounds", sa.Text(), nullable=False),
        sa.Column("filed_by", ID, nullable=False),
        sa.Column("filed_at", NUMBER, nullable=False),
        sa.Column("state", WORD, nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("decided_by", ID, nullable=False),
        sa.Column("decided_at", NUMBER, nullable=False),
        *_evidence(),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_office_repair_case")),
    )
    op.create_index(op.f("ix_office_repair_case_subject"), "office_repair_case", ["subject"])
    op.create_index(op.f("ix_office_repair_case_state"), "office_repair_case", ["state"])
    _rows()


def _rows() -> None:
    op.create_table(
        "office_alignment_element",
        sa.Column("root", sa.LargeBinary(length=32), nullable=False),
        sa.Column("elements", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["root"], ["office_alignment.root"], name=op.f("fk_office_alignment_element_root_office_alignment")
        ),
        sa.PrimaryKeyConstraint("root", name=op.f("pk_office_alignment_element")),
    )
    op.create_table(
        "office_alignment_row",
        sa.Column("root", sa.LargeBinary(length=32), nullable=False),
        sa.Column("place", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("subject", ID, nullable=False),
        sa.Column("proof", sa.LargeBinary(length=64), nullable=False),
        sa.ForeignKeyConstraint(
            ["root"], ["office_alignment.root"], name=op.f("fk_office_alignment_row_root_office_alignment")
        ),
        sa.PrimaryKeyConstraint("root", "place", name=op.f("pk_office_alignment_row")),
    )
    op.create_index(op.f("ix_office_alignment_row_subject"), "office_alignment_row", ["subject"])


def _evidence() -> tuple[sa.Column[object], ...]:
    return (
        sa.Column("evidence_name", sa.String(length=100), nullable=False),
        sa.Column("evidence_digest", sa.String(length=64), nullable=False),
        sa.Column("evidence", sa.LargeBinary(), nullable=False),
    )


def downgrade() -> None:
    """Take back."""
    for table in ("alignment_row", "alignment_element", "repair_case", "correction", "dispute", "account"):
        op.drop_table(f"office_{table}")
