"""Consents to sensitive fields, by enumerated ways of capture, with receipts; village drives"""

from __future__ import annotations

from typing import Any

import msgspec
import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

STANDING = ["kind", "subject", "valid_from", "valid_to", "revoked_at"]
WAYS = ("window", "esign", "officer")
ADDED: dict[str, tuple[tuple[str, sa.types.TypeEngine[Any]], ...]] = {
    "office_consent": (
        ("drive", sa.String(length=128)),
        ("revoked_by", sa.String(length=32)),
        ("revoked_why", sa.Text()),
        ("revoked_queue_id", sa.BigInteger()),
        ("filing", sa.BigInteger()),
        ("place", sa.Integer()),
        ("salt", sa.LargeBinary(length=32)),
    ),
}
FURTHER = ("further_query_consents", "further_collection_consents")
OLDER_WAYS = {"signed-form": "officer", "fingerprint-form": "officer"}
CHUNK = 1_000


def upgrade() -> None:
    """Apply."""
    for table, columns in ADDED.items():
        for name, kind in columns:
            op.add_column(table, sa.Column(name, kind))
    op.add_column("office_consent", sa.Column("sensitive", sa.Integer(), nullable=False, server_default="0"))
    for name in FURTHER:
        op.add_column("office_ticket", sa.Column(name, sa.Text(), nullable=False, server_default=""))
    op.drop_index("ix_office_consent_standing", table_name="office_consent")
    op.create_index("ix_office_consent_standing", "office_consent", [*STANDING, "sensitive"])
    op.create_table(
        "office_filing",
        sa.Column("queue_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("commitments", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("queue_id", name=op.f("pk_office_filing")),
    )
    op.create_table(
        "office_drive",
        sa.Column("id", sa.String(length=128), nullable=False),
        sa.Column("place", sa.String(length=200), nullable=False),
        sa.Column("table_digest", sa.String(length=64), nullable=False),
        sa.Column("rows", sa.Integer(), nullable=False),
        sa.Column("consents", sa.Integer(), nullable=False),
        sa.Column("filed_by", sa.String(length=128), nullable=False),
        sa.Column("filed_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_office_drive")),
    )
    _name_the_ways()


def downgrade() -> None:
    """Take back."""
    op.drop_table("office_drive")
    op.drop_table("office_filing")
    op.drop_index("ix_office_consent_standing", table_name="office_consent")
    op.create_index("ix_office_consent_standing", "office_consent", STANDING)
    for name in FURTHER:
        op.drop_column("office_ticket", name)
    op.drop_column("office_consent", "sensitive")
    for table, columns in ADDED.items():
        for name, _ in columns:
            op.drop_column(table, name)


def _name_the_ways() -> None:
    """Consents of before told in any words how they were taken."""
    consent = sa.table("office_consent", sa.column("id", sa.String), sa.column("document", sa.LargeBinary))
    connection, last = op.get_bind(), ""
    while True:
        query = sa.select(consent.c.id, consent.c.document).where(consent.c.id > last).order_by(consent.c.id).limit(CHUNK)
        rows = connection.execute(query).all()
        for row in rows:
            document = msgspec.msgpack.decode(bytes(row.document))
            if document["capture"] not in WAYS:
                said = document["capture"]
                form, _, witness = said.partition("; witness ")
                document |= {"capture": OLDER_WAYS.get(form, "window"), "witness": witness, "reference": form[:200]}
                changed = msgspec.msgpack.encode(document, order="deterministic")
                connection.execute(sa.update(consent).where(consent.c.id == row.id).values(document=changed))
        if len(rows) < CHUNK:
            return
        last = rows[-1].id
