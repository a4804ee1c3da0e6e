"""A bank's private model on the wire: the columns it may weigh, what the node is given, what is opened to the office.

::

    bank                                       node                                 office
    ── OpenPrivateModel(project, fields) ────> bins, row counts ── Signed(ColumnMoments) ──> kept
    <── Signed(PrivateLayout), Signed(NodeCard) ─
    public seed = SHA-256(model ‖ columns ‖ both nonces); Enc(w)
    ── FileWeights(columns, nonce, Enc(w), card) ──> no weight is seen
    <────────────────── Signed(ModelCard) ──────
    ── RegisterModel(cards, PrivateOpening(weights, seed)) ────────────────────────> encrypts again and compares; R²
    <──────────────────────────────────────────────── Signed(ModelApproval, band width) ── a clerk decides
    ── ServeModel(approval) ─────────────────> a table of padded scores, every epoch

A column is the place of a field's bin in its order (`POSITION`), or 1 in one of its bins and 0 elsewhere, so that both a
linear model and a scorecard are weights over columns. The score is Σ weight · column, an integer.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from crypto.xof import session_seed
from models.wire import Message, Signed

POSITION = -1
FEWEST_FIELDS = 8
WEIGHT_BITS = 6
LARGEST_WEIGHT = 2 ** (WEIGHT_BITS - 1) - 1
MOST_COLUMNS = 255
BLOCK_ROWS = 8192
BLOCK_BYTES = 10 * BLOCK_ROWS
BANDS = 20
PRIVATE_ENCODING = "private"
"""What stands as the encoding in the card of a private model."""


class PrivateField(Message):
    """A node field that a private model may use: its bins, of which the first `ordered` have an order.

    `bins` is their definition (JSON, `models.scorecard.binning`), empty where the field's mode lets nobody be told of it.
    """

    name: str
    count: int
    ordered: int
    bins: bytes = b""


class WeightColumn(Message):
    """One column: `field` is a place in the layout, `bin` a bin of it or `POSITION`."""

    field: int
    bin: int


class OpenPrivateModel(Message):
    """A modeller asks for the columns of an approved joint project; no `fields` are all of them."""

    project: str
    fields: tuple[str, ...] = ()


class PrivateLayout(Message):
    """The columns of one private model, fixed for its life, and the node's nonce (32 bytes). `rows` were binned."""

    model: str
    project: str
    bank: str
    fields: tuple[PrivateField, ...]
    nonce: bytes
    rows: int
    data_day: str


class OpenedPrivateModel(Message):
    """The node's answer: a signed `PrivateLayout`, and its part of the card."""

    layout: Signed
    card: Signed


class ColumnMoments(Message):
    """What the node tells the office about a layout's columns, so that it can judge weights that the node must not see.

    `gram` is float64[C, C], little-endian, over the C bins of all fields in order: rows that are in both bins, with noise.
    """

    layout: PrivateLayout
    gram: bytes


class FileWeights(Message):
    """The encrypted weights of `columns`, in this order, and the bank's card, whose `half` is their digest."""

    model: str
    nonce: bytes
    columns: tuple[WeightColumn, ...]
    body: bytes
    card: Signed


class PrivateOpening(Message):
    """What the bank opens to the office, and nobody else: the weights, and the seed that everything was encrypted with."""

    layout: Signed
    nonce: bytes
    columns: tuple[WeightColumn, ...]
    weights: tuple[int, ...]
    seed: bytes

    def __repr__(self) -> str:
        return f"PrivateOpening(columns={len(self.columns)}, weights and seed redacted)"


class PrivateCell(Message):
    """What a cell of a private model's table holds (JSON): where the subject's score lies, and its pad less the noise."""

    block: int
    row: int
    pad: int


class WeightsRefused(ValueError):
    """Weights that are no model of at least eight fields; the message says what would be accepted."""


def check_weights(fields: Sequence[PrivateField], columns: Sequence[WeightColumn], weights: Sequence[int]) -> None:
    """Raise `WeightsRefused` unless these are small integers for distinct columns, with enough fields in effect."""
    if not columns or len(columns) > MOST_COLUMNS or len(columns) != len(weights):
        raise WeightsRefused(f"a private model has a weight for each of 1 to {MOST_COLUMNS} columns")
    if len({(column.field, column.bin) for column in columns}) != len(columns):
        raise WeightsRefused("a column is named twice; give it one weight")
    for column in columns:
        if not (0 <= column.field < len(fields) and POSITION <= column.bin < fields[column.field].count):
            raise WeightsRefused("a column is not in the layout; name a field of it, and one of its bins or its position")
    if any(type(weight) is not int or abs(weight) > LARGEST_WEIGHT for weight in weights):
        raise WeightsRefused(
            f"weights are integers of {WEIGHT_BITS} bits, from -{LARGEST_WEIGHT} to {LARGEST_WEIGHT}; round them"
        )
    in_effect = sum(bool(level.any() and np.ptp(level)) for level in levels(fields, columns, weights))
    if in_effect < FEWEST_FIELDS:
        raise WeightsRefused(
            f"{in_effect} fields are in effect where a private model has at least {FEWEST_FIELDS}; weigh more of them"
        )


def public_seed(model: str, columns: Sequence[WeightColumn], nonce_node: bytes, nonce_bank: bytes) -> bytes:
    """What the masks of encrypted weights are made from, 32 bytes: chosen by neither side, and of these columns alone.

    Were the columns not in it, the node could be told to weigh others than the office has judged.
    """
    named = np.array([(column.field, column.bin) for column in columns], "<i4").tobytes()
    return session_seed(hashlib.sha256(model.encode() + b"\0" + named).digest(), nonce_node, nonce_bank)


def levels(fields: Sequence[PrivateField], columns: Sequence[WeightColumn], weights: Sequence[int]) -> list[NDArray[np.int64]]:
    """What each bin adds to the score, int64[count] for each field of the layout."""
    found = [np.zeros(field.count, np.int64) for field in fields]
    for column, weight in zip(columns, weights, strict=True):
        found[column.field] += weight * values(fields[column.field], column).astype(np.int64)
    return found


def values(field: PrivateField, column: WeightColumn) -> NDArray[np.uint8]:
    """The column's value in each of the field's bins, uint8[count]; bins without an order are at position 0."""
    codes = np.arange(field.count)
    if column.bin == POSITION:
        return np.where(codes < field.ordered, codes, 0).astype(np.uint8)
    found: NDArray[np.uint8] = (codes == column.bin).astype(np.uint8)
    return found


def cell_of(record: bytes) -> PrivateCell:
    """The cell's content; raises ValueError where it is something else."""
    return msgspec.json.decode(record, type=PrivateCell)
