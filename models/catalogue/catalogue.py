"""The catalogue of sharable data: read from CSV, checked on loading, and identified by its digest.

The packaged ``catalogue.csv`` covers a county's agricultural credit data. A legal basis that is not known there reads
待定; a bureau fills in its own before production.
"""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache, cached_property
from importlib import resources
from pathlib import Path
from typing import Literal, cast

import msgspec

from models.catalogue.field import ALL_SUBJECT_TYPES, SUBJECT_TYPES, UNKNOWN_LEGAL_BASIS, CatalogueError, Field, Grade, Mode

Identity = Literal["national", "opaque"]
"""How files of this catalogue name subjects: national codes, or ids that mean something only to both sides."""

IDENTITY_COLUMNS: Mapping[Identity, tuple[str, ...]] = {
    "national": ("citizen_id_no", "uscc"),
    "opaque": ("subject_id",),
}
SUBJECT_TYPE_COLUMN = "subject_type"
_NEVER_PAYLOAD = frozenset({"citizen_id_no", "uscc", "subject_id"})

CSV_COLUMNS = (
    *("category", "field", "label_zh", "label_en", "type", "unit", "subject_types", "source_dept", "cycle", "grade"),
    *("share_mode", "enum_values", "minimum", "maximum", "legal_basis", "theme", "sensitive"),
    *("enum_labels_en", "expires_years", "dated_by"),
)
_REQUIRED = frozenset({"category", "field", "label_zh", "type", "subject_types", "source_dept", "cycle", "grade", "share_mode"})


@dataclass(frozen=True, slots=True)
class FieldSet:
    """One category of a catalogue as it is delivered, stored and served: identity columns plus fields."""

    name: str
    identity_columns: tuple[str, ...]
    fields: tuple[Field, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """The field names in catalogue order."""
        return tuple(field.name for field in self.fields)


@dataclass(frozen=True)
class Catalogue:
    """Fields in a fixed order, unique by name and by Chinese label."""

    fields: tuple[Field, ...]
    identity: Identity = "national"

    def __post_init__(self) -> None:
        """Raise ``CatalogueError`` when the fields do not fit together."""
        if not self.fields:
            raise CatalogueError("the catalogue has no fields")
        for what, words in (("name", [f.name for f in self]), ("Chinese label", [f.label_zh for f in self])):
            repeated = sorted({word for word in words if words.count(word) > 1})
            if repeated:
                raise CatalogueError(f"the {what} {', '.join(repeated)} stands for more than one field")
        for field in self:
            by = self._by_name.get(field.dated_by)
            if field.dated_by and (by is None or by.kind != "date" or by.category != field.category):
                raise CatalogueError(f"field {field.name!r}: dated_by must name a date field of its own category")

    def __iter__(self) -> Iterator[Field]:
        """The fields in catalogue order."""
        return iter(self.fields)

    def __len__(self) -> int:
        return len(self.fields)

    def __contains__(self, name: object) -> bool:
        return name in self._by_name

    def __getitem__(self, name: str) -> Field:
        """The field of that name; ``CatalogueError`` for an unknown one."""
        try:
            return self._by_name[name]
        except KeyError:
            raise CatalogueError(f"the catalogue has no field {name!r}") from None

    @cached_property
    def _by_name(self) -> Mapping[str, Field]:
        return {field.name: field for field in self.fields}

    @cached_property
    def categories(self) -> tuple[str, ...]:
        """Category names in catalogue order."""
        return tuple(dict.fromkeys(field.category for field in self.fields))

    def select(self, names: Iterable[str]) -> tuple[Field, ...]:
        """The named fields in the order asked; ``CatalogueError`` for an unknown one."""
        return tuple(self[name] for name in names)

    def fields_of(self, category: str) -> tuple[Field, ...]:
        """All fields of one category; ``CatalogueError`` for an unknown one."""
        found = tuple(field for field in self.fields if field.category == category)
        if not found:
            raise CatalogueError(f"no category {category!r}; there are: {', '.join(self.categories)}")
        return found

    def field_set(self, category: str) -> FieldSet:
        """The category as it is delivered: identity numbers name the subject and are no part of its record."""
        fields = tuple(field for field in self.fields_of(category) if field.name not in _NEVER_PAYLOAD)
        return FieldSet(category, IDENTITY_COLUMNS[self.identity], fields)

    def for_subject_type(self, letter: str) -> tuple[Field, ...]:
        """The fields that exist for one subject type (``H``, ``F``, …)."""
        if letter not in ALL_SUBJECT_TYPES:
            raise CatalogueError(f"no subject type {letter!r}; there are: {', '.join(sorted(ALL_SUBJECT_TYPES))}")
        return tuple(field for field in self.fields if letter in field.subject_types)

    def with_modes(self, modes: Mapping[str, Mode]) -> Catalogue:
        """A copy in which the named fields have another sharing mode."""
        for name in modes:
            self[name]  # an unknown name must not pass silently
        return replace(self, fields=tuple(replace(f, mode=modes.get(f.name, f.mode)) for f in self.fields))

    def digest(self) -> bytes:
        """SHA-256 (32 bytes) over a canonical form: equal for equal definitions, whatever the order of lines."""
        rows = [list(_row_of_field(field).values()) for field in sorted(self.fields, key=lambda f: f.name)]
        return hashlib.sha256(msgspec.json.encode(["xinqiao catalogue v1", self.identity, rows])).digest()

    def to_csv(self) -> bytes:
        """UTF-8 CSV that ``from_csv`` reads back to an equal catalogue."""
        text = io.StringIO()
        writer = csv.DictWriter(text, CSV_COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(_row_of_field(field) for field in self.fields)
        return text.getvalue().encode("utf-8")

    @classmethod
    def from_csv(cls, source: bytes | Path, *, identity: Identity = "national") -> Catalogue:
        """Read UTF-8 CSV (with or without BOM); ``CatalogueError`` names the line and what to correct."""
        data = source.read_bytes() if isinstance(source, Path) else source
        try:
            text = data.decode("utf-8-sig")
        except UnicodeDecodeError:
            raise CatalogueError("the catalogue is not UTF-8; save it as CSV UTF-8") from None
        reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
        header = set(reader.fieldnames or ())
        if missing := _REQUIRED - header:
            raise CatalogueError(f"line 1: the columns {', '.join(sorted(missing))} are missing")
        if unknown := header - set(CSV_COLUMNS):
            raise CatalogueError(f"line 1: unknown columns {', '.join(sorted(unknown))}")
        fields: list[Field] = []
        try:
            for row in reader:
                if None in row or None in row.values():
                    raise CatalogueError("the line has more or fewer cells than the header")
                fields.append(_field_of_row({name: cell.strip() for name, cell in row.items()}))
        except (CatalogueError, csv.Error) as error:
            raise CatalogueError(f"line {reader.line_num}: {error}") from None
        return cls(tuple(fields), identity)

    @classmethod
    def from_columns(
        cls,
        names: Iterable[str],
        *,
        category: str = "columns",
        mode: Mode = "J",
        identity: Identity = "opaque",
        source_department: str = "",
    ) -> Catalogue:
        """A catalogue for a data set that is none of ours: every column a decimal, joint-model mode unless told."""
        fields = tuple(
            Field(
                name=name,
                category=category,
                label_zh=name,
                label_en=name,
                mode=mode,
                source_department=source_department,
                theme=category,
            )
            for name in names
        )
        return cls(fields, identity)


def _row_of_field(field: Field) -> dict[str, str]:
    """The cells of one field in the order of ``CSV_COLUMNS``."""
    letters = [letter for letter in SUBJECT_TYPES if letter in field.subject_types]
    return {
        "category": field.category,
        "field": field.name,
        "label_zh": field.label_zh,
        "label_en": field.label_en,
        "type": field.type,
        "unit": field.unit,
        "subject_types": "*" if field.subject_types == ALL_SUBJECT_TYPES else ";".join(letters),
        "source_dept": field.source_department,
        "cycle": field.cycle,
        "grade": field.grade,
        "share_mode": field.mode,
        "enum_values": ";".join(field.enum_values),
        "minimum": field.minimum or "",
        "maximum": field.maximum or "",
        "legal_basis": field.legal_basis,
        "theme": field.theme,
        "sensitive": "1" if field.sensitive else "0",
        "enum_labels_en": ";".join(field.enum_labels_en),
        "expires_years": "" if field.expires_years is None else str(field.expires_years),
        "dated_by": field.dated_by,
    }


def _field_of_row(row: Mapping[str, str]) -> Field:
    types = row["subject_types"]
    sensitive = row.get("sensitive", "0") or "0"
    if sensitive not in ("0", "1"):
        raise CatalogueError(f"field {row['field']!r}: sensitive must be 0 or 1")
    years = row.get("expires_years", "")
    if years and not (years.isascii() and years.isdecimal()):
        raise CatalogueError(f"field {row['field']!r}: expires_years must be a whole number of years, or empty")
    return Field(
        name=row["field"],
        category=row["category"],
        label_zh=row["label_zh"],
        label_en=row.get("label_en", ""),
        type=row["type"],
        unit=row.get("unit", ""),
        subject_types=ALL_SUBJECT_TYPES if types == "*" else frozenset(types.replace(",", ";").split(";")),
        source_department=row["source_dept"],
        cycle=row["cycle"],
        grade=cast(Grade, row["grade"]),  # checked when the field is made, like the mode
        mode=cast(Mode, row["share_mode"]),
        enum_values=tuple(row["enum_values"].split(";")) if row.get("enum_values") else (),
        minimum=row.get("minimum") or None,
        maximum=row.get("maximum") or None,
        legal_basis=row.get("legal_basis", "") or UNKNOWN_LEGAL_BASIS,
        theme=row.get("theme", ""),
        sensitive=sensitive == "1",
        enum_labels_en=tuple(row["enum_labels_en"].split(";")) if row.get("enum_labels_en") else (),
        expires_years=int(years) if years else None,
        dated_by=row.get("dated_by", ""),
    )


@cache
def default_catalogue() -> Catalogue:
    """The packaged catalogue: 89 fields in 12 categories."""
    return Catalogue.from_csv(resources.files("models.catalogue").joinpath("catalogue.csv").read_bytes())
