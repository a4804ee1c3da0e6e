"""One delivery: read, check every row, store the good ones in one transaction, set the others aside with reasons.

Three passes over the file, so that memory holds accepted rows only once and no rejected row at all: (1) encoding, digest
and size, (2) validation, (3) the quarantine file, where there is something to set aside.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from typing import BinaryIO

from sqlalchemy import Connection

from models.catalogue import Catalogue
from models.identity import kind_of
from sharing_node.ingest.header import Header, read_header
from sharing_node.ingest.quarantine import quarantine_path, write_quarantine
from sharing_node.ingest.reading import (
    DEFAULT_SIZE_LIMIT,
    Encoding,
    FileFacts,
    IngestError,
    Line,
    examine,
    open_source,
    read_lines,
)
from sharing_node.ingest.rows import CheckedRows, Row
from sharing_node.records import repository as records


@dataclass(frozen=True, slots=True)
class IngestReport:
    """What became of a delivery. No value and no id of a subject stands in it.

    ``rows_loaded`` were stored, ``rows_repeated`` were identical to a row before, ``rows_outdated`` found a record of a
    later date, ``quarantined`` maps line numbers to reasons.
    """

    batch: str
    field_set: str
    source_department: str
    as_of: date
    encoding: Encoding
    rows_read: int
    rows_loaded: int
    rows_repeated: int
    rows_outdated: int
    quarantined: Mapping[int, tuple[str, ...]]
    quarantine_file: Path | None


@dataclass(frozen=True, slots=True)
class Delivery:
    """A file that has been read and checked, before anything is stored. No value of it shows in its repr."""

    catalogue: Catalogue
    field_set: str
    header: Header = field(repr=False)
    facts: FileFacts
    check: CheckedRows = field(repr=False)
    rows_read: int


def read_delivery(
    catalogue: Catalogue,
    field_set: str,
    stream: BinaryIO,
    *,
    identity_column: str | None = None,
    size_limit: int = DEFAULT_SIZE_LIMIT,
) -> Delivery:
    """Read and check one CSV file of one category, without a database; raises `IngestError` for the file as a whole."""
    facts = examine(stream, size_limit=size_limit)
    stream.seek(0)
    lines = read_lines(stream, facts.encoding)
    header = _header(lines, catalogue, field_set, identity_column)
    check = CheckedRows(header, catalogue.field_set(field_set))
    rows_read = check.read(lines)
    if not rows_read:
        raise IngestError("the file has a header and no rows")
    return Delivery(catalogue, field_set, header, facts, check, rows_read)


def store_delivery(
    connection: Connection,
    delivery: Delivery,
    stream: BinaryIO,
    *,
    as_of: date,
    file_name: str,
    quarantine_folder: Path,
    source_department: str | None = None,
) -> IngestReport:
    """Store a delivery's good rows in the connection's transaction (as a savepoint) or one of its own; set the rest aside.

    ``stream`` is the file again, from which rejected rows are copied. ``source_department`` defaults to the departments of
    the delivered columns.
    """
    check, field_set = delivery.check, delivery.field_set
    if source_department is None:
        source_department = "/".join(sorted({item.source_department for _, item in delivery.header.fields}))
    with connection.begin_nested() if connection.in_transaction() else connection.begin():
        check.settle_types(records.subject_types(connection, check.rows))
        outdated = records.subjects_newer_than(connection, field_set, as_of) & check.rows.keys()
        for subject_id in outdated:
            del check.rows[subject_id]
        batch = records.NewBatch(
            batch=secrets.token_hex(16),
            field_set=field_set,
            source_department=source_department[:64],
            as_of=as_of,
            loaded_at=datetime.now(UTC),
            file_name=file_name[:255],
            file_digest=delivery.facts.digest,
            catalogue_digest=delivery.catalogue.digest(),
            rows_loaded=len(check.rows),
            rows_quarantined=len(check.problems),
        )
        _store(connection, batch, check.rows.values())
        written = None
        if check.problems:
            written = quarantine_path(quarantine_folder, file_name)
            stream.seek(0)
            write_quarantine(written, stream, delivery.facts.encoding, check.problems)
    return IngestReport(
        batch=batch.batch,
        field_set=field_set,
        source_department=batch.source_department,
        as_of=as_of,
        encoding=delivery.facts.encoding,
        rows_read=delivery.rows_read,
        rows_loaded=batch.rows_loaded,
        rows_repeated=check.repeated,
        rows_outdated=len(outdated),
        quarantined={line: tuple(reasons) for line, reasons in sorted(check.problems.items())},
        quarantine_file=written,
    )


def ingest_csv(
    connection: Connection,
    catalogue: Catalogue,
    field_set: str,
    source: Path | str | BinaryIO,
    *,
    as_of: date,
    source_department: str | None = None,
    identity_column: str | None = None,
    file_name: str | None = None,
    quarantine_folder: Path | None = None,
    size_limit: int = DEFAULT_SIZE_LIMIT,
) -> IngestReport:
    """Load one CSV file of one category of the catalogue: `read_delivery`, then `store_delivery`.

    ``source`` is a path or a seekable binary stream; a stream needs ``file_name`` and ``quarantine_folder`` (default:
    beside the file). ``as_of`` is the day the data describe.

    Raises ``IngestError`` if the file as a whole cannot be used; then nothing of it is stored.
    """
    if isinstance(source, (str, Path)):
        file_name = file_name or Path(source).name
        quarantine_folder = quarantine_folder or Path(source).parent
    if file_name is None or quarantine_folder is None:
        raise ValueError("a stream needs file_name and quarantine_folder")
    with open_source(source) as stream:
        delivery = read_delivery(catalogue, field_set, stream, identity_column=identity_column, size_limit=size_limit)
        return store_delivery(
            connection,
            delivery,
            stream,
            as_of=as_of,
            file_name=file_name,
            quarantine_folder=quarantine_folder,
            source_department=source_department,
        )


def _header(lines: Iterator[Line], catalogue: Catalogue, field_set: str, identity_column: str | None) -> Header:
    line = next(lines, None)
    if line is None:
        raise IngestError("the file holds blank lines only")
    header = read_header(line.cells, catalogue, catalogue.field_set(field_set), identity_column)
    if line.problem:
        raise IngestError(f"the header line cannot be used: {line.problem}")
    return header


def _store(connection: Connection, batch: records.NewBatch, rows: Iterable[Row]) -> None:
    rows = list(rows)
    records.add_batch(connection, batch)
    records.upsert_subjects(
        connection,
        (records.NewSubject(row.subject_id, kind_of(row.subject_id), row.letter or "*", batch.loaded_at) for row in rows),
    )
    records.upsert_records(
        connection,
        (
            records.StoredRecord(
                row.subject_id,
                batch.field_set,
                batch.as_of,
                row.payload,
                batch.source_department,
                batch.loaded_at,
                batch.batch,
            )
            for row in rows
        ),
    )
