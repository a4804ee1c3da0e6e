"""The header line: which column is which, by field name or by Chinese label."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from models.catalogue import SUBJECT_TYPE_COLUMN, Catalogue, Field, FieldSet
from models.identity import Kind, fold_width
from sharing_node.ingest.reading import IngestError

IDENTITY_LABELS = {"citizen_id_no": "公民身份号码", "uscc": "统一社会信用代码", "subject_id": "主体编号"}
SUBJECT_TYPE_LABEL = "主体类型"
LINE_COLUMN = "行号/line"
REASON_COLUMN = "原因/reason"

IDENTITY_KINDS: dict[str, Kind] = {
    "citizen_id_no": "citizen",
    "uscc": "organisation",
    "subject_id": "opaque",
}


@dataclass(frozen=True, slots=True)
class Header:
    """Where in a row to find what; every index is a position among ``cells``."""

    cells: tuple[str, ...]
    identities: tuple[tuple[int, Kind], ...]
    subject_type: int | None
    fields: tuple[tuple[int, Field], ...]


def read_header(cells: Sequence[str], catalogue: Catalogue, field_set: FieldSet, identity_column: str | None = None) -> Header:
    """Understand a header line; ``IngestError`` names the columns that are unknown, missing or repeated.

    ``identity_column`` is what a file of opaque ids calls its id, if not ``subject_id``.
    """
    columns = _columns(catalogue, field_set, identity_column)
    identities: list[tuple[int, Kind]] = []
    fields: list[tuple[int, Field]] = []
    subject_type: int | None = None
    unknown: list[int] = []
    seen: dict[str, str] = {}
    for index, cell in enumerate(cells):
        name = columns.get(_key(cell))
        if name == "":
            continue  # line number and reason of a quarantine file that was corrected and sent again
        if name is None:
            unknown.append(index)
            continue
        if name in seen:
            raise IngestError(f"the columns {seen[name]} and {cell.strip()} are the same; leave one out")
        seen[name] = cell.strip()
        if name in field_set.identity_columns:
            identities.append((index, IDENTITY_KINDS[name]))
        elif name == SUBJECT_TYPE_COLUMN and catalogue.identity == "national":
            subject_type = index
        else:
            fields.append((index, catalogue[name]))
    if not identities:
        # Nothing of the line is shown: without a header it is somebody's record.
        wanted = " or ".join(f"{IDENTITY_LABELS[name]} ({name})" for name in field_set.identity_columns)
        raise IngestError(f"the first line is no header that says who a row is about; name a column {wanted}")
    if unknown:
        named = [f"{cells[index].strip()[:30]!r} (column {index + 1})" for index in unknown[:10]]
        raise IngestError(f"unknown columns for {field_set.name}: {', '.join(named)}; use the names or labels of the template")
    if not fields and SUBJECT_TYPE_COLUMN not in seen:
        raise IngestError(f"the file has no field of {field_set.name}")
    return Header(tuple(cells), tuple(identities), subject_type, tuple(fields))


def _columns(catalogue: Catalogue, field_set: FieldSet, identity_column: str | None) -> dict[str, str]:
    columns = {_key(word): "" for cell in (LINE_COLUMN, REASON_COLUMN) for word in (cell, *cell.split("/"))}
    if catalogue.identity == "national":
        columns |= {_key(SUBJECT_TYPE_LABEL): SUBJECT_TYPE_COLUMN, SUBJECT_TYPE_COLUMN: SUBJECT_TYPE_COLUMN}
    for field in field_set.fields:
        columns |= {_key(field.label_zh): field.name, _key(field.name): field.name}
    for name in field_set.identity_columns:
        columns |= {_key(IDENTITY_LABELS[name]): name, name: name}
    if identity_column is not None:
        if len(field_set.identity_columns) != 1:
            raise IngestError("identity_column is for files of opaque ids; national codes have fixed columns")
        columns[_key(identity_column)] = field_set.identity_columns[0]
    return columns


def _key(cell: str) -> str:
    return fold_width(cell).casefold()
