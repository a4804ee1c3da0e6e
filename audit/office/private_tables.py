"""What the office keeps of banks' private models; the same metadata as `audit.office.tables`.

``office_private_model`` has a layout's moments from when the node told them, and the opened weights from the registration on:
what later models of any bank say is judged together with these.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Float, Integer, LargeBinary, Table

from audit.office.tables import Id, metadata

private_model = Table(
    "office_private_model",
    metadata,
    Column("model", Id, primary_key=True),
    Column("bank", Id, nullable=False),
    Column("moments", LargeBinary, nullable=False),
    Column("told_at", BigInteger, nullable=False),
    # Empty until the bank registers the model.
    Column("columns", LargeBinary, nullable=False, server_default=""),
    Column("band_width", Integer, nullable=False, server_default="0"),
    Column("r2_most", Float, nullable=False, server_default="0"),
    Column("r2_mean", Float, nullable=False, server_default="0"),
)
