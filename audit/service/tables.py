"""The gate's own tables: nonces that were seen, answers that were given."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, LargeBinary, MetaData, String, Table


def add_gate_tables(metadata: MetaData) -> tuple[Table, Table]:
    """Add ``gate_nonce`` and ``gate_answer`` to a service's metadata and return them."""
    if "gate_nonce" in metadata.tables:
        return metadata.tables["gate_nonce"], metadata.tables["gate_answer"]
    nonce = Table(
        "gate_nonce",
        metadata,
        Column("key_id", String(128), primary_key=True),
        Column("nonce", String(64), primary_key=True),
        Column("expires", BigInteger, nullable=False, index=True),
    )
    answer = Table(
        "gate_answer",
        metadata,
        Column("key_id", String(128), primary_key=True),
        Column("idempotency_key", String(128), primary_key=True),
        Column("request_digest", LargeBinary(32), nullable=False),
        Column("answer", LargeBinary, nullable=False),
        Column("queued", LargeBinary, nullable=False),
        Column("cosigned", BigInteger, nullable=False),
        Column("at", BigInteger, nullable=False, index=True),
    )
    return nonce, answer
