"""The plain records of a check table, in the order of subject ids, made as the database is read.

Leakage: none here. What an objection withholds, what was repaired, what has expired, and what is sensitive without a consent of
its own never enters a record, so that it is in no cell of the epoch that is built from it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date
from heapq import merge
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
    names = [item.name for item in fields]
    categories = sorted({item.category for item in fields})
    # Values are put together a category after the other, and then into the order of the fields.
    in_order = list(range(len(fields)))
    grouped = sorted(in_order, key=lambda place: fields[place].category)
    order = sorted(in_order, key=grouped.__getitem__)
    readers, start = [], 0
    for number, name in enumerate(categories):
        reader = _Category(name, number, start, [fields[place] for place in grouped if fields[place].category == name], on)
        readers.append(reader)
        start = reader.span.stop
    blank, unsourced = [_BLANK] * len(fields), [NULL] * len(categories)
    subject_id: str
    # No database has an index in the order of subjects over some of the categories only: each is read by itself.
    for subject_id, parts in groupby(merge(*(reader.read(connection) for reader in readers)), key=itemgetter(0)):
        values, sources = blank.copy(), unsourced.copy()
        for _, number, row, source in parts:
            values[readers[number].span] = row
            sources[number] = source
        if grouped != in_order:
            values = [values[place] for place in order]
        mark = b""
        if marks.touches(subject_id):
            for place, name in enumerate(names):
                if marks.is_absent(subject_id, name):
                    values[place] = _BLANK
            for number, category in enumerate(categories):
                if all(value is _BLANK for item, value in zip(fields, values, strict=True) if item.category == category):
                    sources[number] = NULL
            held = [place for place, value in enumerate(values) if value is not _BLANK]
            mark = disputed_mark((place for place in held if marks.is_disputed(subject_id, names[place])), len(held))
        if sources != unsourced:
            yield subject_id, join(cast(list[bytes], values), sources, mark)  # joining takes Raw as it takes bytes


_Row = tuple[msgspec.Raw, ...]


class _Category:
    """Reads the wanted fields out of one category's payloads, as the stored bytes of their values."""

    def __init__(self, name: str, number: int, start: int, fields: Sequence[Field], on: date) -> None:
        self.span = slice(start, start + len(fields))
        self._name, self._number = name, number
        rules = expiries(fields, on)
        # A field that dates another is read even where it is not wanted itself; such columns come last.
        keys = list(dict.fromkeys([item.name for item in fields] + [rule.dated_by for rule in rules if rule.dated_by]))
        # Columns have plain names because a catalogue made from a CSV header has names that Python would not take.
        columns: list[tuple[str, Any, Any]] = [(f"column_{i}", msgspec.Raw, _BLANK) for i in range(len(keys))]
        row = msgspec.defstruct("Row", columns, rename={f"column_{i}": key for i, key in enumerate(keys)}, gc=False)
        self._decode = msgspec.json.Decoder(row).decode
        self._wanted = len(fields)
        self._rules = [(rule, keys.index(rule.name), keys.index(rule.dated_by) if rule.dated_by else None) for rule in rules]
        self._dates = sorted({by for _, _, by in self._rules if by is not None})
        self._last_gone = max((rule.last_gone for rule in rules), default=date.min)
        self._stamps: dict[tuple[str, date], bytes] = {}

    def read(self, connection: Connection) -> Iterator[tuple[str, int, _Row, bytes]]:
        """(subject, this category's number, values, source) of everybody of whom there is a value, in order."""
        nothing = (_BLANK,) * self._wanted
        for subject_id, department, as_of, payload in iterate_payloads(connection, self._name):
            row = astuple(self._decode(payload))
            if as_of <= self._last_gone or (self._dates and any(row[place] is not _BLANK for place in self._dates)):
                row = self._unexpired(row, as_of)
            row = row[: self._wanted]  # without what only dates others
            if row != nothing:
                yield subject_id, self._number, row, self._source(department, as_of)

    def _source(self, department: str, as_of: date) -> bytes:
        made = self._stamps.get((department, as_of))
        if made is None:
            made = self._stamps[department, as_of] = stamp(department, as_of)
        return made

    def _unexpired(self, row: _Row, as_of: date) -> _Row:
        kept = list(row)
        for rule, place, by in self._rules:
            if rule.is_gone(None if by is None else _date_of(row[by]), as_of):
                kept[place] = _BLANK
        return tuple(kept)


def _date_of(value: msgspec.Raw) -> str | None:
    return msgspec.json.decode(value, type=str | None)
