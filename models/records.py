"""What a cell of a check table holds: one subject's values, where each comes from and of which day, what is disputed.

A record is JSON without names, because every byte of the longest record is paid for by every cell of a table::

    [[value or null of each field], [[department, day] or null of each category], disputed]

Fields and categories stand in the order of the epoch's signed manifest (`RecordForm.of`). Values are the bytes that the
node has stored, so that no digit is rounded on the way; days are counted from 1970-01-01. `disputed` is missing where
nothing is disputed, ``"*"`` where every value is, and else lists positions of fields. The same record gives the same bytes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

import msgspec

from models.problems import BadMessage
from models.wire import Message

if TYPE_CHECKING:
    from models.tables import Manifest

Value = bool | int | float | str
"""Texts, words of an enum and ISO dates are strings."""
ALL = "*"
NULL = b"null"
_DAY_ZERO = date(1970, 1, 1).toordinal()


class Source(Message):
    """The department (or departments, separated by ``/``) that delivered a category, and the day (ISO) it speaks of."""

    department: str
    as_of: str


class CheckRecord(Message):
    """One subject's record in a check table. Fields that the node may not show, or has nothing of, are absent.

    `fields` are in the manifest's order; `sources` speak of the categories that these fields belong to; `disputed` names
    those against which an objection is open: what they say may be wrong.
    """

    fields: dict[str, Value]
    sources: dict[str, Source]
    disputed: tuple[str, ...] = ()


class _Plain(msgspec.Struct, array_like=True, forbid_unknown_fields=True):
    values: list[Value | None]
    sources: list[tuple[str, int] | None]
    disputed: str | list[int] | None = None


_decoder = msgspec.json.Decoder(_Plain)


@dataclass(frozen=True)
class RecordForm:
    """Which fields and categories (field sets) a table's records hold, in their order."""

    fields: tuple[str, ...]
    categories: tuple[str, ...]

    @classmethod
    def of(cls, manifest: Manifest) -> RecordForm:
        """The form of an epoch's records."""
        return cls(manifest.fields, manifest.field_sets)

    def encode(self, record: CheckRecord) -> bytes:
        """Canonical bytes; `ValueError` for a field or category that the form, or a dispute that the record does not have."""
        unknown = (record.fields.keys() - set(self.fields)) | (record.sources.keys() - set(self.categories))
        unknown |= set(record.disputed) - record.fields.keys()
        if unknown:
            raise ValueError(f"not in this table or record: {', '.join(sorted(unknown))}")
        values = [msgspec.json.encode(record.fields[name]) if name in record.fields else NULL for name in self.fields]
        sources = [record.sources.get(name) for name in self.categories]
        stamps = [NULL if s is None else stamp(s.department, date.fromisoformat(s.as_of)) for s in sources]
        return join(values, stamps, disputed_mark(map(self.fields.index, record.disputed), len(record.fields)))

    def decode(self, data: bytes) -> CheckRecord:
        """Read a record.

        Raises:
            BadMessage: it is not a record of this form: the manifest is another epoch's or table's, or the node's fault.
        """
        try:
            plain = _decoder.decode(data)
        except (msgspec.DecodeError, UnicodeDecodeError):  # the error itself may quote a value
            raise BadMessage("this is not the record of a check table; a score table's is read otherwise") from None
        if (len(plain.values), len(plain.sources)) != (len(self.fields), len(self.categories)):
            raise BadMessage("the record does not have the fields that its manifest names")
        fields = {name: value for name, value in zip(self.fields, plain.values, strict=True) if value is not None}
        return CheckRecord(fields=fields, sources=self._sources(plain), disputed=self._disputed(plain.disputed, fields))

    def _sources(self, plain: _Plain) -> dict[str, Source]:
        named = zip(self.categories, plain.sources, strict=True)
        try:
            return {name: Source(department=s[0], as_of=_day(s[1])) for name, s in named if s is not None}
        except (ValueError, OverflowError):
            raise BadMessage("a source of this record has a day that does not exist") from None

    def _disputed(self, places: str | list[int] | None, fields: Mapping[str, Value]) -> tuple[str, ...]:
        if places is None:
            return ()
        if places == ALL:
            return tuple(fields)
        names = () if isinstance(places, str) else tuple(name for i, name in enumerate(self.fields) if i in set(places))
        if len(names) != len(places) or not set(names) <= fields.keys():
            raise BadMessage("the record marks a value as disputed that it does not have")
        return names


def stamp(department: str, as_of: date) -> bytes:
    """One source as it stands in a record."""
    return msgspec.json.encode((department, as_of.toordinal() - _DAY_ZERO))


def join(values: Iterable[bytes], stamps: Iterable[bytes], disputed: bytes = b"") -> bytes:
    """The bytes of a record from those of its parts, `NULL` where there is none."""
    return b"[[" + b",".join(values) + b"],[" + b",".join(stamps) + b"]" + disputed + b"]"


def disputed_mark(places: Iterable[int], values: int) -> bytes:
    """The last part of a record: positions of disputed values that are there, of so many in all."""
    listed = sorted(set(places))
    if not listed:
        return b""
    return b"," + msgspec.json.encode(ALL if len(listed) == values else listed)


def _day(number: int) -> str:
    return date.fromordinal(number + _DAY_ZERO).isoformat()
