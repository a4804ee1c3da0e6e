"""The log's tables, added to a service's MetaData so that a state change and its entry share one transaction.

```
queue         entries that wait for their index; filled in the callers' transactions
entries       index, entry, leaf hash; never changed
nodes         the hashes of full tiles, by tile level (1 and above) and index; never changed
checkpoints   every checkpoint that was signed
cosignatures  the witnesses' lines under them
lease         which process may sequence
openings      what leaf commitments open to; the only rows that may be erased
```
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Float,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    func,
)

from audit.verifier.tiles import MAX_ENTRY_BYTES

_Number = BigInteger().with_variant(Integer, "sqlite")


@dataclass(frozen=True)
class LogTables:
    """The seven tables of one log."""

    queue: Table
    entries: Table
    nodes: Table
    checkpoints: Table
    cosignatures: Table
    lease: Table
    openings: Table

    def all(self) -> list[Table]:
        """All of them, e.g. to create them."""
        return [getattr(self, name) for name in self.__dataclass_fields__]


def log_tables(metadata: MetaData, prefix: str = "log") -> LogTables:
    """Add the tables of a log to `metadata` (once) and return them; their names begin with `prefix`."""
    return LogTables(
        queue=_table(
            metadata,
            f"{prefix}_queue",
            # AUTOINCREMENT: a number is never given twice, though rows leave.
            Column("id", _Number, primary_key=True, autoincrement=True),
            _entry_column(f"{prefix}_queue_entry_size"),
        ),
        entries=_table(
            metadata,
            f"{prefix}_entries",
            Column("index", _Number, primary_key=True, autoincrement=False),
            Column("queue_id", _Number, nullable=False, unique=True),
            Column("leaf", LargeBinary(32), nullable=False),
            _entry_column(f"{prefix}_entries_entry_size"),
        ),
        nodes=_table(
            metadata,
            f"{prefix}_nodes",
            Column("level", Integer, primary_key=True, autoincrement=False),
            Column("index", _Number, primary_key=True, autoincrement=False),
            Column("hash", LargeBinary(32), nullable=False),
        ),
        checkpoints=_table(
            metadata,
            f"{prefix}_checkpoints",
            Column("size", _Number, primary_key=True, autoincrement=False),
            Column("note", Text, nullable=False),
            Column("time", _Number, nullable=False),
        ),
        cosignatures=_table(
            metadata,
            f"{prefix}_cosignatures",
            Column("size", _Number, primary_key=True, autoincrement=False),
            Column("witness", String(300), primary_key=True),
            Column("line", Text, nullable=False),
        ),
        lease=_table(
            metadata,
            f"{prefix}_lease",
            Column("id", Integer, primary_key=True, autoincrement=False),
            Column("holder", String(64), nullable=False),
            Column("expires", Float, nullable=False),
        ),
        openings=_table(
            metadata,
            f"{prefix}_openings",
            Column("commitment", LargeBinary(64), primary_key=True),
            Column("opening", LargeBinary, nullable=False),
        ),
    )


def _table(metadata: MetaData, name: str, *columns: Column[Any]) -> Table:
    if name in metadata.tables:
        return metadata.tables[name]
    return Table(name, metadata, *columns, sqlite_autoincrement=name.endswith("_queue"))


def _entry_column(constraint: str) -> Column[bytes]:
    return Column(
        "entry",
        LargeBinary,
        CheckConstraint(func.length(Column("entry")) <= MAX_ENTRY_BYTES, name=constraint),
        nullable=False,
    )
