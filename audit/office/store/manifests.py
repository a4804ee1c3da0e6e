"""Sealed manifests: one for each table and epoch."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, bindparam, func, insert, select

from audit.office.audit_tables import table_field
from audit.office.tables import manifest
from models.tables import Manifest
from models.wire import Signed, decode, encode

_GET = select(manifest.c.document, manifest.c.digest).where(
    manifest.c.table_name == bindparam("table"), manifest.c.epoch == bindparam("number")
)


@dataclass(frozen=True)
class Sealed:
    """A sealed manifest: `statement` as the node signed it, its hex `digest`, and what it says."""

    statement: Signed
    digest: str
    manifest: Manifest


def get(connection: Connection, table: str, epoch: int) -> Sealed | None:
    """The sealed manifest of a table and epoch, or None."""
    row = connection.execute(_GET, {"table": table, "number": epoch}).one_or_none()
    if row is None:
        return None
    statement = decode(bytes(row.document), Signed)
    return Sealed(statement, row.digest, decode(statement.payload, Manifest))


def newest(connection: Connection, table: str) -> Sealed | None:
    """The sealed manifest of a table's newest epoch, or None."""
    epoch = connection.execute(select(func.max(manifest.c.epoch)).where(manifest.c.table_name == table)).scalar()
    return None if epoch is None else get(connection, table, epoch)


def add(connection: Connection, sealed: Sealed, now: int) -> None:
    """Store a sealed manifest; IntegrityError where the table and epoch have one."""
    new = sealed.manifest
    row = {"table_name": new.table, "epoch": new.epoch, "digest": sealed.digest, "document": encode(sealed.statement)}
    connection.execute(insert(manifest).values(**row, sealed_at=now))
    known = set(connection.execute(select(table_field.c.field).where(table_field.c.table_name == new.table)).scalars())
    names = new.fields or new.field_sets
    if added := [{"field": name, "table_name": new.table} for name in names if name not in known]:
        connection.execute(insert(table_field), added)
