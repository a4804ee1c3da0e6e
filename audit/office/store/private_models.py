"""Moments of layouts, and the opened weights of private models. The caller owns the transaction."""

from __future__ import annotations

from dataclasses import dataclass, field

import msgspec
from sqlalchemy import Connection, Row, insert, select, update

from audit.office.private_tables import private_model
from audit.office.tables import model
from models.private_model import ColumnMoments, WeightColumn
from models.registry import REFUSED
from models.wire import decode, encode


class Opened(msgspec.Struct, frozen=True):
    """Columns and their weights, as the bank opened them."""

    columns: tuple[WeightColumn, ...]
    weights: tuple[int, ...]


@dataclass(frozen=True)
class StoredPrivate:
    """A private model. `opened` is None until it is registered; `band_width` in points, R² as judged then."""

    model: str
    bank: str
    moments: ColumnMoments
    opened: Opened | None = field(repr=False)
    band_width: int
    r2_most: float
    r2_mean: float


def add(connection: Connection, moments: ColumnMoments, at: int) -> None:
    """Keep a layout's moments; IntegrityError where the model's are known."""
    layout = moments.layout
    row = {"model": layout.model, "bank": layout.bank, "moments": encode(moments), "told_at": at, "columns": b""}
    connection.execute(insert(private_model).values(row))


def get(connection: Connection, model_id: str) -> StoredPrivate | None:
    """One private model, or None."""
    row = connection.execute(select(private_model).where(private_model.c.model == model_id)).one_or_none()
    return None if row is None else _stored(row)


def one_at_a_time(connection: Connection) -> None:
    """Until this transaction ends no other one registers a private model. SQLite has one writer at a time as it is."""
    connection.execute(select(private_model.c.model).order_by(private_model.c.model).with_for_update()).all()


def registered(connection: Connection) -> list[StoredPrivate]:
    """Private models of all banks whose weights were opened and which the office has not refused."""
    query = select(private_model).join(model, model.c.id == private_model.c.model).where(model.c.state != REFUSED)
    return [_stored(row) for row in connection.execute(query.order_by(private_model.c.model))]


def register(
    connection: Connection, model_id: str, opened: Opened, *, band_width: int, r2_most: float, r2_mean: float
) -> None:  # fmt: skip
    """Keep what was opened and judged."""
    values = {"columns": msgspec.msgpack.encode(opened), "band_width": band_width, "r2_most": r2_most, "r2_mean": r2_mean}
    connection.execute(update(private_model).where(private_model.c.model == model_id).values(values))


def band_width(connection: Connection, model_id: str) -> int:
    """The width of a band, 0 for a model that is not a private one."""
    return connection.scalar(select(private_model.c.band_width).where(private_model.c.model == model_id)) or 0


def _stored(row: Row[tuple[object, ...]]) -> StoredPrivate:
    opened = bytes(row.columns)
    return StoredPrivate(
        row.model,
        row.bank,
        decode(bytes(row.moments), ColumnMoments),
        msgspec.msgpack.decode(opened, type=Opened) if opened else None,
        row.band_width,
        row.r2_most,
        row.r2_mean,
    )
