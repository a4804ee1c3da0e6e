"""The plain records of a check table, in the order of subject ids, made as the database is read.

Leakage: none here. What an objection withholds, what was repaired and what has expired never enters a record, so that it
is in no cell of the epoch that is built from it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date
from itertools import groupby
from operator import itemgetter
from typing import Any, cast

import msgspec
from msgspec.structs import astuple
from sqlalchemy import Connection

from models.catalogue import Field
from models.records import NULL, disputed_mark, join, stamp
from sharing_node.records.marks import Marks, expiries
from sharing_node.records.repository import iterate_payloads

_BLANK = msgspec.Raw(NULL)


def iterate_check_records(
    connection: Connection, fields: Sequence[Field], marks: Marks, on: date
) -> Iterator[tuple[str, bytes]]:
    """One record a subject, as `models.records` states it: fields in the order given, categories sorted.

    Reads as it goes, a few thousand rows at a time. What `marks` or expiry on the day `on` take away is absent; a subject
    of whom nothing is left is not yielded.
    """
    categories = sorted({item.category for item in fields})
    readers = {name: _Category(name, place, fields, on) for place, name in enumerate(categories)}
    names = [item.name for item in fields]
    blank, unsourced = [_BLANK] * len(fields), [NULL] * len(categories)
    subject_id: str
    for subject_id, rows in groupby(iterate_payloads(connection, categories), key=itemgetter(0)):
        values, sources = blank.copy(), unsourced.copy()
        for _, category, department, as_of, payload in rows:
            reader = readers[category]
            sources[reader.place] = reader.read(department, as_of, payload, values)
        mark = b""
        if subject_id in marks.absent or subject_id in marks.disputed:
            for place, name in enumerate(names):
                if marks.is_absent(subject_id, name):
                    values[place] = _BLANK
            for reader in readers.values():
                if all(values[place] is _BLANK for place in reader.places):
                    sources[reader.place] = NULL
            held = [place for place, value in enumerate(values) if value is not _BLANK]
            mark = disputed_mark((place for place in held if marks.is_disputed(subject_id, names[place])), len(held))
        if sources != unsourced:
            yield subject_id, join(cast(list[bytes], values), sources, mark)  # joining takes Raw as it takes bytes


class _Category:
    """Reads the wanted fields out of one category's payloads, as the stored bytes of their values."""

    def __init__(self, name: str, place: int, fields: Sequence[Field], on: date) -> None:
        self.place = place
        self.places = [i for i, item in enumerate(fields) if item.category == name]
        mine = [fields[i] for i in self.places]
        rules = expiries(mine, on)
        # A field that dates another is read even where it is not wanted itself; such columns come last.
        keys = list(dict.fromkeys([item.name for item in mine] + [rule.dated_by for rule in rules if rule.dated_by]))
        # Columns have plain names because a catalogue made from a CSV header has names that Python would not take.
        columns: list[tuple[str, Any, Any]] = [(f"column_{i}", msgspec.Raw, _BLANK) for i in range(len(keys))]
        row = msgspec.defstruct("Row", columns, rename={f"column_{i}": key for i, key in enumerate(keys)}, gc=False)
        self._decode = msgspec.json.Decoder(row).decode
        self._rules = [(rule, keys.index(rule.name), keys.index(rule.dated_by) if rule.dated_by else None) for rule in rules]
        self._dates = sorted({by for _, _, by in self._rules if by is not None})
        self._last_gone = max((rule.last_gone for rule in rules), default=date.min)
        self._stamps: dict[tuple[str, date], bytes] = {}

    def read(self, department: str, as_of: date, payload: bytes, values: list[msgspec.Raw]) -> bytes:
        """Put the values of one payload into their places; their source, or `NULL` where there is no value."""
        row = astuple(self._decode(payload))
        if as_of <= self._last_gone or (self._dates and any(row[place] is not _BLANK for place in self._dates)):
            row = self._unexpired(row, as_of)
        found = False
        for place, value in zip(self.places, row, strict=False):  # without what only dates others
            if value is not _BLANK:
                values[place] = value
                found = True
        return self._source(department, as_of) if found else NULL

    def _source(self, department: str, as_of: date) -> bytes:
        made = self._stamps.get((department, as_of))
        if made is None:
            made = self._stamps[department, as_of] = stamp(department, as_of)
        return made

    def _unexpired(self, row: tuple[msgspec.Raw, ...], as_of: date) -> tuple[msgspec.Raw, ...]:
        kept = list(row)
        for rule, place, by in self._rules:
            if rule.is_gone(None if by is None else _date_of(row[by]), as_of):
                kept[place] = _BLANK
        return tuple(kept)


def _date_of(value: msgspec.Raw) -> str | None:
    return msgspec.json.decode(value, type=str | None)
