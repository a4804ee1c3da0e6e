"""The office's first schema."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "gate_answer",
        sa.Column("key_id", sa.String(length=128), nullable=False),
        sa.Column("idempotency_key", sa.String(length=128), nullable=False),
        sa.Column("request_digest", sa.LargeBinary(length=32), nullable=False),
        sa.Column("answer", sa.LargeBinary(), nullable=False),
        sa.Column("queued", sa.LargeBinary(), nullable=False),
        sa.Column("cosigned", sa.BigInteger(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("key_id", "idempotency_key", name=op.f("pk_gate_answer")),
    )
    op.create_table(
        "gate_nonce",
        sa.Column("key_id", sa.String(length=128), nullable=False),
        sa.Column("nonce", sa.String(length=64), nullable=False),
        sa.Column("expires", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("key_id", "nonce", name=op.f("pk_gate_nonce")),
    )
    with op.batch_alter_table("gate_nonce", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_gate_nonce_expires"), ["expires"], unique=False)

    op.create_table(
        "log_checkpoints",
        sa.Column("size", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("time", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.PrimaryKeyConstraint("size", name=op.f("pk_log_checkpoints")),
        sqlite_autoincrement=False,
    )
    op.create_table(
        "log_cosignatures",
        sa.Column("size", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False),
        sa.Column("witness", sa.String(length=300), nullable=False),
        sa.Column("line", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("size", "witness", name=op.f("pk_log_cosignatures")),
        sqlite_autoincrement=False,
    )
    op.create_table(
        "log_entries",
        sa.Column("index", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False),
        sa.Column("queue_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("leaf", sa.LargeBinary(length=32), nullable=False),
        sa.Column("entry", sa.LargeBinary(), nullable=False),
        sa.CheckConstraint("length(entry) <= 65535", name=op.f("ck_log_entries_log_entries_entry_size")),
        sa.PrimaryKeyConstraint("index", name=op.f("pk_log_entries")),
        sa.UniqueConstraint("queue_id", name=op.f("uq_log_entries_queue_id")),
        sqlite_autoincrement=False,
    )
    op.create_table(
        "log_lease",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("holder", sa.String(length=64), nullable=False),
        sa.Column("expires", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_log_lease")),
        sqlite_autoincrement=False,
    )
    op.create_table(
        "log_nodes",
        sa.Column("level", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("index", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False),
        sa.Column("hash", sa.LargeBinary(length=32), nullable=False),
        sa.PrimaryKeyConstraint("level", "index", name=op.f("pk_log_nodes")),
        sqlite_autoincrement=False,
    )
    op.create_table(
        "log_openings",
        sa.Column("commitment", sa.LargeBinary(length=64), nullable=False),
        sa.Column("opening", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("commitment", name=op.f("pk_log_openings")),
        sqlite_autoincrement=False,
    )
    op.create_table(
        "log_queue",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("entry", sa.LargeBinary(), nullable=False),
        sa.CheckConstraint("length(entry) <= 65535", name=op.f("ck_log_queue_log_queue_entry_size")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_log_queue")),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "office_access",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("subject", sa.String(length=128), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("bank", sa.String(length=128), nullable=False),
        sa.Column("officer", sa.String(length=128), nullable=False),
        sa.Column("purpose", sa.String(length=32), nullable=False),
        sa.Column("table_name", sa.String(length=128), nullable=False),
        sa.Column("outcome", sa.String(length=32), nullable=False),
        sa.Column("queue_id", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_office_access")),
    )
    with op.batch_alter_table("office_access", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_office_access_subject"), ["subject"], unique=False)

    op.create_table(
        "office_alarm",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("institution", sa.String(length=128), nullable=False),
        sa.Column("about", sa.String(length=200), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("evidence", sa.LargeBinary(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_office_alarm")),
    )
    op.create_table(
        "office_aligned_subject",
        sa.Column("bank", sa.String(length=128), nullable=False),
        sa.Column("subject", sa.String(length=128), nullable=False),
        sa.Column("last_filed_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("bank", "subject", name=op.f("pk_office_aligned_subject")),
    )
    op.create_table(
        "office_consent",
        sa.Column("id", sa.String(length=128), nullable=False),
        sa.Column("subject", sa.String(length=128), nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("valid_from", sa.BigInteger(), nullable=False),
        sa.Column("valid_to", sa.BigInteger(), nullable=False),
        sa.Column("document", sa.LargeBinary(), nullable=False),
        sa.Column("filed_by", sa.String(length=128), nullable=False),
        sa.Column("filed_at", sa.BigInteger(), nullable=False),
        sa.Column("revoked_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_office_consent")),
    )
    with op.batch_alter_table("office_consent", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_office_consent_subject"), ["subject"], unique=False)

    op.create_table(
        "office_counter",
        sa.Column("name", sa.String(length=32), nullable=False),
        sa.Column("value", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_office_counter")),
    )
    op.create_table(
        "office_institution",
        sa.Column("id", sa.String(length=128), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("licence", sa.String(length=64), nullable=False),
        sa.Column("contact", sa.String(length=200), nullable=False),
        sa.Column("bank_class", sa.String(length=32), nullable=False),
        sa.Column("declared_customers", sa.BigInteger(), nullable=False),
        sa.Column("second_approval", sa.Integer(), nullable=False),
        sa.Column("suspended", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_office_institution")),
    )
    op.create_table(
        "office_manifest",
        sa.Column("table_name", sa.String(length=128), nullable=False),
        sa.Column("epoch", sa.BigInteger(), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("document", sa.LargeBinary(), nullable=False),
        sa.Column("sealed_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("table_name", "epoch", name=op.f("pk_office_manifest")),
    )
    op.create_table(
        "office_objection",
        sa.Column("subject", sa.String(length=128), nullable=False),
        sa.Column("field", sa.String(length=64), nullable=False),
        sa.Column("filed_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("subject", "field", name=op.f("pk_office_objection")),
    )
    op.create_table(
        "office_round",
        sa.Column("job", sa.String(length=128), nullable=False),
        sa.Column("round", sa.Integer(), nullable=False),
        sa.Column("bank", sa.String(length=128), nullable=False),
        sa.Column("plan", sa.String(length=64), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("filed_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("job", "round", name=op.f("pk_office_round")),
    )
    op.create_table(
        "office_ticket",
        sa.Column("element", sa.LargeBinary(length=32), nullable=False),
        sa.Column("subject", sa.String(length=128), nullable=False),
        sa.Column("project", sa.String(length=128), nullable=False),
        sa.Column("context", sa.LargeBinary(), nullable=False),
        sa.Column("proof", sa.LargeBinary(length=64), nullable=False),
        sa.Column("query_consent", sa.String(length=128), nullable=False),
        sa.Column("collection_consent", sa.String(length=128), nullable=False),
        sa.Column("salt", sa.LargeBinary(length=32), nullable=False),
        sa.Column("approval", sa.LargeBinary(), nullable=True),
        sa.Column("issued_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("element", name=op.f("pk_office_ticket")),
    )
    with op.batch_alter_table("office_ticket", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_office_ticket_subject"), ["subject"], unique=False)

    op.create_table(
        "office_vector",
        sa.Column("job", sa.String(length=128), nullable=False),
        sa.Column("round", sa.Integer(), nullable=False),
        sa.Column("place", sa.Integer(), nullable=False),
        sa.Column("subjects", sa.LargeBinary(length=32), nullable=False),
        sa.Column("hmac", sa.LargeBinary(length=32), nullable=False),
        sa.Column("commitment", sa.LargeBinary(length=32), nullable=False),
        sa.Column("filed_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("job", "round", "place", name=op.f("pk_office_vector")),
    )
    with op.batch_alter_table("office_vector", schema=None) as batch_op:
        batch_op.create_index("ix_office_vector_labels", ["subjects", "place"], unique=False)

    op.create_table(
        "office_verdict",
        sa.Column("job", sa.String(length=128), nullable=False),
        sa.Column("bank", sa.String(length=128), nullable=False),
        sa.Column("usable", sa.Integer(), nullable=False),
        sa.Column("document", sa.LargeBinary(), nullable=False),
        sa.Column("given_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("job", name=op.f("pk_office_verdict")),
    )
    op.create_table(
        "witness_forks",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("origin", sa.String(length=300), nullable=False),
        sa.Column("seen", sa.Text(), nullable=False),
        sa.Column("offered", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_witness_forks")),
    )
    with op.batch_alter_table("witness_forks", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_witness_forks_origin"), ["origin"], unique=False)

    op.create_table(
        "witness_seen",
        sa.Column("origin", sa.String(length=300), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("time", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("origin", name=op.f("pk_witness_seen")),
    )
    op.create_table(
        "office_person",
        sa.Column("id", sa.String(length=128), nullable=False),
        sa.Column("institution", sa.String(length=128), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("role", sa.String(length=32), nullable=False),
        sa.Column("key", sa.LargeBinary(length=32), nullable=False),
        sa.Column("suspended", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["institution"], ["office_institution.id"], name=op.f("fk_office_person_institution_office_institution")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_office_person")),
        sa.UniqueConstraint("key", name=op.f("uq_office_person_key")),
    )
    op.create_table(
        "office_project",
        sa.Column("id", sa.String(length=128), nullable=False),
        sa.Column("bank", sa.String(length=128), nullable=False),
        sa.Column("document", sa.LargeBinary(), nullable=False),
        sa.Column("state", sa.String(length=32), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("approval", sa.LargeBinary(), nullable=True),
        sa.Column("checks_left", sa.BigInteger(), nullable=False),
        sa.Column("suspended", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["bank"], ["office_institution.id"], name=op.f("fk_office_project_bank_office_institution")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_office_project")),
    )
    op.create_table(
        "office_alignment",
        sa.Column("root", sa.LargeBinary(length=32), nullable=False),
        sa.Column("project", sa.String(length=128), nullable=False),
        sa.Column("bank", sa.String(length=128), nullable=False),
        sa.Column("modeller", sa.String(length=128), nullable=False),
        sa.Column("context", sa.LargeBinary(), nullable=False),
        sa.Column("rows", sa.BigInteger(), nullable=False),
        sa.Column("filed_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["project"], ["office_project.id"], name=op.f("fk_office_alignment_project_office_project")),
        sa.PrimaryKeyConstraint("root", name=op.f("pk_office_alignment")),
    )
    op.create_table(
        "office_model",
        sa.Column("id", sa.String(length=128), nullable=False),
        sa.Column("bank", sa.String(length=128), nullable=False),
        sa.Column("project", sa.String(length=128), nullable=False),
        sa.Column("card", sa.String(length=64), nullable=False),
        sa.Column("document", sa.LargeBinary(), nullable=False),
        sa.Column("registered_by", sa.String(length=128), nullable=False),
        sa.Column("state", sa.String(length=32), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("approval", sa.LargeBinary(), nullable=True),
        sa.ForeignKeyConstraint(["bank"], ["office_institution.id"], name=op.f("fk_office_model_bank_office_institution")),
        sa.ForeignKeyConstraint(["project"], ["office_project.id"], name=op.f("fk_office_model_project_office_project")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_office_model")),
    )


def downgrade() -> None:
    """Take back."""
    op.drop_table("office_model")
    op.drop_table("office_alignment")
    op.drop_table("office_project")
    op.drop_table("office_person")
    op.drop_table("witness_seen")
    with op.batch_alter_table("witness_forks", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_witness_forks_origin"))

    op.drop_table("witness_forks")
    op.drop_table("office_verdict")
    with op.batch_alter_table("office_vector", schema=None) as batch_op:
        batch_op.drop_index("ix_office_vector_labels")

    op.drop_table("office_vector")
    with op.batch_alter_table("office_ticket", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_office_ticket_subject"))

    op.drop_table("office_ticket")
    op.drop_table("office_round")
    op.drop_table("office_objection")
    op.drop_table("office_manifest")
    op.drop_table("office_institution")
    op.drop_table("office_counter")
    with op.batch_alter_table("office_consent", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_office_consent_subject"))

    op.drop_table("office_consent")
    op.drop_table("office_aligned_subject")
    op.drop_table("office_alarm")
    with op.batch_alter_table("office_access", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_office_access_subject"))

    op.drop_table("office_access")
    op.drop_table("log_queue")
    op.drop_table("log_openings")
    op.drop_table("log_nodes")
    op.drop_table("log_lease")
    op.drop_table("log_entries")
    op.drop_table("log_cosignatures")
    op.drop_table("log_checkpoints")
    with op.batch_alter_table("gate_nonce", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_gate_nonce_expires"))

    op.drop_table("gate_nonce")
    op.drop_table("gate_answer")
