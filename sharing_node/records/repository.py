"""All SQL about subjects, records and deliveries. The caller owns the transaction; nothing here commits."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from datetime import date, datetime
from itertools import repeat
from typing import Any, cast

import msgspec
import numpy as np
from numpy.typing import NDArray
from sqlalchemy import ColumnElement, Connection, String, any_, bindparam, func, insert, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import InstrumentedAttribute

from models.catalogue import Field
from sharing_node.records.marks import Marks, expiries
from sharing_node.records.tables import LoadBatch, Record, Subject

_ROWS_A_FETCH = 2_000
_EPOCH = date(1970, 1, 1).toordinal()


@dataclass(frozen=True, slots=True)
class NewSubject:
    """A subject to be put on record; the type is a letter of the catalogue, * if unknown."""

    subject_id: str = field(repr=False)
    kind: str
    subject_type: str
    first_seen: datetime


@dataclass(frozen=True, slots=True)
class NewBatch:
    """A delivery to be put on record, before its records."""

    batch: str
    field_set: str
    source_department: str
    as_of: date
    loaded_at: datetime
    file_name: str
    file_digest: bytes
    catalogue_digest: bytes
    rows_loaded: int
    rows_quarantined: int


@dataclass(frozen=True, slots=True)
class StoredRecord:
    """One record as stored. ``payload`` is canonical JSON: sorted keys, blanks left out, numbers without rounding."""

    subject_id: str = field(repr=False)
    field_set: str
    as_of: date
    payload: bytes = field(repr=False)
    source_department: str
    loaded_at: datetime
    batch: str


def add_batch(connection: Connection, batch: NewBatch) -> None:
    """Put a delivery on record."""
    connection.execute(insert(LoadBatch), [asdict(batch)])


def batches(connection: Connection, field_set: str | None = None) -> list[NewBatch]:
    """All deliveries, oldest first, of one field set or of all."""
    query = select(LoadBatch.__table__).order_by(LoadBatch.loaded_at, LoadBatch.batch)
    if field_set is not None:
        query = query.where(LoadBatch.field_set == field_set)
    return [NewBatch(**row) for row in connection.execute(query).mappings()]


def upsert_subjects(connection: Connection, subjects: Iterable[NewSubject]) -> None:
    """Put subjects on record; of one already there only the type is renewed, ``first_seen`` stays."""
    rows = [_columns(subject) for subject in subjects]
    if rows:
        upsert = _insert(connection, Subject)
        upsert = upsert.on_conflict_do_update(
            index_elements=["subject_id"], set_={"subject_type": upsert.excluded.subject_type}
        )
        connection.execute(upsert, rows)


def subject_types(connection: Connection, subject_ids: Iterable[str]) -> dict[str, str]:
    """The type letter of each of these subjects that is on record."""
    query = select(Subject.subject_id, Subject.subject_type)
    query = query.where(_among(connection, Subject.subject_id, subject_ids))
    return dict(connection.execute(query).all())


def upsert_records(connection: Connection, records: Iterable[StoredRecord]) -> None:
    """Store records; one that is on record with a later ``as_of`` is kept as it is. Subjects and batch come first."""
    rows = [_columns(record) for record in records]
    if rows:
        upsert = _insert(connection, Record)
        renewed = ("as_of", "payload", "source_department", "loaded_at", "batch")
        upsert = upsert.on_conflict_do_update(
            index_elements=["subject_id", "field_set"],
            set_={name: upsert.excluded[name] for name in renewed},
            where=Record.as_of <= upsert.excluded.as_of,
        )
        connection.execute(upsert, rows)


def subjects_newer_than(connection: Connection, field_set: str, as_of: date) -> set[str]:
    """The subjects whose record of this field set is of a later date."""
    query = select(Record.subject_id).where(Record.field_set == field_set, Record.as_of > as_of)
    return set(connection.scalars(query))


def records_of(
    connection: Connection, field_sets: str | Sequence[str], subject_ids: Iterable[str]
) -> dict[str, dict[str, StoredRecord]]:
    """``{subject_id: {field_set: record}}`` for those that exist."""
    wanted = [field_sets] if isinstance(field_sets, str) else list(field_sets)
    found: dict[str, dict[str, StoredRecord]] = {}
    query = select(Record.__table__).where(Record.field_set.in_(wanted), _among(connection, Record.subject_id, subject_ids))
    for row in connection.execute(query).mappings():
        found.setdefault(row["subject_id"], {})[row["field_set"]] = StoredRecord(**row)
    return found


def iterate_payloads(connection: Connection, field_set: str) -> Iterator[tuple[str, str, date, bytes]]:
    """``(subject_id, department, as_of, payload)`` in the order of the ids' bytes; read as it goes."""
    # The order of a locale is not that in which Python merges.
    subject = Record.subject_id if connection.dialect.name == "sqlite" else Record.subject_id.collate("C")
    query = (
        select(Record.subject_id, Record.source_department, Record.as_of, Record.payload)
        .where(Record.field_set == field_set)
        .order_by(subject)
        .execution_options(yield_per=_ROWS_A_FETCH)
    )
    for rows in connection.execute(query).partitions():
        yield from cast("Sequence[tuple[str, str, date, bytes]]", rows)


def numeric_columns(
    connection: Connection, fields: Sequence[Field], subject_ids: Sequence[str], marks: Marks, on: date
) -> NDArray[np.float64]:
    """The fields of these subjects as ``float64[len(subject_ids), len(fields)]``, in the orders given.

    Missing is NaN, bool 0 or 1, enum its position in ``enum_values``, date days since 1970-01-01; what `marks` or expiry
    on the day `on` take away is missing. ``ValueError`` for a text field, or where a stored enum value is not in the
    catalogue any more.
    """
    position = {subject_id: row for row, subject_id in enumerate(dict.fromkeys(subject_ids))}
    columns = np.full((len(position), len(fields)), np.nan)
    names = [item.name for item in fields]
    for category in dict.fromkeys(item.category for item in fields):
        indices = [index for index, item in enumerate(fields) if item.category == category]
        mine = [fields[index] for index in indices]
        rules = expiries(mine, on)
        read, decoder = _row_decoder(mine, [rule.dated_by for rule in rules if rule.dated_by])
        query = select(Record.subject_id, Record.as_of, Record.payload).where(
            Record.field_set == category, _among(connection, Record.subject_id, position)
        )
        stored = connection.execute(query).all()
        where = np.array([position[subject_id] for subject_id, _, _ in stored], dtype=np.int64)
        rows = [msgspec.structs.astuple(decoder.decode(payload)) for _, _, payload in stored]
        values = dict(zip(read, zip(*rows, strict=True), strict=bool(rows)))
        for index in indices if rows else ():
            columns[where, index] = _numbers(fields[index], values[fields[index].name])
        for rule in rules if rows else ():
            days = zip(values.get(rule.dated_by) or repeat(None), (as_of for _, as_of, _ in stored), strict=False)
            gone = np.fromiter((rule.is_gone(dated, as_of) for dated, as_of in days), dtype=bool, count=len(stored))
            columns[where[gone], names.index(rule.name)] = np.nan
    for subject_id in marks.absent.keys() & position.keys():
        columns[position[subject_id], [marks.is_absent(subject_id, name) for name in names]] = np.nan
    for index in (names.index(name) for name in names if name in marks.sensitive):
        uncollected = [place for subject_id, place in position.items() if marks.is_uncollected(subject_id, names[index])]
        columns[uncollected, index] = np.nan
    if len(position) == len(subject_ids):
        return columns
    return columns[[position[subject_id] for subject_id in subject_ids]]


def _row_decoder(
    fields: Sequence[Field], dating: Sequence[str]
) -> tuple[tuple[str, ...], msgspec.json.Decoder[msgspec.Struct]]:
    """The names of these fields and of the dates that expiry needs, and a decoder that reads only them, None for a blank."""
    python: dict[str, Any] = {"int": float, "decimal": float, "bool": bool, "enum": str, "date": str}
    unfit = [item.name for item in fields if item.kind not in python]
    if unfit:
        raise ValueError(f"text fields have no numeric form: {', '.join(unfit)}")
    types = {item.name: python[item.kind] for item in fields} | dict.fromkeys(dating, str)
    # The columns get plain names because a catalogue made from a CSV header has names that Python would not take.
    attributes = [(f"column_{i}", kind | None, None) for i, kind in enumerate(types.values())]
    rename = {f"column_{i}": name for i, name in enumerate(types)}
    return tuple(types), msgspec.json.Decoder(msgspec.defstruct("Row", attributes, rename=rename, gc=False))


def _numbers(item: Field, values: Sequence[Any]) -> NDArray[np.float64]:
    if item.kind == "enum":
        codes: dict[str | None, float] = {value: float(code) for code, value in enumerate(item.enum_values)}
        codes[None] = np.nan
        try:
            return np.array([codes[value] for value in values], dtype=np.float64)
        except KeyError:
            raise ValueError(f"field {item.name}: stored values are missing from its enum_values; load it again") from None
    if item.kind == "date":
        days = {value: float(date.fromisoformat(value).toordinal() - _EPOCH) for value in set(values) - {None}}
        return np.array([days.get(value, np.nan) for value in values], dtype=np.float64)
    return np.array(values, dtype=np.float64)  # None becomes NaN


def _insert(connection: Connection, table: type[Subject] | type[Record]) -> sqlite.Insert | postgresql.Insert:
    return sqlite.insert(table) if connection.dialect.name == "sqlite" else postgresql.insert(table)


def _columns(row: NewSubject | StoredRecord) -> dict[str, Any]:
    return {name: getattr(row, name) for name in row.__slots__}


def _among(connection: Connection, column: InstrumentedAttribute[str], ids: Iterable[str]) -> ColumnElement[bool]:
    """``column`` is one of ``ids``, as a single parameter: a cohort has more ids than a statement has parameters."""
    if connection.dialect.name == "sqlite":
        listed = func.json_each(msgspec.json.encode(list(ids)).decode()).table_valued("value")
        return column.in_(select(listed.c.value))
    return column == any_(bindparam(None, list(ids), type_=postgresql.ARRAY(String)))
